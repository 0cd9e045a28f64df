"""What those who watch a graph are told."""

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that those who watch a graph are told."""

    type: str
    """`node.changed`, `node.deleted`, `edge.changed`, `edge.deleted`, `pulse`,
    `embedding.progress` or `thought.resonance`."""
    key: str
    """Node key, or edge id; empty if it is about the whole space."""
    source: str | None = msgspec.field(default=None, name="from")
    target: str | None = msgspec.field(default=None, name="to")
    edge_type: str | None = None
    origin: str = "local"
    """`local`, or the id of the device that made the change."""
    queued: int | None = None
    """How many texts still wait to be embedded."""
    resonance: float | None = None
    """Of a thought, once it is known: the best there is among the person's nodes."""
