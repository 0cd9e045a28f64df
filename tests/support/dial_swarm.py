"""Devices that dial each other while their networks come and go, in simulated time.

One seed is one run: the same moves, delays and dice.
"""

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Final

from crdt.ids import DeviceId
from tests.support.dialling import Watched, device
from transport.addresses import Address
from transport.dialing import Abandon, Action, Dial, DialPolicy
from transport.reasons import Failure, FailureCause

SEEN_MS: Final = 1_000
"""After so long on one network devices have seen each other's announcements."""
DOUBT_MS: Final = 5_000
GONE_MS: Final = 15_000
ELSEWHERE: Final = 0
"""The place where nobody meets anybody."""


class DialSwarm:
    """Devices, the places where they are, and the links between them."""

    def __init__(self, size: int, seed: int) -> None:
        self.now_ms = 0
        self.random = Random(seed)
        self.devices = {
            device(number): Watched(DialPolicy(device(number), self.random.random))
            for number in range(1, size + 1)
        }
        self.place = dict.fromkeys(self.devices, ELSEWHERE)
        self.links: dict[frozenset[DeviceId], int] = {}
        """Each link's number, by its two ends."""
        self._known: dict[tuple[DeviceId, DeviceId], list[Address]] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count(1)
        for me in self.devices:
            others = [each for each in self.devices if each != me]
            self._do(me, self.devices[me].policy.want(others, 0))

    def after(self, milliseconds: int, call: Callable[[], None]) -> None:
        """Let something happen later."""
        at_ms = self.now_ms + milliseconds
        heapq.heappush(self._events, (at_ms, next(self._numbers), call))

    def run(self, milliseconds: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + milliseconds
        while True:
            wakes = {me: one.policy.wake_ms(self.now_ms) for me, one in self._all()}
            due = [(at_ms, me) for me, at_ms in wakes.items() if at_ms is not None]
            event_ms = self._events[0][0] if self._events else end_ms + 1
            wake_ms, me = min(due, default=(end_ms + 1, None))
            if min(event_ms, wake_ms) > end_ms:
                break
            self.now_ms = min(event_ms, wake_ms)
            if event_ms <= wake_ms or me is None:
                heapq.heappop(self._events)[2]()
            else:
                self._do(me, self.devices[me].policy.expire(self.now_ms))
        self.now_ms = end_ms

    def move(self, me: DeviceId, place: int, *, is_noticed: bool = True) -> None:
        """Bring a device to another place: its links break, unless noticed silently."""
        self.place[me] = place
        for ends, number in list(self.links.items()):
            if me in ends and not self._may_meet(*ends):
                self._let_break(ends, number)
        for other in self.devices:
            if other != me and self._may_meet(me, other):
                self.after(SEEN_MS, lambda other=other: self._see(me, other))  # type: ignore[misc]  # bound at once
        if is_noticed:
            self._do(me, self.devices[me].policy.network_changed(self.now_ms))

    def is_linked(self, one: DeviceId, other: DeviceId) -> bool:
        """Whether there is a link, and both know it."""
        ends = frozenset((one, other))
        return (
            ends in self.links
            and other in self.devices[one].sound
            and one in self.devices[other].sound
        )

    def _all(self) -> Sequence[tuple[DeviceId, Watched]]:
        return list(self.devices.items())

    def _may_meet(self, one: DeviceId, other: DeviceId) -> bool:
        return self.place[one] == self.place[other] != ELSEWHERE

    def _address(self, me: DeviceId) -> Address:
        return Address(f"10.{self.place[me]}.0.{me[0]}", 7411)

    def _see(self, one: DeviceId, other: DeviceId) -> None:
        if not self._may_meet(one, other):
            return
        for me, seen in ((one, other), (other, one)):
            known = self._known.setdefault((me, seen), [])
            address = self._address(seen)
            known[:] = [address, *(each for each in known if each != address)][:4]
            self._do(me, self.devices[me].policy.know(seen, known, self.now_ms))

    def _let_break(self, ends: frozenset[DeviceId], number: int) -> None:
        def doubt() -> None:
            for me, other in self._sides(ends, number):
                self.devices[me].sound.discard(other)
                self._do(me, self.devices[me].policy.link_doubtful(other, self.now_ms))

        def end() -> None:
            sides = self._sides(ends, number)
            if sides:
                del self.links[ends]
            for me, other in sides:
                self.devices[me].sound.discard(other)
                self._do(me, self.devices[me].policy.link_down(other, self.now_ms))

        self.after(DOUBT_MS, doubt)
        self.after(GONE_MS, end)

    def _sides(
        self, ends: frozenset[DeviceId], number: int
    ) -> list[tuple[DeviceId, DeviceId]]:
        """Return both views of a link, none if another has replaced it."""
        if self.links.get(ends) != number:
            return []
        one, other = sorted(ends)
        return [(one, other), (other, one)]

    def _do(self, me: DeviceId, actions: Sequence[Action]) -> None:
        watched = self.devices[me]
        watched.now_ms = self.now_ms
        for action in watched.do(actions):
            if isinstance(action, Dial):
                self._dial(me, action)
            else:
                assert isinstance(action, Abandon), "everybody stays wanted"
        # What became doubtful by itself is told by the policy alone.
        watched.sound &= {
            other for other in watched.sound if frozenset((me, other)) in self.links
        }

    def _dial(self, me: DeviceId, dial: Dial) -> None:
        for step in dial.steps:
            delay_ms = step.after_ms + self.random.randint(5, 200)
            address = step.address
            self.after(delay_ms, lambda at=address: self._offer(me, dial, at))  # type: ignore[misc]  # bound at once
        give_up_ms = self.random.choice((50, 8_000)) + dial.steps[-1].after_ms
        self.after(give_up_ms, lambda: self._give_up(me, dial))

    def _offer(self, me: DeviceId, dial: Dial, address: Address | None) -> None:
        """Let an offer arrive, by an address or by a common peer."""
        peer = dial.peer
        is_right = (
            any(self.is_linked(me, c) and self.is_linked(c, peer) for c in self.devices)
            if address is None
            else self._may_meet(me, peer) and address == self._address(peer)
        )
        if self.devices[me].running.get(peer) != dial or not is_right:
            return
        theirs = self.devices[peer].running.get(me)
        if theirs is not None and peer < me:
            return  # glare: the offer of the lower id stands
        self._do(peer, self.devices[peer].policy.answering(me, self.now_ms))
        delay_ms = self.random.randint(5, 300)
        self.after(delay_ms, lambda: self._link(me, dial))

    def _link(self, me: DeviceId, dial: Dial) -> None:
        peer = dial.peer
        if self.devices[me].running.get(peer) != dial or not self._may_meet(me, peer):
            return
        self.links[frozenset((me, peer))] = next(self._numbers)
        for one, other in ((me, peer), (peer, me)):
            self.devices[one].sound.add(other)
            self._do(one, self.devices[one].policy.link_up(other, self.now_ms))

    def _give_up(self, me: DeviceId, dial: Dial) -> None:
        if self.devices[me].running.get(dial.peer) != dial:
            return
        del self.devices[me].running[dial.peer]
        failure = Failure(FailureCause.UNREACHABLE)
        policy = self.devices[me].policy
        self._do(me, policy.dial_failed(dial.peer, dial.attempt, failure, self.now_ms))
