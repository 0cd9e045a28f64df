"""Who edits a body right now: small states that are newer or older, and that expire.

Specification: docs/protocol/y-websocket.md. Nothing of it is stored, and losing any of
it harms nobody: each client tells its state anew every 15 seconds. Rules of this file:

1. `now_ms` comes from outside.
2. At most `MAX_PRESENCES` clients are remembered, those that have gone among them.
"""

from collections.abc import Container, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from daemon.live.y_protocol import MAX_PRESENCES, Presence

EXPIRES_MS: Final = 30_000
"""Yjs clients forget a client that was silent for so long, too."""

Source: TypeAlias = Hashable
"""Whoever told of a client: compared, never looked into."""


@dataclass(frozen=True, slots=True)
class _Known:
    presence: Presence
    source: Source
    heard_ms: int


class Awareness:
    """The presences of one body.

    1. Of two states of a client the one with the larger clock stands; of equal clocks
       the first, but that its source may say that it has gone.
    2. A client that has gone is remembered until it would have expired, so that an old
       state of it does not bring it back.
    """

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}

    def learn(
        self, presences: Iterable[Presence], source: Source, now_ms: int
    ) -> list[Presence]:
        """Take in what `source` tells; return what of it was news."""
        news = []
        for told in presences:
            known = self._known.get(told.client)
            if known is None:
                if told.state is None or len(self._known) >= MAX_PRESENCES:
                    continue
            elif not _is_newer(told, known, source):
                continue
            self._known[told.client] = _Known(told, source, now_ms)
            news.append(told)
        return news

    def leave(self, source: Source, now_ms: int) -> list[Presence]:
        """Let the clients that `source` told of be gone; return the news of it."""
        return self._end(
            [each for each in self._known.values() if each.source == source], now_ms
        )

    def expire(self, now_ms: int) -> list[Presence]:
        """Let the clients that were silent for too long be gone; return the news."""
        silent = [
            each
            for each in self._known.values()
            if now_ms - each.heard_ms >= EXPIRES_MS
        ]
        news = self._end(silent, now_ms)
        for each in silent:
            del self._known[each.presence.client]
        return news

    def present(self) -> list[Presence]:
        """Return who is there."""
        return [
            each.presence
            for each in self._known.values()
            if each.presence.state is not None
        ]

    def told_by(self, sources: Container[Source]) -> list[Presence]:
        """Return who is there by the word of one of `sources`."""
        return [
            each.presence
            for each in self._known.values()
            if each.presence.state is not None and each.source in sources
        ]

    def _end(self, those: Iterable[_Known], now_ms: int) -> list[Presence]:
        news = []
        for each in those:
            if each.presence.state is not None:
                gone = replace(each.presence, state=None)
                self._known[gone.client] = _Known(gone, each.source, now_ms)
                news.append(gone)
        return news


def _is_newer(told: Presence, known: _Known, source: Source) -> bool:
    held = known.presence
    if told.clock != held.clock:
        return told.clock > held.clock
    return told.state is None and held.state is not None and source == known.source
