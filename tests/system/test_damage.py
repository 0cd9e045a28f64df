"""A damaged store is named; every answer is right or a refusal, never half of it."""

import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from crdt.database import connect
from crdt.key_sources import find_store_key
from tests.support.daemons import Api, Daemon, NotServingError, node_path, serving

PAGE: Final = 4096
NODES: Final = 1500
_numbers = count()
QUESTIONS: Final = (
    "/v1/export",
    "/v1/nodes?limit=1000",
    "/v1/nodes?limit=1000&prefix=n7",
    "/v1/edges?limit=1000",
    "/v1/search?q=number",
    "/v1/search?q=body",
    *(node_path(f"n{number}") for number in range(0, NODES, 50)),
    *(node_path(f"n{number}", "/body") for number in range(20)),
    *(
        node_path(f"n{number}", "/neighbours?depth=3")
        for number in range(0, NODES, 300)
    ),
)


@pytest.fixture(scope="module")
def sound(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Make a home with a graph; return it and what it answers."""
    home = folder / "sound"
    with serving(home) as daemon:
        label = "number {} " + "x" * 60
        commands: list[dict[str, Any]] = [
            {"op": "put_node", "key": f"n{n}", "label": label.format(n)}
            for n in range(NODES)
        ]
        commands += [
            {"op": "put_edge", "from": f"n{n}", "to": f"n{n // 2}"}
            for n in range(NODES)
        ]
        assert daemon.api.batch(commands).lines[-1]["failed"] == 0
        for n in range(20):
            text = f"body {n} ".encode() * 500
            daemon.api.request("PUT", node_path(f"n{n}", "/body"), content=text)
        daemon.restart()
        answers = {path: content(daemon.api, path) for path in QUESTIONS}
        assert daemon.stop() == 0
    return home, answers


@pytest.fixture
def home(sound: tuple[Path, dict[str, Any]]) -> Iterator[Path]:
    """Make a copy that may be damaged."""
    copy = sound[0].with_name(f"copy{next(_numbers)}")
    yield shutil.copytree(sound[0], copy)
    shutil.rmtree(copy)


def content(api: Api, path: str) -> Any:
    """Return what a question is answered, energy left out, which goes on falling."""
    answer = api.request("GET", path)
    if answer.status != 200:
        return answer.status, answer.document
    if path.endswith(("/body", "/export")):
        return answer.content
    return without_energy(answer.document)


def without_energy(document: Any) -> Any:
    """Return a document without its energies, whatever it holds."""
    if isinstance(document, list):
        return [without_energy(each) for each in document]
    if isinstance(document, dict):
        return {
            name: without_energy(value)
            for name, value in document.items()
            if name != "energy"
        }
    return document


def judged(api: Api, expected: dict[str, Any]) -> int:
    """Check every answer; return how many were refusals that name the damage."""
    refusals = 0
    for path, right in expected.items():
        found = content(api, path)
        if found == right:
            continue
        status, problem = found
        assert (status, problem["status"]) == (503, 503), found
        assert "damaged" in problem["detail"]
        assert "fractality restore" in problem["detail"]
        refusals += 1
    return refusals


def refused(home: Path) -> str:
    """Start a daemon that must not serve; return the one sentence it says."""
    with pytest.raises(NotServingError) as caught:
        Daemon(home).start()
    assert caught.value.status == 1
    assert caught.value.said.startswith("Error: ")
    assert "Traceback" not in caught.value.said
    return caught.value.said


def flip(path: Path, place: int, bit: int = 0) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_is_never_an_answer(
    home: Path, sound: tuple[Path, dict[str, Any]], seed: int
) -> None:
    """With any bit turned, the start is refused, or each answer is right or refused."""
    dice = random.Random(seed)
    store = home / "store.db"
    flip(store, dice.randrange(store.stat().st_size), dice.randrange(8))

    said = "is damaged"
    daemon = Daemon(home)
    try:
        judged(daemon.start().api, sound[1])
        daemon.stop()
    except NotServingError as error:
        said = error.said

    assert "is damaged" in said
    assert "Traceback" not in daemon.log


def truncate(store: Path) -> None:
    """Cut the second half off."""
    os.truncate(store, store.stat().st_size // 2 // PAGE * PAGE)


def overwrite(store: Path) -> None:
    """Write other bytes over all of it."""
    size = store.stat().st_size
    with store.open("r+b") as file:
        file.write(random.Random(1).randbytes(size))


def flip_all(store: Path) -> None:
    """Turn a bit of every page but the first."""
    for page in range(1, store.stat().st_size // PAGE):
        flip(store, page * PAGE + 100)


@pytest.mark.parametrize("damage", [truncate, overwrite, flip_all])
def test_damage_to_a_store_in_use_is_named(
    home: Path, sound: tuple[Path, dict[str, Any]], damage: Callable[[Path], None]
) -> None:
    """While it runs reads and writes answer 503; it ends, and starts no more."""
    daemon = Daemon(home).start()
    damage(home / "store.db")

    assert judged(daemon.api, sound[1]) > len(QUESTIONS) // 2
    put = daemon.api.put_node("new")
    batch = daemon.api.batch([{"op": "put_node", "key": "new", "label": "x"}])
    health = daemon.api.request("GET", "/healthz")
    status = daemon.stop()

    assert (put.status, "damaged" in put.document["detail"]) == (503, True)
    problem, last = batch.lines
    assert problem["problem"]["status"] == 503
    assert last == {"done": False, "applied": 0, "failed": 1}
    assert (health.status, status) == (200, 1)
    assert "Traceback" not in daemon.log
    assert "is damaged" in refused(home)


@pytest.mark.parametrize("size", [PAGE * 3, PAGE * 200, PAGE * 200 + 17])
def test_a_store_cut_short_is_refused(home: Path, size: int) -> None:
    """Wherever the file was cut, the start says that it is damaged or cut short."""
    os.truncate(home / "store.db", size)

    sentence = refused(home)
    assert "is damaged" in sentence or "cut short" in sentence
    assert "fractality restore" in sentence


def test_an_emptied_store_is_not_begun_anew(home: Path) -> None:
    """An empty file in the store's place is refused, not filled."""
    os.truncate(home / "store.db", 0)

    assert "acknowledged writes are missing" in refused(home)


@pytest.mark.parametrize("place", [32, 0.1, 0.5, 0.9])
def test_a_damaged_log_is_noticed(home: Path, place: float) -> None:
    """Acknowledged writes that were in a damaged log are missed and counted."""
    daemon = Daemon(home).start()
    for number in range(20):
        assert daemon.api.put_node(f"late{number}").status == 201
    daemon.kill()
    log = home / "store.db-wal"
    flip(log, int(place if place > 1 else log.stat().st_size * place))

    assert "acknowledged writes are missing" in refused(home)


def test_an_older_copy_is_noticed(home: Path) -> None:
    """A store that was exchanged for an older one lacks what was acknowledged since."""
    older = (home / "store.db").read_bytes()
    daemon = Daemon(home).start()
    for number in range(5):
        daemon.api.put_node(f"since{number}")
    assert daemon.stop() == 0
    (home / "store.db").write_bytes(older)

    sentence = refused(home)
    assert "acknowledged writes are missing" in sentence
    assert "older copy" in sentence


def test_a_store_of_a_newer_program_is_refused(home: Path) -> None:
    """Nothing is done to a store that this version does not know."""
    connection = connect(home / "store.db", find_store_key(home, {}, None).key)
    connection.pragma("user_version", 1_000)
    connection.close()

    assert "install the newer program" in refused(home)


def test_a_lost_mark_is_no_obstacle(
    home: Path, sound: tuple[Path, dict[str, Any]]
) -> None:
    """Without the mark of what was acknowledged it serves, and makes a new one."""
    (home / "store.mark").unlink()

    with serving(home) as daemon:
        assert judged(daemon.api, sound[1]) == 0
        assert daemon.api.put_node("new").status == 201
        assert daemon.stop() == 0
    assert struct.unpack(">Q", (home / "store.mark").read_bytes())[0] > 0
