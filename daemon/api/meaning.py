"""Routes about what texts mean and what moves: search, resonance, patterns."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from consensus.errors import EmbeddingError
from crdt.fusion import fused
from crdt.graph_reader import Hit, Moving
from crdt.ids import CircleId
from crdt.records import Node
from daemon.api import shapes
from daemon.api.nodes import document
from daemon.api.routing import Call, json_response
from daemon.circles.following import Standing
from daemon.circles.movement import Movement
from daemon.interchange.timestamps import format_time
from daemon.meaning.meaning import Question

HYBRID_SECONDS: Final = 1.5
"""For how long a search that also has words to go by waits for the model."""
VECTOR_SECONDS: Final = 60.0
_WINDOW_MS: Final = {"h": 3_600_000, "d": 86_400_000}
_ONE: Final = 10_000
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
                    question, query.limit, query.type, query.network
                )
            ]
        case "hybrid":
            hits = await _by_both(call)
    return json_response(hits)


async def get_resonant(call: Call) -> web.Response:
    """Answer the nodes that mean nearly what a node does, nearest first."""
    query: shapes.ResonantQuery = call.query
    found = await call.service.meaning.resonant(
        call.path["key"], query.limit, query.threshold, query.network
    )
    return json_response(
        [shapes.Resonance(document(call, node), near) for node, near in found]
    )


async def get_patterns(call: Call) -> web.Response:
    """Answer what rises, falls or bursts: history joined with what is alive now."""
    query: shapes.PatternsQuery = call.query
    window_ms = int(query.window[:-1]) * _WINDOW_MS[query.window[-1]]
    now_ms = call.service.wall_ms()
    moving, asked = await call.service.read(
        lambda reader: reader.patterns(window_ms, now_ms)
    )
    items = [await _pattern(call, each) for each in moving[: query.limit]]
    moved = [
        _movement(call, circle.id, standing, movement)
        for circle in call.service.circles.all()
        if circle.is_active
        for standing, movement in await call.service.bridge.movements(
            circle, window_ms, now_ms
        )
    ]
    return json_response(
        shapes.PatternList(items, None, query.window, asked, moved[: query.limit])
    )


async def get_regions(call: Call) -> web.Response:
    """Answer the regions of meaning that the graph's nodes fall into."""
    items = [
        shapes.RegionDocument(
            keys[0], [node.label for node in central], len(keys), keys
        )
        for central, keys in await call.service.meaning.regions()
    ]
    return json_response(shapes.RegionList(items, None))


def _movement(
    call: Call, circle: CircleId, standing: Standing, movement: Movement
) -> shapes.ConsensusMovement:
    return shapes.ConsensusMovement(
        circle=circle.hex(),
        key=standing.key.hex(),
        label=standing.label,
        pattern=movement.kind,
        since=format_time(movement.since_ms),
        contributors_before=movement.before.contributor_count,
        contributors=movement.after.contributor_count,
        score_before=movement.before.score / _ONE,
        score=movement.after.score / _ONE,
        linked=list(call.service.bridge.placement.linked(circle, standing.key)),
    )


async def _pattern(call: Call, moving: Moving) -> shapes.PatternDocument:
    pattern = moving.pattern
    try:
        near = await call.service.meaning.resonant(moving.node.key, 1, 0.0)
    except EmbeddingError:
        near = []
    nearest, resonance = near[0] if near else (None, None)
    return shapes.PatternDocument(
        node=document(call, moving.node),
        pattern=pattern.kind,
        since=format_time(pattern.start_ms),
        count=pattern.count,
        expected=pattern.expected,
        chance=pattern.chance,
        links=moving.links,
        resonance=resonance,
        resonant=None if nearest is None else nearest.key,
    )


async def _worded(call: Call, limit: int, *, all_words: bool = False) -> list[Hit]:
    query: shapes.SearchQuery = call.query
    return await call.service.read(
        lambda reader: reader.search(
            query.q,
            limit=limit,
            now_ms=call.service.wall_ms(),
            node_type=query.type,
            network=query.network,
            all_words=all_words,
        )
    )


def _by_words(call: Call, hits: Sequence[Hit]) -> list[shapes.SearchHit]:
    return [
        shapes.SearchHit(document(call, hit.node), hit.score, None, hit.highlight)
        for hit in hits
    ]


async def _by_both(call: Call) -> list[shapes.SearchHit]:
    """Return both rankings as one; by words alone while meaning is not known.

    Beside meaning only nodes with all the words count: with some of them are many, and
    measured on questions they push out the right ones (docs/search.md).
    """
    query: shapes.SearchQuery = call.query
    service = call.service
    size = max(query.limit, _FUSED)
    try:
        question = await service.meaning.question(query.q, HYBRID_SECONDS)
    except EmbeddingError:
        return _by_words(call, await _worded(call, query.limit))
    worded = await _worded(call, size, all_words=True)
    meant = await service.meaning.nearest(question, size, query.type, query.network)
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
