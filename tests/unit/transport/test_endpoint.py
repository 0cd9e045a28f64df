"""The endpoint for peers, and what strangers get of it."""

import asyncio

import pytest

from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport.addresses import Address
from transport.endpoint import Endpoint, PostError, PostFailure, post
from transport.switchboard import Switchboard


async def test_two_devices_meet_through_an_endpoint() -> None:
    """An offer posted to the endpoint of a device brings a link to it."""
    async with (
        asyncio.timeout(20),
        Switchboard(LOWER, ROSTER.get) as here,
        Switchboard(HIGHER, ROSTER.get) as there,
        Endpoint(0, {"signal": there.answer}) as endpoint,
    ):
        link = await here.dial(
            HIGHER.device,
            lambda offer: post(Address("127.0.0.1", endpoint.port), "signal", offer),
        )
        other = await there.accept()
        await link.send(b"hello")

        assert (link.peer, other.peer) == (HIGHER.device, LOWER.device)
        assert await other.receive() == b"hello"


async def echo(body: bytes, source: str) -> bytes | None:
    """Answer with what came, but say nothing to nothing."""
    return source.encode() + b" " + body if body else None


async def test_a_handler_answers() -> None:
    """What a handler returns is the answer; None is silence."""
    async with Endpoint(0, {"echo": echo}) as endpoint:
        address = Address("127.0.0.1", endpoint.port)

        assert await post(address, "echo", b"hello") == b"127.0.0.1 hello"
        for name, body in (("echo", b""), ("other", b"hello"), ("echo", bytes(16385))):
            with pytest.raises(PostError) as caught:
                await post(address, name, body)
            assert caught.value.failure is PostFailure.SILENT
