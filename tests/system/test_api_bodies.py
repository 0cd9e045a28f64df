"""The WebSocket of bodies and its tickets: who may come in, and when they must go."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

from daemon.live.y_protocol import (
    MAX_MESSAGE_BYTES,
    Message,
    Missing,
    StateVector,
    Update,
    decode_message,
    encode_message,
)
from tests.support.daemons import Api, Daemon, node_path, serving
from tests.support.yjs_clients import YjsClient

KEY: Final = "mill"
PATH: Final = f"/v1/bodies/{KEY}"
MEGABYTE: Final = 1024 * 1024
CLIENTS: Final = map(YjsClient, count(1001))
"""Editors that nobody has met: under a known client id nothing would be new."""


@pytest.fixture(autouse=True)
def _node(api: Api) -> None:
    """Make the node, with an empty body."""
    api.put_node(KEY)
    api.request("PUT", node_path(KEY, "/body"), content=b"")


def ticket_for(api: Api, path: str = PATH) -> str:
    """Return a ticket for a path."""
    answer = api.request("POST", "/v1/tickets", {"path": path})
    assert answer.status == 201, answer
    return str(answer.document["ticket"])


@asynccontextmanager
async def connected(
    api: Api, headers: Mapping[str, str] | None = None, query: str = ""
) -> AsyncIterator[ClientWebSocketResponse]:
    """Open the body with the token, or with these headers and this query instead."""
    given = {"Authorization": f"Bearer {api.token}"} if headers is None else headers
    url = f"http://127.0.0.1:{api.port}{PATH}{query}"
    async with (
        ClientSession() as session,
        session.ws_connect(url, headers=given, max_msg_size=0) as socket,
    ):
        yield socket


async def receive(socket: ClientWebSocketResponse) -> Message:
    """Return the next message."""
    return decode_message(await socket.receive_bytes(timeout=30))


async def ended(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    """Return how the daemon ends a connection."""
    while True:
        message = await socket.receive(timeout=30)
        if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR}:
            return socket.close_code, str(message.extra)


def refusal(
    api: Api, path: str = PATH, headers: Mapping[str, str] | None = None
) -> int:
    """Return the status with which an upgrade is refused."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    return api.request("GET", path, headers={**upgrade, **(headers or {})}).status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {"Authorization": "Bearer wrong"}, 401),
        (PATH, {"Authorization": ""}, 401),
        (PATH, {"Origin": "https://evil.example"}, 403),
        (PATH, {"Host": "evil.example"}, 403),
        ("/v1/bodies/absent", {}, 404),
        (PATH, {"Upgrade": "other"}, 426),
        (PATH, {"Sec-WebSocket-Version": "1"}, 426),
    ],
)
def test_who_may_not_come_in(
    api: Api, path: str, headers: Mapping[str, str], status: int
) -> None:
    """Before the upgrade a request is judged as every other of the API is."""
    assert refusal(api, path, headers) == status


async def test_a_page_of_the_daemon_comes_in_with_a_ticket(api: Api) -> None:
    """A browser sends no token but its origin; the ticket is good again and again."""
    ticket = ticket_for(api)
    origin = {"Origin": f"http://127.0.0.1:{api.port}"}
    for _ in range(2):
        async with connected(api, origin, f"?ticket={ticket}") as socket:
            await socket.send_bytes(encode_message(StateVector(b"\x00")))
            assert isinstance(await receive(socket), Missing)


def test_a_ticket_opens_nothing_else(api: Api) -> None:
    """Neither another body, nor another route, nor what is asked by another page."""
    ticket = ticket_for(api)
    api.put_node("roof")
    none = {"Authorization": ""}
    without = {**none, "Origin": "https://evil.example"}

    assert refusal(api, f"/v1/bodies/roof?ticket={ticket}", none | {"X": ""}) == 401
    assert refusal(api, f"{PATH}?ticket={ticket}x", none) == 401
    assert refusal(api, f"/v1/events?ticket={ticket}", none) == 401
    assert refusal(api, f"/v1/status?ticket={ticket}", none) == 401
    assert refusal(api, f"{PATH}?ticket={ticket}", without) == 403


