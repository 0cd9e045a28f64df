"""Encrypted connections through whatever network there is: over aiortc and aioice.

Here is used what lies under aiortc's RTCPeerConnection, so that no session
description is ever written or parsed. Rules of this file:

1. Whatever happens, `aclose` leaves neither socket nor task behind.
2. A message handler never raises and never waits: aiortc ends the whole connection for
   the one, and loses the order of messages for the other.
3. What the peer may make us hold is bounded, here and in rtc_parts.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

from aioice import TransportPolicy
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
)
from aiortc.rtcicetransport import (
    RTCIceCandidate,
    RTCIceParameters,
    RTCIceTransport,
)
from aiortc.rtcsctptransport import RTCSctpCapabilities

from transport.chunked_link import ChunkedLink
from transport.chunks import MAX_MESSAGE_BYTES, Channel
from transport.description import (
    MAX_CANDIDATES,
    Candidate,
    CandidateKind,
    Description,
)
from transport.ice_servers import IceServers
from transport.link import LinkEnd
from transport.rtc_parts import (
    SCTP_PORT,
    Dtls,
    Gatherer,
    Ice,
    Sctp,
    UnconnectedError,
)
from transport.sctp_speed import FastSctp, fits

HELD_MESSAGES: Final = 64
"""Messages that may come before the peer has proved who it is."""
LOW_WATER_BYTES: Final = 16 * 1024
_KINDS: Final = {
    "host": CandidateKind.HOST,
    "srflx": CandidateKind.SERVER_REFLEXIVE,
    "relay": CandidateKind.RELAY,
}
_KIND_NAMES: Final = {kind: name for name, kind in _KINDS.items()}

Certificate = RTCCertificate


def new_certificate() -> Certificate:
    """Return a certificate to keep for one run of the program."""
    return RTCCertificate.generateCertificate()


class Connection:
    """One attempt to connect to a peer and, if it succeeds, what a link runs over."""

    def __init__(
        self,
        certificate: Certificate,
        servers: IceServers,
        tasks: asyncio.TaskGroup,
        *,
        is_offerer: bool,
        turn_transport: str | None = None,
    ) -> None:
        ice = Ice(is_offerer, **_server_arguments(servers, turn_transport))
        self._tasks = tasks
        self._gatherer = Gatherer(ice)
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = Dtls(self._ice, [certificate])
        sctp = FastSctp if fits() else Sctp
        self._sctp = sctp(self._dtls, self._deliver, self._misbehave)
        self._channels = {channel: self._open(channel) for channel in Channel}
        self._gathering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._link: ChunkedLink | None = None
        self._held: list[tuple[Channel, bytes]] = []
        self._end: LinkEnd | None = None
        self._changed = asyncio.Event()
        self._dtls.on("statechange", self._look)

    async def gather(self) -> None:
        """Find out under which addresses this device may be reached."""
        # Cancelled half-way, aioice would leave its sockets open.
        self._gathering = self._tasks.create_task(self._gatherer.gather())
        await asyncio.shield(self._gathering)

    @property
    def is_relayed(self) -> bool:
        """Whether a TURN server lends an address to this end."""
        candidates = self._gatherer.getLocalCandidates()
        return any(candidate.type == "relay" for candidate in candidates)

    def description(self) -> Description:
        """Return what the peer has to know to connect."""
        parameters = self._gatherer.getLocalParameters()
        fingerprints = self._dtls.getLocalParameters().fingerprints
        (sha256,) = (each for each in fingerprints if each.algorithm == "sha-256")
        found = [_to_wire(each) for each in self._gatherer.getLocalCandidates()]
        found.sort(key=lambda candidate: candidate.kind, reverse=True)
        return Description(
            username=str(parameters.usernameFragment),
            password=str(parameters.password),
            fingerprint=bytes.fromhex(sha256.value.replace(":", "")),
            candidates=tuple(found[:MAX_CANDIDATES]),
        )

    async def connect(self, remote: Description) -> None:
        """Connect to the peer that is so described, or raise `UnconnectedError`."""
        try:
            await self._connect(remote)
        except Exception as error:
            raise UnconnectedError from error

    async def _connect(self, remote: Description) -> None:
        for candidate in remote.candidates:
            await self._ice.addRemoteCandidate(_from_wire(candidate))
        await self._ice.addRemoteCandidate(None)
        await self._ice.start(RTCIceParameters(remote.username, remote.password))
        if self._ice.state != "completed" or self._end is not None:
            raise UnconnectedError
        fingerprint = RTCDtlsFingerprint("sha-256", remote.fingerprint.hex(":"))
        await self._dtls.start(RTCDtlsParameters([fingerprint]))
        if self._dtls.state != "connected" or self._end is not None:
            raise UnconnectedError
        await self._sctp.start(RTCSctpCapabilities(MAX_MESSAGE_BYTES), SCTP_PORT)
        await self._until(lambda: self._sctp.state == "connected")

    def exporter(self) -> bytes:
        """Return 32 bytes that only the two ends of this connection can derive."""
        return self._dtls.exporter()

    async def first_control_message(self) -> bytes:
        """Wait for the message with which the peer proves who it is."""
        await self._until(lambda: self._first() is not None)
        return self._held.pop(self._first() or 0)[1]

    def attach(self, link: ChunkedLink) -> None:
        """Give all further messages, and those held so far, to `link`."""
        held, self._held = self._held, []
        self._link = link
        for channel, message in held:
            link.deliver(channel, message)
        if self._end is not None:
            link.end(self._end)

    def send(self, channel: Channel, message: bytes) -> None:
        """Buffer a message, or do nothing once the connection is over."""
        if self._channels[channel].readyState == "open":
            self._channels[channel].send(message)

    def buffered(self, channel: Channel) -> int:
        """Return how many bytes of a channel wait to be sent."""
        return self._channels[channel].bufferedAmount

    def abort(self) -> None:
        """Begin to close."""
        if self._closing is None:
            self._closing = self._tasks.create_task(self._close())

    async def aclose(self) -> None:
        """Close all that there is; a second call waits for the first."""
        self.abort()
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._gathering is not None:
            await asyncio.wait([self._gathering])
        pump = self._dtls.pump
        self._note(LinkEnd.CLOSED_HERE)
        for stop in (self._sctp.stop, self._dtls.stop, self._ice.stop):
            with suppress(Exception):  # one that fails keeps no other from closing
                await stop()
        if pump is not None:
            await asyncio.wait([pump])

    def _open(self, channel: Channel) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(
            label=channel.name.lower(), negotiated=True, id=channel
        )
        opened = RTCDataChannel(self._sctp, parameters)
        opened.bufferedAmountLowThreshold = LOW_WATER_BYTES
        opened.on("open", self._look)
        opened.on("close", self._look)
        opened.on("bufferedamountlow", self._make_room)
        return opened

    def _deliver(self, channel: Channel, message: bytes) -> None:
        if self._link is not None:
            self._link.deliver(channel, message)
        elif len(self._held) < HELD_MESSAGES:
            self._held.append((channel, message))
            self._changed.set()
        else:
            self._misbehave()

    def _make_room(self) -> None:
        if self._link is not None:
            self._link.make_room()

    def _misbehave(self) -> None:
        self._note(LinkEnd.MISBEHAVED)
        self.abort()

    def _look(self) -> None:
        """See whether the connection is over, and why."""
        self._changed.set()
        if self._sctp.state == "closed":
            self._note(LinkEnd.CLOSED_BY_PEER)
        elif self._dtls.state in {"closed", "failed"}:
            by_peer = self._dtls.is_closed_by_peer
            self._note(LinkEnd.CLOSED_BY_PEER if by_peer else LinkEnd.LOST)

    def _note(self, end: LinkEnd) -> None:
        if self._end is None:
            self._end = end
            self._changed.set()
            if self._link is not None:
                self._link.end(end)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            if self._end is not None:
                raise UnconnectedError
            self._changed.clear()
            await self._changed.wait()

    def _first(self) -> int | None:
        for place, (channel, _) in enumerate(self._held):
            if channel is Channel.CONTROL:
                return place
        return None


def _server_arguments(
    servers: IceServers, turn_transport: str | None
) -> dict[str, Any]:
    """Return how aioice is told of the servers; None stands for no TURN."""
    arguments: dict[str, Any] = {}
    if servers.stun is not None:
        arguments["stun_server"] = (servers.stun.host, servers.stun.port)
    if servers.is_relay_only:
        arguments["transport_policy"] = TransportPolicy.RELAY
    turn = servers.turn
    if turn is not None and turn_transport is not None:
        username, password = turn.credentials(int(time.time()))
        arguments |= {
            "turn_server": (turn.host, turn.port),
            "turn_ssl": turn_transport == "tls",
            "turn_transport": "udp" if turn_transport == "udp" else "tcp",
            "turn_username": username,
            "turn_password": password,
        }
    return arguments


def _to_wire(candidate: RTCIceCandidate) -> Candidate:
    return Candidate(
        kind=_KINDS[candidate.type],
        address=ip_address(candidate.ip).packed,
        port=candidate.port,
        priority=candidate.priority,
        foundation=candidate.foundation,
    )


def _from_wire(candidate: Candidate) -> RTCIceCandidate:
    return RTCIceCandidate(
        component=1,
        foundation=candidate.foundation,
        ip=str(ip_address(candidate.address)),
        port=candidate.port,
        priority=candidate.priority,
        protocol="udp",
        type=_KIND_NAMES[candidate.kind],
    )
