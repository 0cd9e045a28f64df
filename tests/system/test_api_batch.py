"""Batches: in order, durable, a line for every failure, and nobody else waits."""

import json
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from daemon.bulk import MAX_LINE_BYTES
from tests.support.daemons import Api, node_path, serving, wait_until

DONE: Final = {"done": True, "applied": 0, "failed": 0}


def nodes(name: str, count: int) -> list[dict[str, Any]]:
    """Return commands that make nodes."""
    return [
        {"op": "put_node", "key": f"{name}{number}", "label": "x"}
        for number in range(count)
    ]


def test_lines_are_carried_out_in_order(api: Api) -> None:
    """Each line sees what those before it did; every verb is one of the contract's."""
    edge = {"from": "one", "to": "two"}
    answer = api.batch(
        [
            {"op": "put_node", "key": "one", "label": "1", "metadata": {"a": 1}},
            {"op": "put_node", "key": "two", "label": "2"},
            {"op": "patch_node", "key": "one", "metadata": {"a": None, "b": 2}},
            {"op": "put_edge", **edge, "weight": 2.5},
            {"op": "pulse", "key": "one", "energy": 4},
            {"op": "put_node", "key": "three", "label": "3"},
            {"op": "delete_node", "key": "three"},
            {"op": "put_edge", **edge, "type": "gone"},
        ]
    )
    gone = next(
        each["id"] for each in api.get("/v1/edges", type="gone", **edge)["items"]
    )
    last = api.batch([{"op": "delete_edge", "id": gone}])

    assert (answer.status, answer.headers["content-type"]) == (
        200,
        "application/x-ndjson",
    )
    assert answer.lines == [{**DONE, "applied": 8}]
    assert last.lines == [{**DONE, "applied": 1}]
    assert api.get(node_path("one"))["metadata"] == {"b": 2}
    assert api.get(node_path("one"))["energy"]["atp"] == pytest.approx(5, abs=0.01)
    assert api.request("GET", node_path("three")).status == 404
    edges = api.get("/v1/edges", **edge)["items"]
    assert [(each["type"], each["weight"]) for each in edges] == [("child", 2.5)]


def test_a_failed_line_is_told_and_the_others_stand(api: Api) -> None:
    """The answer names each line that failed, counted from 1, with its problem."""
    lines = [
        b'{"op":"put_node","key":"stands","label":"x"}',
        b"",
        b'{"op":"put_node","key":"stands"}',
        b'{"op":"put_edge","from":"stands","to":"nowhere"}\r',
        b"   ",
        b"{not json",
        b'{"op":"fly","key":"stands"}',
        b'{"op":"pulse","key":"stands","energy":-1}',
        b'{"op":"put_node","key":"\xff","label":"x"}',
        b"[]",
        b'{"op":"put_node","key":"also","label":"x"}',
    ]
    answer = api.request("POST", "/v1/batch", content=b"\n".join(lines))

    told = {
        each["line"]: (each["problem"]["status"], each["problem"].get("field"))
        for each in answer.lines[:-1]
    }
    assert told == {
        3: (422, "label"),
        4: (404, None),
        6: (400, None),
        7: (422, "op"),
        8: (422, "energy"),
        9: (400, None),
        10: (422, "document"),
    }
    assert answer.lines[-1] == {"done": True, "applied": 2, "failed": 7}
    assert api.request("GET", node_path("also")).status == 200


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_pieces_of_any_size_are_one_stream(api: Api, size: int) -> None:
    """Where the pieces are cut matters to nobody, inside a character neither."""
    lines = [
        json.dumps({"op": "put_node", "key": f"ü日{size} {n}", "label": "日本"})
        for n in range(20)
    ]
    content = "\n".join(lines).encode()

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    answer = api.request("POST", "/v1/batch", content=pieces())

    assert answer.lines == [{**DONE, "applied": 20}]


