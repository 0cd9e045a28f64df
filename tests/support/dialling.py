"""One device's dialling, driven by hand, with its bounds watched at every step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crdt.ids import DeviceId
from transport.addresses import Address
from transport.dial_state import MAX_WAIT_MS, MIN_GAP_MS
from transport.dialing import (
    DIAL_MS,
    MAX_DIALS,
    Abandon,
    Action,
    Dial,
    DialPolicy,
    HangUp,
)


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
        """Let a person pause or resume."""
        self.is_paused = is_paused
        self.do(self.policy.pause(self.now_ms, is_paused=is_paused))

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
