"""A daemon made of a dict: the API's contract as far as the command line uses it.

It keeps no promise but the shapes of its answers. `requests` records what came in,
`answers` puts a prepared answer in the place of a route's own.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TOKEN = "a-token-of-the-fake"
MOMENT = "2024-05-01T12:00:00Z"
STATUS = {
    "person": {"id": "p" * 26, "name": "Ada"},
    "device": {"id": "d" * 26, "name": "laptop"},
    "version": "0.1.0",
    "uptime_seconds": 11520,
    "at_rest": {"cipher": "chacha20", "key_source": "key-file"},
    "spaces": [
        {
            "id": "s" * 26,
            "name": "own",
            "nodes": 2048,
            "edges": 1,
            "digest": "0123456789abcdef0123456789abcdef",
            "state": "alone",
            "devices": [],
        }
    ],
    "circles": [],
}


@dataclass(frozen=True)
class Answer:
    """A status and its content; `declared` lies about the length of the content."""

    status: int
    content: bytes = b""
    content_type: str = "application/json"
    declared: int | None = None


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def document(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


@dataclass
class FakeDaemon:
    """The graph and what was asked of it."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    trash: dict[str, dict[str, Any]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    edges: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    hold: threading.Event | None = None
    """Keeps every answer back until it is set."""
    _asked: threading.Event = field(default_factory=threading.Event)

    def wait_asked(self) -> None:
        """Wait until a request has come in."""
        assert self._asked.wait(10)

    def put(self, key: str, label: str, **fields: Any) -> dict[str, Any]:
        """Create or replace a node."""
        node = {
            "key": key,
            "label": label,
            "type": "thought",
            "metadata": {},
            "network": "default",
            "energy": {"atp": 1.0},
            "created_at": MOMENT,
            "updated_at": MOMENT,
            "version": 1,
            "sync": {"safe_on": 1, "pending": False},
            "consensus": [],
            "body": key in self.bodies,
        }
        self.nodes[key] = node | fields
        return self.nodes[key]

    def link(self, source: str, target: str, **fields: Any) -> dict[str, Any]:
        """Create an edge."""
        edge = {
            "id": f"e{len(self.edges):015}",
            "from": source,
            "to": target,
            "type": "child",
            "weight": 1.0,
            "metadata": {},
            "created_at": MOMENT,
        }
        self.edges.append(edge | fields)
        return self.edges[-1]

    def answer(self, request: Request) -> Answer:
        """Answer as the contract says."""
        self.requests.append(request)
        self._asked.set()
        if self.hold:
            self.hold.wait()
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return problem(401, "The token is missing or wrong.")
        if prepared := self.answers.get((request.method, request.path)):
            return prepared
        match [request.method, *map(unquote, request.path.split("/")[2:])]:
            case ["GET", "status"]:
                return ok(STATUS)
            case ["GET", "nodes"]:
                return self._list(request.query)
            case ["PUT", "edges"]:
                return self._put_edge(request.document)
            case ["GET", "edges"]:
                return ok({"items": self._edges(request.query), "next": None})
            case ["POST", "batch"]:
                return self._batch(request.content)
            case ["GET", "path"]:
                ends = [self.nodes[request.query[end]] for end in ("from", "to")]
                return ok({"nodes": ends, "cost": 1.5})
            case ["GET", "search"]:
                return self._search(request.query)
            case ["GET", "export"]:
                return ndjson(*self.nodes.values())
            case ["POST", "import"]:
                count = len(request.content.splitlines())
                return ndjson({"done": True, "applied": count, "failed": 0})
            case [_, "nodes", key, *rest]:
                return self._node(request, key, rest)
            case _:
                return problem(404, "There is no such route.")

    def _node(self, request: Request, key: str, rest: list[str]) -> Answer:
        if request.method == "PUT" and not rest:
            return ok(self.put(key, **request.document), status=201)
        if rest == ["restore"] and key in self.trash:
            self.nodes[key] = self.trash.pop(key)
        if key not in self.nodes:
            return problem(404, f"There is no node {key}.")
        match [request.method, *rest]:
            case ["GET"] | ["POST", "restore"]:
                return ok(self.nodes[key])
            case ["PATCH"]:
                self.nodes[key] |= request.document
                return ok(self.nodes[key])
            case ["DELETE"]:
                self.trash[key] = self.nodes.pop(key)
                return Answer(204)
            case ["POST", "pulse"]:
                return ok({"atp": 1.0 + request.document["energy"]})
            case ["GET", "body"]:
                return Answer(200, self.bodies[key], "text/plain; charset=utf-8")
            case ["PUT", "body"]:
                self.bodies[key] = request.content
                return Answer(204)
            case ["GET", "neighbours"]:
                found = [
                    edge for edge in self.edges if key in (edge["from"], edge["to"])
                ]
                ends = ({edge["from"], edge["to"]} - {key} for edge in found)
                near = [
                    self.nodes[end] | {"distance": 1} for pair in ends for end in pair
                ]
                return ok({"items": near, "next": None})
            case _:
                return problem(404, "There is no such route.")

    def _list(self, query: dict[str, str]) -> Answer:
        held = self.trash if query.get("trash") == "true" else self.nodes
        found = [
            node
            for key, node in sorted(held.items())
            if key.startswith(query.get("prefix", ""))
            and node["type"] == query.get("type", node["type"])
        ]
        start, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        end = start + limit
        after = str(end) if end < len(found) else None
        return ok({"items": found[start:end], "next": after})

    def _edges(self, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = {name: query[name] for name in ("from", "to") if name in query}
        return [edge for edge in self.edges if wanted.items() <= edge.items()]

    def _put_edge(self, document: dict[str, Any]) -> Answer:
        source, target = document.pop("from"), document.pop("to")
        for end in (source, target):
            if end not in self.nodes:
                return problem(404, f"There is no node {end}.")
        return ok(self.link(source, target, **document), status=201)

    def _batch(self, content: bytes) -> Answer:
        for line in content.splitlines():
            command = json.loads(line)
            if command.pop("op") == "put_node":
                self.put(**command)
            else:
                self._put_edge(command)
        return ndjson({"done": True, "applied": 2, "failed": 0})

    def _search(self, query: dict[str, str]) -> Answer:
        words = query["q"]
        return ok(
            [
                {
                    "node": node,
                    "score": 0.5,
                    "resonance": None,
                    "highlight": node["label"].replace(words, f"<mark>{words}</mark>"),
                }
                for node in self.nodes.values()
                if words in node["label"]
            ]
        )


def ok(document: Any, status: int = 200) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(document, ensure_ascii=False).encode())


