"""One device's dialling, driven by hand, with its bounds watched at every step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crdt.ids import DeviceId
from transport.addresses import Address
from transport.dial_state import MAX_WAIT_MS, MIN_GAP_MS
from transport.dialing import (
    DIAL_MS,
    HEAD_START_MS,
    MAX_DIALS,
    Abandon,
    Action,
    Dial,
    DialPolicy,
    HangUp,
)
from transport.reasons import Failure, FailureCause, Reason


def device(number: int) -> DeviceId:
    """Return a device; the order of numbers is that of devices."""
    return DeviceId(bytes([number]) * 16)


def address(number: int, port: int = 7411) -> Address:
    """Return an address of a LAN."""
    return Address(f"10.0.0.{number}", port)


@dataclass
class Watched:
    """A policy whose actions are carried out in a list, and judged.

    Laws that hold after every step:
    1. At most `MAX_DIALS` dials run, of one device at most one.
    2. Two dials to one device begin at least `MIN_GAP_MS` apart.
    3. Each wanted device without a sound link is being dialled, or will be: the next
       thing to do is near, unless the policy is paused.
    """

    policy: DialPolicy
    now_ms: int = 0
    running: dict[DeviceId, Dial] = field(default_factory=dict)
    started_ms: dict[DeviceId, int] = field(default_factory=dict)
    sound: set[DeviceId] = field(default_factory=set)
    dials: int = 0
    hung_up: list[DeviceId] = field(default_factory=list)
    is_paused: bool = False

    def do(self, actions: Sequence[Action]) -> Sequence[Action]:
        """Carry out what an event led to, and judge it."""
        for action in actions:
            match action:
                case Dial(peer):
                    assert peer not in self.running
                    assert not self.is_paused
                    started_ms = self.started_ms.get(peer)
                    if started_ms is not None:
                        assert self.now_ms - started_ms >= MIN_GAP_MS
                    assert action.steps
                    self.running[peer] = action
                    self.started_ms[peer] = self.now_ms
                    self.dials += 1
                case Abandon(peer, attempt):
                    assert self.running.pop(peer).attempt == attempt
                case HangUp(peer):
                    self.hung_up.append(peer)
                    self.sound.discard(peer)
        assert len(self.running) <= MAX_DIALS
        waiting = self.policy.wanted - self.sound
        wake_ms = self.policy.wake_ms(self.now_ms)
        if waiting and not self.is_paused:
            assert wake_ms is not None
            assert wake_ms <= self.now_ms + max(MAX_WAIT_MS, DIAL_MS)
        return actions

    def pause(self, *, is_paused: bool) -> None:
        """Let a person pause or resume; the links that are ended are reported so."""
        self.is_paused = is_paused
        for action in self.do(self.policy.pause(self.now_ms, is_paused=is_paused)):
            if isinstance(action, HangUp):
                self.do(self.policy.link_down(action.peer, self.now_ms))

    def pass_time(self, milliseconds: int) -> None:
        """Let time pass, with everything that becomes due in it."""
        end_ms = self.now_ms + milliseconds
        while True:
            wake_ms = self.policy.wake_ms(self.now_ms)
            if wake_ms is None or wake_ms > end_ms:
                break
            self.now_ms = max(wake_ms, self.now_ms)
            self.expire()
            next_ms = self.policy.wake_ms(self.now_ms)
            assert next_ms is None or next_ms > self.now_ms, "it would run in circles"
        self.now_ms = end_ms

    def expire(self) -> None:
        """Let the policy do what is due now."""
        before = dict(self.running)
        self.do(self.policy.expire(self.now_ms))
        for peer, dial in before.items():
            is_over = self.running.get(peer) != dial
            is_late = self.now_ms - self.started_ms.get(peer, self.now_ms) >= DIAL_MS
            assert is_over or not is_late


ME, LOWER, HIGHER = device(5), device(1), device(9)
UNREACHABLE = Failure(FailureCause.UNREACHABLE)


def no_dice() -> float:
    """Return what the dice show: always the same."""
    return 0.0


def watched(*peers: int) -> Watched:
    """Return a policy that wants devices and has begun to dial, each at one address."""
    one = Watched(DialPolicy(ME, no_dice))
    one.do(one.policy.want([device(each) for each in peers], 0))
    one.pass_time(HEAD_START_MS)
    for each in peers:
        one.do(one.policy.know(device(each), [address(each)], one.now_ms))
    one.pass_time(HEAD_START_MS)
    return one


def fail(one: Watched, number: int, failure: Failure = UNREACHABLE) -> None:
    """Let the dial to a device come to nothing."""
    dial = one.running.pop(device(number))
    one.do(one.policy.dial_failed(dial.peer, dial.attempt, failure, one.now_ms))


def until_dialled(one: Watched, number: int) -> int:
    """Let time pass until the device is dialled; return how long that took."""
    before_ms = one.now_ms
    while device(number) not in one.running:
        assert one.now_ms - before_ms <= MAX_WAIT_MS
        one.pass_time(50)
    return one.now_ms - before_ms


def fail_often(one: Watched, number: int) -> None:
    """Let so many dials fail that the waits are long; the last dial still runs."""
    for _ in range(10):
        fail(one, number)
        until_dialled(one, number)


def link(one: Watched, number: int) -> None:
    """Let a link to a device come up."""
    one.sound.add(device(number))
    one.do(one.policy.link_up(device(number), one.now_ms))


def unlink(one: Watched, number: int) -> None:
    """Let the link to a device end."""
    one.sound.discard(device(number))
    one.do(one.policy.link_down(device(number), one.now_ms))


def reason(one: Watched, number: int) -> Reason:
    """Return how things stand with a device."""
    return one.policy.explain(device(number), one.now_ms)
