"""One session: two devices bring one space into step over one link.

Specification: docs/protocol/sync.md. A session is driven by frames of the peer, by what
becomes durable here, by answers to its own actions, and by time. Rules of this file:

1. It never acts: each call returns what is to be done, in order.
2. Only what the replica said is durable is told as held; only what the peer itself told
   is believed to be held there.
3. It does not know which side dialled: both do the same.
4. Of each kind of answer (`loaded`, `kept`, …) one is awaited at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from crdt.errors import MalformedError
from crdt.ids import DeviceId, SpaceId
from transport.frames import (
    MAX_STATEMENTS_AT_ONCE,
    VERSION,
    Absent,
    Addresses,
    AnyFrame,
    Condition,
    Deliver,
    Forward,
    Goodbye,
    Hello,
    Holding,
    Known,
    Part,
    Presence,
    Statements,
    Wish,
)
from transport.giving import Giving, VersionVector
from transport.sync_actions import (
    Acknowledged,
    Action,
    AskCheckpoint,
    Compared,
    End,
    Ending,
    Envelope,
    Hear,
    KeepStatements,
    LoadPart,
    LoadStatements,
    Local,
    Moved,
    Received,
    Send,
    Stalled,
)
from transport.taking import Taking

STALL_MS: Final = 60_000
HELLO_MS: Final = 15_000
TELL_AFTER_MS: Final = 50
"""News that nobody waits for are told together."""
ON_CONTROL_BYTES: Final = 16 * 1024
"""A larger envelope goes by the bulk channel, where it delays nothing."""


class State(Enum):
    """How far a session is."""

    GREETING = "greeting"
    EXCHANGING = "exchanging"
    ENDED = "ended"


TRANSITIONS: Final[dict[tuple[State, type[AnyFrame]], State]] = {
    (State.GREETING, Hello): State.EXCHANGING,
    (State.GREETING, Goodbye): State.ENDED,
    (State.EXCHANGING, Known): State.EXCHANGING,
    (State.EXCHANGING, Statements): State.EXCHANGING,
    (State.EXCHANGING, Deliver): State.EXCHANGING,
    (State.EXCHANGING, Holding): State.EXCHANGING,
    (State.EXCHANGING, Absent): State.EXCHANGING,
    (State.EXCHANGING, Part): State.EXCHANGING,
    (State.EXCHANGING, Presence): State.EXCHANGING,
    (State.EXCHANGING, Addresses): State.EXCHANGING,
    (State.EXCHANGING, Forward): State.EXCHANGING,
    (State.EXCHANGING, Goodbye): State.ENDED,
}
"""What a peer may say when; everything else ends the session."""


@dataclass(slots=True, eq=False)
class SyncSession:
    """One side of a session."""

    me: DeviceId
    space: SpaceId
    local: Local
    started_ms: int
    state: State = State.GREETING
    giving: Giving = field(init=False)
    taking: Taking = field(default_factory=Taking)
    _wish: Wish = Wish.ENVELOPES
    """What the peer wants."""
    _their_roster: bytes = b""
    _their_digest: bytes = b""
    _their_condition: Condition = Condition.NONE
    _compared_rosters: tuple[bytes, bytes] | None = None
    _told: tuple[object, ...] = ()
    _tell_at_ms: int | None = None
    _part: int | None = None
    """The part of a checkpoint that is given next."""
    _is_loading_part: bool = False
    _is_leaving: bool = False
    _moved_ms: int = 0
    _is_stalled: bool = False
    _compared: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        self.giving = Giving(self.me)
        self._moved_ms = self.started_ms

    @property
    def pending_out(self) -> int:
        """How many envelopes held here the peer has not acknowledged."""
        return self.giving.lacking(self.local.vector)

    @property
    def pending_in(self) -> int:
        """How many envelopes the peer holds that are not here."""
        held = self.local.vector
        there = self.giving.held_there
        return sum(max(0, each - held.get(device, 0)) for device, each in there.items())

    def start(self, wall_ms: int) -> list[Action]:
        """Greet the peer."""
        self._told = self._news()
        return [
            Send(
                Hello(
                    version=VERSION,
                    space=self.space,
                    time_ms=wall_ms,
                    roster=self.local.roster,
                    vector=_wire_vector(self.local.vector),
                    digest=self.local.digest,
                    condition=int(self.local.condition),
                    wish=self.local.wish,
                )
            )
        ]

    def receive(self, frame: AnyFrame, now_ms: int) -> list[Action]:
        """Take in what the peer says."""
        if self.state is State.ENDED:
            return []
        following = TRANSITIONS.get((self.state, type(frame)))
        if following is None:
            return self._end(Ending.OUT_OF_PLACE)
        self.state = following
        match frame:
            case Hello():
                return self._greeted(frame, now_ms)
            case Known():
                return self._compare_statements(frozenset(frame.hashes))
            case Statements():
                return [KeepStatements(frame.encoded)]
            case Deliver():
                return self._arrived(frame.envelope, now_ms)
            case Part():
                return self._arrived(frame, now_ms)
            case Holding():
                return self._heard(frame, now_ms)
            case Absent():
                return [AskCheckpoint()]
            case Presence() | Addresses() | Forward():
                return [Hear(frame)]
            case Goodbye():
                return [End(Ending.GOODBYE)]
            case _:
                assert_never(frame)

    def update(
        self, local: Local, fresh: Sequence[Envelope], now_ms: int
    ) -> list[Action]:
        """Take in what is durable here now, and which envelopes are new."""
        if local.roster != self.local.roster:
            self.giving.offer_again()
        self.local = local
        if self.state is not State.EXCHANGING:
            return []
        actions = self._compare_rosters()
        if self._wish is Wish.ENVELOPES:
            for device, number, encoded in fresh:
                if not self.giving.may_push(device, number):
                    continue
                if device != self.me:
                    self.giving.forward_later(device, now_ms)
                    continue
                actions += self._deliver(device, [encoded])
        if self._news() != self._told and self._tell_at_ms is None:
            self._tell_at_ms = now_ms + TELL_AFTER_MS
        actions += self._give_checkpoint() + self._give(now_ms)
        return actions + self._compare()

    def loaded(
        self, device: DeviceId, envelopes: Sequence[bytes], now_ms: int
    ) -> list[Action]:
        """Take in what `Load` asked for; nothing means that it is not held any more."""
        self.giving.loading = None
        if self.state is not State.EXCHANGING:
            return []
        if not envelopes:
            self.giving.forward_later(device, now_ms)
            return [Send(Absent()), *self._give(now_ms)]
        return self._deliver(device, envelopes) + self._give(now_ms)

    def statements_loaded(self, encoded: Sequence[bytes]) -> list[Action]:
        """Take in what `LoadStatements` asked for."""
        if self.state is State.ENDED:
            return []
        count = MAX_STATEMENTS_AT_ONCE
        actions: list[Action] = [
            Send(Statements(tuple(encoded[first : first + count])))
            for first in range(0, len(encoded), count)
        ]
        return actions + (self._end(Ending.REMOVED) if self._is_leaving else [])

    def part_loaded(self, part: Part | None, now_ms: int) -> list[Action]:
        """Take in what `LoadPart` asked for; None if there is nothing to give."""
        self._is_loading_part = False
        if self.state is not State.EXCHANGING or self._part is None:
            return []
        if part is None:
            self._part = None
            return self._give(now_ms)
        self.giving.give_part(part.number, len(part.encoded))
        self._part = part.number + 1 if part.number + 1 < part.total else None
        return [Send(part, is_bulk=True), *self._next_part()]

    def kept(self, now_ms: int, *, part: Part | None = None) -> list[Action]:
        """Take in that what `Keep` or `KeepPart` asked for is decided.

        `update` has told what is held now before.
        """
        self.taking.kept()
        if self.state is not State.EXCHANGING:
            return []
        actions = self._moved(now_ms)
        if part is not None:
            actions.append(Received(part.number + 1, part.total))
        return [*actions, self._tell(), *self._take(), *self._compare()]

    def remove_peer(self) -> list[Action]:
        """The peer was removed from the space: let it know all that was stated, end."""
        if self.state is not State.EXCHANGING:
            return self._end(Ending.REMOVED)
        self._is_leaving = True
        return [LoadStatements(self.local.statements)]

    def expire(self, now_ms: int) -> list[Action]:
        """Do what is due."""
        if self.state is State.GREETING and now_ms - self.started_ms >= HELLO_MS:
            return self._end(Ending.SILENT)
        if self.state is not State.EXCHANGING:
            return []
        actions: list[Action] = []
        if self._tell_at_ms is not None and self._tell_at_ms <= now_ms:
            actions.append(self._tell())
        actions += self._give(now_ms)
        if not self._is_pending():
            self._moved_ms = now_ms
        elif now_ms - self._moved_ms >= STALL_MS and not self._is_stalled:
            self._is_stalled = True
            actions.append(Stalled(now_ms - self._moved_ms))
        return actions

    def wake_ms(self) -> int | None:
        """Return when to call `expire`."""
        if self.state is State.ENDED:
            return None
        if self.state is State.GREETING:
            return self.started_ms + HELLO_MS
        times = [self._tell_at_ms, self.giving.wake_ms(self.local.vector)]
        if not self._is_stalled and self._is_pending():
            times.append(self._moved_ms + STALL_MS)
        return min((each for each in times if each is not None), default=None)

    def _greeted(self, hello: Hello, now_ms: int) -> list[Action]:
        if hello.space != self.space:
            return self._end(Ending.FOREIGN_SPACE)
        if hello.version != VERSION:
            return self._end(Ending.VERSION)
        self._note(hello)
        self.giving.hear(0, _vector(hello.vector), now_ms)
        return self._settle(now_ms)

    def _heard(self, holding: Holding, now_ms: int) -> list[Action]:
        try:
            moved = self.giving.hear(holding.settled, _vector(holding.vector), now_ms)
        except MalformedError:
            return self._end(Ending.MISCOUNTED)
        wished = self._wish
        self._note(holding)
        actions = self._moved(now_ms) if moved else []
        if self._wish is not wished:
            self._part = None
        return actions + self._settle(now_ms)

    def _settle(self, now_ms: int) -> list[Action]:
        """Do what follows from what the peer told about itself."""
        told = Acknowledged(
            self.giving.held_there, self._their_digest, self._their_condition
        )
        actions: list[Action] = [told, *self._compare_rosters()]
        actions += self._give_checkpoint() + self._give(now_ms) + self._compare()
        if self._news() != self._told and self._tell_at_ms is None:
            self._tell_at_ms = now_ms + TELL_AFTER_MS
        return actions

    def _note(self, told: Hello | Holding) -> None:
        self._their_roster = told.roster
        self._their_digest = told.digest
        self._their_condition = Condition(told.condition & 3)
        self._wish = told.wish

    def _give_checkpoint(self) -> list[Action]:
        """Begin a checkpoint if one is wished, or go on with it."""
        if self._wish is not Wish.CHECKPOINT:
            return []
        is_idle = self._part is None and not self.giving.is_waiting
        if is_idle and any(self.local.vector.values()):
            self._part = 0
        return self._next_part()

    def _next_part(self) -> list[Action]:
        if self._part is None or self._is_loading_part or not self.giving.has_room:
            return []
        self._is_loading_part = True
        return [LoadPart(self._part)]

    def _arrived(self, thing: bytes | Part, now_ms: int) -> list[Action]:
        try:
            self.taking.arrive(thing)
        except MalformedError:
            return self._end(Ending.FLOODED)
        return self._take()

    def _take(self) -> list[Action]:
        following = self.taking.next_keep()
        return [] if following is None else [following]

    def _give(self, now_ms: int) -> list[Action]:
        if self._wish is not Wish.ENVELOPES or self._their_condition:
            return []
        load = self.giving.next_load(self.local.vector, now_ms)
        return [] if load is None else [load]

    def _deliver(self, device: DeviceId, envelopes: Sequence[bytes]) -> list[Action]:
        self.giving.give(device, [len(each) for each in envelopes])
        return [
            Send(Deliver(each), is_bulk=len(each) > ON_CONTROL_BYTES)
            for each in envelopes
        ]

    def _compare_rosters(self) -> list[Action]:
        """Exchange hashes once for each pair of different rosters."""
        pair = self.local.roster, self._their_roster
        if pair[0] == pair[1] or pair == self._compared_rosters:
            return []
        self._compared_rosters = pair
        return [Send(Known(tuple(sorted(self.local.statements))))]

    def _compare_statements(self, known: frozenset[bytes]) -> list[Action]:
        missing = self.local.statements - known
        return [LoadStatements(missing)] if missing else []

    def _news(self) -> tuple[object, ...]:
        local = self.local
        return (
            dict(local.vector),
            local.digest,
            local.roster,
            local.condition,
            local.wish,
        )

    def _tell(self) -> Send:
        """Return the frame that says what is held here."""
        self._tell_at_ms = None
        self._told = self._news()
        local = self.local
        return Send(
            Holding(
                settled=self.taking.settled,
                roster=local.roster,
                vector=_wire_vector(local.vector),
                digest=local.digest,
                condition=int(local.condition),
                wish=local.wish,
            )
        )

    def _compare(self) -> list[Action]:
        """Compare digests where both sides hold the same, once for each pair."""
        ours, theirs = self.local.digest, self._their_digest
        if not ours or not theirs or self.pending_in or self.pending_out:
            return []
        compared = dict(self.local.vector), ours, theirs
        if compared == self._compared:
            return []
        self._compared = compared
        return [Compared(ours == theirs)]

    def _is_pending(self) -> bool:
        return bool(self.pending_out or self.pending_in or self.giving.is_waiting)

    def _moved(self, now_ms: int) -> list[Action]:
        self._moved_ms = now_ms
        if not self._is_stalled:
            return []
        self._is_stalled = False
        return [Moved()]

    def _end(self, cause: Ending) -> list[Action]:
        self.state = State.ENDED
        return [Send(Goodbye(cause)), End(cause)]


def _wire_vector(vector: VersionVector) -> tuple[tuple[bytes, int], ...]:
    return tuple(sorted((device, count) for device, count in vector.items() if count))


def _vector(wire: Sequence[tuple[bytes, int]]) -> dict[DeviceId, int]:
    return {DeviceId(device): count for device, count in wire if count}
