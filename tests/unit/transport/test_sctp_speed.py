"""Less work for each packet changes nothing of what arrives."""

import asyncio
import random
from itertools import count
from typing import Any, Final

import pytest
from aiortc import rtcsctptransport
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from transport.chunks import Channel
from transport.rtc_parts import SCTP_PORT, Sctp, tune
from transport.sctp_speed import FastSctp, fits

MESSAGES: Final = 60
"""In each channel, each way."""


class Packets:
    """Stands for DTLS: packets are lost, doubled and overtake each other, by seed."""

    state = "connected"

    def __init__(self, dice: random.Random, loss: float, role: str) -> None:
        self._dice = dice
        self._loss = loss
        self._role = role
        self._receiver: Any = None
        self._under_way: set[asyncio.Task[None]] = set()
        self.count = 0
        self.other: Packets | None = None
        self.is_over = False

    def _register_data_receiver(self, receiver: object) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: object) -> None:
        self._receiver = None

    async def _send_data(self, packet: bytes) -> None:
        if self.is_over:
            raise ConnectionError
        self.count += 1
        loop = asyncio.get_running_loop()
        copies = 0 if self._dice.random() < self._loss else 1
        copies += self._loss > 0 and self._dice.random() < 0.02
        for _ in range(copies):
            delay = self._dice.random() * 0.002 if self._loss else 0
            loop.call_later(delay, self._arrive, packet)

    def _arrive(self, packet: bytes) -> None:
        assert self.other is not None
        self.other.take(packet)

    def take(self, packet: bytes) -> None:
        if self._receiver is not None:
            task = asyncio.create_task(self._receiver._handle_data(packet))  # noqa: SLF001 - as DTLS does
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)


class End:
    """One end: what it sends is made by seed, what it got is kept by channel."""

    def __init__(self, kind: type[Sctp], packets: Packets, dice: random.Random) -> None:
        self.got: dict[Channel, list[bytes]] = {channel: [] for channel in Channel}
        self.sends = {
            channel: [
                dice.randbytes(dice.choice((1, 900, 4_000, 16_384)))
                for _ in range(MESSAGES)
            ]
            for channel in Channel
        }
        self.is_hostile = False
        self.packets = packets
        self.sctp = kind(packets, self._take, self._refuse)  # type: ignore[arg-type]  # all of DTLS that it uses
        self.channels = {
            channel: RTCDataChannel(
                self.sctp,
                RTCDataChannelParameters(negotiated=True, id=channel),
            )
            for channel in Channel
        }
        self.changed = asyncio.Event()
        self.opened = asyncio.Event()
        self.channels[Channel.BULK].on("open", self.opened.set)

    def _take(self, channel: Channel, message: bytes) -> None:
        self.got[channel].append(message)
        self.changed.set()

    def _refuse(self) -> None:
        self.is_hostile = True

    async def run(self, expected: dict[Channel, list[bytes]]) -> None:
        """Send everything and wait until everything has come."""
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=16_384), SCTP_PORT)
        await self.opened.wait()
        for channel, messages in self.sends.items():
            for message in messages:
                self.channels[channel].send(message)
        while sum(map(len, self.got.values())) < sum(map(len, expected.values())):
            self.changed.clear()
            await self.changed.wait()


async def exchanged(
    left: type[Sctp], right: type[Sctp], *, loss: float, seed: int
) -> tuple[End, End]:
    """Exchange messages over a bad network; return both ends."""
    tune()
    dice = random.Random(seed)
    a = End(left, Packets(dice, loss, "server"), dice)
    b = End(right, Packets(dice, loss, "client"), dice)
    a.packets.other, b.packets.other = b.packets, a.packets
    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        tasks.create_task(a.run(b.sends))
        tasks.create_task(b.run(a.sends))
    await a.sctp.stop()
    await b.sctp.stop()
    return a, b


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [0, 0.05])
@pytest.mark.parametrize(
    ("left", "right"), [(FastSctp, FastSctp), (FastSctp, Sctp), (Sctp, FastSctp)]
)
async def test_what_was_sent_arrives(
    left: type[Sctp], right: type[Sctp], loss: float, seed: int
) -> None:
    """With loss, doubles and disorder, every message arrives once and in order."""
    a, b = await exchanged(left, right, loss=loss, seed=seed)

    assert a.got == b.sends
    assert b.got == a.sends
    assert not a.is_hostile
    assert not b.is_hostile


async def test_numbers_of_packets_go_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the numbers of packets begin again at 0, nothing is lost."""
    numbers = count(2**32 - 50)
    monkeypatch.setattr(rtcsctptransport, "random32", lambda: next(numbers))

    a, b = await exchanged(FastSctp, FastSctp, loss=0.05, seed=4)

    assert (a.got, b.got) == (b.sends, a.sends)


async def test_fewer_packets_are_acknowledged_one_by_one() -> None:
    """On a good network fewer packets go back and forth for the same messages."""
    slow = await exchanged(Sctp, Sctp, loss=0, seed=1)
    fast = await exchanged(FastSctp, FastSctp, loss=0, seed=1)

    assert [end.got for end in fast] == [end.got for end in slow]
    packets = [sum(end.packets.count for end in ends) for ends in (fast, slow)]
    assert packets[0] < 0.8 * packets[1]


@pytest.mark.parametrize("kind", [FastSctp, Sctp])
async def test_a_connection_that_ends_while_sending_ends_no_task_badly(
    kind: type[Sctp],
) -> None:
    """Nobody waits for the tasks in which aiortc sends; none may raise."""
    tune()
    dice = random.Random(5)
    a, b = (End(kind, Packets(dice, 0, role), dice) for role in ("server", "client"))
    a.packets.other, b.packets.other = b.packets, a.packets
    async with asyncio.timeout(120):
        for end in (a, b):
            await end.sctp.start(RTCSctpCapabilities(maxMessageSize=16_384), SCTP_PORT)
        await a.opened.wait()
        a.packets.is_over = b.packets.is_over = True
        a.channels[Channel.BULK].send(b"into the void")
        sending = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(sending)
    assert a.sctp._sent_queue  # noqa: SLF001 - it was sent, or what came of it
    assert [task.exception() for task in sending] == [None] * len(sending)
    await a.sctp.stop()
    await b.sctp.stop()


def test_the_installed_libraries_are_those_that_are_known() -> None:
    """The versions of constraints.txt are those that the faster way was made for."""
    assert fits()
