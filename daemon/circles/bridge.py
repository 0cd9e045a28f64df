"""The way of a thought between the person's graph and what resonates in circles.

Rules of this file:

1. A result is worked out because somebody asks; whoever asks, what is kept in the graph
   follows it and watchers are told what changed.
2. Nothing here publishes anything.
3. All devices of a person may follow at once: they write the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from consensus.result import ConsensusNode, Result
from consensus.vote import Tally
from crdt.circle_notes_store import SeenNode
from crdt.commands import PutEdge
from crdt.errors import InvalidError, NotFoundError
from crdt.ids import AuthorKey, CircleId, NodeKey
from daemon.circles.details import Details
from daemon.circles.following import (
    EDGE_TYPE,
    Standing,
    follow,
    heir,
    keeping,
    kept_key,
)
from daemon.circles.kept_nodes import circle_of, kept_nodes, links, present
from daemon.circles.movement import Moment, Movement, movement
from daemon.circles.placement import Placed, Placement
from daemon.circles.ports import CirclePort, GraphPort, NotesPort
from daemon.circles.preview import Embedded
from daemon.circles.publishing import ledger

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

    def places(self, ids: Iterable[bytes]) -> Mapping[bytes, Standing]:
        """Return with which consensus node each of some contributions stands."""
        wanted = frozenset(ids)
        return {
            id_: self.standings[node.key]
            for node in self.result.nodes
            for id_ in wanted.intersection(node.members)
        }


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
        self.details = Details()
        self._graph = graph
        self._notes = notes
        self._tell = tell
        self._last: dict[CircleId, Mapping[bytes, Standing]] = {}
        self._live: dict[CircleId, tuple[bytes, Mapping[AuthorKey, int]]] = {}

    async def look(self, circle: CirclePort) -> Look:
        """Work out what resonates now; let follow what follows from it."""
        seen = () if circle.id in self._last else await self._notes.seen(circle.id)
        result = await circle.collective.result()
        standings = {
            node.key: _standing(node, circle.records.tally(node.key))
            for node in result.nodes
        }
        before = self._last.get(circle.id)
        if before != standings:
            self._last[circle.id] = standings
            await self._follow(circle, standings)
            changed = (
                _news(seen, result, standings)
                if before is None
                else _differences(before, standings)
            )
            self._tell(circle.id, changed)
        await self._place(circle, result.nodes)
        return Look(result, standings)

    async def recall(self, circle: CirclePort) -> None:
        """Note how nodes stood when this device looked last, in a run before this."""
        if circle.id not in self._last:
            await self._place(circle, await self._notes.seen(circle.id))

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
    ) -> tuple[NodeKey, list[NodeKey]]:
        """Keep a consensus node in the graph, linked with a thought.

        Return its key and those of the nodes that it is linked with; without a thought
        these are the person's that are part of it. Raises `NotFoundError` for what is
        absent.
        """
        look, found = await self.find(circle, text)
        if thought is not None:
            await self._graph.read(lambda reader: reader.node(thought))
        await self._graph.write(keeping(circle.id, look.standings[found.key]))
        key = kept_key(found.key)
        if thought is None:
            own = self.placement.linked(circle.id, found.key)
            sources = await self._graph.read(lambda reader: present(reader, own))
        else:
            sources = [thought]
        for source in sources:
            await self._graph.write(PutEdge(source, key, EDGE_TYPE))
        await self._place(circle, look.result.nodes)
        return key, sources

    async def live(
        self, circle: CircleId, fingerprint: bytes
    ) -> Mapping[AuthorKey, int]:
        """Return how many contributions of each author are not withdrawn.

        `fingerprint` is that of the set of contributions: as long as it is the same,
        nothing is counted anew.
        """
        known = self._live.get(circle)
        if known is None or known[0] != fingerprint:
            known = self._live[circle] = fingerprint, await self._notes.live(circle)
        return known[1]

    async def keeps(self, circle: CircleId) -> bool:
        """Whether the graph keeps a consensus node of a circle."""
        nodes = await self._graph.read(kept_nodes)
        return any(circle_of(each) == circle for each in nodes)

    async def history(
        self, circle: CirclePort, consensus: bytes, since_ms: int
    ) -> Sequence[Moment]:
        """Return how a consensus node stood since a time, oldest first."""
        found = await self._notes.histories(circle.id, (consensus,), since_ms)
        return found[consensus]

    async def movements(
        self, circle: CirclePort, window_ms: int, now_ms: int
    ) -> list[tuple[Standing, Movement]]:
        """Return the consensus nodes that moved in a window, the largest first."""
        look = await self.look(circle)
        histories = await self._notes.histories(circle.id, look.standings, 0)
        found = [
            (standing, moved)
            for key, standing in look.standings.items()
            if (moved := movement(histories[key], window_ms, now_ms)) is not None
        ]
        return sorted(found, key=lambda pair: (-pair[0].contributor_count, pair[0].key))

    def known(self, circle: CircleId) -> Mapping[bytes, Standing] | None:
        """Return what resonated when somebody looked last in this run."""
        return self._last.get(circle)

    async def _place(
        self, circle: CirclePort, nodes: Sequence[ConsensusNode | SeenNode]
    ) -> None:
        """Note which of the person's nodes stand with which consensus nodes."""
        places = {id_: node.key for node in nodes for id_ in node.members}
        placed = [
            Placed(out.node, places[out.contribution.id])
            for out in await ledger(circle, self._notes)
            if out.node is not None and out.contribution.id in places
        ]
        linked = await self._graph.read(lambda reader: links(reader, circle.id))
        if linked:
            aliases = await self._notes.aliases(circle.id)
            there = {node.key: node for node in nodes}
            for each in linked:
                present_key = heir(each.consensus, there, aliases)
                if present_key is not None:
                    placed.append(replace(each, consensus=present_key))
        self.placement.put(circle.id, placed)

    async def _follow(
        self, circle: CirclePort, standings: Mapping[bytes, Standing]
    ) -> None:
        """Bring what is kept in the graph up to how things stand."""
        nodes = await self._graph.read(kept_nodes)
        of_here = [each for each in nodes if circle_of(each) == circle.id]
        if not of_here:
            return
        aliases = await self._notes.aliases(circle.id)
        for node in of_here:
            patch = follow(node, standings, aliases)
            if patch is not None:
                await self._graph.write(patch)


def _standing(node: ConsensusNode, tally: Tally) -> Standing:
    return Standing(
        key=node.key,
        label=node.label,
        status=node.status.value,
        score=node.score,
        contributor_count=node.contributor_count,
        member_count=len(node.members),
        affirm=tally.affirm,
        dissent=tally.dissent,
    )


def _differences(
    before: Mapping[bytes, Standing], after: Mapping[bytes, Standing]
) -> list[Standing | bytes]:
    changed = [each for key, each in after.items() if before.get(key) != each]
    return [*changed, *(key for key in before if key not in after)]


def _news(
    seen: Sequence[SeenNode], result: Result, standings: Mapping[bytes, Standing]
) -> list[Standing | bytes]:
    """Return what is new since another run looked, as far as that was noted."""
    before = {node.key: (node.members, node.label) for node in seen}
    changed = [
        standings[node.key]
        for node in result.nodes
        if before.get(node.key) != (node.members, node.label)
    ]
    return [*changed, *(key for key in before if key not in standings)]


def _key_of(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == 32 else None
