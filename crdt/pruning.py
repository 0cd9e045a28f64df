"""Which envelopes may go, because everybody who reads has them.

Rules of this file:
1. Nothing goes while nobody else reads: then this device has the only copy.
2. A device that comes later, or after a long time, gets a checkpoint.
"""

from collections.abc import Collection
from typing import Final

from crdt.acknowledgements import Acknowledgements
from crdt.chain_store import ChainStore
from crdt.graph_writer import GraphWriter
from crdt.ids import DeviceId
from crdt.vectors import VersionVector, held_by_all, joined

AWAY_MS: Final = 30 * 24 * 3600 * 1000
"""A device that is silent for longer holds up pruning no more beyond `KEPT_BYTES`."""
KEPT_BYTES: Final = 64 * 1024 * 1024
_SIZED_EVERY_MS: Final = 3600 * 1000


class Pruning:
    """Drops envelopes, and notes on their nodes, in short steps."""

    def __init__(
        self, writer: GraphWriter, chains: ChainStore, said: Acknowledgements
    ) -> None:
        """Take what is to be pruned and what it is judged by."""
        self._writer = writer
        self._chains = chains
        self._said = said
        self._fits_until_ms = 0

    def step(
        self, vector: VersionVector, readers: Collection[DeviceId], now_ms: int
    ) -> bool:
        """Drop a few hundred envelopes of `vector`; return whether more wait."""
        if not readers:
            return False
        everywhere = held_by_all(vector, readers, self._said.vectors)
        due = self._due(everywhere)
        if not due:
            due = self._due(self._held_by_awake(vector, readers, now_ms))
            due = due if due and self._is_too_much(now_ms) else {}
        changes = self._writer.node_changes
        noted = changes.due(
            (self._chains.number(device), sequence)
            for device, sequence in everywhere.items()
        )
        if not due and not noted:
            return False
        floor = joined(changes.floor or {}, everywhere)
        with self._writer.transaction():
            has_more = self._chains.prune(due)
            changes.write_floor(floor)
            has_more = changes.forget(noted) or has_more
        changes.floor = floor
        return has_more

    def _due(self, through: VersionVector) -> VersionVector:
        """Return those of `through` of which envelopes are stored."""
        due: dict[DeviceId, int] = {}
        for device, sequence in through.items():
            oldest = self._chains.oldest(device)
            if oldest is not None and oldest <= sequence:
                due[device] = sequence
        return due

    def _held_by_awake(
        self, vector: VersionVector, readers: Collection[DeviceId], now_ms: int
    ) -> VersionVector:
        """Return what the readers hold that were heard of lately; nothing if none."""
        heard_ms = self._said.heard_ms
        awake = [each for each in readers if now_ms - heard_ms.get(each, 0) < AWAY_MS]
        return held_by_all(vector, awake, self._said.vectors) if awake else {}

    def _is_too_much(self, now_ms: int) -> bool:
        """Whether envelopes take more room than the absent are given; looks seldom."""
        if now_ms < self._fits_until_ms:
            return False
        if self._chains.stored_bytes() > KEPT_BYTES:
            return True
        self._fits_until_ms = now_ms + _SIZED_EVERY_MS
        return False
