"""The sessions of this device: one on each link, and what they tell."""

import logging
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from crdt.committed import Committed
from crdt.errors import DiskFullError, StoreError
from crdt.ids import DeviceId, SpaceId
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.vectors import covers
from daemon.mesh.port import Around, ReplicaOfPeer
from daemon.mesh.space_view import Clocks, SpaceView
from transport.exchange import Exchange
from transport.frames import (
    Aside,
    Condition,
    PartialCheckpoint,
    Refusal,
)
from transport.link import Link, LinkClosedError
from transport.session_names import SessionName
from transport.sync import SyncSession
from transport.sync_actions import (
    CheckpointProgress,
    EndCause,
    Greeted,
    Holdings,
    News,
    NotAccepted,
    Progress,
    RosterState,
    Stalled,
)

logger = logging.getLogger(__name__)

RUN_BYTES: Final = 8
PortOf: TypeAlias = Callable[[DeviceId, Around], ReplicaOfPeer]
Tell: TypeAlias = Callable[[str, DeviceId], None]
"""Is told `peer.online`, `peer.offline`, `sync.state` or `sync.progress` of a device.
"""


class Sessions:
    """Runs a session on each link, and knows what follows for the others."""

    def __init__(
        self,
        view: SpaceView,
        space: SpaceId,
        port_of: PortOf,
        clocks: Clocks,
        *,
        roster_changed: Callable[[RosterChange], None],
        greeted: Callable[[DeviceId], None],
        heard: Callable[[DeviceId, Aside], None],
        tell: Tell,
    ) -> None:
        """Take who is told: of statements, of a hello, of words beside, of news."""
        self._view = view
        self._space = space
        self._port_of = port_of
        self._clocks = clocks
        self._roster_changed = roster_changed
        self._peer_greeted = greeted
        self._heard = heard
        self._tell = tell
        self._run = clocks.randomness(RUN_BYTES)
        self._serial = 0
        self._exchanges: dict[DeviceId, Exchange] = {}
        self._giver: DeviceId | None = None
        """The device that gives a checkpoint."""
        self.unsaved: set[DeviceId] = set()
        """Devices that acknowledged something since it was last stored."""

    @property
    def peers(self) -> frozenset[DeviceId]:
        """The devices with which there is a session."""
        return frozenset(self._exchanges)

    async def converse(self, link: Link) -> None:
        """Bring the space into step over a link until it is over."""
        peer = link.peer
        exchange, port = self._new_exchange(link)
        is_first = peer not in self._exchanges
        self._exchanges[peer] = exchange
        self._view.record(peer).link_made()
        if is_first:
            self._tell("peer.online", peer)
        cause: EndCause | None = None
        try:
            partial = await port.owner.run(_partial)
            cause = await exchange.run(self._clocks.wall_ms(), partial)
            logger.info("a session ended: %s", cause)
        except* LinkClosedError:
            pass
        except* DiskFullError:
            self.disk_is_full()
            cause = EndCause.DISK_FULL
        except* StoreError:
            cause = EndCause.STORE_FAILED
        finally:
            if self._exchanges.get(peer) is exchange:
                self._ended(peer, cause)

    def committed(self, committed: Committed) -> None:
        """Let every peer have what became durable here."""
        for exchange in list(self._exchanges.values()):
            exchange.advanced(committed.advanced, self._view.holdings)
        # What sessions find out from here on stands for what is held now.
        self._take_again()

    def statements_changed(self) -> None:
        """Let every session know what the roster has become."""
        for peer, exchange in list(self._exchanges.items()):
            exchange.roster_changed(self._view.roster_state(peer))

    def say(self, frame: Aside, to: DeviceId | None = None) -> bool:
        """Say something beside the graph to one or all; whether anybody is there."""
        peers = self._exchanges if to is None else {to} & self._exchanges.keys()
        for peer in peers:
            self._exchanges[peer].tell(frame)
        return bool(peers)

    def try_again(self) -> None:
        """Take envelopes again though the disk was full: there may be room now."""
        self._take_again()

    def holdings(self) -> Holdings:
        """Return what is held durably now."""
        return self._view.holdings

    def roster_state(self, peer: DeviceId) -> RosterState:
        """Return what a session with a peer has to know of the roster."""
        return self._view.roster_state(peer)

    def roster_changed(self, change: RosterChange) -> None:
        """Take note of new statements."""
        self._roster_changed(change)

    def acknowledged(self, peer: DeviceId, vector: Mapping[DeviceId, int]) -> None:
        """Take note of what a peer holds durably: entries that grew."""
        record = self._view.record(peer)
        record.acknowledge(vector, self._clocks.wall_ms())
        self.unsaved.add(peer)
        if covers(record.vector, self._view.holding.vector):
            # Both may have compared what they show before this was noted.
            self._tell("sync.state", peer)

    def disk_is_full(self) -> None:
        """Take note that something could not be made durable for want of room."""
        if not self._view.is_disk_full:
            self._view.is_disk_full = True
            self.tell_condition()

    def report(self, peer: DeviceId, news: News) -> None:
        """Take note of what is new about a session."""
        self._view.record(peer).note(news, self._view.holding.vector)
        match news:
            case Greeted():
                self._peer_greeted(peer)
            case NotAccepted(refusal=refusal, is_here=True):
                self._view.lacks_key |= refusal is Refusal.NO_KEY
                logger.warning("an envelope was not taken: %s", refusal.name.lower())
            case Progress() | CheckpointProgress():
                self._tell("sync.progress", peer)
                return
            case Stalled(cause):
                self._view.stalls += 1
                logger.warning("synchronising stalled: %s", cause)
            case _:
                pass
        self._tell("sync.state", peer)

    def may_give_checkpoint(self, peer: DeviceId) -> bool:
        """Whether no other device than this one gives a checkpoint."""
        if self._giver is None:
            self._giver = peer
        return self._giver == peer

    def checkpoint_taken(self) -> None:
        """Let another device give a checkpoint, if that is still needed."""
        self._giver = None
        for exchange in list(self._exchanges.values()):
            exchange.checkpoint_possible()

    def hear(self, peer: DeviceId, frame: Aside) -> None:
        """Take what a peer says beside the graph."""
        self._heard(peer, frame)

    def _new_exchange(self, link: Link) -> tuple[Exchange, ReplicaOfPeer]:
        self._serial += 1
        me, peer = self._view.identity.device, link.peer
        name = SessionName(self._space, me, peer, self._run, self._serial)
        steady_ms = self._clocks.steady_ms
        session = SyncSession(
            name,
            self._view.holdings,
            self._view.roster_state(peer),
            self._condition,
            steady_ms(),
        )
        port = self._port_of(peer, self)
        return Exchange(session, link, port, steady_ms), port

    def _ended(self, peer: DeviceId, cause: EndCause | None) -> None:
        del self._exchanges[peer]
        if self._giver == peer:
            self.checkpoint_taken()
        self._view.record(peer).session_ended(cause)
        self._tell("peer.offline", peer)
        self._tell("sync.state", peer)

    @property
    def _condition(self) -> Condition:
        if self._view.is_paused:
            return Condition.PAUSED
        return Condition.DISK_FULL if self._view.is_disk_full else Condition.READY

    def tell_condition(self) -> None:
        """Let every peer know whether this device exchanges envelopes now."""
        for exchange in list(self._exchanges.values()):
            exchange.condition_changed(self._condition)

    def _take_again(self) -> None:
        if self._view.is_disk_full:
            self._view.is_disk_full = False
            self.tell_condition()


def _partial(replica: Replica) -> PartialCheckpoint | None:
    """Return how far a checkpoint came that broke off."""
    present = replica.installation
    if present is None:
        return None
    return PartialCheckpoint(present.checkpoint, present.next_number)
