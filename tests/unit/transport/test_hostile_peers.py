"""What a device does that has proved who it is, and then keeps no rule."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters

from crdt.errors import ForgedError, PeerError
from tests.support.meeting import HIGHER, LOWER, ROSTER, known
from transport import switchboard
from transport.chunks import (
    PIECE_BYTES,
    WINDOW_BYTES,
    Bind,
    Channel,
    Credit,
    Piece,
    encode_message,
)
from transport.ice_servers import IceServers
from transport.link import Link, LinkClosedError, LinkEnd
from transport.rtc_parts import UnconnectedError
from transport.signalling import BindRole, Transcript, open_answer, seal_offer
from transport.switchboard import Switchboard
from transport.webrtc import Connection, new_certificate


@dataclass
class Meeting:
    """An honest device, and a connection to it that is held by a hostile one."""

    honest: Switchboard
    hostile: Connection
    transcript: Transcript
    causes: list[PeerError] = field(default_factory=list)

    async def bound(self) -> Link:
        """Prove who the hostile device is; return the honest end of the link."""
        signature = self.transcript.sign(LOWER, BindRole.OFFERER)
        self.hostile.send(Channel.CONTROL, encode_message(Bind(signature)))
        return await self.honest.accept()

    @property
    def sctp(self) -> object:
        """What a program that keeps no rule has its hands on."""
        return self.hostile._sctp  # noqa: SLF001 - a hostile peer keeps no rule

    def send_anything(self, channel: Channel, message: bytes | str) -> None:
        """Send past all that an honest device holds to."""
        self.sctp._remote_max_message_size = 0  # type: ignore[attr-defined]  # noqa: SLF001 - a hostile peer keeps no rule
        channels = self.hostile._channels  # noqa: SLF001 - a hostile peer keeps no rule
        channels[channel].send(message)


@asynccontextmanager
async def connected() -> AsyncIterator[Meeting]:
    """Connect a hostile device that has not yet proved who it is."""
    causes: list[PeerError] = []
    async with (
        asyncio.timeout(60),
        Switchboard(HIGHER, ROSTER.get, refused=causes.append) as honest,
        asyncio.TaskGroup() as tasks,
        AsyncExitStack() as stack,
    ):
        hostile = Connection(new_certificate(), IceServers(), tasks, is_offerer=True)
        await hostile.gather()
        stack.push_async_callback(hostile.aclose)
        offer = seal_offer(
            LOWER,
            known(HIGHER),
            hostile.description(),
            session=bytes(16),
            nonce=bytes(16),
            now_ms=time.time_ns() // 1_000_000,
        )
        sealed = await honest.answer(offer.encoded)
        assert sealed is not None
        answer = open_answer(LOWER, known(HIGHER), offer.hash, sealed)
        await hostile.connect(answer.description)
        transcript = Transcript(offer.hash, answer.hash, hostile.exporter())
        yield Meeting(honest, hostile, transcript, causes)


async def ended(link: Link) -> LinkEnd:
    """Read a link to its end; return why it is over."""
    try:
        while True:
            await link.receive()
    except LinkClosedError as error:
        return error.end


def oversize(meeting: Meeting) -> None:
    meeting.send_anything(Channel.BULK, bytes(30_000_000))


def text(meeting: Meeting) -> None:
    meeting.send_anything(Channel.CONTROL, "text")


def nothing(meeting: Meeting) -> None:
    meeting.send_anything(Channel.CONTROL, b"")


def nonsense(meeting: Meeting) -> None:
    meeting.send_anything(Channel.BULK, b"\xff nonsense")


def bind_again(meeting: Meeting) -> None:
    meeting.send_anything(Channel.CONTROL, encode_message(Bind(bytes(64))))


def credit_for_nothing(meeting: Meeting) -> None:
    credit = encode_message(Credit(Channel.BULK, 1))
    meeting.send_anything(Channel.CONTROL, credit)


def other_channels(meeting: Meeting) -> None:
    for number in range(100):
        RTCDataChannel(meeting.sctp, RTCDataChannelParameters(label=f"{number}"))  # type: ignore[arg-type]


def flood(meeting: Meeting) -> None:
    frame = encode_message(Piece(bytes(PIECE_BYTES), is_last=True))
    for _ in range(WINDOW_BYTES // PIECE_BYTES + 2):
        meeting.send_anything(Channel.BULK, frame)


def endless(meeting: Meeting) -> None:
    part = encode_message(Piece(bytes(PIECE_BYTES), is_last=False))
    for _ in range(WINDOW_BYTES // PIECE_BYTES + 2):
        meeting.send_anything(Channel.BULK, part)


@pytest.mark.parametrize(
    "attack",
    [
        oversize,
        text,
        nothing,
        nonsense,
        bind_again,
        credit_for_nothing,
        other_channels,
        flood,
        endless,
    ],
)
async def test_a_broken_rule_ends_the_link(attack: Callable[[Meeting], None]) -> None:
    """Whatever rule is broken, the link ends there, and the device can go on."""
    async with connected() as meeting:
        link = await meeting.bound()

        attack(meeting)

        if attack is flood:
            await cut_off(meeting.hostile)
        assert await ended(link) is LinkEnd.MISBEHAVED
        assert await meeting.honest.answer(b"") is None


async def cut_off(hostile: Connection) -> None:
    """Wait until a hostile device is cut off."""
    with suppress(UnconnectedError):
        while True:
            await hostile.first_control_message()


async def test_what_overtakes_the_bind_is_held() -> None:
    """Bulk that comes before the bind is given after it, in order."""
    async with connected() as meeting:
        for number in range(10):
            part = encode_message(Piece(bytes([number]), is_last=True))
            meeting.hostile.send(Channel.BULK, part)

        link = await meeting.bound()

        assert [await link.receive() for _ in range(10)] == [
            bytes([number]) for number in range(10)
        ]


def silence(meeting: Meeting) -> None:
    """Prove nothing."""


def too_much(meeting: Meeting) -> None:
    part = encode_message(Piece(bytes(PIECE_BYTES), is_last=True))
    for _ in range(1000):
        meeting.hostile.send(Channel.BULK, part)


def frame_first(meeting: Meeting) -> None:
    part = encode_message(Piece(b"hello", is_last=True))
    meeting.hostile.send(Channel.CONTROL, part)


def other_connection(meeting: Meeting) -> None:
    known_elsewhere = Transcript(
        meeting.transcript.offer_hash, meeting.transcript.answer_hash, bytes(32)
    )
    signature = known_elsewhere.sign(LOWER, BindRole.OFFERER)
    meeting.hostile.send(Channel.CONTROL, encode_message(Bind(signature)))


def other_role(meeting: Meeting) -> None:
    signature = meeting.transcript.sign(LOWER, BindRole.ANSWERER)
    meeting.hostile.send(Channel.CONTROL, encode_message(Bind(signature)))


@pytest.mark.parametrize(
    ("attack", "cause"),
    [
        (silence, None),
        (too_much, None),
        (frame_first, ForgedError),
        (other_connection, ForgedError),
        (other_role, ForgedError),
    ],
)
async def test_who_proves_nothing_gets_no_link(
    attack: Callable[[Meeting], None],
    cause: type[PeerError] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the one right bind, in time and first, the connection is closed."""
    monkeypatch.setattr(switchboard, "BIND_SECONDS", 0.5)
    async with connected() as meeting:
        attack(meeting)

        await cut_off(meeting.hostile)

        assert meeting.honest.waiting == 0
        assert [type(each) for each in meeting.causes] == ([cause] if cause else [])
