"""Routes about what texts mean: search, and what resonates with a node."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from consensus.errors import EmbeddingError
from crdt.fusion import fused
from crdt.graph_reader import Hit
from crdt.records import Node
from daemon.api import shapes
from daemon.api.nodes import document
from daemon.api.routing import Call, json_response
from daemon.meaning.meaning import Question

HYBRID_SECONDS: Final = 1.5
"""For how long a search that also has words to go by waits for the model."""
VECTOR_SECONDS: Final = 60.0
_FUSED: Final = 100
"""Length of the rankings that become one, if no more is asked for."""


async def search(call: Call) -> web.Response:
    """Answer the nodes that fit what is asked, by words, by meaning or both."""
    query: shapes.SearchQuery = call.query
    match query.mode:
        case "text":
            hits = _by_words(call, await _worded(call, query.limit))
        case "vector":
            question = await call.service.meaning.question(query.q, VECTOR_SECONDS)
            hits = [
                shapes.SearchHit(document(call, node), near, near, None)
                for node, near in await call.service.meaning.nearest(
                    question, query.limit, query.type
                )
            ]
        case "hybrid":
            hits = await _by_both(call)
    return json_response(hits)


async def get_resonant(call: Call) -> web.Response:
    """Answer the nodes that mean nearly what a node does, nearest first."""
    query: shapes.ResonantQuery = call.query
    found = await call.service.meaning.resonant(
        call.path["key"], query.limit, query.threshold
    )
    return json_response(
        [shapes.Resonance(document(call, node), near) for node, near in found]
    )


async def _worded(call: Call, limit: int) -> list[Hit]:
    query: shapes.SearchQuery = call.query
    return await call.service.read(
        lambda reader: reader.search(
            query.q,
            limit=limit,
            now_ms=call.service.wall_ms(),
            node_type=query.type,
        )
    )


def _by_words(call: Call, hits: Sequence[Hit]) -> list[shapes.SearchHit]:
    return [
        shapes.SearchHit(document(call, hit.node), hit.score, None, hit.highlight)
        for hit in hits
    ]


async def _by_both(call: Call) -> list[shapes.SearchHit]:
    """Return both rankings as one; by words alone while meaning is not known."""
    query: shapes.SearchQuery = call.query
    service = call.service
    size = max(query.limit, _FUSED)
    worded = await _worded(call, size)
    try:
        question = await service.meaning.question(query.q, HYBRID_SECONDS)
    except EmbeddingError:
        return _by_words(call, worded[: query.limit])
    meant = await service.meaning.nearest(question, size, query.type)
    nodes: dict[str, Node] = {hit.node.key: hit.node for hit in worded}
    nodes |= {node.key: node for node, _ in meant}
    now_ms = service.wall_ms()
    ranked = fused(
        ([hit.node.key for hit in worded], [node.key for node, _ in meant]),
        lambda key: service.reader.atp(key, now_ms),
    )[: query.limit]
    near = await _resonances(call, question, meant, [key for key, _ in ranked])
    highlights: dict[str, str | None] = {hit.node.key: hit.highlight for hit in worded}
    return [
        shapes.SearchHit(
            document(call, nodes[key]), score, near.get(key), highlights.get(key)
        )
        for key, score in ranked
    ]


async def _resonances(
    call: Call,
    question: Question,
    meant: Sequence[tuple[Node, float]],
    keys: Sequence[str],
) -> dict[str, float]:
    """Return how near each node is, also those that were found by words alone."""
    near: dict[str, float] = {node.key: resonance for node, resonance in meant}
    others = [key for key in keys if key not in near]
    if others:
        near |= await call.service.meaning.resonances(question, others)
    return near