@pytest.mark.parametrize("size", [MAX_LINE_BYTES + 1, 5 * MAX_LINE_BYTES])
@pytest.mark.parametrize("behind", [b"", b"\n" * 3_000_000])
def test_a_line_over_the_limit_ends_the_batch(
    api: Api, size: int, behind: bytes
) -> None:
    """What came before the line stands, the line is named, nothing behind is done."""
    name = f"{size} {len(behind)} "
    first, last = (json.dumps(each).encode() for each in nodes(name, 2))

    answer = api.request(
        "POST",
        "/v1/batch",
        content=b"\n".join((first, b" " * size, last)) + behind,
    )

    problem, end = answer.lines
    assert (problem["line"], problem["problem"]["status"]) == (2, 413)
    assert end == {"done": False, "applied": 1, "failed": 1}
    assert api.request("GET", node_path(f"{name}0")).status == 200
    assert api.request("GET", node_path(f"{name}1")).status == 404


def test_a_line_at_the_limit_is_taken(api: Api) -> None:
    """A line may have as many bytes as the limit says."""
    (line,) = (json.dumps(each).encode() for each in nodes("limit", 1))

    answer = api.request("POST", "/v1/batch", content=line.ljust(MAX_LINE_BYTES))

    assert answer.lines == [{**DONE, "applied": 1}]


def test_who_reads_only_at_the_end_gets_every_failure(api: Api) -> None:
    """200,000 failing lines are answered one by one after all were sent."""
    count = 200_000
    line = b'{"op":"delete_node","key":"was never there"}\n'

    lines = api.request("POST", "/v1/batch", content=line * count).lines

    assert [each["line"] for each in lines[:-1]] == list(range(1, count + 1))
    assert {each["problem"]["status"] for each in lines[:-1]} == {404}
    assert lines[-1] == {"done": True, "applied": 0, "failed": count}


def test_what_was_applied_before_the_client_went_is_durable(folder: Path) -> None:
    """A client that goes in the middle leaves the first lines applied, for good."""
    count = 40_000
    content = b"".join(
        json.dumps(command).encode() + b"\n" for command in nodes("n", count)
    )
    with serving(folder / "left") as daemon:
        head = "POST /v1/batch HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        head += f"{daemon.api.token}\r\nContent-Length: {len(content) + 1}\r\n\r\n"
        address = ("127.0.0.1", daemon.api.port)
        with closing(socket.create_connection(address)) as sock:
            sock.sendall(head.encode() + content)
            wait_until(lambda: daemon.api.space()["nodes"] > 0)
        # Whatever was under way has ended when this write is answered.
        daemon.api.put_node("z")
        applied = daemon.api.space()["nodes"] - 1
        daemon.kill()
        daemon.start()
        exported = daemon.api.export().splitlines()[1:]

    keys = {json.loads(line)["key"] for line in exported}
    assert 0 < applied <= count
    assert keys == {f"n{number}" for number in range(applied)} | {"z"}


def test_others_are_served_meanwhile(api: Api) -> None:
    """While a batch of 100,000 lines runs, reads and writes are answered."""
    api.put_node("watched")

    def timed(method: str, path: str, document: Any = None) -> float:
        started = time.perf_counter()
        assert api.request(method, path, document).status in (200, 201)
        return time.perf_counter() - started

    with ThreadPoolExecutor(1) as thread:
        batch = thread.submit(api.batch, nodes("bulk", 100_000))
        puts: list[float] = []
        gets: list[float] = []
        while not batch.done():
            puts.append(timed("PUT", node_path("watched"), {"label": str(len(puts))}))
            gets.append(timed("GET", node_path("watched")))

    assert batch.result().lines == [{**DONE, "applied": 100_000}]
    assert len(puts) > 3
    for name, times in (("PUT", puts), ("GET", gets)):
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        print(  # noqa: T201  # a figure to look at: pytest -s
            f"{name} during a batch: {len(times)} requests,"
            f" p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
        )
