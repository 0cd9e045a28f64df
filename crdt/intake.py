"""Taking in envelopes of other devices: a batch is one transaction.

Rules of this file:
1. Envelopes, heads of chains, proofs, and what all of it brings to shards and rows are
   written together, and memory follows the commit.
2. What a document refuses costs its own device, not the batch: it is tried again
   without it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crdt.arrival import Acceptance, Cause, Examination, Fork, Refusal
from crdt.chain import ChainHead
from crdt.chain_store import ChainStore
from crdt.errors import MalformedError
from crdt.events import Event
from crdt.graph_writer import GraphWriter
from crdt.ids import DeviceId, format_id
from crdt.membership import Membership
from crdt.payload import BodyChange
from crdt.reception import merge_changes
from crdt.staging import Group

Place: TypeAlias = tuple[DeviceId, int]
"""(device, sequence) of an envelope."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    events: Sequence[Event]
    refused: Sequence[Refusal]
    bodies: Sequence[BodyChange]


class _UnmergeableError(MalformedError):
    """A document refused what an envelope carries."""

    def __init__(self, place: Place) -> None:
        super().__init__("An update was refused by the document it belongs to.")
        self.place = place


class Intake:
    """Takes envelopes into one store."""

    def __init__(
        self, own_device: DeviceId, writer: GraphWriter, chains: ChainStore
    ) -> None:
        """Take where to write."""
        self._own_device = own_device
        self._writer = writer
        self._chains = chains

    def take(
        self,
        encoded: Sequence[bytes],
        membership: Membership,
        own_head: ChainHead,
        now_ms: int,
    ) -> Taken:
        """Make what is acceptable durable, and say why the rest is not.

        One transaction takes all, unless they hold more than memory should.
        """
        refused: list[Refusal] = []
        events: list[Event] = []
        bodies: list[BodyChange] = []
        barred: dict[Place, Cause] = {}
        first = 0
        while first < len(encoded):
            examination = Examination(
                own_device=self._own_device,
                roster=membership.roster,
                keys=membership.keys,
                heads={**self._chains.heads, self._own_device: own_head},
                forked=frozenset(fork.device for fork in self._chains.forks),
                held=self._chains.held,
                barred=barred,
            )
            verdicts = examination.examine_some(encoded, first)
            accepted = [each for each in verdicts if isinstance(each, Acceptance)]
            try:
                events += self._write(accepted, examination.forks, now_ms)
            except _UnmergeableError as error:
                barred[error.place] = Cause.MALFORMED
                continue
            refused += [each for each in verdicts if isinstance(each, Refusal)]
            bodies += _body_changes(accepted)
            first += len(verdicts)
        return Taken(events, refused, bodies)

    def _write(
        self, accepted: Sequence[Acceptance], forks: Sequence[Fork], now_ms: int
    ) -> Sequence[Event]:
        """Write accepted envelopes and proofs; return what to tell watchers.

        Raises `_UnmergeableError` with nothing changed.
        """
        if not accepted and not forks:
            return ()
        is_noted = self._writer.node_changes.floor is not None

        def stage(group: Group) -> None:
            for each in accepted:
                place = each.member.device, each.head.sequence
                if is_noted:
                    group.origin = self._chains.number(place[0]), place[1]
                told = len(group.events)
                try:
                    merge_changes(group, self._writer.shards, each.changes)
                except MalformedError:
                    raise _UnmergeableError(place) from None
                group.name_origin(told, format_id(each.member.device))
            self._chains.write(accepted, forks, now_ms)

        devices = [each.member.device for each in accepted]
        devices += [fork.device for fork in forks]
        group = self._writer.commit(stage, self._chains.number(devices[0]), now_ms)
        self._chains.accept({each.member.device: each.head for each in accepted})
        for each in accepted:
            self._writer.advance(each.member.device, each.head.sequence, each.encoded)
        return group.events


def _body_changes(accepted: Iterable[Acceptance]) -> list[BodyChange]:
    changes = (change for each in accepted for change in each.changes)
    return [change for change in changes if isinstance(change, BodyChange)]
