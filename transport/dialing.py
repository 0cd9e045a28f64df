"""Dialling: which device is tried when, at which addresses, and what came of it.

`DialPolicy` is driven by three kinds of events: what is learnt about devices, what
dials and links come to, and time. Each returns what is to be done. Rules of this file:

1. While a device is wanted and has no sound link, a dial runs or the next one is
   scheduled within `MAX_WAIT_MS`: nothing here can stall in silence, not even when the
   clock jumps.
2. Whatever comes from outside, the dials to one device keep a gap, and no more than
   `MAX_DIALS` run at once.
3. A link in doubt stays until another one stands: make before break.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from crdt.ids import DeviceId
from transport.addresses import Address
from transport.dial_state import MAX_WAIT_MS, Attempt, PeerState, reason_of
from transport.reasons import Failure, FailureCause, NotWanted, Paused, Reason

MAX_DIALS: Final = 4
"""So many dials run at once: each costs sockets and some 10 ms of the processor."""
MAX_ADDRESSES: Final = 8
"""So many addresses of a device are tried in one dial, the first ones."""
STAGGER_MS: Final = 300
"""After so long without an answer the next address is tried beside the others."""
DIAL_MS: Final = 20_000
"""A dial that takes longer has failed; its edge should give up before."""
HEAD_START_MS: Final = 250
"""The device with the lower id, whose offer would win, dials so much earlier."""
HOLD_MS: Final = 15_000
"""While the device's own offer is being answered, ours waits so long."""
STABLE_MS: Final = 10_000
"""A link that lived shorter counts as a failure."""


@dataclass(frozen=True, slots=True)
class Step:
    """One way to try, so long after the start of the dial if none has answered."""

    address: Address | None
    """Where to ask; None: by a device to which both are linked."""
    after_ms: int


