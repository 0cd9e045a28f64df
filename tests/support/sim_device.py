"""A simulated device: sessions, and a store that takes time.

A device is its durable replica and, while it runs, sessions and a queue of work for its
store. A crash forgets all but the replica. At every step is checked that a peer knows
nothing to be durable that is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import pytest

from crdt.ids import DeviceId, SpaceId
from tests.support.sim_replica import New, SimReplica
from tests.support.simnet import SimLink, SimNet
from transport.frames import (
    CheckpointPart,
    Condition,
    Envelopes,
    Frame,
    Refusal,
    decode,
    encode,
)
from transport.session_names import Meeting, SessionName
from transport.sync import SyncSession
from transport.sync_actions import (
    Action,
    AskCheckpoint,
    Checkpoint,
    Compared,
    EndCause,
    Greeted,
    Hand,
    Keep,
    KeepCheckpointPart,
    KeepStatements,
    Load,
    LoadCheckpointPart,
    LoadStatements,
    News,
    NotAccepted,
    NoteAcknowledged,
    Report,
    Send,
    Standing,
    WriteCheckpoint,
)
from transport.sync_actions import End as EndAction
from transport.sync_sending import WINDOW_BYTES

NOON_MS: Final = 1_800_000_000_000
HOURS_MS: Final = 5 * 3_600_000
SPACE: Final = SpaceId(b"space of a swarm")
Replica = TypeVar("Replica", bound=SimReplica)
Twist = Callable[[Frame], list[Frame]]
"""What a dishonest device makes of a frame that it should send."""


def device_id(number: int) -> DeviceId:
    """Return the id of the device with this number."""
    return DeviceId(number.to_bytes() * 16)


@dataclass(slots=True, eq=False)
class Running:
    """A session on its link."""

    session: SyncSession
    link: SimLink
    end: int
    checkpoint: list[bytes] = field(default_factory=list)
    meeting: Meeting | None = None
    verdict: bool | None = None
    waiting_bytes: int = 0
    """What arrived and the store has not dealt with."""
    cause: EndCause | None = None


class Surroundings(Protocol):
    """What a device needs of the swarm that it is in."""

    net: SimNet
    honest: set[DeviceId]
    """Those who do as they should."""

    def check_durable(self, device: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Fail unless a device holds what it is said to hold."""

    def check_end(self, me: DeviceId, running: Running, cause: EndCause) -> None:
        """Fail if a session had no reason to end."""


