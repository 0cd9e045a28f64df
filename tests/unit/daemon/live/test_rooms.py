"""Rooms: durable before shown, few flushes, one culprit, and bounded memory."""

import asyncio
from collections.abc import Sequence

import pytest

from crdt.committed import Committed
from crdt.errors import (
    ConflictError,
    DiskFullError,
    InvalidError,
    MalformedError,
    NotFoundError,
)
from crdt.events import Event
from crdt.ids import NodeKey
from crdt.payload import BodyChange
from daemon.live.bodies import MAX_EDITORS
from daemon.live.editor import (
    FAULT,
    MALFORMED,
    MAX_OUTGOING,
    MAX_OUTGOING_BYTES,
    NO_NODE,
    NOT_STORED,
    REFUSED,
    SLOW,
    STOPPING,
    Editor,
    Ending,
)
from daemon.live.room import MAX_WAITING
from daemon.live.y_protocol import (
    Missing,
    Refusal,
    StateVector,
    Update,
)
from tests.support.rooms import (
    KEY,
    heard,
    joined,
    living,
    send,
)


async def test_step_1_is_answered_by_both_steps() -> None:
    """A client is told what it lacks, then asked for what the body lacks."""
    async with living() as disk, joined(disk) as (room, editor):
        await send(room, editor, StateVector(b"mine"))

        assert await heard(editor, 2) == [
            Missing(b"lacks mine"),
            StateVector(b"state of mill"),
        ]


async def test_an_update_comes_back_when_it_is_durable() -> None:
    """Nobody sees an update before its commit; then all do, its author as well."""
    async with living() as disk, joined(disk) as (room, ada), joined(disk) as (_, bob):
        disk.is_free.clear()
        await send(room, ada, Update(b"one"))
        waiting = [asyncio.ensure_future(heard(each, 1)) for each in (ada, bob)]
        await disk.begun.wait()
        assert not any(each.done() for each in waiting)

        disk.is_free.set()

        assert [[Update(b"one")]] * 2 == await asyncio.gather(*waiting)


async def test_what_comes_meanwhile_shares_a_commit() -> None:
    """The first update is committed alone, all that came during it together."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.is_free.clear()
        await send(room, editor, Update(b"0"))
        await disk.begun.wait()
        for number in range(1, 10):
            await send(room, editor, Missing(b"%d" % number))
        disk.is_free.set()
        await heard(editor, 10)

        assert [(b"0",), tuple(b"%d" % n for n in range(1, 10))] == disk.asked


async def test_the_last_to_leave_loses_nothing() -> None:
    """What a client sent before it left is stored after it has left."""
    async with living() as disk:
        async with joined(disk) as (room, editor):
            disk.is_free.clear()
            await send(room, editor, Update(b"first"))
            await disk.begun.wait()
            await send(room, editor, Update(b"last"))
        disk.is_free.set()

    assert [(b"first",), (b"last",)] == disk.asked


async def test_an_empty_answer_writes_nothing() -> None:
    """A client that has nothing new costs no commit."""
    async with living() as disk, joined(disk) as (room, editor):
        await send(room, editor, Missing(b"\x00\x00"))
        await send(room, editor, Update(b"one"))
        await heard(editor, 1)

        assert disk.asked == [(b"one",)]


async def test_only_the_culprit_is_let_go() -> None:
    """Of updates that were refused together the good ones are stored."""

    def trouble(updates: Sequence[bytes]) -> Exception | None:
        return InvalidError("update", "is forged") if b"bad" in updates else None

    async with living() as disk, joined(disk) as (room, ada), joined(disk) as (_, eve):
        disk.trouble = trouble
        disk.is_free.clear()
        await send(room, ada, Update(b"first"))
        await disk.begun.wait()
        await send(room, eve, Update(b"bad"))
        await send(room, ada, Update(b"good"))
        await send(room, eve, Update(b"after it"))
        disk.is_free.set()

        assert [Update(b"first"), Update(b"good")] == await heard(ada, 2)
        assert await eve.wait_ended() == REFUSED
        assert [Refusal("update: is forged")] == await heard(eve, 1)
        assert await eve.next_message() is None
        assert ada.ending is None
        assert (b"after it",) not in disk.asked


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (NotFoundError("no node"), NO_NODE),
        (DiskFullError("full"), NOT_STORED),
        (ZeroDivisionError(), FAULT),
    ],
)
async def test_what_cannot_be_stored_ends_the_connection(
    trouble: Exception, ending: Ending
) -> None:
    """The client learns by the end of its connection that it has to send again."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.trouble = lambda _: trouble
        await send(room, editor, Update(b"one"))

        assert await editor.wait_ended() == ending


