"""From groups to nodes: label, voices and score; step 8 of the rule.

Specification: docs/protocol/consensus.md.

Rule: what is remembered is remembered by all that it follows from. A label follows from
the members, voices from members and centroid, a score from voices and the clock.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from consensus.exact import Numbers, closeness, encoded_centre
from consensus.field import ROWS_AT_ONCE, Field, Indices
from consensus.groups import Group
from consensus.invitations import InviteTree
from consensus.memory import Memory
from consensus.result import ConsensusNode, node_key
from consensus.rule import BASE, LEAST, Preset
from consensus.score import own_clock, score

_Bytes: TypeAlias = bytes
"""The bytes of an array that says it all: a key of what follows from it."""


class Nodes:
    """The nodes that the groups of a field make."""

    def __init__(self, field: Field, circle: bytes, preset: Preset) -> None:
        self._field = field
        self._circle = circle
        self._preset = preset
        self._keys: Memory[tuple[int, ...], bytes] = Memory()
        self._ids: Memory[_Bytes, tuple[bytes, ...]] = Memory()
        self._labels: Memory[_Bytes, int] = Memory()
        self._voices: Memory[tuple[_Bytes, _Bytes], Indices] = Memory()
        self._scores: Memory[tuple[_Bytes, int], int] = Memory()

    def present(
        self, groups: Sequence[Group], joined: Indices, invitations: InviteTree
    ) -> Iterator[ConsensusNode]:
        """Yield the node of each group that has enough voices."""
        for memory in (self._keys, self._ids, self._labels, self._voices, self._scores):
            memory.begin_round()
        clock = own_clock(self._field.newest_epochs())
        order = np.argsort(joined, kind="stable").astype(np.int32)
        bounds = np.searchsorted(joined[order], np.arange(len(groups) + 1))
        for at, group in enumerate(groups):
            self._field.step()
            members = order[bounds[at] : bounds[at + 1]]
            contributions = [self._field.contributions[each] for each in members]
            authors = {each.author for each in contributions}
            counted = invitations.counted(authors)
            if counted >= LEAST:
                yield self._node(group, members, counted, len(authors), clock)

    def _node(
        self, group: Group, members: Indices, counted: int, authors: int, clock: int
    ) -> ConsensusNode:
        field = self._field
        key = members.tobytes()
        label = self._labels.recall(key, lambda: self._label(members))
        voices = self._voices.recall(
            (key, group.centroid.tobytes()),
            lambda: self._closest(members, group.centroid),
        )
        core = (field.contributions[each] for each in group.core)
        return ConsensusNode(
            key=self._keys.recall(
                group.core, lambda: node_key(self._circle, self._preset, core)
            ),
            model=field.contributions[label].model,
            counted_authors=counted,
            contributor_count=authors,
            members=self._ids.recall(
                key, lambda: tuple(sorted(map(field.id, members.tolist())))
            ),
            representatives=tuple(sorted(map(field.id, voices.tolist()))),
            label_id=field.id(label),
            label=field.contributions[label].text,
            score=self._scores.recall(
                (voices.tobytes(), clock), lambda: self._score(voices, clock)
            ),
            centroid=encoded_centre(group.centroid),
        )

    def _label(self, members: Indices) -> int:
        """Return the member to which the others' closest members are closest."""
        authors = self._field.authors[members]
        order = np.argsort(authors, kind="stable")
        members, authors = members[order], authors[order]
        starts = np.flatnonzero(np.append([True], authors[1:] != authors[:-1]))
        weights = []
        for first in range(0, len(members), ROWS_AT_ONCE):
            part = slice(first, first + ROWS_AT_ONCE)
            above = self._field.similarities(members[part], members) - BASE
            best = np.maximum.reduceat(np.maximum(above, 0), starts, axis=1)
            best[authors[part, None] == authors[starts]] = 0
            weights.append(best.sum(axis=1))
        weight = np.concatenate(weights)
        heaviest: list[int] = members[weight == weight.max()].tolist()
        return min(heaviest, key=self._field.id)

    def _closest(self, members: Indices, centroid: Numbers) -> Indices:
        """Return the member of each author that is closest to the centroid."""
        close = closeness(
            self._field.units(members), centroid.astype(np.float64)[None]
        )[:, 0].tolist()
        best: dict[int, tuple[float, bytes, int]] = {}
        authors = self._field.authors[members].tolist()
        for author, member, near in zip(authors, members.tolist(), close, strict=True):
            voice = (-near, self._field.id(member), member)
            best[author] = min(best.get(author, voice), voice)
        return np.array(sorted(member for _, _, member in best.values()), np.int32)

    def _score(self, voices: Indices, clock: int) -> int:
        epochs = [self._field.contributions[each].epoch for each in voices]
        return score(self._field.units(voices), epochs, clock)
