"""Who edits a body, as the clients of a room see it."""

import pytest

from crdt.errors import (
    MalformedError,
)
from crdt.ids import NodeKey
from daemon.live.awareness import EXPIRES_MS
from daemon.live.y_protocol import (
    Presence,
    PresenceQuery,
    Presences,
    Update,
    decode_presences,
    encode_presences,
)
from tests.support.rooms import (
    GONE,
    HERE,
    KEY,
    heard,
    joined,
    living,
    send,
)


async def test_presence_reaches_everybody() -> None:
    """Clients see who is there: at once, when they join, ask, and when one leaves."""
    async with living() as disk, joined(disk) as (room, ada):
        async with joined(disk) as (_, bob):
            await send(room, bob, Presences((HERE,)))
            assert [Presences((HERE,))] == await heard(ada, 1)
            assert [Presences((HERE,))] == await heard(bob, 1)
            async with joined(disk) as (_, late):
                assert [Presences((HERE,))] == await heard(late, 1)
                await send(room, late, PresenceQuery())
                assert [Presences((HERE,))] == await heard(late, 1)
        assert [Presences((GONE,))] == await heard(ada, 1)


async def test_presence_is_carried_between_devices() -> None:
    """What clients here show goes out once; what comes in is shown and not repeated."""
    async with living() as disk, joined(disk) as (room, editor):
        carried: list[tuple[NodeKey, object]] = []
        disk.live.carry = lambda key, told: carried.append(
            (key, decode_presences(told))
        )
        await send(room, editor, Presences((HERE,)))
        there = Presence(2, 0, "{}")
        disk.live.hear(KEY, encode_presences([there]), "other device")
        disk.live.hear(NodeKey("roof"), encode_presences([there]), "other device")

        assert [Presences((HERE,)), Presences((there,))] == await heard(editor, 2)
        assert carried == [(KEY, (HERE,))]
        assert disk.live.presences() == [(KEY, encode_presences([HERE]))]

        disk.live.forget("other device")
        assert [Presences((Presence(2, 0, None),))] == await heard(editor, 1)
        assert carried == [(KEY, (HERE,))]
        with pytest.raises(MalformedError):
            disk.live.hear(KEY, b"\x01", "other device")


async def test_silent_clients_are_gone() -> None:
    """The presence of a client that was silent for 30 seconds ends by itself."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.live.hear(KEY, encode_presences([HERE]), "other device")
        disk.now_ms += EXPIRES_MS
        await send(room, editor, Update(b"wakes the room"))

        assert [Presences((HERE,)), Presences((GONE,))] == await heard(editor, 2)
