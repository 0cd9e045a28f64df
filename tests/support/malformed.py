"""For every route of the API: a request that is right, and all the ways to spoil it.

The ways come from the route's own structs: a new field for which nothing broken is
listed here, or a new route without an example, is an error.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from crdt.ids import MAX_BODY_BYTES
from daemon.api.openapi import WITHOUT_RECEIPT
from daemon.api.routing import MAX_BODY_BYTES as MAX_JSON_BYTES
from daemon.api.routing import Route

ABSENT_EDGE: Final = "A" * 24
ABSENT_DEVICE: Final = "a" * 26
CIRCLE: Final = "mill"
"""Name of a circle that there is."""
UPGRADE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)
"""Headers that ask for a WebSocket."""
_NAMES: Final = (1, None, "", "t" * 65, "two\nlines", "\u0085")
_KEYS: Final = (1, None, "", "k" * 256, "\u20ac" * 86, "tab\t", "\u2028")

BROKEN_FIELDS: Final[dict[str, Sequence[Any]]] = {
    "label": (1, None, "", [], "l" * 4097, "é" * 2049),
    "text": (1, None, "", [], "t" * 4097, "é" * 2049),
    "key": (1, "", "k" * 256, "\u20ac" * 86, "tab\t", "\u2028"),
    "parent": (1, []),
    "circle": (1, []),
    "publish": (None, 1, "sometimes", True),
    "type": _NAMES,
    "network": _NAMES,
    "metadata": (
        [],
        1,
        None,
        {"": 1},
        {"two\nlines": 1},
        {"n" * 256: 1},
        {"a": "x" * 65536},
    ),
    "from": _KEYS,
    "to": _KEYS,
    "weight": ("1", None, True, []),
    "half_life_hours": (0, 87_601, 1.5, "1", True, []),
    "energy": (-1, 1e7, "1", None, True),
    "code": (1, None, "", "7", "7-orbit", "7-orbit-lantern", "7" * 3000),
    "address": (1, None, "", "nowhere", "192.0.2.1:0", "192.0.2.1:7374:1"),
    "paused": (1, "yes", []),
    "endpoint": (1, "", "nowhere", "192.0.2.1:0", "192.0.2.1:7374:1"),
    "name": (1, "", " ", "two\nlines", "n" * 256),
    "preset": (1, None, "", "loose"),
    "alias": (1, []),
    "uses": (0, -1, 101, 1.5, "1", None),
    "valid_seconds": (0, 59, 10**9, "60", None),
    "ticket": (1, None, "", "nonsense", "fractality-circle-", "t" * 9_000),
    "vote": (1, "", "like"),
    "node": (1, []),
    "path": (1, None, "", "/v1/status", "/v1/bodies/", "/v1/bodies/a/b", "/" * 4097),
}
"""Values that a field of a JSON body must not have: 422 and the field's name."""

_TIMES: Final = ("", "yesterday", "2026-13-01T00:00:00Z", "1969-12-31T00:00:00Z")
BROKEN_PARAMETERS: Final[dict[str, Sequence[str]]] = {
    "limit": ("", "0", "-1", "1001", "1.5", "many", "9" * 40),
    "depth": ("0", "7", "deep"),
    "trash": ("", "maybe", "2"),
    "max_cost": ("", "-1", "nan", "1e999", "much"),
    "direction": ("", "sideways"),
    "bucket": ("week",),
    "mode": ("guess",),
    "format": ("zip", "JSONL"),
    "cursor": ("!", "a", "_w"),
    "since": _TIMES,
    "until": _TIMES,
    "updated_since": _TIMES,
    "q": ("q" * 1001,),
    "threshold": ("", "-1", "2", "nan", "much"),
    "window": ("", "7", "0d", "1000d", "week"),
    "mine": ("", "maybe"),
    "min_score": ("", "-1", "2", "nan", "much"),
    "decay": ("", "-1", "2", "nan", "much"),
    "status": ("", "faded"),
    "after": ("", "1.5", "late"),
    "wait": ("", "-1", "31", "nan", "long"),
    # Any text may be looked for; nothing is found.
    "from": (),
    "to": (),
    "type": (),
    "network": (),
    "order": ("", "size"),
    "prefix": (),
    "space": (),
    "ticket": (),
}
"""Texts that a query parameter must not have: 422 and the parameter's name."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request; `query` has pairs, for a name may come twice."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    raw_query: str = ""

    @property
    def target(self) -> str:
        """What stands in the request line."""
        query = "&".join(filter(None, (urlencode(self.query), self.raw_query)))
        return f"{self.path}?{query}" if query else self.path


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request that must be refused, and how."""

    flaw: str
    request: Request
    status: int
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """What makes a request of a route right."""

    name: str = ""
    """For what stands in braces in the route's path."""
    query: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    content: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    refusal: int | None = None
    """With which it is answered here, though nothing is wrong with it."""


