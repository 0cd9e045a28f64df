"""Yjs version 1 updates: read strictly before anything else may see them.

Specification: docs/protocol/yjs-update.md.

The Yjs library that holds the documents panics, overflows its stack or keeps a
document that can never be saved again when it is given crafted bytes. So every
update from outside goes through `parse` first, which accepts only what the documents
of this project hold and Yjs itself would write. Rules of this file:

1. Hostile bytes raise `MalformedError` and nothing else.
2. One pass, no recursion, and no work that the length of the input does not bound.
"""

from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from crdt.errors import ForgedError, MalformedError
from crdt.yjs_bytes import encode_number, read_client, read_clock, read_number
from crdt.yjs_profile import ANY, ONE_STRING, SHARD, Profile
from crdt.yjs_structs import (
    HAS_KEY,
    Findings,
    Id,
    Range,
    read_clients,
    read_deletes,
)

MAX_STRUCTS: Final = 1_000_000
EMPTY_UPDATE: Final = b"\x00\x00"

_CREATION: Final = {
    root: bytes((ANY | HAS_KEY,)) + parent for parent, root in SHARD.parents.items()
}
"""Head of an item without neighbours, by the name of its root."""


@dataclass(frozen=True, slots=True)
class ParsedUpdate:
    """What the owner of a document has to know of an update before applying it."""

    clients: Mapping[int, Range]
    """Clocks of the structs it carries, per client id."""
    needs: Mapping[int, int]
    """State vector that a document must have reached for all of it to take effect."""
    touched: Sequence[tuple[str, str]]
    """(root name, key) of the map entries that it creates."""
    overwritten: Sequence[Id]
    """Entries it replaces: their keys are not stated, only known to the document."""
    deletes: Mapping[int, Sequence[Range]]
    """Clocks that it deletes, ascending, per client id."""
    cuts: AbstractSet[Id]
    """In a text, elements that it makes the first of a run: no pair may end there."""
    pair_halves: AbstractSet[Id]
    """Second halves of the surrogate pairs in its text."""
    deletes_at: int
    """Where in its bytes the structs end and the deletions begin."""

    def fits(self, state: Mapping[int, int]) -> bool:
        """Whether a document with this state vector can apply all of it now.

        What does not fit waits inside the document, which forgets it when saved.
        """
        return all(
            state.get(client, 0) >= clock for client, clock in self.needs.items()
        )

    def goes_beyond(
        self, state: Mapping[int, int], clients: Container[int] | None = None
    ) -> bool:
        """Whether it has structs, of `clients` or of any, that this state lacks."""
        return any(
            end > state.get(client, 0)
            for client, (_, end) in self.clients.items()
            if clients is None or client in clients
        )

    def all_cuts(self) -> set[Id]:
        """In a text, elements before which it or its deletions begin or end a run."""
        edges = {
            (client, edge)
            for client, ranges in self.deletes.items()
            for deleted in ranges
            for edge in deleted
        }
        return edges | self.cuts

    def splits_pair(self, halves: AbstractSet[Id], state: Mapping[int, int]) -> bool:
        """Whether applying it to a text would cut a surrogate pair in two.

        `halves` are the `pair_halves` of all that the document holds, `state` is its
        state vector. The Yjs library miscounts clocks after such a cut: what it then
        saves is another text.
        """
        begins = {(client, state.get(client, 0)) for client in self.clients}
        cuts = self.all_cuts() | begins
        return not (cuts.isdisjoint(halves) and cuts.isdisjoint(self.pair_halves))


def parse(
    update: bytes, profile: Profile, *, max_structs: int = MAX_STRUCTS
) -> ParsedUpdate:
    """Return what `update` carries, or raise `MalformedError`."""
    found = Findings()
    try:
        deletes_at = read_clients(update, profile, max_structs, found)
        at = read_deletes(update, deletes_at, found)
    except IndexError:
        raise MalformedError("update: ends early") from None
    except UnicodeDecodeError:
        raise MalformedError("update: holds text that is not UTF-8") from None
    if at != len(update):
        raise MalformedError("update: bytes follow its end")
    for client, clock in found.required.items():
        if client not in found.clients or clock > found.clients[client][1]:
            found.needs[client] = clock
    return ParsedUpdate(
        clients=found.clients,
        needs=found.needs,
        touched=found.touched,
        overwritten=found.overwritten,
        deletes=found.deletes,
        cuts=found.cuts,
        pair_halves=found.pair_halves,
        deletes_at=deletes_at,
    )


def check_owner(update: ParsedUpdate, owned: Container[int]) -> None:
    """Raise `ForgedError` if a struct bears a client id that is not the sender's.

    The delete set may name anyone's structs: whoever may write may delete.
    """
    for client in update.clients:
        if client not in owned:
            raise ForgedError("update: writes under the client id of another device")


def encode_creations(
    client: int, clock: int, entries: Sequence[tuple[str, str, str]]
) -> bytes:
    """Return the update in which `client` creates these entries from `clock` on.

    `entries` are (root name, key, JSON text), each key once, and no document holds
    any of the keys yet: a new entry then names no other, so none has to be loaded.
    """
    if not entries:
        return EMPTY_UPDATE
    parts = [b"\x01", *map(encode_number, (len(entries), client, clock))]
    for root, key, value in entries:
        key_bytes = key.encode()
        value_bytes = value.encode()
        parts += (
            _CREATION[root],
            encode_number(len(key_bytes)),
            key_bytes,
            ONE_STRING,
            encode_number(len(value_bytes)),
            value_bytes,
        )
    parts.append(b"\x00")
    return b"".join(parts)


def join_creations(
    client: int, clock: int, updates: Sequence[tuple[int, bytes]]
) -> bytes:
    """Return one update for several of `encode_creations`, each behind the one before.

    `updates` are (number of entries, update); the first begins at `clock`.
    """
    parts = []
    total = 0
    for count, update in updates:
        head = 1 + sum(map(len, map(encode_number, (count, client, clock + total))))
        parts.append(update[head:-1])
        total += count
    head_parts = (b"\x01", *map(encode_number, (total, client, clock)))
    return b"".join((*head_parts, *parts, b"\x00"))


def decode_state_vector(data: bytes) -> dict[int, int]:
    """Return {client id: number of clocks held}, or raise `MalformedError`."""
    state: dict[int, int] = {}
    try:
        count, at = read_number(data, 0)
        for _ in range(count):
            client, at = read_client(data, at, state)
            state[client], at = read_clock(data, at)
    except IndexError:
        raise MalformedError("state vector: ends early") from None
    if at != len(data):
        raise MalformedError("state vector: bytes follow its end")
    return state
