"""What is not right is refused with a problem document and changes nothing."""

import re
import select
import socket
from contextlib import closing
from http import HTTPStatus
from typing import Any, Final

import pytest

from daemon.api.routes import ROUTES
from daemon.api.routing import Route
from tests.support.daemons import Answer, Api, Daemon, node_path
from tests.support.malformed import CIRCLE, EXAMPLES, Request, malformed, name_of, right

METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def edge(api: Api) -> str:
    """Make what the examples need; return the id of an edge."""
    for key in ("a", "b", "doomed", "trashed"):
        api.put_node(key)
    api.request("DELETE", node_path("trashed"))
    if api.request("GET", f"/v1/circles/{CIRCLE}").status == 404:
        api.request("POST", "/v1/circles", {"name": CIRCLE})
    return str(api.put_edge("a", "b").document["id"])


def send(api: Api, request: Request) -> Answer:
    """Send a request as it is."""
    return api.request(
        request.method,
        request.target,
        content=request.content,
        headers=dict(request.headers),
    )


def state(api: Api) -> tuple[Any, ...]:
    """Return what would differ if anything had been changed."""
    space = api.space()
    figures = api.request("GET", "/metrics").content.decode().splitlines()
    events = [line for line in figures if line.startswith("fractality_events_total")]
    return space["digest"], space["nodes"], space["edges"], *events


def fault(answer: Answer, status: int, field: str | None) -> str:
    """Return what is wrong with a refusal, nothing if it is as it should be."""
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.status} {answer.content[:200]!r}"
    problem = answer.document
    found = problem["status"], problem.get("field")
    texts = [problem["type"], problem["title"], problem["detail"]]
    if not all(isinstance(text, str) and text for text in texts):
        return f"incomplete: {problem}"
    if problem["title"] != HTTPStatus(problem["status"]).phrase:
        return f"title: {problem}"
    if (answer.status, *found) == (status, status, field):
        return ""
    return f"expected {status} and {field}, got {answer.status}: {problem}"


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_the_example_is_right(api: Api, edge: str, route: Route) -> None:
    """The request that is spoilt below is one that the route carries out."""
    request = right(route, edge)
    with closing(api.connect()) as connection:
        headers = {"Authorization": f"Bearer {api.token}", **dict(request.headers)}
        connection.request(request.method, request.target, request.content, headers)
        allowed = {*route.answers, EXAMPLES[name_of(route)].refusal}
        assert connection.getresponse().status in allowed


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_malformed_request_is_refused(api: Api, edge: str, route: Route) -> None:
    """Each flaw gets the problem of its kind and the field at fault; nothing moves."""
    before = state(api)

    faults = {
        case.flaw: wrong
        for case in malformed(route, edge)
        if (wrong := fault(send(api, case.request), case.status, case.field))
    }

    assert faults == {}
    assert state(api) == before


def fits(route: Route, target: str) -> bool:
    """Whether a path is one of a route: 'join' may also be a circle's name."""
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path))
    return re.fullmatch(pattern, target) is not None


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_a_wrong_method_is_refused(api: Api, edge: str, path: str) -> None:
    """A method that a path does not take answers 405 and names those that it takes."""
    target = re.sub(r"\{\w+\}", "a", path.replace("{id}", edge))
    taken = {str(route.method) for route in ROUTES if fits(route, target)}
    before = state(api)

    for method in METHODS:
        if method not in taken:
            answer = api.request(method, target)
            assert answer.status == 405
            assert set(answer.headers["allow"].split(",")) == taken
            assert method == "HEAD" or not fault(answer, 405, None)
    assert state(api) == before


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/nowhere", "/v1/nodes/", "/v1/nodes/a/b", "//v1/nodes"],
)
def test_an_unknown_route_answers_404(api: Api, path: str) -> None:
    """What is no route is told by a problem as well."""
    assert fault(api.request("GET", path), 404, None) == ""


def test_health_needs_no_token(api: Api) -> None:
    """Health and figures are open to every program of this machine."""
    for path in ("/healthz", "/metrics"):
        answer = api.request("GET", path, headers={"Authorization": ""})
        assert answer.status == 200


def test_own_names_and_pages_are_let_in(api: Api) -> None:
    """Every name of the loopback serves, and so does the page the daemon serves."""
    for host in ("localhost", f"LOCALHOST:{api.port}", "127.0.0.1", "[::1]:80"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert api.request("GET", "/v1/status", headers=headers).status == 200


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/nodes/a", 256 << 10), ("/v1/nodes/a/body", 4 << 20)]
)
def test_too_much_is_refused_while_it_streams(
    api: Api, daemon: Daemon, edge: str, path: str, limit: int
) -> None:
    """A body without an end is refused soon after its limit; little of it is held."""
    before = state(api), resident_bytes(daemon.pid)
    with closing(socket.create_connection(("127.0.0.1", api.port))) as sock:
        head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Bearer {api.token}\r\nTransfer-Encoding: chunked\r\n"
        sock.sendall(head.encode() + b"\r\n")
        sent = 0
        while not select.select([sock], [], [], 0)[0]:
            sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536
            assert sent < limit + (64 << 20)
        assert sock.recv(12) == b"HTTP/1.1 413"

    assert state(api) == before[0]
    assert resident_bytes(daemon.pid) - before[1] < 3 * limit + (8 << 20)


def test_too_much_is_refused_by_its_announced_length(api: Api, edge: str) -> None:
    """Who announces too much is refused before sending any of it."""
    with closing(socket.create_connection(("127.0.0.1", api.port))) as sock:
        head = "PUT /v1/nodes/a/body HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Bearer {api.token}\r\nContent-Length: 4194305\r\n\r\n"
        sock.sendall(head.encode())
        assert sock.recv(12) == b"HTTP/1.1 413"


def test_what_is_no_request_leaves_the_daemon_as_it_was(api: Api, edge: str) -> None:
    """Bytes that are not HTTP, or stop in the middle, end their own connection only."""
    before = state(api)
    for line in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PUT /v1/nodes/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /v1/nodes/a" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"PUT /v1/nodes/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{",
    ):
        with closing(socket.create_connection(("127.0.0.1", api.port))) as sock:
            sock.sendall(line)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
    assert state(api) == before


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096
