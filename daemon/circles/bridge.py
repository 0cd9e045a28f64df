"""The way of a thought between the person's graph and what resonates in circles.

Rules of this file:

1. A result is worked out because somebody asks; whoever asks, what is kept in the graph
   follows it and watchers are told what changed.
2. Nothing here publishes anything.
3. All devices of a person may follow at once: they write the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from consensus.result import ConsensusNode, Result
from crdt.commands import PutEdge
from crdt.errors import InvalidError, NotFoundError
from crdt.graph_reader import GraphReader
from crdt.ids import CircleId, NodeKey
from crdt.records import Node
from daemon.circles.following import (
    EDGE_TYPE,
    NODE_TYPE,
    Standing,
    follow,
    heir,
    keeping,
    kept,
    kept_key,
)
from daemon.circles.placement import Placement
from daemon.circles.ports import CirclePort, GraphPort, NotesPort
from daemon.circles.preview import Embedded
from daemon.circles.publishing import ledger

MOST_KEPT: Final = 10_000
"""Kept consensus nodes that are followed, and links to one of them that are read."""
_LEAST_PREFIX: Final = 8


@dataclass(frozen=True, slots=True)
class Wisdom:
    """A consensus node near a thought."""

    circle: CircleId
    standing: Standing
    resonance: int
    """Of the thought with it, in basis points."""


@dataclass(frozen=True, slots=True)
class Look:
    """What resonates in a circle now."""

    result: Result
    standings: Mapping[bytes, Standing]

    def node(self, key: bytes) -> ConsensusNode:
        """Return a consensus node that is there."""
        return next(each for each in self.result.nodes if each.key == key)


class Bridge:
    """Joins the graph and the circles."""

    def __init__(
        self,
        graph: GraphPort,
        notes: NotesPort,
        tell: Callable[[CircleId, Iterable[Standing | bytes]], None],
    ) -> None:
        """Begin with nothing known.

        `tell` is given what changed: how a node stands now, or the key of one that is
        gone.
        """
        self.placement = Placement()
        self._graph = graph
        self._notes = notes
        self._tell = tell
        self._last: dict[CircleId, Mapping[bytes, Standing]] = {}

    async def look(self, circle: CirclePort) -> Look:
        """Work out what resonates now; let follow what follows from it."""
        result = await circle.collective.result()
        standings = {
            node.key: _standing(node, circle.records.tally(node.key))
            for node in result.nodes
        }
        before = self._last.get(circle.id)
        if before != standings:
            self._last[circle.id] = standings
            await self._follow(circle, standings)
            self._tell(circle.id, _differences(before or {}, standings))
        await self.place(circle, result)
        return Look(result, standings)

    async def find(self, circle: CirclePort, text: str) -> tuple[Look, ConsensusNode]:
        """Return the consensus node that a key, old or shortened, stands for.

        Raises `NotFoundError`, or `InvalidError` naming `key` if there are several.
        """
        look = await self.look(circle)
        wanted = text.lower()
        names = [each.key.hex() for each in look.result.nodes]
        found = [name for name in names if name == wanted]
        if not found and len(wanted) >= _LEAST_PREFIX:
            found = [name for name in names if name.startswith(wanted)]
        if not found and (former := _key_of(wanted)) is not None:
            aliases = await self._notes.aliases(circle.id)
            present = heir(former, look.standings, aliases)
            found = [] if present is None else [present.hex()]
        if not found:
            message = (
                "There is no such consensus node in this circle now; what resonates"
                " changes with what members publish and withdraw."
            )
            raise NotFoundError(message)
        if len(found) > 1:
            raise InvalidError("key", "begins several consensus nodes; give more of it")
        return look, look.node(bytes.fromhex(found[0]))

    async def wisdom(
        self, circle: CirclePort, embedded: Embedded, limit: int
    ) -> list[Wisdom]:
        """Return the consensus nodes near a thought, nearest first."""
        look = await self.look(circle)
        near = await circle.collective.nodes_near(
            embedded.vector, embedded.model, limit
        )
        return [
            Wisdom(circle.id, look.standings[node.key], resonance)
            for node, resonance in near
            if node.key in look.standings
        ]

    async def integrate(
        self, circle: CirclePort, text: str, thought: NodeKey | None
    ) -> NodeKey:
        """Keep a consensus node in the graph, linked with a thought; return its key.

        Without a thought it is linked with those of the person that are part of it.
        Raises `NotFoundError` for what is absent.
        """
        look, found = await self.find(circle, text)
        if thought is not None:
            await self._graph.read(lambda reader: reader.node(thought))
        await self._graph.write(keeping(circle.id, look.standings[found.key]))
        key = kept_key(found.key)
        if thought is None:
            own = ((out.node, out.contribution.id) for out in await ledger(circle))
            sources = [node for node, id_ in own if node and id_ in found.members]
            sources = await self._graph.read(lambda reader: _present(reader, sources))
        else:
            sources = [thought]
        for source in sources:
            await self._graph.write(PutEdge(source, key, EDGE_TYPE))
        await self.place(circle, look.result)
        return key

    async def place(self, circle: CirclePort, result: Result) -> None:
        """Note which of the person's nodes stand with which consensus nodes."""
        places = {id_: node.key for node in result.nodes for id_ in node.members}
        pairs = [
            (out.node, places[out.contribution.id])
            for out in await ledger(circle)
            if out.node is not None and out.contribution.id in places
        ]
        kept_here = await self._graph.read(lambda reader: _links(reader, circle.id))
        aliases = await self._notes.aliases(circle.id) if kept_here else {}
        present = {node.key: node for node in result.nodes}
        for node, consensus in kept_here:
            pairs.append((node, heir(consensus, present, aliases) or consensus))
        self.placement.put(circle.id, pairs)

    async def _follow(
        self, circle: CirclePort, standings: Mapping[bytes, Standing]
    ) -> None:
        """Bring what is kept in the graph up to how things stand."""
        nodes = await self._graph.read(_kept_nodes)
        of_here = [each for each in nodes if _circle_of(each) == circle.id]
        if not of_here:
            return
        aliases = await self._notes.aliases(circle.id)
        for node in of_here:
            patch = follow(node, standings, aliases)
            if patch is not None:
                await self._graph.write(patch)


