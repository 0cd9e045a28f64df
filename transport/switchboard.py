"""Makes links: dials peers and answers those who dial.

Specification: docs/protocol/signalling.md. The three messages may be carried in any
way; here is what is sent, what is answered, and what comes of it. No more than one
link at a time comes into being between two devices: of two offers that cross, that of
the device with the lower id stands.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Final, Self, TypeAlias
from weakref import WeakSet

from crdt.errors import ForgedError, FractalityError, PeerError
from crdt.identity import Identity
from crdt.ids import DeviceId
from transport.admission import Admission, stands
from transport.chunked_link import ChunkedLink
from transport.chunks import Bind, Channel, decode_message, encode_message
from transport.ice_servers import IceServers
from transport.link import Link
from transport.rtc_parts import UnconnectedError, tune
from transport.sctp_speed import hurry
from transport.signalling import (
    SESSION_BYTES,
    BindRole,
    Member,
    MemberLookup,
    Offer,
    StrangerError,
    Transcript,
    open_answer,
    open_offer,
    seal_answer,
    seal_offer,
)
from transport.webrtc import Connection, new_certificate

CONNECT_SECONDS: Final = 15
"""From the offer to the link."""
BIND_SECONDS: Final = 5
CROSSING_SECONDS: Final = 2
"""So long is another's offer held back to see whether ours gets through."""
MAX_ANSWERING: Final = 16
MAX_WAITING_LINKS: Final = 64

Carry: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]
"""Takes a sealed offer to the peer and returns its sealed answer, None for silence."""


class DialFailure(StrEnum):
    """Why a dial came to nothing."""

    NO_ANSWER = "the device did not answer"
    SUPERSEDED = "the device dialled at the same time; its link will do"
    NO_ROUTE = "the device answered, but no way through the network was found"
    NOT_PROVED = "whoever answered could not prove to be the device"


class DialError(FractalityError):
    """No link came of a dial; nothing is left of it."""

    def __init__(self, failure: DialFailure) -> None:
        super().__init__(f"No link: {failure}.")
        self.failure = failure
        """Why."""


class _Dial:
    """A dial of ours, as far as a crossing offer has to know."""

    def __init__(self) -> None:
        self.is_answered = False
        self.is_superseded = False
        self.settled = asyncio.Event()
        self.carrying: asyncio.Timeout | None = None

    def settle(self) -> None:
        self.carrying = None
        self.settled.set()

    def supersede(self) -> None:
        """Give up waiting for an answer; the peer's own offer is taken."""
        self.is_superseded = True
        if self.carrying is not None:
            self.carrying.reschedule(asyncio.get_running_loop().time())


