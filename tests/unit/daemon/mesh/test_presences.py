"""Who edits what, as other devices tell it: hostile bytes are dropped, nothing else."""

from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId, NodeKey
from daemon.live.y_protocol import Presences, encode_presences
from daemon.mesh.presences import carried, hear, presences
from tests.support.rooms import GONE, HERE, KEY, heard, joined, living, send
from transport.frames import MAX_PRESENCE_BYTES, Presence

PEER: Final = DeviceId(b"phone".ljust(16))
STATES: Final = encode_presences([HERE])


async def test_what_is_carried_is_shown_there() -> None:
    """A client's state goes from one device's room into the other's, and goes again."""
    async with living() as here, joined(here) as (room, ada):
        await send(room, ada, Presences((HERE,)))
        (told,) = presences(here.live)
        async with living() as there, joined(there) as (_, bob):
            hear(there.live, PEER, told)
            assert await heard(bob, 1) == [Presences((HERE,))]

            there.live.forget(PEER)

            assert await heard(bob, 1) == [Presences((GONE,))]


@given(
    st.binary(max_size=200)
    | st.builds(
        lambda *parts: msgspec.msgpack.encode(parts),
        st.integers(0, 2) | st.none(),
        st.text(max_size=300) | st.integers(0, 2**64 - 1),
        st.binary(max_size=50) | st.just(STATES),
    )
)
async def test_hostile_bytes_are_dropped(content: bytes) -> None:
    """Whatever a device sends, nothing is raised."""
    async with living() as here, joined(here):
        hear(here.live, PEER, Presence(content))


async def test_nested_bytes_are_dropped() -> None:
    """Depth does not end the daemon."""
    async with living() as here:
        for opening in (b"\x91", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff"):
            hear(here.live, PEER, Presence((opening * 30_000)[:MAX_PRESENCE_BYTES]))


def test_too_much_is_not_carried() -> None:
    """What does not fit into a frame is left out instead of breaking the link."""
    assert carried(KEY, bytes(MAX_PRESENCE_BYTES)) is None
    assert carried(NodeKey("k" * 255), STATES) is not None
