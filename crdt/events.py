"""What those who watch a graph are told."""

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that those who watch a graph are told."""

    type: str
    """`node.changed`, `node.deleted`, `edge.changed`, `edge.deleted`, `pulse`,
    `peer.online`, `peer.offline`, `sync.state`, `sync.progress`,
    `embedding.progress`, `thought.resonance` or `consensus.changed`."""
    key: str
    """Node key, edge id, id of a device, or key of a consensus node; empty if it is
    about the whole space or circle."""
    source: str | None = msgspec.field(default=None, name="from")
    target: str | None = msgspec.field(default=None, name="to")
    edge_type: str | None = None
    origin: str = "local"
    """`local`, or the id of the device that made the change."""
    state: str | None = None
    """Of `sync.state`: how the space stands; of `consensus.changed`: the node."""
    cause: str | None = None
    """Of `sync.state`: why the device is not in step."""
    done: int | None = None
    total: int | None = None
    """Of `sync.progress`: envelopes, or parts of a checkpoint."""
    queued: int | None = None
    """Of `embedding.progress`: how many texts still wait."""
    resonance: float | None = None
    """Of `thought.resonance`: the best there is; of `consensus.changed`: the score."""
    circle: str | None = None
    """Of `consensus.changed`: which circle."""


def named(event: Event, origin: str) -> Event:
    """Return an event that says which device made the change."""
    return msgspec.structs.replace(event, origin=origin)
