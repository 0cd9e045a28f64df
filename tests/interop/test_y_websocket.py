"""Clients of the npm package y-websocket edit bodies of real daemons."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from tests.interop.conftest import Clients
from tests.support.daemons import Api, Daemon, node_path, serving, wait_until
from tests.support.device_groups import devices

KEY: Final = "mill ⚙️/100 %"
VECTORS: Final = Path(__file__).parents[1] / "vectors" / "y_websocket.json"
TURNS: Final = "The mill turns. 💧"
ROOF: Final = "Who pays for the roof?"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Serve a home for all tests of this file."""
    with serving(tmp_path_factory.mktemp("live") / "home") as daemon:
        yield daemon


@pytest.fixture
def api(daemon: Daemon) -> Api:
    """Give each test a node whose body is empty."""
    daemon.api.put_node(KEY)
    put_body(daemon.api, "")
    return daemon.api


def open_body(
    clients: Clients, api: Api, name: str, *, key: str = KEY, client: int = 0
) -> None:
    """Open the body with a ticket, as a page does, and wait for what it holds."""
    path = f"/v1/bodies/{quote(key, safe='')}"
    answer = api.request("POST", "/v1/tickets", {"path": path})
    assert answer.status == 201
    clients.open(name, api.port, key, client, ticket=answer.document["ticket"])


def put_body(api: Api, text: str, key: str = KEY) -> None:
    """Replace the body as a program does."""
    answer = api.request("PUT", node_path(key, "/body"), content=text.encode())
    assert answer.status == 204, answer


def body(api: Api, key: str = KEY) -> str:
    """Return the body as the API answers it."""
    return api.request("GET", node_path(key, "/body")).content.decode()


def test_the_golden_messages_are_those_of_the_packages(clients: Clients) -> None:
    """y-protocols writes every message as the golden vectors have it."""
    vectors = json.loads(VECTORS.read_text())["accepted"]

    assert {each["name"]: each["hex"] for each in vectors} == clients.ask("messages")


def test_two_clients_type_into_one_text(api: Api, clients: Clients) -> None:
    """What both type at once is in both and in the store, in one order."""
    open_body(clients, api, "ada")
    open_body(clients, api, "bob")

    clients.ask("type", "ada", at=0, word=TURNS)
    clients.ask("type", "bob", at=0, word=ROOF)
    for name in ("ada", "bob"):
        clients.ask("contains", name, parts=[TURNS, ROOF])

    assert clients.text("ada") == clients.text("bob")
    wait_until(lambda: body(api) == clients.text("ada"))


def test_offline_edits_come_in_when_back(api: Api, clients: Clients) -> None:
    """What was typed and deleted without a connection is merged when it is back."""
    put_body(api, "old words")
    open_body(clients, api, "ada")
    open_body(clients, api, "bob")
    clients.ask("disconnect", "ada")
    clients.ask("edit", "ada", delta=[{"delete": 4}])
    clients.ask("type", "ada", at=5, word="!")
    clients.ask("type", "bob", at=9, word="?")
    wait_until(lambda: body(api) == "old words?")

    clients.ask("connect", "ada")
    for name in ("ada", "bob"):
        clients.ask("contains", name, parts=["words", "!", "?"])

    assert clients.text("ada") == clients.text("bob")
    assert not clients.text("ada").startswith("old")
    wait_until(lambda: body(api) == clients.text("ada"))


def test_edits_survive_a_restart_of_the_daemon(
    daemon: Daemon, api: Api, clients: Clients
) -> None:
    """A client goes on when the daemon is back, after a kill as well."""
    port = api.port
    open_body(clients, api, "ada")
    clients.ask("type", "ada", at=0, word=TURNS)
    clients.ask("stored", "ada")
    daemon.kill()
    clients.ask("type", "ada", at=0, word=ROOF)
    daemon.start("--port", str(port))
    ticket = daemon.api.request(
        "POST", "/v1/tickets", {"path": f"/v1/bodies/{quote(KEY, safe='')}"}
    ).document["ticket"]
    clients.ask("params", "ada", params={"ticket": ticket})

    wait_until(lambda: body(daemon.api) == ROOF + TURNS)


