"""Thoughts and what becomes of them, as documents."""

from typing import Literal

import msgspec

from daemon.api.shapes import NodeDocument, Request


class ThoughtContent(Request, frozen=True):
    """A thought, and where it belongs."""

    text: str
    key: str | None = None
    """By default one that is made from the text."""
    parent: str | None = None
    circle: str | None = None
    publish: bool | Literal["always"] = False


class WisdomDocument(msgspec.Struct, frozen=True):
    """A consensus node near a thought."""

    circle: str
    key: str
    label: str
    status: str
    resonance: float
    """Of the thought with it, 0 to 1."""
    resonance_score: float
    """Of its contributions with each other."""
    contributor_count: int
    member_count: int
    affirm: int
    dissent: int


class ThoughtDocument(msgspec.Struct, frozen=True):
    """A thought, and what is known of it by now."""

    node: NodeDocument
    resonance: float | None
    """The best among the person's other nodes and what others contributed to the
    circle, 0 to 1; null until it is known."""
    wisdom: list[WisdomDocument] | None
    """Consensus nodes of the circle near it, nearest first; null until they are known.
    Nearness of meaning: not whether anybody holds the same view."""
    job: str
    """Where to ask for more: `GET /v1/thoughts/{job}`."""
    nearest: str | None
    """Key of the node with the best resonance."""
    done: bool
    cause: str | None
    """Why nothing more will be known."""
    circle: str | None = None
    """The circle that it was said to."""
    circle_resonance: float | None = None
    """With what others contributed there, 0 to 1; null until it is known."""
    published: bool | None = None
    """Whether members can read it; null until that is decided."""
    unpublished: str | None = None
    """Why it was not published although that was asked for."""
