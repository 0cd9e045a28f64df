"""A full disk refuses writes, loses nothing, and serves again when there is room."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.crashing import exported, part, recount, request_of
from tests.support.daemons import Api, Daemon, NotServingError, make_home, node_path
from tests.support.disks import Disk, small_disk
from tests.support.ledger import Ledger

WRITERS: Final = ("one", "two", "three")
ROUNDS: Final = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a disk of 16 MiB."""
    with small_disk(tmp_path / "disk", "16m") as disk:
        yield disk


@pytest.fixture
def daemon(disk: Disk, tmp_path: Path) -> Iterator[Daemon]:
    """Run a daemon whose home lies on the small disk."""
    home = disk.root / "home"
    make_home(tmp_path / "made")
    shutil.copytree(tmp_path / "made", disk.seen(home))
    daemon = Daemon(home, disk=disk)
    yield daemon.start()
    if daemon.process is not None:
        daemon.kill()


def is_refused(problem: Any) -> bool:
    """Whether a problem says that there is no room, and what to do."""
    return (
        problem["status"] == 507
        and "no room left on the disk" in problem["detail"]
        and "Free some space" in problem["detail"]
    )


def test_a_full_disk_refuses_writes_and_answers_reads(
    daemon: Daemon, disk: Disk
) -> None:
    """Every kind of write answers 507 with a clear text; every read goes on."""
    api = daemon.api
    api.put_node("old", metadata={"a": 1})
    api.put_node("older")
    api.put_edge("old", "older")
    before = api.space()
    disk.fill()

    text = b"body " * 100_000
    for answer in (
        api.put_node("new", "x" * 4000),
        api.request("PATCH", node_path("old"), {"label": "y" * 4000}),
        api.request("PUT", node_path("old", "/body"), content=text),
        api.put_edge("older", "old", metadata={"m": "x" * 8000}),
        api.request("DELETE", node_path("old")),
        api.request("POST", node_path("old", "/pulse"), {"energy": 1}),
        api.request("GET", "/v1/backup"),
    ):
        assert (answer.status, is_refused(answer.document)) == (507, True)
    command = {"op": "put_node", "key": "new", "label": "x" * 4000}
    line = b'{"key":"new","label":"' + b"x" * 4000 + b'"}'
    for lines in (
        api.batch([command] * 100).lines,
        api.request("POST", "/v1/import", content=line).lines,
    ):
        assert is_refused(lines[-2]["problem"])
        assert (lines[-1]["done"], lines[-1]["applied"]) == (False, 0)

    assert api.space() == before
    assert api.get(node_path("old"))["metadata"] == {"a": 1}
    assert len(api.get("/v1/nodes")["items"]) == 2
    assert len(api.get(node_path("old", "/neighbours"))["items"]) == 1
    assert len(api.get("/v1/search", q="older")) == 1
    assert len(api.export().splitlines()) == 4
    assert daemon.log.count("the store could not write") <= 2

    disk.free()
    assert api.put_node("new", "x" * 4000).status == 201
    assert daemon.stop() == 0


def test_nothing_acknowledged_is_lost_on_a_disk_that_fills_up(
    daemon: Daemon, disk: Disk, tmp_path: Path
) -> None:
    """While writers go on, the disk fills up and empties again and again.

    What was acknowledged is there, what was refused is not, also after a kill on the
    full disk; counts and digest are those of a recount.
    """
    ledgers = [Ledger(name, f"full disk {name}") for name in WRITERS]
    for _ in range(ROUNDS):
        refused = {name: threading.Event() for name in WRITERS}
        stop = threading.Event()
        writers = [
            threading.Thread(
                target=write_on, args=(daemon.api, ledger, refused[ledger.writer], stop)
            )
            for ledger in ledgers
        ]
        for writer in writers:
            writer.start()
        disk.fill()
        assert all(event.wait(60) for event in refused.values())
        disk.free()
        stop.set()
        for writer in writers:
            writer.join()
        found = exported(daemon.api)
        for ledger in ledgers:
            assert part(found, ledger.writer) == ledger.durable.shown()
    disk.fill()
    daemon.kill()
    with pytest.raises(NotServingError) as caught:
        daemon.start()
    assert "No space left on device" in caught.value.said
    assert "Traceback" not in caught.value.said
    disk.free()
    daemon.start()

    found = exported(daemon.api)
    for ledger in ledgers:
        assert part(found, ledger.writer) == ledger.durable.shown()
    space = daemon.api.space()
    assert daemon.stop() == 0
    shutil.copytree(daemon.folder, tmp_path / "after")
    told = space["nodes"], space["edges"], space["digest"]
    assert recount(tmp_path / "after") == told


def write_on(
    api: Api, ledger: Ledger, refused: threading.Event, stop: threading.Event
) -> None:
    """Write until told to stop; a refusal must mean that nothing was changed."""
    with closing(api.connect()) as link:
        while not stop.is_set():
            (operation,) = ledger.begin(1)
            answer = api.exchange(link, *request_of(operation))
            if answer.status == 507:
                ledger.under_way.clear()
                refused.set()
            else:
                assert answer.status in (200, 201, 204), answer
                ledger.acknowledge()
