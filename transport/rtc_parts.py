"""Parts of aiortc and aioice, made to hold no more than is bounded here.

They are subclasses that use names which those libraries keep to themselves; hence
their exact versions in pyproject.toml.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aioice.ice
from aioice import TransportPolicy
from aiortc import rtcsctptransport
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcsctptransport import RTCSctpTransport
from OpenSSL import SSL

from transport.chunks import MAX_MESSAGE_BYTES, Channel

GATHER_SECONDS: Final = 1
GATHER_WITH_TURN_SECONDS: Final = 2
LEAST_WINDOW_BYTES: Final = -1024 * 1024
"""Of aiortc's receive window, which a peer that ignores it drives below zero."""
SCTP_PORT: Final = 5000
BINARY: Final = 53
"""Payload protocol of binary messages (RFC 8831)."""
_EXPORTER_LABEL: Final = b"EXPORTER-fractality/1-bind"
HELD_CHUNKS: Final = 4096
"""Fragments of a channel that may wait for others; honest peers have few."""
_CHANNELS: Final = frozenset(Channel)


class UnconnectedError(Exception):
    """No way through the network was found, or the wrong one answered on it."""


def tune() -> None:
    """Set what aiortc and aioice take from their modules only.

    A dead peer is noticed in about 6 s instead of 32; a lost packet is sent again after
    0.25 s instead of 1.
    """
    aioice.ice.CONSENT_INTERVAL = 2
    aioice.ice.CONSENT_FAILURES = 3
    rtcsctptransport.SCTP_RTO_MIN = 0.25  # type: ignore[assignment]  # any number will do
    rtcsctptransport.SCTP_RTO_INITIAL = 1.0
    for library in ("aioice", "aiortc"):
        # Below warnings they tell addresses of peers.
        logging.getLogger(library).setLevel(logging.WARNING)


class Ice(aioice.ice.Connection):
    """Finds addresses in bounded time; without a network, one on this machine."""

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 0,  # noqa: ASYNC109 - as it is in aioice
    ) -> list[aioice.Candidate]:
        """Return the addresses that were found within `timeout` or our own limit."""
        if not addresses and self._transport_policy is TransportPolicy.ALL:
            addresses = ["127.0.0.1"]
        has_turn = self.turn_server is not None
        seconds = timeout or (GATHER_WITH_TURN_SECONDS if has_turn else GATHER_SECONDS)
        return await super().get_component_candidates(component, addresses, seconds)

    async def connect(self) -> None:
        """Find a way to the peer; raises `ConnectionError`, also once closed."""
        await super().connect()
        consent = self._query_consent_task
        if self._closing and consent is not None:
            # aioice asks for consent even then, and never stops.
            consent.cancel()
            await asyncio.wait([consent])
            raise ConnectionError


class Gatherer(RTCIceGatherer):
    """Gathers for a connection that was made before."""

    def __init__(self, connection: Ice) -> None:
        super().__init__([])
        self._connection = connection


class Dtls(RTCDtlsTransport):
    """Tells what aiortc keeps to itself, and reads with less ado."""

    _is_settled = False

    def exporter(self) -> bytes:
        """Return 32 bytes that only the two ends of this connection can derive."""
        if self._ssl is None:
            raise UnconnectedError
        return self._ssl.export_keying_material(_EXPORTER_LABEL, 32)

    @property
    def is_closed_by_peer(self) -> bool:
        """Whether the peer said that it closes."""
        return self._ssl is not None and bool(
            self._ssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN
        )

    async def _recv_next(self) -> None:
        """Take in a packet; once all is settled, without what only handshakes need."""
        if not self._is_settled:
            await super()._recv_next()
            self._is_settled = (
                self.state == "connected"
                and self._ssl is not None
                and self._ssl.DTLSv1_get_timeout() is None
            )
            return
        data = await self.transport._recv()  # noqa: SLF001 - as aiortc does
        if self._ssl is None or not 19 < data[0] < 64:  # no DTLS (RFC 7983)
            return
        self._ssl.bio_write(data)
        try:
            plain = self._ssl.recv(1500)
        except SSL.ZeroReturnError:
            raise ConnectionError from None
        except SSL.Error:
            await self._write_ssl()  # it may want to repeat its last words
            return
        if self._data_receiver is not None:
            await self._data_receiver._handle_data(plain)  # noqa: SLF001 - the same

    @property
    def pump(self) -> asyncio.Future[None] | None:
        """The task that reads, if there is one."""
        return self._task


class Sctp(RTCSctpTransport):
    """Hands on binary messages of our two channels; all else is misbehaviour."""

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        deliver: Callable[[Channel, bytes], None],
        misbehaved: Callable[[], None],
    ) -> None:
        super().__init__(dtls, SCTP_PORT)
        self._deliver = deliver
        self._misbehaved = misbehaved
        self._is_deaf = False

    async def _send_chunk(self, chunk: rtcsctptransport.Chunk) -> None:
        # What cannot be sent is lost, as on any network; whoever reads notices that the
        # connection is over. aiortc would end tasks that nobody waits for.
        with suppress(ConnectionError):
            await super()._send_chunk(chunk)

    async def _receive_data_chunk(self, chunk: rtcsctptransport.DataChunk) -> None:
        if self._is_deaf:
            return
        if chunk.stream_id not in _CHANNELS or not chunk.user_data:
            self._refuse()
            return
        await super()._receive_data_chunk(chunk)
        held = self._get_inbound_stream(chunk.stream_id).reassembly
        if self._advertised_rwnd < LEAST_WINDOW_BYTES or len(held) > HELD_CHUNKS:
            self._refuse()

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if self._is_deaf:
            return
        if pp_id != BINARY or len(data) > MAX_MESSAGE_BYTES:
            self._refuse()
            return
        self._deliver(Channel(stream_id), data)

    def _refuse(self) -> None:
        self._is_deaf = True
        self._misbehaved()
