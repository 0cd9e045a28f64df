"""A store without room: what could not be written did not happen, then goes on."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from crdt.commands import (
    AnyCommand,
    DeleteNode,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
)
from crdt.database import DATABASE_NAME
from crdt.errors import DiskFullError, StoreError
from crdt.replica import Replica
from crdt.roster_writing import rename
from tests.support.exchanging import checkpoint_of
from tests.support.replicas import (
    START_MS,
    Device,
    content,
    dice,
    living,
    opened,
    scratch_folder,
)

MAX_PAGES = 2**31 - 2
EARLIER: list[AnyCommand] = [
    *(PutNode(f"old {number}", "old", metadata={"x": 1}) for number in range(40)),
    *(PutEdge(f"old {number}", "old 1") for number in range(40)),
    PutBody("old 1", "body"),
]
LATER: list[AnyCommand] = [
    *(PutNode(f"new {number}", "new " * 20, "type") for number in range(60)),
    *(PutEdge(f"new {number}", f"old {number % 40}", "new") for number in range(60)),
    *(PutNode(f"old {number}", "changed") for number in range(20)),
    DeleteNode("old 3"),
    PutBody("old 1", "another body " * 100),
    Pulse("old 1", 2),
]


@contextmanager
def files_up_to(byte_count: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def pages_for(device: Device, page_count: int) -> Iterator[None]:
    """Let the database grow by so many pages only; SQLite then says it is full."""
    connection = device.database.writer
    limit = connection.pragma("page_count") + page_count
    connection.pragma("max_page_count", limit)
    try:
        yield
    finally:
        connection.pragma("max_page_count", MAX_PAGES)


def state(device: Device) -> tuple[object, ...]:
    replica = device.replica
    index = replica.index
    return (
        content(device),
        living(replica),
        replica.totals,
        len(index.keys),
        len(index.edges),
        index.edge_types,
        replica.seal_due_ms,
        replica.vector,
        replica.installation,
        replica.roster.fingerprint,
    )


def prepare(device: Device) -> None:
    """Write earlier things in many groups, so that all upkeep has something to do."""
    roll = dice("incompressible")
    large = [
        PatchNode("old 5", metadata={f"m{size}": roll(2000).hex()}) for size in range(6)
    ]
    for command in (*EARLIER, *large):
        device.replica.apply([command], device.now_ms)
        device.replica.freeze()


def carried_in(device: Device) -> list[tuple[object, ...]]:
    """Return all changes in a device's envelopes."""
    return [opened(envelope, device.identity) for envelope in device.envelopes()]


def apply_later(replica: Replica) -> None:
    replica.apply(LATER, 1_800_000_100_000)


def compact(replica: Replica) -> None:
    while replica.compact():
        pass


def save_index(replica: Replica) -> None:
    replica.save_index(at_least=0)


@cache
def elsewhere() -> tuple[list[bytes], list[bytes]]:
    """Return envelopes, and a checkpoint, of another device with a graph of its own."""
    with scratch_folder() as folder:
        other = Device(folder / "other", 1)
        with other.running() as replica:
            replica.apply(EARLIER, other.now_ms)
            replica.apply(LATER, other.now_ms)
            replica.seal()
            return [each.encoded for each in other.envelopes()], checkpoint_of(other)


def take_envelopes(replica: Replica) -> None:
    received = replica.receive_envelopes(elsewhere()[0], START_MS)
    assert received.refused == []


def install_a_part(replica: Replica) -> None:
    part = replica.install_checkpoint_part(elsewhere()[1][1], START_MS)
    assert part.cause is None


def state_something(replica: Replica) -> None:
    replica.state(
        lambda roster, author, _: rename(roster, author, author.device, "n" * 250),
        START_MS,
    )


STEPS: dict[str, Callable[[Replica], object]] = {
    "apply": apply_later,
    "seal": Replica.seal,
    "freeze": Replica.freeze,
    "compact": compact,
    "save index": save_index,
    "take envelopes": take_envelopes,
    "install a part": install_a_part,
    "state something": state_something,
}


@pytest.mark.parametrize("name", STEPS)
def test_a_write_that_fails_changes_nothing(name: str) -> None:
    """Wherever writing fails, memory and disk stay as they were, and go on later."""
    with scratch_folder() as folder:
        control, device = Device(folder / "control"), Device(folder / "limited")
        with control.running(), device.running():
            for each in (control, device):
                prepare(each)
                if name == "freeze":
                    apply_later(each.replica)
                if name == "install a part":
                    each.replica.install_checkpoint_part(elsewhere()[1][0], START_MS)
            before = state(device)
            # The write-ahead log is the longest of all files, and the first to grow.
            log_bytes = (device.home / f"{DATABASE_NAME}-wal").stat().st_size
            failures = 0
            while True:
                try:
                    with files_up_to(log_bytes + failures * 1000):
                        STEPS[name](device.replica)
                    break
                except StoreError:
                    failures += 1
                    assert state(device) == before
            assert failures > 3
            STEPS[name](control.replica)
            for each in (control, device):
                each.replica.apply([PutNode("last", "one")], each.now_ms)
                each.replica.freeze()
                compact(each.replica)
                each.replica.seal()
            assert state(device)[:2] == state(control)[:2]
            assert carried_in(device) == carried_in(control)
            at_end = content(device), living(device.replica)
        with device.running():
            assert (content(device), living(device.replica)) == at_end


def test_a_full_store_says_so() -> None:
    """A group for which the database has no page left is refused as a full disk."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            prepare(device)
            before = state(device)
            with pages_for(device, 1), pytest.raises(DiskFullError):
                apply_later(replica)
            assert state(device) == before

            apply_later(replica)

            assert content(device).counts == (99, 97)
