"""Routes of edges."""

from http import HTTPStatus

from aiohttp import web

from crdt.commands import DeleteEdge, PutEdge
from crdt.errors import InvalidError
from crdt.ids import EdgeId
from daemon.api import shapes
from daemon.api.nodes import decode_cursor, encode_cursor, write
from daemon.api.routing import Call, json_response


async def put_edge(call: Call) -> web.Response:
    """Create or replace an edge between two nodes."""
    content: shapes.EdgeContent = call.body
    outcome = await write(
        call,
        PutEdge(
            content.source,
            content.target,
            content.type,
            content.weight,
            content.metadata,
        ),
    )
    edge = await call.service.read(lambda reader: reader.edge(EdgeId(outcome.key)))
    status = HTTPStatus.CREATED if outcome.is_created else HTTPStatus.OK
    return json_response(shapes.edge_document(edge), status)


async def delete_edge(call: Call) -> web.Response:
    """Remove an edge."""
    await write(call, DeleteEdge(call.path["id"]))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def list_edges(call: Call) -> web.Response:
    """Answer a page of edges in the order in which this device learnt of them."""
    query: shapes.EdgesQuery = call.query
    place = decode_cursor(query.cursor) or "0"
    if not place.isascii() or not place.isdigit() or len(place) > 10:
        raise InvalidError("cursor", "is not one that a list has answered")
    edges = await call.service.read(
        lambda reader: reader.edges(
            limit=query.limit + 1,
            after=int(place),
            source=query.source,
            target=query.target,
            edge_type=query.type,
        )
    )
    page = edges[: query.limit]
    following = encode_cursor(str(page[-1][0])) if len(edges) > len(page) else None
    return json_response(
        shapes.EdgeList([shapes.edge_document(edge) for _, edge in page], following)
    )