CREATING: Final = {"PUT /v1/nodes/{key}": "key", "PUT /v1/networks/{name}": "name"}
"""Routes that make what their path names, and what it is called."""
EXAMPLES: Final = {
    "GET /healthz": Example(),
    "GET /metrics": Example(),
    "GET /v1/openapi.json": Example(),
    "GET /v1/status": Example(),
    "GET /v1/events": Example(),
    "POST /v1/tickets": Example(document={"path": "/v1/events"}),
    "GET /v1/bodies/{key}": Example("a", headers=UPGRADE),
    "GET /v1/nodes": Example(query={"limit": "3"}),
    "GET /v1/nodes/{key}": Example("a"),
    "PUT /v1/nodes/{key}": Example("a", document={"label": "A"}),
    "PATCH /v1/nodes/{key}": Example("a", document={"label": "B"}),
    "DELETE /v1/nodes/{key}": Example("doomed"),
    "POST /v1/nodes/{key}/restore": Example("trashed"),
    "POST /v1/nodes/{key}/pulse": Example("a", document={"energy": 1}),
    "GET /v1/nodes/{key}/stream": Example("a"),
    "GET /v1/nodes/{key}/neighbours": Example("a"),
    "GET /v1/nodes/{key}/resonant": Example("a", refusal=503),
    "GET /v1/nodes/{key}/body": Example("a"),
    "PUT /v1/nodes/{key}/body": Example("a", content=b"text"),
    "GET /v1/path": Example(query={"from": "a", "to": "b"}),
    "GET /v1/patterns": Example(),
    "GET /v1/networks": Example(),
    "GET /v1/networks/{name}/stream": Example("default"),
    "PUT /v1/networks/{name}": Example("work", document={"half_life_hours": 24}),
    "GET /v1/regions": Example(refusal=503),
    "POST /v1/thoughts": Example(document={"text": "A thought"}),
    "GET /v1/thoughts/{job}": Example("c0ffee", refusal=404),
    "GET /v1/edges": Example(query={"from": "a"}),
    "PUT /v1/edges": Example(document={"from": "a", "to": "b"}),
    "DELETE /v1/edges/{id}": Example("EDGE"),
    "POST /v1/batch": Example(content=b""),
    "GET /v1/search": Example(query={"q": "a"}),
    "GET /v1/export": Example(),
    "POST /v1/import": Example(content=b""),
    "GET /v1/backup": Example(),
    "POST /v1/pairing": Example(),
    "GET /v1/pairing": Example(query={"wait": "0"}),
    "DELETE /v1/pairing": Example(),
    "GET /v1/devices": Example(),
    "PATCH /v1/devices/{id}": Example(
        ABSENT_DEVICE, document={"name": "x"}, refusal=404
    ),
    "DELETE /v1/devices/{id}": Example(ABSENT_DEVICE, refusal=404),
    "GET /v1/peers": Example(),
    "POST /v1/peers": Example(document={"address": "192.0.2.1:7374"}),
    "POST /v1/sync": Example(document={}),
    "POST /v1/pairing/join": Example(
        document={"code": "7-orbit-ladder", "endpoint": "192.0.2.1:7374"}, refusal=409
    ),
    "GET /v1/circles": Example(),
    "POST /v1/circles": Example(document={"name": "Another"}),
    "POST /v1/circles/join": Example(document={"ticket": "none"}, refusal=422),
    "GET /v1/circles/{id}": Example(CIRCLE),
    "DELETE /v1/circles/{id}": Example("nowhere", refusal=404),
    "POST /v1/circles/{id}/invites": Example(CIRCLE, document={}),
    "DELETE /v1/circles/{id}/members/{person}": Example(CIRCLE, refusal=422),
    "POST /v1/circles/{id}/members/{person}/vouch": Example(CIRCLE, refusal=422),
    "GET /v1/circles/{id}/preview/{key}": Example(CIRCLE, refusal=404),
    "GET /v1/circles/{id}/contributions": Example(CIRCLE),
    "PUT /v1/circles/{id}/contributions/{key}": Example(CIRCLE, refusal=404),
    "DELETE /v1/circles/{id}/contributions/{key}": Example(CIRCLE, refusal=404),
    "GET /v1/circles/{id}/consensus": Example(CIRCLE),
    "GET /v1/circles/{id}/consensus/{key}": Example(CIRCLE, refusal=404),
    "GET /v1/circles/{id}/consensus/{key}/tree": Example(CIRCLE, refusal=404),
    "GET /v1/circles/{id}/consensus/{key}/history": Example(CIRCLE, refusal=404),
    "POST /v1/circles/{id}/consensus/{key}/vote": Example(
        CIRCLE, document={"vote": "affirm"}, refusal=404
    ),
    "POST /v1/circles/{id}/consensus/{key}/integrate": Example(
        CIRCLE, document={}, refusal=404
    ),
}


