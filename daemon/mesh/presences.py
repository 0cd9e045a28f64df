"""Who edits which body on other devices, and here: carried between live bodies.

Rule: nothing of it is stored or repeated; what does not fit or does not decode is
dropped, for it will be said again in seconds.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Final

import msgspec

from crdt.errors import PeerError, RefusedError
from crdt.ids import MAX_KEY_BYTES, DeviceId, NodeKey, check_key
from daemon.live.bodies import LiveBodies
from transport.frames import MAX_PRESENCE_BYTES, Presence


class Carried(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """States of the editors of one body, as the y-websocket protocol has them."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    node: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_BYTES)]
    states: Annotated[bytes, msgspec.Meta(max_length=MAX_PRESENCE_BYTES)]


def carried(node: NodeKey, states: bytes) -> Presence | None:
    """Return what tells other devices who edits a body; None if it is too much."""
    content = msgspec.msgpack.encode(Carried(1, node, states))
    return Presence(content) if len(content) <= MAX_PRESENCE_BYTES else None


def presences(live: LiveBodies) -> Sequence[Presence]:
    """Return who edits what here, for a device that has just come."""
    found = (carried(node, states) for node, states in live.presences())
    return [each for each in found if each is not None]


def hear(live: LiveBodies, peer: DeviceId, presence: Presence) -> None:
    """Show clients here who edits a body on another device."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, PeerError, RefusedError):
        told = _DECODER.decode(presence.content)
        live.hear(check_key(told.node), told.states, peer)


_DECODER: Final = msgspec.msgpack.Decoder(Carried)
