"""Routes of nodes: create, read, change, delete, restore, pulse, history, walks."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from crdt.commands import (
    AnyCommand,
    DeleteNode,
    Once,
    PatchNode,
    Pulse,
    PutBody,
    PutNode,
    RestoreNode,
)
from crdt.errors import InvalidError
from crdt.execution import Outcome
from crdt.ids import MAX_BODY_BYTES, check_key
from crdt.nearness import Walk
from crdt.records import Node
from crdt.schema import MAX_TIME_MS
from crdt.stream_points import Point
from daemon.api import shapes
from daemon.api.problems import ProblemError
from daemon.api.routing import Call, json_response, read_limited
from daemon.interchange.timestamps import format_time, parse_time

_IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_MAX_IDEMPOTENCY_KEY: Final = 255


async def write(call: Call, command: AnyCommand) -> Outcome:
    """Carry out a command durably, once per idempotency key."""
    key = call.request.headers.get(_IDEMPOTENCY_KEY)
    if key is None:
        return await call.service.owner.write(command)
    if not 0 < len(key) <= _MAX_IDEMPOTENCY_KEY:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"An idempotency key has 1 to {_MAX_IDEMPOTENCY_KEY} characters.",
        )
    asked = msgspec.msgpack.encode(command)
    once = Once(
        receipt=hashlib.sha256(key.encode(errors="replace")).digest(),
        request=hashlib.sha256(asked).digest(),
        command=command,
    )
    return await call.service.owner.write(once)


def document(call: Call, node: Node) -> shapes.NodeDocument:
    """Return a node as the API shows it now."""
    service = call.service
    safe_on, is_pending = service.devices.safe_on(service.reader.last_change(node.key))
    return shapes.node_document(
        node,
        service.reader.atp(node.key, service.wall_ms()),
        shapes.Replication(safe_on, is_pending),
        service.bridge.placement.of(node.key),
    )


def encode_cursor(place: str) -> str:
    """Return a place in a list as a client gets it."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str:
    """Return the place that a cursor stands for; empty for the beginning."""
    if cursor is None:
        return ""
    try:
        return base64.b64decode(
            cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        ).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise InvalidError("cursor", "is not one that a list has answered") from None


async def get_node(call: Call) -> web.Response:
    """Answer one visible node."""
    return json_response(document(call, call.service.reader.node(call.path["key"])))


async def put_node(call: Call) -> web.Response:
    """Create or replace a node."""
    content: shapes.NodeContent = call.body
    key = check_key(call.path["key"])
    outcome = await write(
        call,
        PutNode(key, content.label, content.type, content.metadata, content.network),
    )
    return _written(call, outcome)


async def patch_node(call: Call) -> web.Response:
    """Change the fields given."""
    patch: shapes.NodePatch = call.body
    command = PatchNode(
        call.path["key"], patch.label, patch.type, patch.metadata, patch.network
    )
    return _written(call, await write(call, command))


async def delete_node(call: Call) -> web.Response:
    """Move a node to the trash."""
    await write(call, DeleteNode(call.path["key"]))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def restore_node(call: Call) -> web.Response:
    """Bring a node back from the trash."""
    outcome = await write(call, RestoreNode(call.path["key"]))
    node = call.service.reader.node(outcome.key)
    return json_response(document(call, node))


async def pulse(call: Call) -> web.Response:
    """Give energy to a node; answer the energy it has."""
    content: shapes.PulseContent = call.body
    outcome = await write(call, Pulse(call.path["key"], content.energy))
    service = call.service
    return json_response(
        shapes.Energy(service.reader.atp(outcome.key, service.wall_ms()))
    )


async def list_nodes(call: Call) -> web.Response:
    """Answer a page of nodes in key order."""
    query: shapes.NodesQuery = call.query
    after = decode_cursor(query.cursor)
    since = query.updated_since
    since_ms = None if since is None else parse_time(since, "updated_since")
    nodes = await call.service.read(
        lambda reader: reader.nodes(
            limit=query.limit + 1,
            after=after,
            prefix=query.prefix,
            node_type=query.type,
            network=query.network,
            updated_since_ms=since_ms,
            in_trash=query.trash,
        )
    )
    page = nodes[: query.limit]
    following = encode_cursor(page[-1].key) if len(nodes) > len(page) else None
    return json_response(
        shapes.NodeList([document(call, node) for node in page], following)
    )


async def neighbours(call: Call) -> web.Response:
    """Answer nodes near a node, the nearest or the most energetic first."""
    query: shapes.NeighboursQuery = call.query
    if query.order == "energy":
        return await _energetic(call, query)
    found = await call.service.read(
        lambda reader: reader.neighbours(
            call.path["key"],
            limit=query.limit,
            depth=query.depth,
            direction=query.direction,
            edge_type=query.type,
            network=query.network,
        )
    )
    items = [shapes.Neighbour(document(call, node), steps) for node, steps in found]
    return json_response(shapes.NeighbourList(items, None))


async def _energetic(call: Call, query: shapes.NeighboursQuery) -> web.Response:
    now_ms = call.service.wall_ms()
    found, is_complete = await call.service.read(
        lambda reader: reader.energetic(
            call.path["key"],
            Walk(query.depth, query.direction, query.type),
            network=query.network,
            limit=query.limit,
            now_ms=now_ms,
        )
    )
    items = [
        shapes.Neighbour(document(call, node), near.distance, near.score)
        for node, near in found
    ]
    return json_response(shapes.NeighbourList(items, None, is_complete))


async def find_path(call: Call) -> web.Response:
    """Answer the cheapest way between two nodes."""
    query: shapes.PathQuery = call.query
    now_ms = call.service.wall_ms()
    found = await call.service.read(
        lambda reader: reader.path(
            query.source, query.target, now_ms, query.max_cost, query.network
        )
    )
    if found is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "There is no way between the two within that cost."
        )
    nodes, cost = found
    return json_response(
        shapes.PathDocument([document(call, node) for node in nodes], cost)
    )


async def get_stream(call: Call) -> web.Response:
    """Answer the history of a node."""
    query: shapes.StreamQuery = call.query
    since_ms, until_ms = bounds(query.since, query.until)
    points = await call.service.read(
        lambda reader: reader.stream(
            call.path["key"],
            since_ms=since_ms,
            until_ms=until_ms,
            bucket=query.bucket,
            limit=query.limit,
        )
    )
    return json_response(stream_document(points))


def bounds(since: str | None, until: str | None) -> tuple[int, int]:
    """Return from when until when a history is asked for, in ms."""
    return (
        0 if since is None else parse_time(since, "since"),
        MAX_TIME_MS if until is None else parse_time(until, "until"),
    )


def stream_document(points: Sequence[Point]) -> shapes.StreamDocument:
    """Return points as the API shows them."""
    return shapes.StreamDocument(
        [
            shapes.StreamPoint(
                format_time(point.time_ms),
                point.atp,
                point.attention,
                point.type,
                point.count,
            )
            for point in points
        ]
    )


async def get_body(call: Call) -> web.Response:
    """Answer the long text of a node."""
    text = await call.service.read(lambda reader: reader.body(call.path["key"]))
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


async def put_body(call: Call) -> web.Response:
    """Replace the long text of a node; an empty one removes it."""
    content = await read_limited(call.request, MAX_BODY_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "The body is not text in UTF-8."
        ) from None
    await write(call, PutBody(call.path["key"], text))
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _written(call: Call, outcome: Outcome) -> web.Response:
    node = call.service.reader.node(outcome.key)
    status = HTTPStatus.CREATED if outcome.is_created else HTTPStatus.OK
    return json_response(document(call, node), status)
