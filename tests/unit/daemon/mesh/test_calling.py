"""One dial: which way led to the device, and what it means if none did."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crdt.ids import DeviceId
from daemon.mesh.calling import SIGNAL, Reached, call
from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport.addresses import Address
from transport.dialing import Step
from transport.endpoint import Endpoint
from transport.link import Link
from transport.reasons import Failure, FailureCause
from transport.switchboard import Switchboard


class NoIntroduction:
    """Has nothing to show to a device that keeps silent."""

    async def question(self, peer: DeviceId) -> bytes | None:
        assert peer == HIGHER.device
        return None

    async def take(self, sealed: bytes) -> None:
        raise AssertionError(sealed)


async def nobody_carries(peer: DeviceId, offer: bytes) -> bytes | None:
    assert peer == HIGHER.device
    assert offer
    return None


@asynccontextmanager
async def devices() -> AsyncIterator[tuple[Switchboard, Switchboard, Address]]:
    """Run two devices; give both, and the address of the higher one."""
    async with (
        Switchboard(LOWER, ROSTER.get) as lower,
        Switchboard(HIGHER, ROSTER.get) as higher,
        Endpoint(0, {SIGNAL: higher.answer}) as endpoint,
    ):
        yield lower, higher, Address("127.0.0.1", endpoint.port)


def nobody_there() -> Address:
    """Return an address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", taken.getsockname()[1])


async def close(*links: Link) -> None:
    for link in links:
        await link.aclose()


async def test_the_address_that_answered_is_told() -> None:
    """Of several ways the one that led to the device is remembered."""
    async with devices() as (lower, higher, address):
        steps = (Step(nobody_there(), 0), Step(address, 50))
        outcome, accepted = await asyncio.gather(
            call(lower, HIGHER.device, steps, nobody_carries, NoIntroduction()),
            higher.accept(),
        )

        assert isinstance(outcome, Reached)
        assert outcome.address == address
        await close(outcome.link, accepted)


async def test_a_carried_answer_tells_no_address() -> None:
    """By a common peer the device is reached, and nothing is learnt of where it is."""
    async with devices() as (lower, higher, _):

        async def carry(peer: DeviceId, offer: bytes) -> bytes | None:
            assert peer == HIGHER.device
            return await higher.answer(offer)

        outcome, accepted = await asyncio.gather(
            call(lower, HIGHER.device, (Step(None, 0),), carry, NoIntroduction()),
            higher.accept(),
        )

        assert isinstance(outcome, Reached)
        assert outcome.address is None
        await close(outcome.link, accepted)


async def test_nobody_anywhere_is_unreachable() -> None:
    """If nothing listens at any address, that is the cause."""
    async with devices() as (lower, _, _):
        steps = (Step(nobody_there(), 0), Step(None, 0))
        outcome = await call(
            lower, HIGHER.device, steps, nobody_carries, NoIntroduction()
        )

        assert outcome == Failure(FailureCause.UNREACHABLE)


async def test_somebody_else_does_not_answer() -> None:
    """If something listens that is not the device, that is the cause."""
    async with devices() as (lower, _, _):

        async def silence(body: bytes, source: str) -> bytes | None:
            assert body
            assert source
            return None

        async with Endpoint(0, {SIGNAL: silence}) as stranger:
            steps = (Step(Address("127.0.0.1", stranger.port), 0),)
            outcome = await call(
                lower, HIGHER.device, steps, nobody_carries, NoIntroduction()
            )

        assert outcome == Failure(FailureCause.UNANSWERED)
