"""A session of a circle: two devices of members come to hold the same items.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. It does not know which side dialled; the device with the lower id compares first.
2. It is driven by three sources: frames of the peer, what becomes of the records, and
   time. Each returns the actions that have to be performed, in their order; an `End` is
   the last.

The parts are in `circle_comparing`, `circle_giving`, `circle_taking`, `circle_hearsay`
and `circle_standing`.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, TypeAlias, assert_never

from crdt.circle_items import ItemKind, ItemName
from crdt.errors import MalformedError
from transport.circle_actions import (
    CircleAction,
    CircleEnd,
    CircleSessionName,
    End,
    Greeted,
    Report,
    Send,
)
from transport.circle_comparing import Comparing
from transport.circle_farewells import FAREWELLS, MEANINGS
from transport.circle_frames import (
    VERSION,
    Acknowledge,
    Ask,
    Bye,
    CircleFarewell,
    CircleFrame,
    CircleState,
    Compare,
    Give,
    Hello,
    Stand,
    Tell,
)
from transport.circle_giving import Giving
from transport.circle_hearsay import Hearsay
from transport.circle_patience import CirclePatience
from transport.circle_standing import Silence, Standing
from transport.circle_taking import Taking
from transport.sorted_names import SortedNames, key_of

HELLO_MS: Final = 15_000
TICK_MS: Final = 1000

Answer: TypeAlias = list[CircleAction] | CircleEnd


class CirclePhase(Enum):
    """What the peer may say next."""

    GREETING = auto()
    """It has not said hello."""
    OPEN = auto()
    ENDED = auto()


class CircleSession:
    """One side of a session; `me` and `peer` have proved who they are.

    1. At most one `TakeNames` and one `Load` wait for their answers; payloads that wait
       for a `Keep` are bounded by the credit.
    2. What was acknowledged to the peer is durable here, or was refused.
    """

    def __init__(
        self, name: CircleSessionName, rule: str, state: CircleState, now_ms: int
    ) -> None:
        self.name: Final = name
        self.phase = CirclePhase.GREETING
        self.greeted: Greeted | None = None
        """What the peer said at first."""
        self._rule: Final = rule
        self._standing = Standing(state)
        self._comparing = Comparing(begins=name.me < name.peer)
        self._giving = Giving(name.me)
        self._taking = Taking()
        self._hearsay = Hearsay(name.peer)
        self._patience = CirclePatience(state, now_ms)
        self._silence = Silence(now_ms)
        self._started_ms = self._expired_ms = now_ms
        self._next_ms: int | None = None
        self._is_heard = False
        """Whether the peer has acknowledged the Hello: on the bulk channel, what is
        given could overtake it."""

    def start(self) -> list[CircleAction]:
        """Say hello."""
        name = self.name
        here = self._standing.here
        versions = (VERSION, VERSION)
        hello = Hello(versions, name.circle, name.run, name.serial, self._rule, here)
        return [Send(hello)]

    @property
    def due_ms(self) -> int:
        """When `expire` is to be called at the latest."""
        dues = (self._next_ms, self._hearsay.due_ms, self._standing.due_ms)
        tick_ms = self._expired_ms + TICK_MS
        if self.phase is CirclePhase.GREETING:
            return tick_ms
        return min([tick_ms, *(each for each in dues if each is not None)])

    def receive(self, frame: CircleFrame, now_ms: int) -> list[CircleAction]:
        """Take a frame of the peer."""
        if self.phase is CirclePhase.ENDED:
            return []
        if isinstance(frame, Bye):
            self.phase = CirclePhase.ENDED
            return [End(MEANINGS.get(frame.farewell, CircleEnd.PEER_LEFT))]
        if isinstance(frame, Hello) is not (self.phase is CirclePhase.GREETING):
            return self.end(CircleEnd.OUT_OF_PLACE)
        flood = self._patience.admit(frame, now_ms)
        if flood is not None:
            return self.end(flood)
        return self._advance(self._answer(frame, now_ms), now_ms)

    def _answer(self, frame: CircleFrame, now_ms: int) -> Answer:
        match frame:
            case Hello():
                return self._greet(frame, now_ms)
            case Stand(state):
                self._learn(state, now_ms)
                return []
            case Compare():
                self._silence.moved(now_ms)
                return self._comparing.receive(frame)
            case Give():
                self._comparing.moved(frame.kind, now_ms)
                may_take = not self._standing.is_paused
                return self._taking.receive(frame, may_take=may_take)
            case Acknowledge():
                self._is_heard = True
                self._silence.moved(now_ms)
                return self._giving.acknowledged(frame) or []
            case Tell(kind, keys):
                self._giving.know(kind, keys)
                if not self._standing.is_paused:
                    self._hearsay.hear(kind, keys, now_ms)
                return []
            case Ask(kind, keys):
                return self._serve(kind, keys, now_ms)
            case Bye():
                return []
            case _:
                assert_never(frame)

    def _greet(self, hello: Hello, now_ms: int) -> Answer:
        if hello.circle != self.name.circle:
            return CircleEnd.FOREIGN_CIRCLE
        lowest, highest = hello.versions
        if not lowest <= VERSION <= highest:
            return CircleEnd.VERSION
        self.phase = CirclePhase.OPEN
        self.greeted = Greeted(hello.run, hello.serial, hello.rule)
        self._standing.there = hello.state
        self._standing.rules_agree = hello.rule == self._rule
        self._silence.moved(now_ms)
        return [Report(self.greeted), self._taking.greeting()]

    def _learn(self, there: CircleState, now_ms: int) -> None:
        """Take how the peer stands now."""
        before, self._standing.there = self._standing.there, there
        self._note_changes(before, there, now_ms)

    def _note_changes(
        self, before: CircleState, after: CircleState, now_ms: int
    ) -> None:
        for kind in ItemKind:
            if before.sets[kind] != after.sets[kind]:
                self._comparing.moved(kind, now_ms)
        if before.sets[ItemKind.STATEMENT] != after.sets[ItemKind.STATEMENT]:
            # Who has come to know a member takes what it refused of that member.
            self._comparing.hurry(after=ItemKind.STATEMENT)
        if before.is_paused and not after.is_paused:
            self._comparing.hurry()

    def _serve(self, kind: ItemKind, keys: Sequence[bytes], now_ms: int) -> Answer:
        """Give what the peer lacks."""
        greed = self._patience.serve(len(keys), self._standing.here, now_ms)
        if greed is not None:
            return greed
        if not self._standing.is_paused:
            self._giving.give(kind, keys)
        return []

    def changed(
        self,
        state: CircleState,
        kind: ItemKind,
        names: Sequence[ItemName],
        now_ms: int,
        *,
        is_own: bool,
    ) -> list[CircleAction]:
        """Take how this side stands now, and which items are new here."""
        self._hold(state, now_ms)
        keys = [key_of(name) for name in names]
        if is_own:
            self._giving.offer(kind, keys)
        else:
            self._hearsay.note(kind, keys, now_ms)
        return self._advance([], now_ms)

    def recheck(self, now_ms: int) -> list[CircleAction]:
        """Compare again soon what was of no use."""
        self._comparing.hurry()
        return self._advance([], now_ms)

    def names_taken(self, names: SortedNames, now_ms: int) -> list[CircleAction]:
        """Take what a `TakeNames` found."""
        cause = self._comparing.names_taken(names, self._taking.given)
        return self._advance([] if cause is None else cause, now_ms)

    def loaded(
        self, payload: bytes, rest: Sequence[ItemName], now_ms: int
    ) -> list[CircleAction]:
        """Take what a `Load` found."""
        return self._advance(self._giving.loaded(payload, rest), now_ms)

    def kept(
        self,
        state: CircleState,
        kind: ItemKind,
        size: int,
        names: Sequence[ItemName],
        now_ms: int,
        *,
        new: int,
        refused: int,
    ) -> list[CircleAction]:
        """Take what became of a payload of `size` bytes: what is new is durable."""
        self._giving.know(kind, map(key_of, names))
        self._comparing.arrived(kind, new, now_ms)
        self._hold(state, now_ms)
        answer = self._taking.kept(kind, size, new=new, refused=refused)
        if isinstance(answer, CircleEnd):
            return self._advance(answer, now_ms)
        return self._advance(answer, now_ms)

    def sought(
        self, kind: ItemKind, lacking: Sequence[ItemName], now_ms: int
    ) -> list[CircleAction]:
        """Take what a `Seek` found to be wanted."""
        return self._advance(self._hearsay.ask(kind, lacking), now_ms)

    def _hold(self, state: CircleState, now_ms: int) -> None:
        before, self._standing.here = self._standing.here, state
        self._note_changes(before, state, now_ms)

    def _tell(self, now_ms: int) -> list[CircleAction]:
        """Tell of what came from others, unless the peer has it by all we know."""
        actions: list[CircleAction] = []
        for kind, keys in self._hearsay.take_told(now_ms).items():
            if not self._standing.is_alike(kind):
                actions += self._hearsay.tell(kind, self._giving.unknown(kind, keys))
        return actions

    def expire(self, now_ms: int) -> list[CircleAction]:
        """Do what is due by now."""
        self._expired_ms = now_ms
        if self.phase is CirclePhase.GREETING:
            is_late = now_ms - self._started_ms >= HELLO_MS
            return self.end(CircleEnd.STALLED) if is_late else []
        is_owed = self._comparing.is_owed or self._giving.is_owed
        actions = self._silence.observe(now_ms, is_owed=is_owed)
        too_long = self._silence.is_too_long(now_ms)
        return self._advance(CircleEnd.STALLED if too_long else actions, now_ms)

    def end(self, cause: CircleEnd) -> list[CircleAction]:
        """End the session from this side, and tell the peer."""
        if self.phase is CirclePhase.ENDED:
            return []
        self.phase = CirclePhase.ENDED
        farewell = FAREWELLS.get(cause, CircleFarewell.BROKEN_RULES)
        return [Send(Bye(farewell)), End(cause)]

    def _advance(self, answer: Answer, now_ms: int) -> list[CircleAction]:
        """Complete an answer by what has become possible."""
        if self.phase is not CirclePhase.OPEN:
            return [] if isinstance(answer, list) else self.end(answer)
        if isinstance(answer, CircleEnd):
            return self.end(answer)
        self._giving.may_give = self._is_heard and not self._standing.is_paused
        if self._standing.is_paused:
            self._giving.clear()
            self._hearsay.clear()
        compared = self._compare(now_ms)
        if isinstance(compared, CircleEnd):
            return answer + self.end(compared)
        actions = answer + compared + self._tell(now_ms)
        actions += self._hearsay.pump(now_ms) + self._giving.pump()
        actions += self._standing.tell(now_ms) + self._standing.compare_results()
        lacking_there = {kind: self._giving.waiting(kind) for kind in ItemKind}
        lacking_here = self._comparing.lacking
        return actions + self._standing.report(lacking_here, lacking_there, now_ms)

    def _compare(self, now_ms: int) -> Answer:
        """Take a turn in the present comparison, and begin one if it is time."""
        standing, taking, giving = self._standing, self._taking, self._giving
        try:
            turn = self._comparing.go_on(
                standing.there, now_ms, may_compare=not standing.is_paused
            )
        except MalformedError:
            return CircleEnd.MALFORMED
        if isinstance(turn, CircleEnd):
            return turn
        actions: list[CircleAction] = []
        if turn is not None:
            said, kind, to_give = turn
            served = self._serve(kind, to_give, now_ms)
            if isinstance(served, CircleEnd):
                return served
            actions += said
        if standing.is_paused:
            self._next_ms = None
            return actions
        busy = {k: giving.waiting(k) + taking.waiting(k) > 0 for k in ItemKind}
        refusals = giving.refusals + taking.refusals
        begun, self._next_ms = self._comparing.choose(
            standing.here, standing.there, busy, refusals, now_ms
        )
        return actions + begun
