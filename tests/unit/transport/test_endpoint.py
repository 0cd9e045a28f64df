"""The endpoint for peers, and what strangers get of it."""

import asyncio
import socket

import pytest

from tests.support.meeting import HIGHER, LOWER, ROSTER
from transport import endpoint as endpoints
from transport.addresses import Address
from transport.endpoint import Endpoint, PortInUseError, PostError, PostFailure, post
from transport.requests import format_request, format_response
from transport.switchboard import Switchboard

SILENCE = format_response(None)


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


async def asked(port: int, request: bytes, source: str = "127.0.0.1") -> bytes:
    """Return all that an endpoint says to a stranger's bytes."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(source, 0)
    )
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"x" * 5000,
        b"POST /fractality/1/" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
        format_request("h", "other", b"x"),
        format_request("h", "echo", b""),
        format_request("h", "broken", b"x"),
        format_request("h", "echo", bytes(20_000)),
    ],
)
async def test_whatever_is_wrong_gets_the_same_silence(request_bytes: bytes) -> None:
    """A browser, a scanner, a mistake and a fault of ours are answered alike."""
    faults: list[Exception] = []

    async def broken(body: bytes, source: str) -> bytes:
        raise KeyError(source)

    handlers = {"echo": echo, "broken": broken}
    async with Endpoint(0, handlers, failed=faults.append) as endpoint:
        answer = await asked(endpoint.port, request_bytes)

    # Who sends more than is read may lose the answer to a reset.
    assert answer == SILENCE or (answer == b"" and len(request_bytes) > 4096)
    assert len(faults) == (b"broken" in request_bytes)


async def test_a_slow_stranger_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not finish a request in time is cut off without a word."""
    monkeypatch.setattr(endpoints, "READ_SECONDS", 0.1)
    async with asyncio.timeout(10), Endpoint(0, {"echo": echo}) as endpoint:
        for beginning in (b"", b"POST /", format_request("h", "echo", b"xy")[:-1]):
            assert await asked(endpoint.port, beginning) == b""


async def test_a_greedy_stranger_waits() -> None:
    """Beyond its burst an address gets silence, and only it."""
    async with Endpoint(0, {"echo": echo}) as endpoint:
        request = format_request("h", "echo", b"x")
        for _ in range(endpoints.BURST):
            assert (await asked(endpoint.port, request)).endswith(b"127.0.0.1 x")

        assert await asked(endpoint.port, request) == SILENCE
        other = await asked(endpoint.port, request, source="127.0.0.2")
        assert other.endswith(b"127.0.0.2 x")


async def test_connections_of_one_address_are_counted() -> None:
    """An address that holds its connections open gets no more of them."""
    async with asyncio.timeout(10), Endpoint(0, {"echo": echo}) as endpoint:
        held = [
            await asyncio.open_connection("127.0.0.1", endpoint.port)
            for _ in range(endpoints.MAX_CONNECTIONS_OF_ONE)
        ]
        request = format_request("h", "echo", b"x")

        assert await asked(endpoint.port, request) == b""
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while not await asked(endpoint.port, request):
                pass


async def test_an_endpoint_that_is_left_is_gone() -> None:
    """Leaving cuts off open requests and frees the port, for the next to take."""

    async def forever(body: bytes, source: str) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        async with Endpoint(0, {"forever": forever}) as endpoint:
            port = endpoint.port
            waiting = asyncio.create_task(
                asked(port, format_request("h", "forever", b"x"))
            )
            await asyncio.sleep(0.01)
            with pytest.raises(PortInUseError, match="taken by another program"):
                await Endpoint(port, {}).__aenter__()
        assert await waiting == b""
        with pytest.raises(PostError) as caught:
            await post(Address("127.0.0.1", port), "echo", b"x")
        assert caught.value.failure is PostFailure.UNREACHABLE
        async with Endpoint(port, {}):
            pass


async def test_both_families_are_served() -> None:
    """IPv6 leads to the same endpoint as IPv4, where the machine has it."""
    async with Endpoint(0, {"echo": echo}) as endpoint:
        if has_ipv6():
            answer = await post(Address("::1", endpoint.port), "echo", b"x")
            assert answer == b"::1 x"
        assert await post(Address("127.0.0.1", endpoint.port), "echo", b"x")


def has_ipv6() -> bool:
    """Whether this machine has a loopback of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "nowhere.invalid", "x" * 64 + ".invalid"]
)
async def test_an_address_that_leads_nowhere_is_told(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No route, no such name, no possible name: unreachable, in bounded time."""
    monkeypatch.setattr(endpoints, "CONNECT_SECONDS", 0.2)
    with pytest.raises(PostError) as caught:
        await post(Address(host, 7374), "echo", b"x")

    assert caught.value.failure is PostFailure.UNREACHABLE


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"SSH-2.0-x\r\n" * 1000,
        bytes(100_000),
    ],
)
async def test_a_hostile_endpoint_is_silent_at_worst(response: bytes) -> None:
    """Whatever listens at an address, a post ends with an answer or `PostError`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with asyncio.timeout(10), server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PostError):
            await post(Address("127.0.0.1", port), "echo", b"x")