async def test_events_are_read_with_a_ticket(api: Api) -> None:
    """An event stream opens with a ticket, for browsers set no header there either."""
    ticket = ticket_for(api, "/v1/events")
    url = f"http://127.0.0.1:{api.port}/v1/events?ticket={ticket}"
    async with ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert await response.content.readline() == b": listening\n"


async def test_an_update_is_stored_and_comes_back(api: Api) -> None:
    """What was sent comes back once it is durable, and is the body."""
    update = next(CLIENTS).insert(0, "Räder 💧")
    async with connected(api) as socket:
        await socket.send_bytes(encode_message(Update(update)))

        assert await receive(socket) == Update(update)
        body = api.request("GET", node_path(KEY, "/body")).content
        assert body.decode() == "Räder 💧"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", 4400),
        (b"\x63", 4400),
        (encode_message(StateVector(b"\x05")), 4400),
        (encode_message(Update(b"\x01")), 4403),
        (encode_message(Update(bytes.fromhex("01016101000000"))), 4403),
        (bytes(MAX_MESSAGE_BYTES + 2), 1009),
        ("text", 1003),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_hostile_messages_end_their_connection(
    api: Api, message: bytes | str, code: int
) -> None:
    """Who sends what cannot be is sent away with a code; others do not notice."""
    async with connected(api) as good, connected(api) as bad:
        if isinstance(message, str):
            await bad.send_str(message)
        else:
            with suppress(ConnectionError):
                await bad.send_bytes(message)
        # Who still sends when the end comes may see only that it has come.
        ends = {code, 1006} if len(message) > MAX_MESSAGE_BYTES else {code}
        assert (await ended(bad))[0] in ends

        update = next(CLIENTS).insert(0, "a")
        await good.send_bytes(encode_message(Update(update)))
        assert await receive(good) == Update(update)


async def test_who_does_not_read_is_let_go(daemon: Daemon, api: Api) -> None:
    """A client that reads nothing costs little memory, and only its own connection."""
    client = next(CLIENTS)
    before = resident_bytes(daemon)
    async with connected(api) as slow, connected(api) as writer:
        await slow.send_bytes(encode_message(StateVector(b"\x00")))
        for _ in range(40):
            update = client.insert(0, "x" * MEGABYTE)
            await writer.send_bytes(encode_message(Update(update)))
            assert isinstance(await receive(writer), Update)
            await writer.send_bytes(encode_message(Update(client.delete(0, MEGABYTE))))
            assert isinstance(await receive(writer), Update)

        code, _ = await ended(slow)
        assert code in {1006, 1013}
        assert resident_bytes(daemon) - before < 150 * MEGABYTE


async def test_the_daemon_stops_with_clients_connected(tmp_path: Path) -> None:
    """A stop tells every client to come back later, and waits for none of them."""
    with serving(tmp_path / "home") as daemon:
        daemon.api.put_node(KEY)
        async with connected(daemon.api) as socket, connected(daemon.api):
            await socket.send_bytes(encode_message(StateVector(b"\x00")))
            await receive(socket)
            daemon.process.terminate()  # type: ignore[union-attr]  # it is running

            code, reason = await ended(socket)
        assert daemon.stop() == 0

    assert (code, "stopping" in reason) == (1001, True)


async def test_nothing_of_it_is_logged(tmp_path: Path) -> None:
    """Neither a ticket nor a text stands in the log, whatever goes wrong."""
    with serving(tmp_path / "home") as daemon:
        daemon.api.put_node(KEY)
        ticket = ticket_for(daemon.api)
        query = f"?ticket={ticket}"
        async with connected(daemon.api, {}, query) as socket:
            word = next(CLIENTS).insert(0, "confidential")
            await socket.send_bytes(encode_message(Update(word + b"\0")))
            await ended(socket)
        refusal(daemon.api, f"{PATH}{query}&colour=red", {"Authorization": ""})
        refusal(daemon.api, f"/v1/bodies/other{query}", {"Authorization": ""})
        assert daemon.stop() == 0

        assert ticket not in daemon.log
        assert "confidential" not in daemon.log


def resident_bytes(daemon: Daemon) -> int:
    """Return how much memory a daemon has."""
    figures: Any = daemon.api.request("GET", "/metrics").content.decode()
    (line,) = (
        each
        for each in figures.splitlines()
        if each.startswith("fractality_resident_bytes ")
    )
    return int(float(line.split()[1]))
