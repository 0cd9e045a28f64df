"""A session: two devices of a space come to hold the same, and stay so.

Specification: docs/protocol/sync.md. Rules of this file:

1. What decides the next state lives here, as much as possible in `TRANSITIONS`; a pair
   that is not there ends the session.
2. It does not know which side dialled: both speak alike.
3. It is driven by three sources: frames of the peer, what becomes of the replica, and
   time. Each returns the actions that have to be performed, in their order; an `End` is
   the last.

The halves are in `sync_sending`, `sync_receiving` and `sync_roster`.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias, assert_never

from crdt.ids import DeviceId
from transport.comparing import Comparison, ProgressNews
from transport.frames import (
    Acknowledge,
    Addresses,
    Bye,
    Changed,
    CheckpointOffer,
    CheckpointPart,
    CheckpointWish,
    Circles,
    Condition,
    Envelopes,
    Farewell,
    Forward,
    Frame,
    Hello,
    PartialCheckpoint,
    Presence,
    Refusal,
    Refused,
    RosterHashes,
    Shown,
    Statements,
    StatementsKept,
)
from transport.patience import Patience
from transport.rollback import RollbackWatch
from transport.session_names import SessionName
from transport.stall import GIVING_UP, StallWatch
from transport.sync_actions import (
    Action,
    AskCheckpoint,
    Checkpoint,
    Conditioned,
    End,
    EndCause,
    Greeted,
    Hand,
    Holdings,
    NotAccepted,
    NoteAcknowledged,
    Report,
    RosterState,
    Send,
    Standing,
)
from transport.sync_receiving import Inflow
from transport.sync_roster import RosterTalk
from transport.sync_sending import Outflow
from transport.sync_states import FAREWELLS, MEANINGS, TRANSITIONS, Event, State
from transport.sync_waiting import Conditions, waited_for

HELLO_MS: Final = 15_000
"""How long the peer may take to say hello."""
TICK_MS: Final = 1000

Answer: TypeAlias = list[Action] | EndCause


class SyncSession:
    """One side of a session; `me` and `peer` have proved who they are.

    1. At most one `Keep`, `KeepStatements` or `KeepCheckpointPart` of each kind waits
       for its answer, and one `Load`: memory is bounded by the credit.
    2. What was acknowledged to the peer is durable here.
    """

    def __init__(
        self,
        name: SessionName,
        holdings: Holdings,
        roster: RosterState,
        condition: Condition,
        now_ms: int,
    ) -> None:
        self.name: Final = name
        self.state = State.GREETING
        self.greeted: Greeted | None = None
        """What the peer said at first."""
        self._conditions = Conditions(condition, Condition.READY)
        self._holdings = holdings
        self._roster = RosterTalk(roster)
        self._out = Outflow(name.me, name.peer, holdings.vector)
        self._in = Inflow(holdings.vector)
        self._comparison = Comparison()
        self._progress = ProgressNews()
        self._rollback = RollbackWatch(name.me, name.peer)
        self._stall = StallWatch(now_ms)
        self._patience = Patience(now_ms)
        self._started_ms = self._expired_ms = now_ms
        self._wall_ahead_ms = 0

    def start(
        self, now_ms: int, wall_ms: int, partial: PartialCheckpoint | None = None
    ) -> list[Action]:
        """Say hello; `partial` is what is held of a checkpoint that broke off.

        `now_ms` is, here and elsewhere, of a clock that does not step.
        """
        self._wall_ahead_ms = wall_ms - now_ms
        hello = Hello(
            space=self.name.space,
            run=self.name.run,
            serial=self.name.serial,
            roster=self._roster.roster.fingerprint,
            vector=dict(self._holdings.vector),
            now_ms=wall_ms,
            condition=self._conditions.here,
            partial=partial,
        )
        return [Send(hello)]

    @property
    def due_ms(self) -> int:
        """When `expire` is to be called at the latest."""
        due_ms = self._out.due_ms
        tick_ms = self._expired_ms + TICK_MS
        return tick_ms if due_ms is None else min(tick_ms, due_ms)

    def receive(self, frame: Frame, now_ms: int) -> list[Action]:
        """Take a frame of the peer."""
        if self.state is State.ENDED:
            return []
        following = TRANSITIONS.get((self.state, type(frame)))
        if following is None:
            return self.end(EndCause.OUT_OF_PLACE)
        if not self._patience.admits(frame, now_ms):
            return self.end(EndCause.FLOODED)
        if isinstance(frame, Bye):
            return self._part(frame.farewell)
        self.state = following
        return self._advance(self._answer(frame, now_ms), now_ms)

    def _answer(self, frame: Frame, now_ms: int) -> Answer:
        match frame:
            case Hello():
                return self._greet(frame, now_ms)
            case RosterHashes():
                return self._roster.asked(frame, now_ms)
            case Statements():
                return self._roster.receive(frame)
            case StatementsKept():
                self._stall.moved(now_ms)
                self._out.unblock()
                return self._roster.acknowledged()
            case Envelopes() | CheckpointPart():
                return self._in.receive(frame)
            case Acknowledge():
                return self._credit(frame, now_ms)
            case Refused():
                return self._go_back(frame)
            case Shown():
                return self._comparison.shown(frame, self._holdings)
            case Changed(condition):
                self._conditions.there = condition
                return [Report(Conditioned(condition))]
            case CheckpointOffer():
                self._in.is_offered = True
                return [AskCheckpoint()]
            case CheckpointWish():
                return self._out.wished()
            case Presence() | Addresses() | Forward() | Circles():
                is_member = self._roster.roster.peer is Standing.MEMBER
                is_taken = is_member and self._patience.admits_aside()
                return [Hand(frame)] if is_taken else []
            case Bye():
                return []
            case _:
                assert_never(frame)

    def _greet(self, hello: Hello, now_ms: int) -> Answer:
        if hello.space != self.name.space:
            return EndCause.FOREIGN_SPACE
        self._conditions.there = hello.condition
        self._out.partial = hello.partial
        self._stall.moved(now_ms)
        ahead_ms = hello.now_ms - now_ms - self._wall_ahead_ms
        self.greeted = Greeted(hello.run, hello.serial, ahead_ms, hello.condition)
        self._out.learned(hello.vector)
        return [
            Report(self.greeted),
            NoteAcknowledged(hello.vector),
            self._in.greet(self._holdings.vector),
            *self._roster.begin(hello.roster, now_ms),
        ]

    def _credit(self, frame: Acknowledge, now_ms: int) -> Answer:
        has_news = frame.received > self._out.acknowledged_bytes or bool(frame.vector)
        wrong = self._out.acknowledged(frame)
        if wrong is not None:
            return wrong
        self._out.has_bulk = True
        if has_news:
            self._stall.moved(now_ms)
        actions: list[Action] = []
        if frame.vector:
            actions.append(NoteAcknowledged(frame.vector))
        return actions + self._out.finished_parts()

    def _go_back(self, frame: Refused) -> Answer:
        actions: list[Action] = []
        for device, sequence, refusal in frame.refusals:
            wrong = self._out.refused(device, sequence, refusal)
            if wrong is not None:
                return wrong
            news = NotAccepted(device, sequence, refusal, is_here=False)
            actions.append(Report(news))
        return actions

    def advanced(
        self,
        envelopes: Sequence[tuple[DeviceId, int, bytes]],
        holdings: Holdings,
        now_ms: int,
    ) -> list[Action]:
        """Take what a commit made new here: own envelopes, and those of others."""
        actions: list[Action] = []
        for device, sequence, envelope in envelopes:
            actions += self._out.advanced(device, sequence, envelope, now_ms)
        self._hold(holdings)
        if self.greeted is not None:
            actions += self._in.tell(holdings.vector)
        return self._advance(actions, now_ms)

    def stored(
        self,
        holdings: Holdings,
        accepted: int,
        refusals: Sequence[tuple[DeviceId, int, Refusal]],
        now_ms: int,
    ) -> list[Action]:
        """Take what became of a `Keep`: how many were new, and which were refused."""
        self._hold(holdings)
        if accepted:
            self._stall.moved(now_ms)
        answer = self._in.stored(holdings.vector, accepted, refusals)
        if isinstance(answer, EndCause):
            return self._advance(answer, now_ms)
        for device, sequence, refusal in refusals:
            answer.append(Report(NotAccepted(device, sequence, refusal, is_here=True)))
            if refusal is Refusal.FORK and device == self.name.peer:
                return answer + self.end(EndCause.FORKED)
            if refusal in {Refusal.STRANGER, Refusal.NO_KEY}:
                answer += self._roster.ask(now_ms)
        return self._advance(answer, now_ms)

    def loaded(
        self, device: DeviceId, after: int, envelopes: Sequence[bytes], now_ms: int
    ) -> list[Action]:
        """Take what a `Load` found."""
        return self._advance(self._out.loaded(device, after, envelopes), now_ms)

    def statements_loaded(
        self, statements: Sequence[bytes], now_ms: int
    ) -> list[Action]:
        """Take what a `LoadStatements` found."""
        return self._advance(self._roster.loaded(statements), now_ms)

    def statements_kept(self, roster: RosterState, now_ms: int) -> list[Action]:
        """Take what the roster has become by a `KeepStatements`."""
        self._stall.moved(now_ms)
        self._out.unblock()
        return self._advance(self._roster.kept(roster), now_ms)

    def roster_changed(self, roster: RosterState, now_ms: int) -> list[Action]:
        """Take what the roster has become otherwise."""
        self._out.unblock()
        return self._advance(self._roster.changed(roster), now_ms)

    def condition_changed(self, condition: Condition, now_ms: int) -> list[Action]:
        """Take whether this device takes envelopes."""
        self._conditions.here = condition
        tells = self.greeted is not None
        return self._advance([Send(Changed(condition))] if tells else [], now_ms)

    def checkpoint_written(self, checkpoint: Checkpoint, now_ms: int) -> list[Action]:
        """Take note that the checkpoint that was asked for can be read."""
        self._out.checkpoint_written(checkpoint)
        return self._advance([], now_ms)

    def checkpoint_part_loaded(
        self, index: int, part: bytes, now_ms: int
    ) -> list[Action]:
        """Take a part that was asked for."""
        return self._advance(self._out.checkpoint_part_loaded(index, part), now_ms)

    def checkpoint_possible(self, now_ms: int) -> list[Action]:
        """Take note that no other device gives a checkpoint any more."""
        return self._advance([AskCheckpoint()] if self._in.is_offered else [], now_ms)

    def checkpoint_wished(self, now_ms: int) -> list[Action]:
        """Take the checkpoint that was offered."""
        if not self._in.is_offered:
            return []
        self._in.is_offered, self._in.is_wishing = False, True
        return self._advance([Send(CheckpointWish())], now_ms)

    def checkpoint_part_kept(self, holdings: Holdings, now_ms: int) -> list[Action]:
        """Take note that a part is durable."""
        self._stall.moved(now_ms)
        self._hold(holdings)
        return self._advance(self._in.part_kept(holdings.vector), now_ms)

    def _hold(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._out.hold(holdings.vector)

    def expire(self, now_ms: int) -> list[Action]:
        """Do what is due by now."""
        if self.state is State.ENDED:
            return []
        self._expired_ms = now_ms
        if self.state is State.GREETING and now_ms - self._started_ms >= HELLO_MS:
            return self.end(EndCause.STALLED)
        here, there = self._holdings.vector, self._out.there
        cause = self._rollback.observe(here, there, now_ms) if self.greeted else None
        pending = waited_for(self._roster, self._in, self._out, here, self._conditions)
        if self._stall.has_given_up(now_ms) and pending in GIVING_UP:
            cause = EndCause.STALLED
        if cause is not None:
            return self.end(cause)
        news = self._stall.observe(pending, now_ms)
        return self._advance([] if news is None else [Report(news)], now_ms)

    def end(self, cause: EndCause) -> list[Action]:
        """End the session from this side, and tell the peer."""
        if self.state is State.ENDED:
            return []
        self.state = State.ENDED
        farewell = FAREWELLS.get(cause, Farewell.BROKEN_RULES)
        return [Send(Bye(farewell)), End(cause)]

    def _part(self, farewell: Farewell) -> list[Action]:
        """End the session as the peer said."""
        self.state = State.ENDED
        cause = MEANINGS.get(farewell, EndCause.PEER_LEFT)
        if self._roster.roster.peer is Standing.REMOVED:
            cause = EndCause.REMOVED_THERE
        return [End(cause, farewell)]

    def _advance(self, answer: Answer, now_ms: int) -> list[Action]:
        """Complete an answer by what has become possible."""
        if self.state is State.ENDED:
            return []
        cause = answer if isinstance(answer, EndCause) else self._settle()
        actions = [] if isinstance(answer, EndCause) else answer
        if cause is not None:
            return actions + self.end(cause)
        if self._comparison.take_alarm():
            self._out.show_heads()
        self._out.may_give = (
            self.state is State.SYNCING
            and self._roster.is_settled
            and self._roster.roster.peer is Standing.MEMBER
            and self._conditions.may_give
        )
        actions += self._out.pump(now_ms)
        if self.state is State.SYNCING and self._roster.is_settled:
            there = self._out.there
            actions += self._comparison.pump(self._holdings, there, now_ms)
            actions += self._progress.pump(self._holdings.vector, there, now_ms)
        return actions

    def _settle(self) -> EndCause | None:
        """Go on once all statements of the peer are here; say if that is the end."""
        if self.state is State.AGREEING and not self._roster.is_asking:
            self.state = TRANSITIONS[self.state, Event.AGREED]
        if self.state is not State.SYNCING or not self._roster.is_settled:
            return None
        roster = self._roster.roster
        if roster.me is Standing.REMOVED:
            return EndCause.REMOVED_HERE
        if roster.peer is Standing.REMOVED:
            return EndCause.REMOVED_THERE
        return EndCause.STRANGER_THERE if roster.peer is Standing.STRANGER else None
