"""How two devices come to know the same statements of their space's roster.

Specification: docs/protocol/sync.md. Statements go before envelopes, for they say whose
envelopes count and bring the keys to open them. Rules of this file:

1. Statements are sent parents first, one frame at a time: the next when the last is
   durable.
2. A statement that the peer is known to have is not sent to it.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from transport.frames import (
    MAX_STATEMENTS_BYTES,
    RosterHashes,
    Statements,
    StatementsKept,
)
from transport.sync_actions import (
    Action,
    EndCause,
    KeepStatements,
    LoadStatements,
    RosterState,
    Send,
)

LOAD_STATEMENTS: Final = 256
ASK_INTERVAL_MS: Final = 5000


class RosterTalk:
    """The exchange of statements with one peer."""

    def __init__(self, roster: RosterState) -> None:
        self.roster = roster
        self.greeted_with = roster
        """What our Hello told; by it both sides tell whether they have to ask."""
        self.is_asking = False
        """Whether the peer owes the end of its answer."""
        self._is_answering = False
        self._has_begun = False
        self._queue: deque[bytes] = deque()
        self._known_there: set[bytes] = set()
        self._is_unkept = False
        self._is_loading = False
        self._is_keeping: Statements | None = None
        self._asked_ms: int | None = None

    @property
    def is_settled(self) -> bool:
        """Whether neither side owes the other a statement or an acknowledgement."""
        return self._has_begun and not (
            self.is_asking
            or self._is_answering
            or self._queue
            or self._is_unkept
            or self._is_loading
        )

    @property
    def is_busy(self) -> bool:
        """Whether something waits for this device's own store."""
        return self._is_loading or self._is_keeping is not None

    def begin(self, fingerprint_there: bytes, now_ms: int) -> list[Action]:
        """Compare both rosters as the Hellos told them; ask if they differ."""
        if fingerprint_there != self.greeted_with.fingerprint:
            self._is_answering = True  # the peer comes to the same end, and asks
            return self.ask(now_ms)
        self._has_begun = True
        self._known_there = set(self.greeted_with.hashes)
        return self.changed(self.roster)

    def ask(self, now_ms: int) -> list[Action]:
        """Ask for the statements that are unknown here, but not too often."""
        asked_ms = self._asked_ms
        if self.is_asking or (
            asked_ms is not None and now_ms - asked_ms < ASK_INTERVAL_MS
        ):
            return []
        self.is_asking = True
        self._asked_ms = now_ms
        return [Send(RosterHashes(self.roster.hashes))]

    def asked(self, frame: RosterHashes, now_ms: int) -> list[Action] | EndCause:
        """Begin to answer with what the peer lacks; ask for what is unknown here."""
        if self._has_begun and self._is_answering:
            return EndCause.FLOODED
        self._has_begun = self._is_answering = True
        self._known_there.update(frame.hashes)
        self._enqueue()
        is_behind = not set(self.roster.hashes).issuperset(frame.hashes)
        return self._pump() + (self.ask(now_ms) if is_behind else [])

    def changed(self, roster: RosterState) -> list[Action]:
        """Pass on statements that are new here."""
        self.roster = roster
        if not self._has_begun:
            return []
        self._enqueue()
        return self._pump()

    def loaded(self, statements: Sequence[bytes]) -> list[Action]:
        """Send statements that the store had, as many as a frame takes."""
        self._is_loading = False
        taken: list[bytes] = []
        size = 0
        for statement in statements:
            size += len(statement)
            if taken and size > MAX_STATEMENTS_BYTES:
                break
            taken.append(statement)
        self._known_there.update(hashlib.sha256(each).digest() for each in taken)
        waiting = [each for each in self._queue if each not in self._known_there]
        self._queue = deque(waiting)
        return self._send(tuple(taken))

    def receive(self, frame: Statements) -> list[Action] | EndCause:
        """Have statements stored."""
        if self._is_keeping is not None:
            return EndCause.FLOODED
        if frame.is_last and not self.is_asking:
            return EndCause.OUT_OF_PLACE
        if sum(map(len, frame.statements)) > MAX_STATEMENTS_BYTES:
            return EndCause.FLOODED
        self._known_there.update(
            hashlib.sha256(each).digest() for each in frame.statements
        )
        self._is_keeping = frame
        return [KeepStatements(frame.statements)]

    def kept(self, roster: RosterState) -> list[Action]:
        """Acknowledge what was stored."""
        frame, self._is_keeping = self._is_keeping, None
        if frame is None:
            return []
        if frame.is_last:
            self.is_asking = False
        acknowledgement = Send(StatementsKept(roster.fingerprint))
        return [acknowledgement, *self.changed(roster)]

    def acknowledged(self) -> list[Action] | EndCause:
        """Go on: the peer has stored what it was sent."""
        if not self._is_unkept:
            return EndCause.OUT_OF_PLACE
        self._is_unkept = False
        return self._pump()

    def _enqueue(self) -> None:
        waiting = set(self._queue)
        self._queue.extend(
            each
            for each in self.roster.hashes
            if each not in self._known_there and each not in waiting
        )

    def _pump(self) -> list[Action]:
        if self._is_unkept or self._is_loading:
            return []
        if self._queue:
            self._is_loading = True
            return [LoadStatements(tuple(self._queue)[:LOAD_STATEMENTS])]
        return self._send(()) if self._is_answering else []

    def _send(self, statements: tuple[bytes, ...]) -> list[Action]:
        is_last = self._is_answering and not self._queue
        if is_last:
            self._is_answering = False
        self._is_unkept = True
        return [Send(Statements(statements, is_last))]
