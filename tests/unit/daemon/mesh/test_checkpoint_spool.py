"""Checkpoints on their way: whole, by number, few, and named when they do not fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.checkpoint import write_checkpoint
from crdt.checkpoint_part import decode_part
from crdt.commands import PutNode
from crdt.errors import DiskFullError, StoreError
from daemon.mesh.checkpoint_spool import CheckpointSpool
from tests.support.replicas import START_MS, Device, dice, scratch_folder
from transport.frames import PartialCheckpoint


@pytest.fixture
def device() -> Iterator[Device]:
    """Run a device that holds something."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply([PutNode(key="a", label="A")], START_MS)
            replica.seal()
            replica.freeze()
            yield device


def spool_of(device: Device) -> CheckpointSpool:
    """Return a spool of a device's checkpoints, each with an id of its own."""
    randomness = dice("spool")

    def write() -> Iterator[bytes]:
        replica = device.replica
        return write_checkpoint(
            device.database, device.identity, replica.keys, replica.roster, randomness
        )

    return CheckpointSpool(device.home, write)


def test_parts_come_back_as_they_were_written(device: Device) -> None:
    """Each part is given by its number, in any order and as often as wanted."""
    with spool_of(device) as spool:
        ready = spool.write(None)
        numbers = list(range(ready.total))
        found = {number: spool.part(ready.id, number) for number in numbers[::-1]}

        assert ready.first_part == 0
        assert numbers
        for number in numbers:
            place = decode_part(found[number]).place
            assert (place.checkpoint, place.number) == (ready.id, number)
            assert spool.part(ready.id, number) == found[number]


def test_what_broke_off_goes_on(device: Device) -> None:
    """A checkpoint that is still kept is continued; any other begins anew."""
    with spool_of(device) as spool:
        ready = spool.write(None)
        last = PartialCheckpoint(ready.id, ready.total - 1)

        assert spool.has(last)
        assert spool.write(last).id == ready.id
        assert spool.write(last).first_part == ready.total - 1
        for odd in (
            PartialCheckpoint(bytes(16), 0),
            PartialCheckpoint(ready.id, ready.total),
            PartialCheckpoint(ready.id, 2**31),
        ):
            assert not spool.has(odd)
            begun = spool.write(odd)
            assert begun.id != ready.id
            assert begun.first_part == 0


def test_few_are_kept_and_those_in_use_longest(device: Device) -> None:
    """However many are asked for, the disk holds few; what is being given stays."""
    with spool_of(device) as spool:
        given = spool.write(None)
        dropped = spool.write(None)
        for _ in range(10):
            spool.part(given.id, 0)
            spool.write(None)

        assert spool.part(given.id, 0)
        with pytest.raises(StoreError, match="begins anew"):
            spool.part(dropped.id, 0)


def test_nothing_is_left_in_the_folder(device: Device) -> None:
    """Files of checkpoints have no name, and the spool forgets them when it closes."""
    before = set(device.home.iterdir())
    with spool_of(device) as spool:
        ready = spool.write(None)
        assert set(device.home.iterdir()) == before

    assert not spool.has(PartialCheckpoint(ready.id, 0))


def test_a_folder_that_takes_nothing_is_named() -> None:
    """A failing write is told as one of the store, and nothing is kept of it."""

    def write() -> Iterator[bytes]:
        raise OSError(28, "No space left on device")
        yield b""

    with scratch_folder() as folder:
        with CheckpointSpool(folder, write) as spool, pytest.raises(DiskFullError):
            spool.write(None)
        gone = CheckpointSpool(Path(folder / "nowhere"), write)
        with gone as spool, pytest.raises(StoreError, match="nothing is lost"):
            spool.write(None)