def _standing(node: ConsensusNode, tally: tuple[int, int]) -> Standing:
    return Standing(
        key=node.key,
        label=node.label,
        status=node.status.value,
        score=node.score,
        contributor_count=node.contributor_count,
        member_count=len(node.members),
        affirm=tally[0],
        dissent=tally[1],
    )


def _differences(
    before: Mapping[bytes, Standing], after: Mapping[bytes, Standing]
) -> list[Standing | bytes]:
    changed = [each for key, each in after.items() if before.get(key) != each]
    return [*changed, *(key for key in before if key not in after)]


def _kept_nodes(reader: GraphReader) -> list[Node]:
    return reader.nodes(limit=MOST_KEPT, node_type=NODE_TYPE)


def _links(reader: GraphReader, circle: CircleId) -> list[tuple[NodeKey, bytes]]:
    """Return (node, key of consensus node) of each link to a node that is kept."""
    found = []
    for node in _kept_nodes(reader):
        what = kept(node)
        if what is not None and what.circle == circle:
            found.append((node.key, what.consensus))
            edges = reader.edges(limit=MOST_KEPT, target=node.key, edge_type=EDGE_TYPE)
            found += [(edge.source, what.consensus) for _, edge in edges]
    return found


def _present(reader: GraphReader, keys: Iterable[NodeKey]) -> list[NodeKey]:
    found = []
    for key in keys:
        try:
            found.append(reader.node(key).key)
        except NotFoundError:
            continue
    return found


def _circle_of(node: Node) -> CircleId | None:
    what = kept(node)
    return None if what is None else what.circle


def _key_of(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == 32 else None