def name_of(route: Route) -> str:
    """Return the key of a route in `EXAMPLES`."""
    return f"{route.method} {route.path}"


def right(route: Route, edge: str) -> Request:
    """Return a request that the route carries out; `edge` is the id of an edge."""
    example = EXAMPLES[name_of(route)]
    content = example.content
    if example.document is not None:
        content = json.dumps(example.document).encode()
    return Request(
        str(route.method),
        _path(route, example.name.replace("EDGE", edge)),
        tuple(example.query.items()),
        content,
        example.headers,
    )


def malformed(route: Route, edge: str) -> Iterator[Malformed]:
    """Yield every way to spoil the right request of a route."""
    request = right(route, edge)
    yield from _foreign(request)
    if route.needs_token:
        for token in ("", "Bearer", "Bearer wrong", "Basic d3Jvbmc6", "Bearer \xff"):
            spoilt = replace(request, headers=(("Authorization", token),))
            yield Malformed(f"token {token!r}", spoilt, 401)
    yield from _broken_query(route, request)
    if "{" in route.path:
        yield from _broken_name(route, request)
    if isinstance(route.body, type):
        yield from _broken_document(route.body, request)
        for key in ("", "k" * 256) if route.path not in WITHOUT_RECEIPT else ():
            spoilt = replace(request, headers=(("Idempotency-Key", key),))
            yield Malformed(f"idempotency key {key!r}", spoilt, 400)
    elif route.body == "text/plain":
        spoilt = replace(request, content=b"\xff\xfe")
        yield Malformed("no UTF-8", spoilt, 400)
        spoilt = replace(request, content=b"x" * (MAX_BODY_BYTES + 1))
        yield Malformed("too large", spoilt, 413)


def _path(route: Route, name: str) -> str:
    escaped = quote(name, safe="")
    return re.sub(r"\{\w+\}", escaped.replace("\\", r"\\"), route.path)


