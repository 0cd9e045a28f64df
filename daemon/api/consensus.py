"""Routes of what resonates in a circle.

Rule: resonance is closeness of meaning. Whether members hold the same view is told by
`affirm` and `dissent` alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consensus.result import ConsensusNode
from consensus.vote import Choice
from crdt.graph_reader import GraphReader
from crdt.ids import AuthorKey, NodeKey
from daemon.api import consensus_shapes as shapes
from daemon.api.circles import circle_of
from daemon.api.nodes import document
from daemon.api.paging import page_of
from daemon.api.routing import Call, json_response
from daemon.circles.bridge import Look
from daemon.circles.details import Detail, texts
from daemon.circles.kept_nodes import present
from daemon.circles.ports import JoinedCircle
from daemon.circles.tree import Branch, Reach, Step, walk
from daemon.interchange.timestamps import format_time, parse_time

_ONE: Final = 10_000
_CHOICES: Final[Mapping[shapes.Stance | None, Choice]] = {
    "affirm": Choice.AFFIRM,
    "dissent": Choice.DISSENT,
    None: Choice.WITHDRAW,
}
_STANCES: Final = {choice: stance for stance, choice in _CHOICES.items()}
_MOST_EDGES: Final = 1_000
"""Edges of a node that a walk follows."""


async def list_consensus(call: Call) -> web.Response:
    """Answer the consensus nodes of a circle, the most resonant first."""
    query: shapes.ConsensusQuery = call.query
    circle = circle_of(call)
    look = await call.service.bridge.look(circle)
    found = [
        node
        for node in sorted(look.result.nodes, key=lambda node: (-node.score, node.key))
        if node.score >= query.min_score * _ONE
        and query.status in (None, node.status.value)
    ]
    if query.q is not None:
        found = await _with_words(circle, found, query.q)
    page, following = page_of(
        found, lambda node: node.key.hex(), query.limit, query.cursor
    )
    details = await call.service.bridge.details.of(circle, look.result)
    items = [_document(call, circle, look, each, details) for each in page]
    return json_response(shapes.ConsensusList(items, following, look.result.hash.hex()))


async def get_consensus(call: Call) -> web.Response:
    """Answer one consensus node with what it is made of."""
    circle = circle_of(call)
    look, node = await call.service.bridge.find(circle, call.path["key"])
    shown = await _one(call, circle, look, node)
    held = await texts(circle, node.members)
    members = [
        shapes.MemberText(
            id=each.id.hex(),
            author=each.author.hex(),
            alias=circle.alias(AuthorKey(each.author)),
            mine=each.author == circle.records.author,
            text=each.text,
            epoch=each.epoch,
        )
        for each in sorted(
            held.values(),
            key=lambda each: (each.id != node.label_id, each.text, each.id),
        )
    ]
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return json_response(shapes.ConsensusDetail(**fields, members=members))


async def get_tree(call: Call) -> web.Response:
    """Answer the person's own nodes around a consensus node."""
    query: shapes.TreeQuery = call.query
    circle = circle_of(call)
    _, found = await call.service.bridge.find(circle, call.path["key"])
    roots = call.service.bridge.placement.linked(circle.id, found.key)
    reach = Reach(query.depth, query.decay, query.min_score, query.limit)
    branches = await call.service.read(
        lambda reader: walk(
            present(reader, roots), lambda key: _steps(reader, key), reach
        )
    )
    items = [_branch_document(call, each) for each in branches]
    return json_response(shapes.TreeDocument(found.key.hex(), found.label, items))


async def get_history(call: Call) -> web.Response:
    """Answer how a consensus node stood over time."""
    query: shapes.HistoryQuery = call.query
    since_ms = 0 if query.since is None else parse_time(query.since, "since")
    circle = circle_of(call)
    _, found = await call.service.bridge.find(circle, call.path["key"])
    points = [
        shapes.HistoryPoint(
            time=format_time(each.time_ms),
            resonance_score=each.score / _ONE,
            contributor_count=each.contributor_count,
            counted_authors=each.counted_authors,
            member_count=each.member_count,
        )
        for each in await call.service.bridge.history(circle, found.key, since_ms)
    ]
    return json_response(shapes.HistoryDocument(found.key.hex(), points))


async def post_vote(call: Call) -> web.Response:
    """State that this person affirms a consensus node, dissents, or neither."""
    content: shapes.VoteContent = call.body
    circle = circle_of(call)
    bridge = call.service.bridge
    _, found = await bridge.find(circle, call.path["key"])
    await circle.records.vote(found.key, _CHOICES[content.vote])
    look, node = await bridge.find(circle, found.key.hex())
    return json_response(await _one(call, circle, look, node))


async def post_integrate(call: Call) -> web.Response:
    """Keep a consensus node in the graph, linked with the person's own thoughts."""
    content: shapes.IntegrateContent = call.body
    circle = circle_of(call)
    thought = None if content.node is None else NodeKey(content.node)
    key, linked = await call.service.bridge.integrate(circle, call.path["key"], thought)
    shown = document(call, call.service.reader.node(key))
    answer = shapes.IntegratedDocument(shown, list(linked))
    return json_response(answer, HTTPStatus.CREATED)


async def _one(
    call: Call, circle: JoinedCircle, look: Look, node: ConsensusNode
) -> shapes.ConsensusDocument:
    details = await call.service.bridge.details.of(circle, look.result)
    return _document(call, circle, look, node, details)


def _document(
    call: Call,
    circle: JoinedCircle,
    look: Look,
    node: ConsensusNode,
    details: Mapping[bytes, Detail],
) -> shapes.ConsensusDocument:
    """Return a consensus node as the API shows it."""
    standing, detail = look.standings[node.key], details[node.key]
    return shapes.ConsensusDocument(
        key=node.key.hex(),
        label=node.label,
        keywords=list(detail.keywords),
        status=node.status.value,
        contributor_count=node.contributor_count,
        counted_authors=node.counted_authors,
        member_count=len(node.members),
        resonance_score=node.score / _ONE,
        affirm=standing.affirm,
        dissent=standing.dissent,
        vote=_STANCES[circle.records.own_vote(node.key)],
        first_epoch=detail.first_epoch,
        last_epoch=detail.last_epoch,
        mine=detail.is_mine,
        linked=list(call.service.bridge.placement.linked(circle.id, node.key)),
    )


async def _with_words(
    circle: JoinedCircle, nodes: Sequence[ConsensusNode], asked: str
) -> list[ConsensusNode]:
    """Return the nodes whose texts have all words that are asked for."""
    ids = [id_ for node in nodes for id_ in node.members]
    held = await texts(circle, ids)
    words = asked.casefold().split()

    def has_words(node: ConsensusNode) -> bool:
        said = (held[id_].text for id_ in node.members if id_ in held)
        whole = "\n".join(said).casefold()
        return all(word in whole for word in words)

    return [node for node in nodes if has_words(node)]


def _steps(reader: GraphReader, key: NodeKey) -> Iterable[Step]:
    edges = reader.edges(limit=_MOST_EDGES, source=key)
    return [(edge.target, edge.type) for _, edge in edges]


def _branch_document(call: Call, branch: Branch) -> shapes.BranchDocument:
    return shapes.BranchDocument(
        node=document(call, call.service.reader.node(branch.key)),
        parent=branch.parent,
        edge=branch.edge_type,
        depth=branch.depth,
        resonance=round(branch.resonance, 9),
    )