async def test_a_room_that_failed_is_replaced() -> None:
    """After a fault of the daemon who comes again finds a room that works."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.trouble = lambda _: ZeroDivisionError()
        await send(room, editor, Update(b"one"))
        await editor.wait_ended()
        disk.trouble = lambda _: None
        async with joined(disk) as (again, anew):
            assert again is not room
            disk.live.leave(room, editor)
            await send(again, anew, Update(b"two"))
            assert [Update(b"two")] == await heard(anew, 1)


@pytest.mark.parametrize(
    ("trouble", "ending"),
    [
        (NotFoundError("no node"), NO_NODE),
        (DiskFullError("full"), NOT_STORED),
        (MalformedError("no state vector"), MALFORMED),
    ],
)
async def test_what_cannot_be_read_ends_the_connection(
    trouble: Exception, ending: Ending
) -> None:
    """A step 1 that cannot be answered ends the connection with the reason."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.trouble = lambda _: trouble
        await send(room, editor, StateVector(b"mine"))

        assert editor.ending == ending


@pytest.mark.parametrize("data", [b"", b"\x04", b"\x00\x02\x05", b"\x02\x00\x01x"])
async def test_no_message_ends_the_connection(data: bytes) -> None:
    """Bytes that are no message, or none that a client sends, end the connection."""
    async with living() as disk, joined(disk) as (room, editor):
        await room.receive(editor, data)

        assert editor.ending == MALFORMED


async def test_who_sends_too_much_waits() -> None:
    """Beyond the bound a client is not read from until the disk has taken some."""
    async with living() as disk, joined(disk) as (room, editor):
        disk.is_free.clear()
        await send(room, editor, Update(b"0"))
        await disk.begun.wait()
        for number in range(MAX_WAITING):
            await send(room, editor, Update(b"%d" % number))
        late = asyncio.ensure_future(send(room, editor, Update(b"late")))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not late.done()

        disk.is_free.set()
        await late
        await heard(editor, 1 + MAX_WAITING + 1)

        assert [1, MAX_WAITING, 1] == [len(each) for each in disk.asked]


@pytest.mark.parametrize("size", [1, MAX_OUTGOING_BYTES // 4 + 1])
async def test_who_reads_too_slowly_is_let_go(size: int) -> None:
    """A queue that nobody empties ends, and holds no memory after that."""
    editor = Editor()
    sent = 0
    while editor.ending is None:
        editor.send(bytes(size))
        sent += 1

    assert editor.ending == SLOW
    assert (sent - 1) * size <= MAX_OUTGOING_BYTES
    assert sent - 1 <= MAX_OUTGOING
    assert await editor.next_message() is None


async def test_one_large_message_is_let_through() -> None:
    """A body that is larger than the bound reaches a client that reads."""
    editor = Editor()
    editor.send(bytes(MAX_OUTGOING_BYTES + 1))

    assert editor.ending is None
    assert await editor.next_message() == bytes(MAX_OUTGOING_BYTES + 1)


async def test_changes_from_elsewhere_are_shown() -> None:
    """What became durable by another way reaches the clients of its body alone."""
    async with living() as disk, joined(disk) as (_, editor):
        changes = [BodyChange(NodeKey("roof"), b"else"), BodyChange(KEY, b"there")]
        disk.live.tell(Committed((), 1, (), bodies=changes))

        assert [Update(b"there")] == await heard(editor, 1)


async def test_a_deleted_node_ends_its_clients() -> None:
    """The clients of a node that was deleted leave, those of others stay."""
    async with living() as disk, joined(disk) as (_, editor):
        disk.live.tell(Committed((), 1, [Event("node.deleted", "roof")]))
        assert editor.ending is None

        disk.live.tell(Committed((), 2, [Event("node.deleted", KEY)]))

        assert editor.ending == NO_NODE


async def test_all_clients_can_be_sent_away() -> None:
    """When the daemon stops every client leaves."""
    async with living() as disk, joined(disk) as (_, editor):
        disk.live.stop()
        assert editor.ending == STOPPING


async def test_there_is_a_limit_on_clients() -> None:
    """Beyond it nobody may join until somebody leaves."""
    async with living() as disk:
        all_of = [disk.live.join(KEY) for _ in range(MAX_EDITORS)]
        with pytest.raises(ConflictError):
            disk.live.join(KEY)
        for room, editor in all_of:
            disk.live.leave(room, editor)
        async with joined(disk):
            pass
