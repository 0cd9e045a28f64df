"""What becomes of a thought in a circle: resonance, wisdom, publishing if asked for.

Rule: a text that the person did not ask to publish is compared here and goes nowhere.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdt.errors import ConflictError, InvalidError
from crdt.records import Node
from daemon.circles.bridge import Bridge, Wisdom
from daemon.circles.ports import CirclePort
from daemon.circles.publishing import PATIENCE_SECONDS, Out, Publishing

Wish: TypeAlias = bool | Literal["always"]
"""Whether to publish: never, if it resonates enough, or in any case."""
MOST_WISDOM = 5
"""Consensus nodes that are told of a thought."""


@dataclass(frozen=True, slots=True)
class Considered:
    """What a circle has to a thought."""

    resonance: float
    """With what others contributed, 0 to 1; 0 if there is nothing to compare with."""
    wisdom: tuple[Wisdom, ...]
    out: Out | None
    """What was published of it."""
    unpublished: str | None
    """Why it was not, if that was asked for, in words for a person."""


@dataclass(frozen=True, slots=True)
class Consideration:
    """A thought that is to be considered in a circle."""

    publishing: Publishing
    bridge: Bridge
    circle: CirclePort
    node: Node
    wish: Wish

    async def consider(self) -> Considered:
        """Find out what the circle has to the thought, and publish it if asked for.

        Raises `EmbeddingError` if its meaning cannot be known.
        """
        text = unicodedata.normalize("NFC", self.node.label)
        embedded = await self.publishing.meaning.embedded(text, PATIENCE_SECONDS)
        resonance = await self.publishing.resonance(
            self.circle, embedded.vector, embedded.model
        )
        out, unpublished = await self._publish(resonance)
        wisdom = await self.bridge.wisdom(self.circle, embedded, MOST_WISDOM)
        return Considered((resonance or 0) / 10_000, tuple(wisdom), out, unpublished)

    async def _publish(self, resonance: int | None) -> tuple[Out | None, str | None]:
        try:
            match self.wish:
                case "always":
                    out, _ = await self.publishing.publish(self.circle, self.node)
                    return out, None
                case True:
                    out_ = await self.publishing.publish_if_resonant(
                        self.circle, self.node, resonance
                    )
                    return out_, None if out_ else self._too_far(resonance)
                case _:
                    return None, None
        except InvalidError as error:
            return None, f"It was not published: its text {error.detail}."
        except ConflictError as error:
            return None, f"It was not published. {error}"

    def _too_far(self, resonance: int | None) -> str:
        threshold = self.circle.preset.value.join / 10_000
        if resonance is None:
            return (
                "It was not published: nobody else has contributed anything yet that it"
                " could resonate with."
            )
        return (
            f"It was not published: its resonance of {resonance / 10_000:.2f} with the"
            f" circle is below {threshold:.2f}."
        )
