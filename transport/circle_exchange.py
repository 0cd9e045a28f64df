"""Carries one session of a circle over one link: the only place that waits for either.

Specification: docs/protocol/circle-sync.md. Rules of this file:

1. The session decides, the port stores, the link sends; nothing is decided here.
2. What the store is asked goes to it in order, readings beside writings.
3. Everything that waits is bounded: payloads by the credit of the session, small frames
   by `MAX_WAITING_BYTES`, beyond which the peer has stopped reading.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from crdt.circle_items import ItemKind, ItemName
from transport.circle_actions import CircleEnd, CircleNews
from transport.circle_frames import CircleState
from transport.circle_session import CircleSession
from transport.link import Link
from transport.sorted_names import SortedNames


@dataclass(frozen=True, slots=True)
class Loaded:
    """A payload, and what it left over."""

    payload: bytes
    """At most `MAX_PAYLOAD_BYTES`; empty if none of the items is there any more."""
    rest: Sequence[ItemName]
    """Those names asked for that the payload had no room for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the items of a payload."""

    names: Sequence[ItemName]
    """Of all items in it, whatever became of them."""
    new: int
    """How many of them were new and are durable now."""
    refused: int
    """How many were not taken: this device will not hold them, or not yet."""


class CirclePort(Protocol):
    """What a session needs of a circle's records and of who composes both."""

    def hello(self) -> CircleState:
        """Return how this device stands.

        Sets as `NameSet.summary` gives them; the hash of the consensus of exactly
        these sets, if it is known.
        """

    async def names(self, kind: ItemKind) -> SortedNames:
        """Return the names of a set in order; build them off the loop if many."""

    def lacking(self, kind: ItemKind, names: Sequence[ItemName]) -> list[ItemName]:
        """Return those that this device neither holds nor refuses for good."""

    async def load(self, kind: ItemKind, names: Sequence[ItemName]) -> Loaded:
        """Return a payload with some of these items, sealed for the circle.

        Names of items that are gone are passed over. The port chooses the order:
        statements go parents first.
        """

    async def keep(self, kind: ItemKind, payload: bytes) -> Kept:
        """Open, check and store the items of a payload; what is new is durable then.

        Raises `DiskFullError`, or `PeerError` for what no honest peer sends. New items
        are told to all sessions by `CircleExchange.changed`, before or after return.
        """

    def results_differ(self, here: bytes, there: bytes) -> None:
        """Take note that equal sets gave two results: a fault, to be shown."""

    def report(self, news: CircleNews) -> None:
        """Take what is new about the session."""


class CircleExchange:
    """One session on one link, from hello to the end."""

    def __init__(
        self,
        session: CircleSession,
        link: Link,
        port: CirclePort,
        clock_ms: Callable[[], int],
    ) -> None:
        self._session = session
        self._link = link
        self._port = port
        self._clock_ms = clock_ms
        """A clock that does not step."""

    async def run(self) -> CircleEnd:
        """Carry the session to its end; return why it ended.

        The link is closed then. Raises `LinkClosedError` if that came first.
        """
        raise NotImplementedError

    def changed(
        self, kind: ItemKind, names: Sequence[ItemName], *, is_own: bool
    ) -> None:
        """Take which items are new here, made here or kept from any device.

        Call it once for all sessions of the circle when they are durable. Where
        something only went away, or the result or the pause changed, `names` is empty.
        """

    def recheck(self) -> None:
        """Compare again soon what is refused: the cause may be gone."""

    def stop(self, cause: CircleEnd = CircleEnd.STOPPED) -> None:
        """End the session; `run` returns when the peer has been told."""
