"""What another device's envelope carries, parsed before any of it takes effect.

Rule: every change of an envelope is parsed and its owner checked before the first of
them touches a document.
"""

from collections.abc import Container, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from crdt.errors import ForgedError
from crdt.payload import (
    AnyEnergyChange,
    BodyChange,
    Change,
    EnergyChange,
    PacedEnergyChange,
    ShardChange,
)
from crdt.yjs_creations import Creations, read_creations
from crdt.yjs_profile import BODY, SHARD
from crdt.yjs_update import ParsedUpdate, check_owner, parse


@dataclass(frozen=True, slots=True)
class ParsedShardChange:
    """An update of a shard that holds what a shard may hold."""

    change: ShardChange
    creations: Creations | None
    """All of it, if it does nothing but create entries: so is most of a graph made."""
    parsed: ParsedUpdate | None
    """What it touches otherwise."""

    @property
    def touched(self) -> Sequence[tuple[str, str]]:
        """(map name, key) of the entries that it creates."""
        if self.creations is not None:
            return [entry[:2] for entry in self.creations.entries]
        return self.parsed.touched if self.parsed is not None else ()

    def own_end(self, client: int) -> int:
        """Return one past the last clock of a client's structs in it, 0 if none."""
        if self.creations is not None:
            is_theirs = self.creations.client == client
            return self.creations.end if is_theirs else 0
        return self.parsed.clients.get(client, (0, 0))[1] if self.parsed else 0


ParsedChange: TypeAlias = ParsedShardChange | BodyChange | AnyEnergyChange


def parse_changes(
    changes: Sequence[Change], client_id: int, devices: AbstractSet[int]
) -> tuple[Sequence[ParsedChange], int]:
    """Return changes that a device with this client id may make, and their bytes.

    `devices` are the client ids of all devices: only their owners write under them.
    Raises `MalformedError` or `ForgedError`.
    """
    parsed: list[ParsedChange] = []
    size = 0
    for change in changes:
        match change:
            case ShardChange(update=update):
                size += len(update)
                parsed.append(parse_shard(change, (client_id,)))
            case BodyChange(update=update):
                # A body is also edited by Yjs clients, each under an id of its own.
                size += len(update)
                others = devices - {client_id}
                if not others.isdisjoint(parse(update, BODY).clients):
                    message = "update: writes under the client id of another device"
                    raise ForgedError(message)
                parsed.append(change)
            case (
                EnergyChange(accumulators=accumulators)
                | PacedEnergyChange(accumulators=accumulators)
            ):
                size += 32 * len(accumulators)
                parsed.append(change)
    return parsed, size


def parse_shard(change: ShardChange, clients: Container[int]) -> ParsedShardChange:
    """Return a change of a shard whose structs bear these client ids alone.

    Raises `MalformedError` or `ForgedError`.
    """
    creations = read_creations(change.update)
    if creations is not None and creations.client in clients:
        return ParsedShardChange(change, creations, None)
    parsed = parse(change.update, SHARD)
    check_owner(parsed, clients)
    return ParsedShardChange(change, None, parsed)