class Switchboard:
    """All links of one device that run over WebRTC."""

    def __init__(
        self,
        me: Identity,
        member: MemberLookup,
        *,
        servers: IceServers | None = None,
        refused: Callable[[PeerError], None] = lambda error: None,
        answering: Callable[[DeviceId], None] = lambda peer: None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Take who we are, the roster, and whom to tell why an offer was dropped.

        `answering` is told whose offer is being answered, before there is a link.
        `wall_ms` is the time of day, as offers carry it.
        """
        tune()
        hurry()
        self._me = me
        self._member = member
        self._servers = servers or IceServers()
        self._refused = refused
        self._on_answer = answering
        self._wall_ms = wall_ms
        self._certificate = new_certificate()
        turn = self._servers.turn
        self._turn_transports = list(turn.transports) if turn is not None else []
        self._admission = Admission()
        self._dials: dict[DeviceId, _Dial] = {}
        self._answering: dict[DeviceId, Connection] = {}
        self._accepted: asyncio.Queue[Link] = asyncio.Queue(MAX_WAITING_LINKS)
        self._connections: WeakSet[Connection] = WeakSet()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection, and with it every link."""
        try:
            for connection in list(self._connections):
                await connection.aclose()
        finally:
            # Told of an error of the body, the group would wrap it.
            await self._tasks.__aexit__(None, None, None)

    @property
    def me(self) -> DeviceId:
        """The device whose links these are."""
        return self._me.device

    @property
    def waiting(self) -> int:
        """How many links wait to be accepted."""
        return self._accepted.qsize()

    async def dial(self, peer: DeviceId, carry: Carry) -> Link:
        """Return a new link to `peer`; `carry` takes our offer to it.

        Cancelled, it leaves nothing behind. Raises `DialError`, `StrangerError` if the
        roster has no such device, and what `carry` raises.
        """
        member = self._member(peer)
        if member is None or member.is_removed:
            detail = "The device is not, or no longer, one of this roster."
            raise StrangerError(detail)
        if peer in self._answering:
            raise DialError(DialFailure.SUPERSEDED)
        if peer in self._dials:
            msg = "this device is being dialled already"
            raise ValueError(msg)
        dial = self._dials[peer] = _Dial()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._dial(dial, member, carry)
        except (TimeoutError, UnconnectedError):
            answered = dial.is_answered
            failure = DialFailure.NO_ROUTE if answered else DialFailure.NO_ANSWER
            raise DialError(failure) from None
        except PeerError as error:
            self._refused(error)
            raise DialError(DialFailure.NOT_PROVED) from None
        finally:
            dial.settle()
            del self._dials[peer]

    async def answer(self, sealed: bytes, source: str = "") -> bytes | None:
        """Return the answer to a sealed offer, or None: silence, whatever was wrong.

        The link that may come of it is given by `accept`. `source` fits the endpoint.
        """
        try:
            offer = open_offer(self._me, self._member, sealed, self._wall_ms())
            self._admission.admit(offer, int(steady_ms()))
        except PeerError as error:
            self._refused(error)
            return None
        peer = offer.sender.device
        if not await self._gives_way(peer) or len(self._answering) >= MAX_ANSWERING:
            return None
        self._on_answer(peer)
        connection = await self._gather(is_offerer=False)
        # An offer after an offer: the peer has given up the one before.
        earlier, self._answering[peer] = self._answering.get(peer), connection
        if earlier is not None:
            earlier.abort()
        answer = seal_answer(
            self._me, offer, connection.description(), nonce=os.urandom(SESSION_BYTES)
        )
        self._tasks.create_task(self._complete(connection, offer, answer.hash))
        return answer.encoded

    async def accept(self) -> Link:
        """Wait for the next link that a peer has dialled."""
        return await self._accepted.get()

    async def _dial(self, dial: _Dial, member: Member, carry: Carry) -> Link:
        connection = await self._gather(is_offerer=True)
        try:
            offer = seal_offer(
                self._me,
                member,
                connection.description(),
                session=os.urandom(SESSION_BYTES),
                nonce=os.urandom(SESSION_BYTES),
                now_ms=self._wall_ms(),
            )
            sealed = await self._carried(dial, carry, offer.encoded)
            answer = open_answer(self._me, member, offer.hash, sealed)
            dial.is_answered = True
            dial.settle()
            await connection.connect(answer.description)
            transcript = Transcript(offer.hash, answer.hash, connection.exporter())
            return await self._bind(connection, member, transcript, BindRole.OFFERER)
        except BaseException:
            connection.abort()
            raise

    async def _carried(self, dial: _Dial, carry: Carry, offer: bytes) -> bytes:
        try:
            async with asyncio.timeout(None) as dial.carrying:
                if dial.is_superseded:
                    raise DialError(DialFailure.SUPERSEDED)
                sealed = await carry(offer)
        except TimeoutError:
            if dial.is_superseded:
                raise DialError(DialFailure.SUPERSEDED) from None
            raise
        finally:
            dial.carrying = None
        if sealed is None:
            raise DialError(DialFailure.NO_ANSWER)
        return sealed

    async def _gives_way(self, peer: DeviceId) -> bool:
        """Whether a peer's offer is to be answered, a dial of ours being given up."""
        dial = self._dials.get(peer)
        if dial is None:
            return True
        if stands(self._me.device, peer):
            with suppress(TimeoutError):
                async with asyncio.timeout(CROSSING_SECONDS):
                    await dial.settled.wait()
        if dial.is_answered:
            return False
        dial.supersede()
        return True

    async def _complete(
        self, connection: Connection, offer: Offer, answer_hash: bytes
    ) -> None:
        """Bring an answered offer to its link, or to nothing."""
        peer = offer.sender.device
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.connect(offer.description)
                transcript = Transcript(offer.hash, answer_hash, connection.exporter())
                link = await self._bind(
                    connection, offer.sender, transcript, BindRole.ANSWERER
                )
            self._accepted.put_nowait(link)
        except (TimeoutError, UnconnectedError, asyncio.QueueFull):
            connection.abort()
        except PeerError as error:
            connection.abort()
            self._refused(error)
        finally:
            if self._answering.get(peer) is connection:
                del self._answering[peer]

    async def _gather(self, *, is_offerer: bool) -> Connection:
        """Return a connection that knows its addresses, with a relay's if one is set.

        Where one way to the TURN server is barred, the next one is tried, and tried
        first from then on.
        """
        transports = list(self._turn_transports)
        while True:
            transport = transports.pop(0) if transports else None
            connection = Connection(
                self._certificate,
                self._servers,
                self._tasks,
                is_offerer=is_offerer,
                turn_transport=transport,
            )
            self._connections.add(connection)
            try:
                await connection.gather()
            except BaseException:
                connection.abort()
                raise
            if transport is not None and connection.is_relayed:
                self._turn_transports.remove(transport)
                self._turn_transports.insert(0, transport)
                return connection
            if not transports:
                return connection
            connection.abort()

    async def _bind(
        self,
        connection: Connection,
        peer: Member,
        transcript: Transcript,
        role: BindRole,
    ) -> Link:
        """Prove who we are, see who is there, and return the link."""
        async with asyncio.timeout(BIND_SECONDS):
            ours = Bind(transcript.sign(self._me, role))
            connection.send(Channel.CONTROL, encode_message(ours))
            first = await connection.first_control_message()
        theirs = decode_message(Channel.CONTROL, first)
        if not isinstance(theirs, Bind):
            detail = "A device spoke before it had proved who it is; it was cut off."
            raise ForgedError(detail)
        transcript.verify(peer, BindRole(1 - role), theirs.signature)
        known = self._member(peer.device)
        if known is None or known.is_removed:
            detail = "A device was removed while it connected; it was cut off."
            raise StrangerError(detail)
        link = ChunkedLink(peer.device, "webrtc", connection, steady_ms)
        connection.attach(link)
        return link


def steady_ms() -> float:
    """Return milliseconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime_ns(_STEADY_CLOCK) / 1_000_000


_STEADY_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
