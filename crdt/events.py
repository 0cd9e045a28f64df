"""What those who watch a graph are told."""

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that those who watch a graph are told."""

    type: str
    """`node.changed`, `node.deleted`, `edge.changed`, `edge.deleted` or `pulse`."""
    key: str
    """Node key, or edge id."""
    source: str | None = msgspec.field(default=None, name="from")
    target: str | None = msgspec.field(default=None, name="to")
    edge_type: str | None = None
    origin: str = "local"
    """`local`, or the id of the device that made the change."""
