"""Clients of the npm package y-websocket edit bodies of real daemons."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.interop.conftest import Clients
from tests.support.daemons import Api, Daemon, node_path, serving, wait_until

KEY: Final = "mill ⚙️/a"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Serve a home for all tests of this file."""
    with serving(tmp_path_factory.mktemp("live") / "home") as daemon:
        yield daemon


@pytest.fixture
def api(daemon: Daemon) -> Api:
    """Give each test a node without a body."""
    daemon.api.request("DELETE", node_path(KEY))
    daemon.api.put_node(KEY)
    daemon.api.request("PUT", node_path(KEY, "/body"), content=b"")
    return daemon.api


def open_client(clients: Clients, api: Api, name: str, key: str = KEY) -> None:
    """Open a body with a ticket, as a page does."""
    from urllib.parse import quote

    path = f"/v1/bodies/{quote(key, safe='')}"
    answer = api.request("POST", "/v1/tickets", {"path": path})
    assert answer.status == 201
    clients.open(name, api.port, key, ticket=answer.document["ticket"])


def body(api: Api) -> str:
    """Return the body as the API answers it."""
    return api.request("GET", node_path(KEY, "/body")).content.decode()


def test_two_clients_type_into_one_text(api: Api, clients: Clients) -> None:
    """What both type at once is in both, and durable, in the same order."""
    open_client(clients, api, "ada")
    open_client(clients, api, "bob")

    clients.ask("type", "ada", at=0, word="The mill turns. 💧")
    clients.ask("type", "bob", at=0, word="Who pays for the roof?")
    parts = ["The mill turns. 💧", "Who pays for the roof?"]
    clients.ask("contains", "ada", parts=parts)
    clients.ask("contains", "bob", parts=parts)

    assert clients.text("ada") == clients.text("bob")
    wait_until(lambda: body(api) == clients.text("ada"))
