"""Devices of a simulated circle: sessions, records that take time, and bad days.

A device is its records and, while it runs, sessions. A crash forgets all but the
records. Every frame goes through its bytes and is counted.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import CircleId, DeviceId
from tests.support.sim_circle_records import SimRecords
from tests.support.simnet import End, SimLink, SimNet
from transport.circle_actions import (
    CircleAction,
    CircleEnd,
    CircleNews,
    CircleSessionName,
    Keep,
    Load,
    Progress,
    Report,
    ResultsDiffer,
    Seek,
    Send,
    TakeNames,
)
from transport.circle_actions import End as EndAction
from transport.circle_frames import MAX_FRAME_BYTES, Compare, Give, decode, encode
from transport.circle_giving import WINDOW_BYTES
from transport.circle_session import CirclePhase, CircleSession

CIRCLE: Final = CircleId(b"circle of a test, of 32 bytes ok")
BENIGN: Final = {CircleEnd.STOPPED, CircleEnd.PEER_LEFT, CircleEnd.STALLED}


@dataclass(slots=True, eq=False)
class Talk:
    """A session on its link."""

    session: CircleSession
    link: SimLink
    end: int
    progress: Progress | None = None
    waiting_bytes: int = 0
    alarm_ms: int | None = None
    cause: CircleEnd | None = None
    news: list[CircleNews] = field(default_factory=list)


class CircleDevice:
    """One device of a simulated circle."""

    def __init__(self, swarm: "CircleSwarm", number: int) -> None:
        self.swarm: Final = swarm
        self.me: Final = DeviceId(sha256(number.to_bytes()).digest()[:16])
        self.records: Final = SimRecords(number)
        self.talks: Final[list[Talk]] = []
        self.ended: Final[list[CircleEnd]] = []
        self.alarms: Final[list[tuple[bytes, bytes]]] = []
        self.is_running = True
        self._run = 0
        self._serial = 0
        self._busy_until_ms = 0

    def crash(self) -> None:
        """Lose everything that is not durable."""
        self.is_running = False
        self._run += 1
        for talk in list(self.talks):
            talk.link.cut()
        self.talks.clear()

    def start(self) -> None:
        """Run again."""
        self.is_running = True

    def make(self, kind: ItemKind, size: int) -> None:
        """Make something, if this device runs, and tell its sessions."""
        if self.is_running:
            self.swarm.made.append((kind, name := self.records.make(kind, size)))
            self._changed(kind, [name], is_own=True)

    def pause(self, *, is_paused: bool) -> None:
        """Neither give nor take, or go on."""
        self.records.is_paused = is_paused
        self.renew()

    def renew(self) -> None:
        """Tell sessions that this device stands otherwise."""
        self._changed(ItemKind.STATEMENT, [], is_own=True)

    def _changed(self, kind: ItemKind, names: list[ItemName], *, is_own: bool) -> None:
        for talk in list(self.talks):
            state, now_ms = self.records.state(), self.swarm.net.now_ms
            actions = talk.session.changed(state, kind, names, now_ms, is_own=is_own)
            self.perform(talk, actions)

    def meet(self, peer: DeviceId, link: SimLink, end: int) -> Talk:
        """Begin a session."""
        self._serial += 1
        name = CircleSessionName(
            CIRCLE, self.me, peer, self._run.to_bytes(8), self._serial
        )
        now_ms = self.swarm.net.now_ms
        session = CircleSession(name, "rc1", self.records.state(), now_ms)
        talk = Talk(session, link, end)
        self.talks.append(talk)
        self.perform(talk, session.start())
        return talk

    def receive(self, talk: Talk, encoded: bytes) -> None:
        """Take a frame from a link."""
        if talk in self.talks:
            frame = decode(encoded)
            assert frame is not None
            if isinstance(frame, Give):
                talk.waiting_bytes += len(frame.payload)
                assert talk.waiting_bytes <= WINDOW_BYTES
            self.perform(talk, talk.session.receive(frame, self.swarm.net.now_ms))

    def lose(self, talk: Talk) -> None:
        """Take note that a link is lost."""
        if talk in self.talks:
            self.talks.remove(talk)

    def perform(self, talk: Talk, actions: list[CircleAction]) -> None:
        """Do what a session asks; what the records do takes time."""
        for action in actions:
            match action:
                case Send(frame, is_bulk):
                    encoded = encode(frame)
                    assert len(encoded) <= MAX_FRAME_BYTES
                    self.swarm.count(frame, encoded)
                    talk.link.send(talk.end, encoded, is_bulk=is_bulk)
                case Report(news):
                    talk.news.append(news)
                    if isinstance(news, Progress):
                        talk.progress = news
                case ResultsDiffer(here, there):
                    self.alarms.append((here, there))
                case Seek(kind, names):
                    lacking = self.records.lacking(kind, names)
                    now_ms = self.swarm.net.now_ms
                    self.perform(talk, talk.session.sought(kind, lacking, now_ms))
                case EndAction(cause):
                    talk.cause = cause
                    self.ended.append(cause)
                    self.lose(talk)
                    self.swarm.net.after(10, talk.link.cut)
                case TakeNames() | Load() | Keep():
                    self._queue(talk, action)
        self._arm(talk)

    def _queue(self, talk: Talk, action: TakeNames | Load | Keep) -> None:
        net, run = self.swarm.net, self._run
        spent = net.dice.uniform(0, 200 if net.dice.random() < 0.02 else 3)
        self._busy_until_ms = max(self._busy_until_ms, net.now_ms) + int(spent)

        def act() -> None:
            if self._run == run:
                self._store(talk, action)

        net.after(self._busy_until_ms - net.now_ms, act)

    def _store(self, talk: Talk, action: TakeNames | Load | Keep) -> None:
        session, records, now_ms = talk.session, self.records, self.swarm.net.now_ms
        match action:
            case TakeNames(kind):
                found = session.names_taken(records.names(kind), now_ms)
            case Load(kind, names):
                got = records.load(kind, names)
                found = session.loaded(got.payload, got.rest, now_ms)
            case Keep(kind, payload):
                talk.waiting_bytes -= len(payload)
                kept, new = records.keep(kind, payload)
                if new:
                    self._changed(kind, new, is_own=False)
                found = session.kept(
                    records.state(),
                    kind,
                    len(payload),
                    kept.names,
                    now_ms,
                    new=kept.new,
                    refused=kept.refused,
                )
        self.perform(talk, found)

    def _arm(self, talk: Talk) -> None:
        """Let time pass for a session, for as long as it lives."""
        net, due_ms = self.swarm.net, talk.session.due_ms
        if talk in self.talks and (talk.alarm_ms is None or due_ms < talk.alarm_ms):
            talk.alarm_ms = max(due_ms, net.now_ms + 1)
            net.after(talk.alarm_ms - net.now_ms, partial(self._expire, talk))

    def _expire(self, talk: Talk) -> None:
        net = self.swarm.net
        if talk not in self.talks or talk.alarm_ms != net.now_ms:
            return
        talk.alarm_ms = None
        is_due = talk.session.due_ms <= net.now_ms
        self.perform(talk, talk.session.expire(net.now_ms) if is_due else [])


class CircleSwarm:
    """Some devices of a circle, and which of them can reach which."""

    def __init__(self, seed: int, size: int) -> None:
        self.net: Final = SimNet(seed)
        self.made: Final[list[tuple[ItemKind, ItemName]]] = []
        self.devices: Final = [CircleDevice(self, each + 1) for each in range(size)]
        self.ways: set[tuple[int, int]] = set()
        self.frames: Final[Counter[str]] = Counter()
        self.sent_bytes = 0

    def count(self, frame: object, encoded: bytes) -> None:
        """Take note of a frame that is sent."""
        kind = type(frame).__name__
        if isinstance(frame, Compare) and not frame.ranges:
            kind = "CompareEnd"
        self.frames[kind] += 1
        self.sent_bytes += len(encoded)

    def dial(self) -> None:
        """Make links where there are none and there can be, now and then."""
        dice = self.net.dice
        for low, high in sorted(self.ways):
            first, second = self.devices[low], self.devices[high]
            linked = any(each.session.name.peer == second.me for each in first.talks)
            may = first.is_running and second.is_running
            if may and not linked and dice.random() < 0.5:
                self.connect(first, second)
        self.net.after(dice.uniform(50, 400), self.dial)

    def connect(self, first: CircleDevice, second: CircleDevice) -> tuple[Talk, Talk]:
        """Make a link between two devices that run."""
        found: dict[CircleDevice, Talk] = {}

        def end_of(device: CircleDevice) -> End:
            return End(
                lambda frame: device.receive(found[device], frame),
                lambda: device.lose(found[device]) if device in found else None,
            )

        link = SimLink(self.net, (end_of(first), end_of(second)))
        found[first] = first.meet(second.me, link, 0)
        found[second] = second.meet(first.me, link, 1)
        return found[first], found[second]

    def links(self) -> list[SimLink]:
        """Return the links that somebody holds."""
        return [each.link for device in self.devices for each in device.talks]

    def is_equal(self) -> bool:
        """Whether all hold the same, and know it of their peers."""
        states = [each.records.state().sets for each in self.devices]
        return all(each == states[0] for each in states) and all(
            talk.session.phase is CirclePhase.OPEN
            and talk.progress is not None
            and talk.progress.is_equal
            for each in self.devices
            for talk in each.talks
        )

    def settle(self, calm_ms: int) -> None:
        """Wait until all hold the same; fail if that does not come."""
        end_ms = self.net.now_ms + calm_ms
        while not self.is_equal():
            assert self.net.now_ms < end_ms, "not equal in time"
            self.net.run_until(self.net.now_ms + 250)