class SimDevice(Generic[Replica]):
    """One device of a swarm."""

    def __init__(self, swarm: Surroundings, replica: Replica) -> None:
        self.swarm = swarm
        self.me = replica.me
        self.replica = replica
        self.sessions: list[Running] = []
        self.is_running = True
        self.run = 0
        self.wall_ms = NOON_MS + swarm.net.dice.randrange(-HOURS_MS, HOURS_MS)
        """Its wall clock when the simulation began."""
        self.twist: Twist | None = None
        self.giver: Running | None = None
        """The session by which a checkpoint comes in."""
        self._serial = 0
        self._busy_until_ms = 0

    def crash(self) -> None:
        """Lose everything that is not durable."""
        self.is_running = False
        self.run += 1
        for running in self.sessions:
            running.link.cut()
        self.sessions = []
        self.giver = None
        self.replica.crash()

    def start(self) -> None:
        """Come back with what is durable."""
        self.is_running = True
        self._busy_until_ms = 0

    def write(self, size: int) -> None:
        """Write something, if the device may."""
        may = self.replica.standing(self.me) is not Standing.REMOVED
        if self.is_running and may:
            self._broadcast(self.replica.write(bytes(size)))

    def state(self, kind: str, device: DeviceId, cut: int = 0) -> None:
        """Make a statement about a device."""
        if self.is_running:
            self.replica.state(kind, device, cut)
            self.replica.receive_statements(())
            self.roster_changed()

    def roster_changed(self) -> None:
        """Tell all sessions what the roster has become."""
        for each in list(self.sessions):
            roster = self.replica.roster(each.session.name.peer)
            actions = each.session.roster_changed(roster, self.swarm.net.now_ms)
            self.perform(each, actions)

    def meet(self, peer: DeviceId, link: SimLink, end: int) -> None:
        """Begin a session."""
        self._serial += 1
        now_ms = self.swarm.net.now_ms
        session = SyncSession(
            SessionName(SPACE, self.me, peer, self.run.to_bytes(8), self._serial),
            self.replica.holdings(),
            self.replica.roster(peer),
            Condition.READY,
            now_ms,
        )
        running = Running(session, link, end)
        self.sessions.append(running)
        self.perform(running, session.start(now_ms, now_ms + self.wall_ms))
        self._expire(running)

    def receive(self, running: Running, encoded: bytes) -> None:
        """Take a frame from a link."""
        if running in self.sessions:
            frame = decode(encoded)
            assert frame is not None
            if isinstance(frame, Envelopes):
                running.waiting_bytes += sum(map(len, frame.envelopes))
                assert running.waiting_bytes <= WINDOW_BYTES
            now_ms = self.swarm.net.now_ms
            self.perform(running, running.session.receive(frame, now_ms))

    def lose(self, running: Running) -> None:
        """Take note that a link is lost."""
        if running in self.sessions:
            self.sessions.remove(running)
            self._let_go(running)

    def perform(self, running: Running, actions: list[Action]) -> None:
        """Do what a session asks; what the store does takes time."""
        for action in actions:
            match action:
                case Send(frame, is_bulk):
                    self._check_receiver(running, frame)
                    for each in [frame] if self.twist is None else self.twist(frame):
                        encoded = encode(each)
                        running.link.send(running.end, encoded, is_bulk=is_bulk)
                case NoteAcknowledged(vector):
                    peer = running.session.name.peer
                    self.swarm.check_durable(peer, vector)
                    self.replica.note(peer, vector)
                case Report(news):
                    self._hear(running, news)
                case EndAction(cause):
                    running.cause = cause
                    self.swarm.check_end(self.me, running, cause)
                    self.lose(running)
                case Hand():
                    pass
                case AskCheckpoint():
                    self._admit(running)
                case _:
                    self._queue(running, action)

    def _check_receiver(self, running: Running, frame: Frame) -> None:
        """Nothing of the graph goes to whom this device knows to be no member."""
        if isinstance(frame, Envelopes | CheckpointPart):
            standing = self.replica.standing(running.session.name.peer)
            assert standing is Standing.MEMBER, "a stranger is given envelopes"

    def _admit(self, running: Running) -> None:
        """Take a checkpoint, if nobody else gives one."""
        if self.giver in {None, running}:
            self.giver = running
            now_ms = self.swarm.net.now_ms
            self.perform(running, running.session.checkpoint_wished(now_ms))

    def _let_go(self, running: Running) -> None:
        """Let another device give a checkpoint, if this one was about to."""
        if self.giver is not running:
            return
        self.giver = None
        for each in list(self.sessions):
            now_ms = self.swarm.net.now_ms
            self.perform(each, each.session.checkpoint_possible(now_ms))

    def _hear(self, running: Running, news: News) -> None:
        match news:
            case Compared(is_equal):
                running.verdict = is_equal
                assert is_equal or self.twist, "devices in step show different graphs"
            case Greeted() as greeted:
                running.meeting = Meeting.of(running.session.name, greeted)
                self.swarm.net.after(0, partial(self._keep_one, running))
            case NotAccepted(refusal=refusal, is_here=True):
                is_honest = running.session.name.peer in self.swarm.honest
                is_fine = refusal is Refusal.REMOVED or not is_honest
                assert is_fine, f"an honest device sent what was refused: {refusal}"
            case _:
                pass

    def _keep_one(self, new: Running) -> None:
        """End one of two sessions with the same peer."""
        if new not in self.sessions or new.meeting is None:
            return
        for old in list(self.sessions):
            is_other = old is not new and old.meeting is not None
            if is_other and old.session.name.peer == new.session.name.peer:
                assert old.meeting is not None
                loser = old if new.meeting.supersedes(old.meeting) else new
                self.perform(loser, loser.session.end(EndCause.REPLACED))

    def _queue(self, running: Running, action: Action) -> None:
        """Let the store do something, when it has done what it was asked before."""
        net = self.swarm.net
        run = self.run
        spent = net.dice.uniform(0, 200 if net.dice.random() < 0.02 else 3)
        self._busy_until_ms = max(self._busy_until_ms, net.now_ms) + int(spent)

        def act() -> None:
            if self.run == run:
                self._store(running, action)

        net.after(self._busy_until_ms - net.now_ms, act)

    def _store(self, running: Running, action: Action) -> None:
        session, replica, now_ms = (
            running.session,
            self.replica,
            self.swarm.net.now_ms,
        )
        actions: list[Action] = []
        match action:
            case Keep(envelopes):
                running.waiting_bytes -= sum(map(len, envelopes))
                new, refusals = replica.receive(envelopes)
                self._broadcast(new)
                holdings = replica.holdings()
                actions = session.stored(holdings, len(new), refusals, now_ms)
            case Load(device, after, max_bytes):
                found = replica.after(device, after, max_bytes)
                actions = session.loaded(device, after, found, now_ms)
            case KeepStatements(statements):
                replica.receive_statements(statements)
                roster = replica.roster(session.name.peer)
                actions = session.statements_kept(roster, now_ms)
                self.roster_changed()
            case LoadStatements(hashes):
                statements = [replica.statements[each] for each in hashes]
                actions = session.statements_loaded(statements, now_ms)
            case WriteCheckpoint():
                running.checkpoint = replica.checkpoint()
                checkpoint = Checkpoint(bytes(16), 0, len(running.checkpoint))
                actions = session.checkpoint_written(checkpoint, now_ms)
            case LoadCheckpointPart(_, index):
                part = running.checkpoint[index]
                actions = session.checkpoint_part_loaded(index, part, now_ms)
            case KeepCheckpointPart(_, index, total, part):
                assert running is self.giver, "two checkpoints come in at once"
                replica.install(index, total, part)
                actions = session.checkpoint_part_kept(replica.holdings(), now_ms)
                if index + 1 == total:
                    self._broadcast([])
                    self._let_go(running)
            case _:
                pytest.fail(f"{action} is not for the store")
        self.perform(running, actions)

    def _broadcast(self, new: list[New]) -> None:
        holdings = self.replica.holdings()
        for each in list(self.sessions):
            now_ms = self.swarm.net.now_ms
            self.perform(each, each.session.advanced(new, holdings, now_ms))

    def _expire(self, running: Running) -> None:
        """Let time pass for a session for as long as it lives."""
        net = self.swarm.net
        if running not in self.sessions:
            return
        if running.session.due_ms <= net.now_ms:
            self.perform(running, running.session.expire(net.now_ms))
        due_ms = min(running.session.due_ms - net.now_ms, 50)
        net.after(max(1, due_ms), partial(self._expire, running))
