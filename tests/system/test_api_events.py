"""Events: numbered without holes, resumable, and nobody waits for a slow listener."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from daemon.event_log import CAPACITY
from tests.support.daemons import STOP_SECONDS, Api, Daemon, node_path, serving
from tests.support.watching import Watcher, document, number, watching

OPEN_END: Final = b"POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s"


def test_each_change_is_told(api: Api) -> None:
    """Every kind of change has its event, with space, origin and keys."""
    space = api.space()["id"]
    with watching(api) as watcher:
        api.put_node("a")
        api.put_node("b")
        edge = api.put_edge("a", "b", type="t").document["id"]
        api.request("POST", node_path("a", "/pulse"), {"energy": 1})
        api.request("DELETE", f"/v1/edges/{edge}")
        api.request("DELETE", node_path("b"))
        events = watcher.take(6)

    told = [(event.type, document(event)["key"]) for event in events]
    assert told == [
        ("node.changed", "a"),
        ("node.changed", "b"),
        ("edge.changed", edge),
        ("pulse", "a"),
        ("edge.deleted", edge),
        ("node.deleted", "b"),
    ]
    for event in events:
        assert document(event)["space"] == space
        assert document(event)["origin"] == "local"
        assert document(event)["type"] == event.type
    assert document(events[2]) | {"from": "a", "to": "b"} == document(events[2])


def test_what_changes_nothing_is_not_told(api: Api) -> None:
    """A refused or idle request has no event."""
    api.put_node("idle")
    with watching(api) as watcher:
        api.put_node("idle")
        api.request("DELETE", node_path("never there"))
        api.request("PUT", node_path("idle"), {"label": ""})
        api.put_node("the end")
        events = watcher.take_until("the end")

    assert len(events) == 1


def test_ids_are_dense_whoever_writes(api: Api) -> None:
    """While requests, batches and imports write at once, no number is left out."""

    def write_singly(name: int) -> None:
        for count in range(60):
            assert api.put_node(f"single {name} {count}").status == 201

    def write_batch(name: int) -> None:
        commands = [
            {"op": "put_node", "key": f"batch {name} {count}", "label": "x"}
            for count in range(3_000)
        ]
        assert api.batch(commands).lines[-1]["applied"] == 3_000

    def write_import(name: int) -> None:
        lines = [
            json.dumps({"key": f"import {name} {count}", "label": "x"}).encode()
            for count in range(3_000)
        ]
        answer = api.request("POST", "/v1/import", content=b"\n".join(lines))
        assert answer.lines[-1]["applied"] == 3_000

    jobs: list[Callable[[int], None]] = [write_batch, write_import]
    jobs += [write_singly] * 4
    with watching(api) as watcher, ThreadPoolExecutor(len(jobs)) as threads:
        for done in [threads.submit(job, name) for name, job in enumerate(jobs)]:
            done.result()
        api.put_node("all have written")
        events = watcher.take_until("all have written")

    numbers = [number(event) for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + 6_241))
    keys = Counter(document(event)["key"].partition(" ")[0] for event in events)
    assert keys == {"single": 240, "batch": 3_000, "import": 3_000, "all": 1}


def test_a_listener_resumes_where_it_was(api: Api) -> None:
    """After `Last-Event-ID` come exactly the events behind it."""
    with watching(api) as watcher:
        for name in ("r1", "r2", "r3"):
            api.put_node(name)
        first = watcher.take(1)[0]
    api.put_node("r4")
    with watching(api, number(first)) as watcher:
        rest = watcher.take(3)

    assert [document(event)["key"] for event in rest] == ["r2", "r3", "r4"]
    assert [number(event) - number(first) for event in rest] == [1, 2, 3]


def test_an_id_that_never_was_is_told(api: Api) -> None:
    """Who resumes from the future is told that its numbers are not these."""
    with watching(api, 10**17) as watcher:
        api.put_node("present")
        lost, event = watcher.take(2)

    assert (lost.type, lost.id) == ("lost", "")
    assert document(event)["key"] == "present"


def test_a_gap_is_told(api: Api) -> None:
    """What is not held any more is told by its number, and what follows is dense."""
    with watching(api) as watcher:
        api.put_node("before the flood")
        (first,) = watcher.take(1)
    flood = CAPACITY + 500
    commands = [
        {"op": "put_node", "key": f"flood{count}", "label": "x"}
        for count in range(flood)
    ]
    assert api.batch(commands).lines[-1]["failed"] == 0

    with watching(api, number(first)) as watcher:
        lost, *rest = watcher.take(1 + CAPACITY)

    assert lost.type == "lost"
    assert document(lost) == {"count": 500, "first": number(first) + 1}
    numbers = [number(event) for event in rest]
    assert numbers == list(range(number(first) + 501, number(first) + flood + 1))


def test_a_restart_is_a_gap(daemon: Daemon) -> None:
    """Numbers go on after a restart; events from before it are told as lost."""
    with watching(daemon.api) as watcher:
        for name in ("s1", "s2", "s3"):
            daemon.api.put_node(name)
        first, _, last = watcher.take(3)
    daemon.restart()
    with watching(daemon.api, number(first)) as watcher:
        daemon.api.put_node("s4")
        lost, event = watcher.take(2)

    assert (lost.type, document(lost)["count"]) == ("lost", 2)
    assert number(event) == number(last) + 1
    with watching(daemon.api, number(last)) as watcher:
        (event,) = watcher.take(1)
    assert document(event)["key"] == "s4"


def test_a_slow_listener_holds_nobody_up(api: Api) -> None:
    """Writers go on while a listener does not read; it is then told what it missed."""
    with watching(api) as slow:
        api.put_node("before the rain")
        place = number(slow.take(1)[0])
        flood = 5 * CAPACITY
        commands = (
            {"op": "put_node", "key": f"rain{count}", "label": "x"}
            for count in range(flood)
        )
        assert api.batch(commands).lines[-1]["failed"] == 0
        assert api.put_node("after the rain").status == 201
        events = slow.take_until("after the rain")

    first = place
    for event in events:
        if event.type == "lost":
            assert document(event)["first"] == place + 1
            place += document(event)["count"]
        else:
            place += 1
            assert number(event) == place
    assert place - first == flood + 1
    assert "lost" in {event.type for event in events}


def open_requests(api: Api, keep: ExitStack) -> Iterator[socket.socket]:
    """Open a batch, an import and an export that do not come to their end."""
    line = b'{"op":"put_node","key":"endless","label":"x"}\n' * 20_000
    for path in (b"batch", b"import"):
        sock = keep.enter_context(
            closing(socket.create_connection(("127.0.0.1", api.port)))
        )
        head = OPEN_END % (path, api.token.encode())
        sock.sendall(head + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        sock.sendall(b"%x\r\n%b\r\n" % (len(line), line))
        yield sock


def test_open_requests_do_not_keep_it_from_stopping(folder: Path) -> None:
    """With listeners and unfinished batches and imports it stops clean within 5 s."""
    with serving(folder / "stopping") as daemon, ExitStack() as keep:
        api = daemon.api
        watchers: list[Watcher] = [keep.enter_context(watching(api)) for _ in range(3)]
        sockets = list(open_requests(api, keep))
        watchers[0].take(1)
        feeding = threading.Thread(target=feed, args=(sockets[0],))
        feeding.start()
        started = time.monotonic()
        status = daemon.stop()
        taken = time.monotonic() - started
        feeding.join()

    assert status == 0
    assert taken < STOP_SECONDS
    assert "Traceback" not in daemon.log
    assert "ERROR" not in daemon.log


def feed(sock: socket.socket) -> None:
    """Send lines of a batch for as long as somebody takes them."""
    line = b'{"op":"pulse","key":"endless","energy":1}\n' * 100
    try:
        while True:
            sock.sendall(b"%x\r\n%b\r\n" % (len(line), line))
    except OSError:
        return