def test_a_program_changes_the_text_under_a_client(api: Api, clients: Clients) -> None:
    """A PUT of the body reaches open clients live and keeps what they just typed."""
    open_body(clients, api, "ada")
    clients.ask("type", "ada", at=0, word="one two")
    wait_until(lambda: body(api) == "one two")

    put_body(api, "one and two")

    clients.ask("reads", "ada", expected="one and two")


def test_clients_see_each_other(api: Api, clients: Clients) -> None:
    """Presence reaches the others, and ends with the connection."""
    open_body(clients, api, "ada")
    open_body(clients, api, "bob")
    clients.ask("show", "ada", state={"name": "Ada"})
    clients.ask("show", "bob", state={"name": "Bob"})

    clients.ask("sees", "bob", names=["Ada"])
    clients.ask("sees", "ada", names=["Bob"])
    clients.ask("cut", "ada")
    clients.ask("sees", "bob", names=[])


def test_a_deleted_node_sends_clients_away(api: Api, clients: Clients) -> None:
    """Clients are told why, stay away, and lose nothing: a restore brings all back."""
    open_body(clients, api, "ada")
    api.request("DELETE", node_path(KEY))
    closed = clients.ask("closed", "ada")
    clients.ask("type", "ada", at=0, word=TURNS)
    api.request("POST", node_path(KEY, "/restore"))
    clients.ask("connect", "ada")

    assert closed["code"] == 4404
    assert "deleted" in closed["reason"]
    wait_until(lambda: body(api) == TURNS)


def test_a_forger_is_sent_away(api: Api, clients: Clients) -> None:
    """A client under a device's own client id is told so, and others go on."""
    key = "written by the device alone"
    api.put_node(key)
    put_body(api, "from the device", key)
    open_body(clients, api, "ada", key=key)
    (device,) = clients.ask("writers", "ada")["clients"]
    open_body(clients, api, "eve", key=key, client=device)
    clients.ask("stay", "eve", client=device)
    clients.ask("type", "eve", at=0, word="forged")

    assert clients.ask("closed", "eve")["code"] == 4403
    clients.ask("type", "ada", at=0, word="Still ")
    wait_until(lambda: body(api, key) == "Still from the device")


def test_two_devices_type_into_one_text(tmp_path: Path, clients: Clients) -> None:
    """Clients of two daemons that are in step come to one text, stored on both."""
    with devices(tmp_path, "laptop", "phone") as daemons:
        here, there = (daemon.api for daemon in daemons)
        here.put_node(KEY)
        wait_until(lambda: there.request("GET", node_path(KEY)).status == 200)
        open_body(clients, here, "ada")
        open_body(clients, there, "bob")

        clients.ask("type", "ada", at=0, word=TURNS)
        clients.ask("type", "bob", at=0, word=ROOF)
        for name in ("ada", "bob"):
            clients.ask("contains", name, parts=[TURNS, ROOF])

        assert clients.text("ada") == clients.text("bob")
        for api in (here, there):
            wait_until(lambda api=api: body(api) == clients.text("ada"))  # type: ignore[misc]  # mypy infers no type for a lambda's default
        clients.ask("cut", "ada")
        clients.ask("cut", "bob")


def test_clients_of_two_devices_see_each_other(
    tmp_path: Path, clients: Clients
) -> None:
    """Who edits on one device is shown on the other, until they or the link go."""
    with devices(tmp_path, "laptop", "phone") as daemons:
        here, there = (daemon.api for daemon in daemons)
        here.put_node(KEY)
        wait_until(lambda: there.request("GET", node_path(KEY)).status == 200)
        open_body(clients, here, "ada")
        open_body(clients, there, "bob")
        clients.ask("show", "ada", state={"name": "Ada"})
        clients.ask("show", "bob", state={"name": "Bob"})

        clients.ask("sees", "bob", names=["Ada"])
        clients.ask("sees", "ada", names=["Bob"])

        clients.ask("cut", "ada")
        clients.ask("sees", "bob", names=[])
        open_body(clients, here, "eve")
        clients.ask("show", "eve", state={"name": "Eve"})
        clients.ask("sees", "bob", names=["Eve"])
        daemons[0].kill()
        clients.ask("sees", "bob", names=[])
        clients.ask("cut", "bob")
