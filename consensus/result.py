"""What consensus is: nodes, and one hash by which two devices see that theirs agree.

Specification: docs/protocol/consensus.md.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consensus.contribution import Contribution
from consensus.rule import CONSENSUS_FROM, NAME, Preset

_KEY_DOMAIN: Final = f"fractality/{NAME}/key".encode()


class Status(StrEnum):
    """How much a node can be relied upon."""

    EMERGING = "emerging"
    CONSENSUS = "consensus"


@dataclass(frozen=True, slots=True)
class ConsensusNode:
    """A thought that resonates with enough people. Resonance is not agreement."""

    key: bytes
    model: bytes
    counted_authors: int
    contributor_count: int
    """Different authors, whether they count or not."""
    members: tuple[bytes, ...]
    """Ids of contributions, in order."""
    representatives: tuple[bytes, ...]
    """The id of each author's contribution that is closest to all, in order."""
    label_id: bytes
    label: str
    score: int
    """Resonance, in basis points."""
    centroid: bytes
    """Numbers of two bytes, the least significant first; not in the result's hash."""

    @property
    def status(self) -> Status:
        """Whether it is more than emerging."""
        if self.counted_authors < CONSENSUS_FROM:
            return Status.EMERGING
        return Status.CONSENSUS


@dataclass(frozen=True, slots=True)
class Result:
    """All nodes of a circle, in the order of their keys."""

    nodes: tuple[ConsensusNode, ...]
    hash: bytes


def result_of(nodes: Iterable[ConsensusNode]) -> Result:
    """Return nodes in their order, with the hash over them."""
    ordered = tuple(sorted(nodes, key=lambda node: node.key))
    digest = hashlib.sha256()
    for node in ordered:
        digest.update(node.key)
        digest.update(node.counted_authors.to_bytes(4))
        digest.update(len(node.members).to_bytes(4))
        digest.update(b"".join(node.members))
        digest.update(node.label_id)
        digest.update(node.score.to_bytes(4))
    return Result(ordered, digest.digest())


def node_key(circle: bytes, preset: Preset, core: Iterable[Contribution]) -> bytes:
    """Return the key of the node whose core is given: it follows from the earliest."""
    first = min(core, key=lambda each: (each.epoch, each.id))
    preset_byte = bytes([preset.value.byte])
    content = _KEY_DOMAIN + circle + first.model + preset_byte + first.id
    return hashlib.sha256(content).digest()
