"""What becomes of consensus nodes is noted, once, and over restarts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from consensus.result import ConsensusNode, Result, result_of
from crdt.circle_notes_store import (
    Moment,
    read_aliases,
    read_history,
    read_last_moments,
    read_seen,
)
from crdt.database import Connection
from crdt.errors import DiskFullError
from crdt.ids import CircleId
from daemon.circles.noting import KEPT_MS, Noting
from tests.support.circle_people import Circle
from tests.support.circle_records import Keeper, StoreShelf

START_MS: Final = 1_000_000


def node(name: str, members: str, score: int = 9_000) -> ConsensusNode:
    """Return a node with a member for each letter."""
    return ConsensusNode(
        key=name.encode().rjust(32),
        model=bytes(8),
        counted_authors=len(members),
        contributor_count=len(members) + 1,
        members=tuple(each.encode().rjust(32) for each in sorted(members)),
        representatives=(),
        label_id=bytes(32),
        label=f"label {name}",
        score=score,
        centroid=b"",
    )


def of(*nodes: ConsensusNode) -> Result:
    """Return nodes as a result."""
    return result_of(nodes)


class Device:
    """A device that notes, with a clock that stands."""

    def __init__(self, circle: CircleId, connection: Connection) -> None:
        self.circle = circle
        self.connection = connection
        self.shelf = StoreShelf(connection)
        self.now_ms = START_MS
        self.start()

    def start(self) -> None:
        """Begin as a program does that has just been started."""
        self.noting = Noting(self.circle, self.shelf, lambda: self.now_ms)

    async def note(self, *nodes: ConsensusNode) -> None:
        self.now_ms += 1
        await self.noting.note(of(*nodes))

    def history(self, name: str) -> Sequence[Moment]:
        key = name.encode().rjust(32)
        return read_history(self.connection, self.circle, key)


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Device]:
    """Open the store of a member."""
    keeper = Keeper(home, Circle.of("ada"), "ada")
    async with keeper.running() as records:
        yield Device(records.circle, keeper.database.writer)


async def test_only_changes_are_noted(tmp_path: Path) -> None:
    """A node has a moment for each change, none for looks in between or restarts."""
    async with opened(tmp_path) as device:
        one, other = node("one", "abc"), node("other", "def")
        await device.note(one, other)
        await device.note(one, other)
        device.start()
        await device.note(one, other)
        await device.note(node("one", "abcg", score=8_800), other)

        assert device.history("one") == [
            Moment(one.key, START_MS + 1, 9_000, 3, 4, 3),
            Moment(one.key, START_MS + 4, 8_800, 4, 5, 4),
        ]
        assert len(device.history("other")) == 1


async def test_a_node_that_fades_is_noted_as_empty(tmp_path: Path) -> None:
    """It is no longer among what is there, its history ends with nobody."""
    async with opened(tmp_path) as device:
        await device.note(node("one", "abc"))
        await device.note()
        await device.note()

        assert device.history("one")[1:] == [
            Moment(node("one", "").key, START_MS + 2, 0, 0, 0, 0)
        ]
        assert read_seen(device.connection, device.circle) == []


async def test_a_new_key_continues_the_former(tmp_path: Path) -> None:
    """Whatever a node is called, it is found again by its members, through restarts."""
    async with opened(tmp_path) as device:
        await device.note(node("one", "abcd"), node("same", "xyz"))
        device.start()
        await device.note(node("two", "abce"), node("same", "xyz"))
        await device.note(node("three", "abcef"), node("same", "xyz"))

        aliases = read_aliases(device.connection, device.circle)
        last = read_last_moments(device.connection, device.circle)

        assert aliases == {
            node(name, "").key: node("three", "").key for name in ("one", "two")
        }
        assert {key.strip(): each.members for key, each in last.items()} == {
            b"one": 0,
            b"two": 0,
            b"three": 5,
            b"same": 3,
        }
        seen = read_seen(device.connection, device.circle)
        assert [(each.key.strip(), each.label) for each in seen] == [
            (b"same", "label same"),
            (b"three", "label three"),
        ]


async def test_what_could_not_be_noted_is_noted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk loses no change: it is compared with what was noted last."""
    async with opened(tmp_path) as device:
        await device.note(node("one", "abc"))

        async def fail(_: object) -> None:
            raise DiskFullError

        with monkeypatch.context() as patch:
            patch.setattr(device.shelf, "write", fail)
            with pytest.raises(DiskFullError):
                await device.note(node("one", "abcd"))
        await device.note(node("one", "abcd"))

        assert [each.members for each in device.history("one")] == [3, 4]


async def test_old_history_is_dropped(tmp_path: Path) -> None:
    """What is older than anybody asks for goes when the program begins to note."""
    async with opened(tmp_path) as device:
        await device.note(node("one", "abc"))
        device.now_ms += KEPT_MS + 10
        device.start()
        await device.note(node("one", "abcd"))

        assert [each.members for each in device.history("one")] == [4]