@dataclass(frozen=True, slots=True)
class Dial:
    """Try to make a link; report `link_up` or `dial_failed` with this attempt."""

    peer: DeviceId
    attempt: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop this attempt; what comes of it is no longer asked for."""

    peer: DeviceId
    attempt: int


@dataclass(frozen=True, slots=True)
class HangUp:
    """End every link to the device."""

    peer: DeviceId


Action: TypeAlias = Dial | Abandon | HangUp


class DialPolicy:
    """Decides about dials for one device of a space.

    Times are milliseconds of any clock that only the caller knows; `dice` gives
    numbers from 0 to below 1.
    """

    def __init__(self, me: DeviceId, dice: Callable[[], float]) -> None:
        self._me = me
        self._dice = dice
        self._peers: dict[DeviceId, PeerState] = {}
        self._attempts = 0
        self._is_paused = False

    @property
    def wanted(self) -> frozenset[DeviceId]:
        """The devices to which there should be a link."""
        return frozenset(self._peers)

    def want(
        self, peers: Sequence[DeviceId] | frozenset[DeviceId], now_ms: int
    ) -> list[Action]:
        """Take over to which devices there should be links: all others lose theirs."""
        actions: list[Action] = []
        for peer in self._peers.keys() - set(peers):
            actions += self._abandon(peer)
            del self._peers[peer]
            actions.append(HangUp(peer))
        for peer in sorted(set(peers) - self._peers.keys() - {self._me}):
            self._peers[peer] = PeerState(due_ms=now_ms + self._head_start(peer))
        return actions + self._start_due(now_ms)

    def know(
        self, peer: DeviceId, addresses: Sequence[Address], now_ms: int
    ) -> list[Action]:
        """Take over the addresses of a device, those to try first in front."""
        state = self._peers.get(peer)
        if state is None:
            return []
        known, state.addresses = state.addresses, tuple(addresses[:MAX_ADDRESSES])
        if not known:
            # What failed for want of an address says nothing about this one.
            state.failures = 0
        if not set(state.addresses) <= set(known):
            state.hear_news(now_ms + self._head_start(peer))
        return self._start_due(now_ms)

    def link_up(self, peer: DeviceId, now_ms: int) -> list[Action]:
        """Take in that there is a new link, whoever dialled it."""
        state = self._peers.get(peer)
        if state is None or self._is_paused:
            return [HangUp(peer)]
        actions = self._abandon(peer)
        state.linked_ms = state.seen_ms = now_ms
        state.is_doubtful, state.last = False, None
        for other in self._peers.values():
            # The new link is a way to devices that are linked to its other end.
            if other is not state and not other.is_sound:
                other.hear_news(now_ms)
        return actions + self._start_due(now_ms)

    def link_down(self, peer: DeviceId, now_ms: int) -> list[Action]:
        """Take in that the last link to a device is over."""
        state = self._peers.get(peer)
        if state is None or state.linked_ms is None:
            return []
        was_stable = self._was_stable(state, now_ms)
        state.linked_ms, state.is_doubtful, state.seen_ms = None, False, now_ms
        if was_stable:
            state.failures = 0
            state.schedule(now_ms + self._head_start(peer))
        elif state.attempt is None:
            failure = Failure(FailureCause.CUT_SHORT)
            state.fail(failure, 0, now_ms, self._dice())
        return self._start_due(now_ms)

    def link_doubtful(self, peer: DeviceId, now_ms: int) -> list[Action]:
        """Take in that a device is silent on its link: prepare another."""
        state = self._peers.get(peer)
        if state is not None and state.is_sound:
            state.is_doubtful = True
            if self._was_stable(state, now_ms):
                state.failures = 0
            state.schedule(now_ms)
        return self._start_due(now_ms)

    def link_recovered(self, peer: DeviceId, now_ms: int) -> list[Action]:
        """Take in that a device is heard again: another link is not needed."""
        state = self._peers.get(peer)
        if state is None or not state.is_doubtful:
            return []
        state.is_doubtful = False
        return self._abandon(peer) + self._start_due(now_ms)

    def answering(self, peer: DeviceId, now_ms: int) -> list[Action]:
        """Take in that an offer of the device is being answered.

        If both dial, the offer of the lower id stands. A device can hold back a dial
        to it once, not the next one.
        """
        state = self._peers.get(peer)
        if state is None or state.is_sound or state.was_held:
            return []
        if state.attempt is not None and self._me < peer:
            return []
        actions = self._abandon(peer)
        state.was_held = True
        state.due_ms = now_ms + HOLD_MS
        return actions + self._start_due(now_ms)

    def dial_failed(
        self, peer: DeviceId, attempt: int, failure: Failure, now_ms: int
    ) -> list[Action]:
        """Take in that an attempt came to nothing; an abandoned one is ignored."""
        state = self._peers.get(peer)
        if state is None or state.attempt is None or state.attempt.number != attempt:
            return []
        tried, state.attempt = state.attempt, None
        state.fail(failure, tried.addresses, now_ms, self._dice())
        return self._start_due(now_ms)

    def network_changed(self, now_ms: int) -> list[Action]:
        """Take in that this device woke up, or has other addresses.

        Running dials start anew, waits are over, and every link is in doubt.
        """
        actions: list[Action] = []
        for peer, state in self._peers.items():
            actions += self._abandon(peer)
            state.failures = 0
            state.was_held = False
            state.is_doubtful = state.linked_ms is not None
            state.schedule(now_ms)
        return actions + self._start_due(now_ms)

    def sync_now(self, now_ms: int) -> list[Action]:
        """Take in that a person does not want to wait."""
        for state in self._peers.values():
            if not state.is_sound and state.attempt is None:
                state.failures = 0
                state.schedule(now_ms)
        return self._start_due(now_ms)

    def pause(self, now_ms: int, *, is_paused: bool) -> list[Action]:
        """Take in that a person wants this device to stay by itself, or not."""
        if is_paused == self._is_paused:
            return []
        self._is_paused = is_paused
        if not is_paused:
            return self.sync_now(now_ms)
        actions: list[Action] = []
        for peer, state in self._peers.items():
            actions += self._abandon(peer)
            if state.linked_ms is not None:
                actions.append(HangUp(peer))
        return actions

    def expire(self, now_ms: int) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        for peer, state in self._peers.items():
            tried = state.attempt
            if tried is not None and not 0 <= now_ms - tried.started_ms < DIAL_MS:
                actions += self._abandon(peer)
                late = Failure(FailureCause.TIMED_OUT)
                state.fail(late, tried.addresses, now_ms, self._dice())
        return actions + self._start_due(now_ms)

    def wake_ms(self, now_ms: int) -> int | None:
        """Return when to call `expire`, None if nothing will become due by itself."""
        times = [
            state.attempt.started_ms + DIAL_MS
            for state in self._peers.values()
            if state.attempt is not None
        ]
        if not self._is_paused and len(times) < MAX_DIALS:
            times += (state.due_ms for _, state in self._idle())
        return max(now_ms, min(*times, now_ms + MAX_WAIT_MS)) if times else None

    def explain(self, peer: DeviceId, now_ms: int) -> Reason:
        """Return how things stand with a device."""
        state = self._peers.get(peer)
        if state is None:
            return NotWanted()
        return Paused() if self._is_paused else reason_of(state, now_ms)

    def _start_due(self, now_ms: int) -> list[Action]:
        """Start the dials that are due, the longest waiting first, within the bound."""
        if self._is_paused:
            return []
        running = sum(state.attempt is not None for state in self._peers.values())
        actions: list[Action] = []
        for peer, state in sorted(self._idle(), key=lambda each: each[1].due_ms):
            # A clock that was set back must not make a wait longer.
            state.due_ms = min(state.due_ms, now_ms + MAX_WAIT_MS)
            if state.due_ms > now_ms or running >= MAX_DIALS:
                continue
            steps = self._steps(state)
            if not steps:
                failure = Failure(FailureCause.NO_ADDRESS)
                state.fail(failure, 0, now_ms, self._dice())
                continue
            running += 1
            self._attempts += 1
            state.start(Attempt(self._attempts, len(state.addresses), now_ms))
            actions.append(Dial(peer, self._attempts, steps))
        return actions

    def _idle(self) -> Iterator[tuple[DeviceId, PeerState]]:
        """Yield the devices that wait for their next dial."""
        for peer, state in self._peers.items():
            if not state.is_sound and state.attempt is None:
                yield peer, state

    def _steps(self, state: PeerState) -> tuple[Step, ...]:
        ways: list[Address | None] = [*state.addresses]
        if any(each.is_sound for each in self._peers.values()):
            ways.append(None)
        return tuple(Step(way, place * STAGGER_MS) for place, way in enumerate(ways))

    def _abandon(self, peer: DeviceId) -> list[Action]:
        state = self._peers[peer]
        if state.attempt is None:
            return []
        number, state.attempt = state.attempt.number, None
        return [Abandon(peer, number)]

    def _head_start(self, peer: DeviceId) -> int:
        return 0 if self._me < peer else HEAD_START_MS

    @staticmethod
    def _was_stable(state: PeerState, now_ms: int) -> bool:
        return state.linked_ms is not None and now_ms - state.linked_ms >= STABLE_MS
