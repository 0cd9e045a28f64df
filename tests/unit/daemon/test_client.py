"""The HTTP client, where only a real socket can tell."""

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.client import (
    AnswerError,
    Client,
    DaemonAbsentError,
    ProblemError,
    connect,
    node_path,
)

MEGABYTE = 1024 * 1024
Served = Callable[[socket.socket], None]
LINES = (b"x" * 65_535 + b"\n") * 320
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Served], Client]]:
    """Return what serves one connection as told, and a client for it."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept(served: Served) -> None:
            connection, _ = server.accept()
            with connection:
                served(connection)

        def start(served: Served) -> Client:
            threads.append(threading.Thread(target=accept, args=(served,)))
            threads[-1].start()
            return Client(tmp_path, server.getsockname()[1], "t", 5)

        yield start
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()


def read_request(connection: socket.socket) -> bytes:
    """Return a request up to the end of its chunked body."""
    content = b""
    while not content.endswith(b"0\r\n\r\n") and (part := connection.recv(MEGABYTE)):
        content += part
    return content


def upload(client: Client, chunks: Iterator[bytes]) -> list[str]:
    """Upload `chunks`; return the lines of the answer."""
    with client.upload("/v1/import", chunks, content_type="x/y", query={}) as answer:
        return list(answer.lines())


def test_an_answer_is_read_while_the_body_is_sent(
    serve: Callable[[Served], Client],
) -> None:
    """Both directions may be larger than every buffer between them."""

    def answer_first(connection: socket.socket) -> None:
        connection.sendall(HEAD + LINES)
        read_request(connection)

    client = serve(answer_first)

    lines = upload(client, iter([bytes(MEGABYTE)] * 16))

    assert "".join(f"{line}\n" for line in lines).encode() == LINES


def test_what_the_chunks_raise_is_what_the_caller_gets(
    serve: Callable[[Served], Client],
) -> None:
    """A file that cannot be read is told, not the connection that it broke."""
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def wait_for_all(connection: socket.socket) -> None:
        received.put(read_request(connection))

    def broken() -> Iterator[bytes]:
        yield b"first"
        raise PermissionError(13, "Permission denied", "graph.jsonl")

    with pytest.raises(PermissionError):
        upload(serve(wait_for_all), broken())
    assert not received.get(timeout=5).endswith(b"0\r\n\r\n")


def test_a_refusal_in_the_midst_of_an_upload_is_read(
    serve: Callable[[Served], Client],
) -> None:
    """The daemon may refuse before it has read all: its problem is what is told."""
    document = {"title": "Too large", "status": 413}
    content = json.dumps(document).encode()

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        head = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(content)
        connection.sendall(head + content)
        read_request(connection)

    with pytest.raises(ProblemError) as refused:
        upload(serve(refuse), iter([bytes(MEGABYTE)] * 16))
    assert refused.value.document == document


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone",
    ],
)
def test_no_answer_raises_anything_but_the_clients_errors(
    serve: Callable[[Served], Client], answer: bytes
) -> None:
    """Silence, other protocols, short and malformed content are one kind of error."""

    def reply(connection: socket.socket) -> None:
        connection.recv(MEGABYTE)
        connection.sendall(answer)

    with pytest.raises(AnswerError):
        serve(reply).get("/v1/status")


def test_a_daemon_that_hangs_is_told(serve: Callable[[Served], Client]) -> None:
    """After the time allowed the caller is freed."""
    done = threading.Event()

    def hang(connection: socket.socket) -> None:
        done.wait(5)

    client = serve(hang)
    impatient = Client(client.home, client.port, "t", 0.01)
    with pytest.raises(AnswerError, match="did not answer in time"):
        impatient.get("/v1/status")
    done.set()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"pid": 1}',
        '{"port": [], "pid": 1}',
        '{"port": "x", "pid": 1}',
    ],
)
def test_a_run_file_that_tells_nothing_means_no_daemon(
    tmp_path: Path, content: str
) -> None:
    """A damaged or foreign run.json is no reason for a traceback."""
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "token").write_text("t")

    with pytest.raises(DaemonAbsentError):
        connect(tmp_path)


def test_the_run_file_tells_where_the_daemon_is(tmp_path: Path) -> None:
    """Address and token come from the home, without the token's line end."""
    running = {"port": 7001, "pid": os.getpid()}
    (tmp_path / "run.json").write_text(json.dumps(running))
    (tmp_path / "token").write_text("secret\n")

    client = connect(tmp_path)

    assert (client.port, client.token) == (7001, "secret")


def test_a_key_is_one_segment_of_a_route() -> None:
    """No key can lead to another route."""
    assert node_path("a/../b?c", "body") == "/v1/nodes/a%2F..%2Fb%3Fc/body"
