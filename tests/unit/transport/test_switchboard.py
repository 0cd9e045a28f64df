"""How links come about, and how attempts leave nothing behind."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.meeting import HIGHER, LOWER, ROSTER, STRANGER, known
from transport import switchboard
from transport.admission import ReplayedError
from transport.link import Link
from transport.signalling import ClockSkewError, StrangerError
from transport.switchboard import DialError, DialFailure, Switchboard

if TYPE_CHECKING:
    from crdt.errors import PeerError

OPEN_FILES: Final = Path("/proc/self/fd")


async def silence(offer: bytes) -> None:
    """Carry an offer to nobody."""


async def crossed(
    here: Switchboard, there: Switchboard, both: asyncio.Barrier
) -> Link | DialFailure:
    """Dial `there` while it dials us; return the link or why there is none."""

    async def carry(offer: bytes) -> bytes | None:
        await both.wait()
        return await there.answer(offer)

    try:
        return await here.dial(there.me, carry)
    except DialError as error:
        return error.failure


async def test_of_two_dials_that_cross_one_link_survives() -> None:
    """When both dial at once, each side gets one link, and it is the same."""
    async with (
        asyncio.timeout(30),
        Switchboard(LOWER, ROSTER.get) as lower,
        Switchboard(HIGHER, ROSTER.get) as higher,
    ):
        for _ in range(3):
            both = asyncio.Barrier(2)
            async with asyncio.TaskGroup() as tasks:
                ours = tasks.create_task(crossed(lower, higher, both))
                theirs = tasks.create_task(crossed(higher, lower, both))
            link, accepted = ours.result(), await higher.accept()

            assert not isinstance(link, DialFailure)
            assert theirs.result() is DialFailure.SUPERSEDED
            assert lower.waiting == higher.waiting == 0
            await link.send(b"one")
            assert await accepted.receive() == b"one"
            await link.aclose()
            await accepted.aclose()


async def test_a_dial_that_does_not_get_through_gives_way() -> None:
    """The higher device's offer is answered while the lower's own goes nowhere."""
    async with (
        asyncio.timeout(30),
        Switchboard(LOWER, ROSTER.get) as lower,
        Switchboard(HIGHER, ROSTER.get) as higher,
        asyncio.TaskGroup() as tasks,
    ):
        lost = asyncio.Event()

        async def lose(offer: bytes) -> None:
            lost.set()
            await asyncio.Event().wait()

        async def hopeless() -> DialFailure:
            with pytest.raises(DialError) as caught:
                await lower.dial(HIGHER.device, lose)
            return caught.value.failure

        superseded = tasks.create_task(hopeless())
        await lost.wait()
        link = await higher.dial(LOWER.device, lower.answer)

        assert (await lower.accept()).peer == HIGHER.device
        assert link.peer == LOWER.device
        assert await superseded is DialFailure.SUPERSEDED


async def test_a_dial_without_answer_fails() -> None:
    """Silence, nonsense and strangers are told apart to who dialled."""

    async def nonsense(offer: bytes) -> bytes:
        return b"nonsense"

    async with Switchboard(LOWER, ROSTER.get) as here:
        for carry, failure in (
            (silence, DialFailure.NO_ANSWER),
            (nonsense, DialFailure.NOT_PROVED),
        ):
            with pytest.raises(DialError) as caught:
                await here.dial(HIGHER.device, carry)
            assert caught.value.failure is failure
        with pytest.raises(StrangerError):
            await here.dial(STRANGER.device, silence)


async def offered(here: Switchboard) -> bytes:
    """Return the offer that a device makes to the higher one."""
    offers: list[bytes] = []

    async def keep(offer: bytes) -> None:
        offers.append(offer)

    with pytest.raises(DialError):
        await here.dial(HIGHER.device, keep)
    return offers[0]


async def test_what_is_not_answered_opens_nothing() -> None:
    """Strangers, removed devices, replays, late and broken offers get silence only."""
    causes: list[PeerError] = []
    roster = dict(ROSTER)
    everybody = roster | {STRANGER.device: known(STRANGER)}
    async with (
        Switchboard(HIGHER, roster.get, refused=causes.append) as there,
        Switchboard(LOWER, roster.get) as here,
        Switchboard(LOWER, roster.get, wall_ms=lambda: 0) as late,
        Switchboard(STRANGER, everybody.get) as stranger,
    ):
        offer = await offered(here)
        assert await there.answer(offer)
        bad = [
            offer,
            await offered(late),
            await offered(stranger),
            b"",
            offer[:-1],
            bytes(100_000),
        ]
        files = set(os.listdir(OPEN_FILES))
        for each in bad:
            assert await there.answer(each) is None
        fresh = await offered(here)
        roster[LOWER.device] = known(LOWER, is_removed=True)
        assert await there.answer(fresh) is None

        assert set(os.listdir(OPEN_FILES)) <= files
    assert [type(cause) for cause in causes[:3]] == [
        ReplayedError,
        ClockSkewError,
        StrangerError,
    ]
    assert len(causes) == len(bad) + 1


async def test_a_device_removed_meanwhile_gets_no_link() -> None:
    """Who is removed between answer and bind is cut off."""
    roster = dict(ROSTER)
    causes: list[PeerError] = []
    async with (
        asyncio.timeout(20),
        Switchboard(LOWER, ROSTER.get) as here,
        Switchboard(HIGHER, roster.get, refused=causes.append) as there,
    ):

        async def carry(offer: bytes) -> bytes | None:
            answer = await there.answer(offer)
            roster[LOWER.device] = known(LOWER, is_removed=True)
            return answer

        link = await here.dial(HIGHER.device, carry)
        with pytest.raises(Exception, match="over"):
            await link.receive()

        assert [type(cause) for cause in causes] == [StrangerError]
        assert there.waiting == 0


class CutShort(Awaitable[Any]):
    """Runs a coroutine and cancels it when it waits for the n-th time."""

    def __init__(self, running: Coroutine[Any, Any, Any], waits: int) -> None:
        self.was_cut = False
        self._running = running
        self._waits = waits

    def __await__(self) -> Generator[Any, Any, Any]:
        waited = 0
        try:
            waiting = self._running.send(None)
            while True:
                if waited == self._waits:
                    self.was_cut = True
                    waiting = self._running.throw(asyncio.CancelledError())
                waited += 1
                yield waiting
                waiting = self._running.send(None)
        except StopIteration as stop:
            return stop.value
        except asyncio.CancelledError:
            return None


async def dial_cut(here: Switchboard, there: Switchboard, waits: int) -> bool:
    cut = CutShort(here.dial(HIGHER.device, there.answer), waits)
    link = await cut
    if link is not None:
        await link.aclose()
    return cut.was_cut


async def answer_cut(here: Switchboard, there: Switchboard, waits: int) -> bool:
    cut = CutShort(there.answer(await offered(here)), waits)
    await cut
    return cut.was_cut


async def send_cut(here: Switchboard, there: Switchboard, waits: int) -> bool:
    link = await here.dial(HIGHER.device, there.answer)
    other = await there.accept()
    frame = bytes(2**17)
    cut = CutShort(link.send(frame, is_bulk=True), waits)
    await cut
    await link.send(b"next", is_bulk=True)
    if await other.receive() == frame:
        assert await other.receive() == b"next"
    return cut.was_cut


@pytest.mark.parametrize("attempt", [dial_cut, answer_cut, send_cut])
async def test_a_cancel_at_any_point_leaves_nothing(
    attempt: Callable[[Switchboard, Switchboard, int], Awaitable[bool]],
) -> None:
    """Wherever it is cancelled, no socket and no task stays when all is closed."""
    files = len(os.listdir(OPEN_FILES))
    waits = 0
    was_cut = True
    while was_cut:
        async with (
            asyncio.timeout(20),
            Switchboard(LOWER, ROSTER.get) as here,
            Switchboard(HIGHER, ROSTER.get) as there,
        ):
            was_cut = await attempt(here, there, waits)
        waits += 1
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert len(os.listdir(OPEN_FILES)) == files

    assert waits > 1


async def test_leaving_ends_all_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, half-made links and waiting ones all end with their switchboard."""
    monkeypatch.setattr(switchboard, "CONNECT_SECONDS", 600)
    files = len(os.listdir(OPEN_FILES))
    async with asyncio.timeout(20), Switchboard(LOWER, ROSTER.get) as here:
        async with Switchboard(HIGHER, ROSTER.get) as there:
            link = await here.dial(HIGHER.device, there.answer)
            assert await there.answer(await offered(here))

        with pytest.raises(Exception, match="closed by the peer"):
            await link.receive()
        await link.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(os.listdir(OPEN_FILES)) == files


async def test_an_error_comes_out_as_it_is() -> None:
    """What goes wrong while links are open is neither wrapped nor swallowed."""

    async def fail() -> None:
        async with (
            Switchboard(LOWER, ROSTER.get) as here,
            Switchboard(HIGHER, ROSTER.get) as there,
        ):
            await here.dial(HIGHER.device, there.answer)
            await there.answer(await offered(here))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_without_a_network_devices_of_one_machine_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is no address but the machine's own, that one serves."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    async with (
        asyncio.timeout(20),
        Switchboard(LOWER, ROSTER.get) as here,
        Switchboard(HIGHER, ROSTER.get) as there,
    ):
        link = await here.dial(HIGHER.device, there.answer)
        await link.send(b"hello")

        assert await (await there.accept()).receive() == b"hello"