def _foreign(request: Request) -> Iterator[Malformed]:
    """Spoil what a page elsewhere could send."""
    for host in ("evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "[::2]:1"):
        spoilt = replace(request, headers=(("Host", host),))
        yield Malformed(f"host {host}", spoilt, 403)
    for origin in ("https://evil.example", "null", "http://[", "http://127.0.0.1:1"):
        spoilt = replace(request, headers=(("Origin", origin),))
        yield Malformed(f"origin {origin}", spoilt, 403)


def _broken_query(route: Route, request: Request) -> Iterator[Malformed]:
    for raw in ("a=%FF", "%zz=1", "a=%", "a=%4"):
        yield Malformed(f"query {raw}", replace(request, raw_query=raw), 400)
    given = dict(request.query)
    for each in msgspec.structs.fields(route.query):
        name = each.encode_name
        for text in BROKEN_PARAMETERS[name]:
            spoilt = replace(request, query=tuple({**given, name: text}.items()))
            yield Malformed(f"{name}={text!r}", spoilt, 422, name)
        if each.required:
            without = tuple(pair for pair in request.query if pair[0] != name)
            yield Malformed(f"no {name}", replace(request, query=without), 422, name)
        value = given.get(name, "1")
        twice = (*request.query, (name, value), (name, value))
        yield Malformed(f"{name} twice", replace(request, query=twice), 400)
    unknown = replace(request, query=(*request.query, ("colour", "red")))
    yield Malformed("unknown parameter", unknown, 422, "colour")
    if "space" in route.query.__struct_fields__:
        for space in ("", "nonsense", "a" * 26):
            elsewhere = replace(request, query=(*request.query, ("space", space)))
            yield Malformed(f"space {space!r}", elsewhere, 404)


def _broken_name(route: Route, request: Request) -> Iterator[Malformed]:
    """Spoil what stands for a key or an edge id."""
    for raw in ("%FF", "%C3", "%zz", "%", "%ED%A0%80"):
        path = _path(route, "NAME").replace("NAME", raw)
        yield Malformed(f"name {raw}", replace(request, path=path), 400)
    # A circle can be named by its name, and any text may be one.
    if route.path.endswith("{id}") and "circles" not in route.path:
        for name in ("short", "!" * 24, "k" * 5000):
            spoilt = replace(request, path=_path(route, name))
            yield Malformed(f"id {name:.9}", spoilt, 422, "id")
        identity = ABSENT_EDGE if "edges" in route.path else ABSENT_DEVICE
        absent = replace(request, path=_path(route, identity))
        yield Malformed("absent", absent, 404)
        return
    creates = CREATING.get(name_of(route))
    status, wrong = (422, creates) if creates else (404, None)
    for name in ("k" * 256, "\u20ac" * 86, "k" * 9000, "new\nline", "\0", "\x7f"):
        spoilt = replace(request, path=_path(route, name))
        yield Malformed(f"key {name:.9}", spoilt, status, wrong)
    if not creates:
        spoilt = replace(request, path=_path(route, "absent"))
        yield Malformed("absent", spoilt, 404)


def _broken_document(
    body: type[msgspec.Struct], request: Request
) -> Iterator[Malformed]:
    content = request.content or b""
    given = json.loads(content)

    def with_content(raw: bytes) -> Request:
        return replace(request, content=raw)

    def spoil(document: dict[str, Any]) -> Request:
        return with_content(json.dumps(document).encode())

    for raw in (b"", b"{", content + b"x", b"\xff", b"NaN"):
        yield Malformed(f"no JSON {raw!r}", with_content(raw), 400)
    for raw in (b"[]", b"1", b"null", b'"text"'):
        spoilt = with_content(raw)
        yield Malformed(f"no object {raw!r}", spoilt, 422, "document")
    large = content + b" " * MAX_JSON_BYTES
    yield Malformed("too large", with_content(large), 413)
    yield Malformed("unknown field", spoil({**given, "colour": 1}), 422, "colour")
    for each in msgspec.structs.fields(body):
        name = each.encode_name
        for flaw, text in (("no UTF-8", b'"\xff"'), ("half", b'"\\ud800"')):
            raw = json.dumps({**given, name: 0}).encode().replace(b": 0", b": " + text)
            if each.type is str:
                yield Malformed(f"{name} {flaw}", with_content(raw), 400)
        if name == "metadata":
            deep = b'{"metadata":' + b'{"a":' * 40_000
            yield Malformed("deep", with_content(deep), 400)
        for value in BROKEN_FIELDS[name]:
            flaw = f"{name}={value!r:.40}"
            yield Malformed(flaw, spoil({**given, name: value}), 422, name)
        if each.required:
            without = {key: value for key, value in given.items() if key != name}
            yield Malformed(f"no {name}", spoil(without), 422, name)