def ndjson(*documents: Any) -> Answer:
    """Return an answer of one document per line."""
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    return Answer(200, lines.encode(), "application/x-ndjson")


def problem(status: int, detail: str, **more: str) -> Answer:
    """Return a problem document."""
    document = {"type": "about:blank", "title": "Refused", "status": status}
    content = json.dumps(document | {"detail": detail} | more).encode()
    return Answer(status, content, "application/problem+json")


def _handler(daemon: FakeDaemon) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Carries one request to the fake and its answer back."""

        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            request = Request(
                self.command, url.path, query, dict(self.headers), self._content()
            )
            answer = daemon.answer(request)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            length = len(answer.content) if answer.declared is None else answer.declared
            self.send_header("Content-Length", str(length))
            with suppress(ConnectionError):  # the client has a right to leave
                self.end_headers()
                self.wfile.write(answer.content)
            self.close_connection = True

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

        def _content(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = b""
            while count := int(self.rfile.readline(), 16):
                content += self.rfile.read(count)
                self.rfile.readline()
            self.rfile.readline()
            return content

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: tests read the output."""

    return Handler


@contextmanager
def fake_daemon(home: Path) -> Iterator[FakeDaemon]:
    """Serve a fake daemon, with its `run.json` and token in `home`."""
    daemon = FakeDaemon()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(daemon)) as server:
        port = server.server_address[1]
        running = {"port": port, "pid": os.getpid(), "url": f"http://127.0.0.1:{port}"}
        home.mkdir(parents=True, exist_ok=True)
        (home / "run.json").write_text(json.dumps(running))
        (home / "token").write_text(TOKEN + "\n")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield daemon
        server.shutdown()
        thread.join()
    (home / "run.json").unlink()
