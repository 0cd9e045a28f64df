"""Replicas that give each other envelopes as a bad network brings them."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from crdt.chain import EMPTY_CHAIN, ChainHead, next_header
from crdt.checkpoint import write_checkpoint
from crdt.committed import Reception
from crdt.database import Database
from crdt.envelope import seal
from crdt.envelope_reader import EnvelopeReader
from crdt.identity import Identity
from crdt.payload import Change
from crdt.rebuild import rebuild
from crdt.space_keys import EpochKey
from tests.support.replicas import (
    SPACE_KEYS,
    START_MS,
    STORE_KEY,
    Device,
    content,
    dice,
    living,
    scratch_folder,
)


@contextmanager
def running(count: int) -> Iterator[list[Device]]:
    """Run some devices of the team whose clocks differ by a second each."""
    with scratch_folder() as folder, ExitStack() as stack:
        devices = [
            Device(folder / f"{number}", number, START_MS + 1000 * number)
            for number in range(count)
        ]
        for device in devices:
            stack.enter_context(device.running())
        yield devices


def missing(giver: Device, taker: Device) -> list[bytes]:
    """Return what one device holds and the other lacks, author by author."""
    giver.replica.seal()
    vector = taker.replica.vector
    with EnvelopeReader(giver.database, giver.identity.device) as reader:
        return [
            encoded
            for author in giver.replica.vector
            for encoded in reader.after(author, vector.get(author, 0), 2**30)
        ]


def give(giver: Device, taker: Device) -> Reception:
    """Deliver what the taker lacks, in order; it acknowledges what it holds then."""
    received = taker.replica.receive_envelopes(missing(giver, taker), taker.now_ms)
    giver.replica.note_acknowledged(
        taker.identity.device, received.vector, giver.now_ms
    )
    return received


def give_badly(giver: Device, taker: Device, roll: random.Random) -> Reception:
    """Deliver some of what the taker lacks: lost, doubled, out of order, flipped."""
    envelopes = missing(giver, taker)
    delivered: list[bytes] = []
    for encoded in envelopes:
        for _ in range(roll.choice((0, 1, 1, 1, 1, 2))):
            at = roll.randrange(len(delivered) + 1) if roll.random() < 0.2 else None
            delivered.insert(len(delivered) if at is None else at, encoded)
        if roll.random() < 0.1:
            flipped = bytearray(encoded)
            flipped[roll.randrange(len(flipped))] ^= 1 << roll.randrange(8)
            delivered.append(bytes(flipped))
    return taker.replica.receive_envelopes(delivered, taker.now_ms)


def settle(devices: Sequence[Device]) -> None:
    """Deliver everything to everybody, in order; all vectors are equal then."""
    for _ in range(2):
        for giver in devices:
            for taker in devices:
                if giver is not taker:
                    assert give(giver, taker).refused == []
    assert all(each.replica.vector == devices[0].replica.vector for each in devices)


def check_equal(devices: Sequence[Device]) -> None:
    """Compare all that devices show and hold, and their digests."""
    views = [(content(device), living(device.replica)) for device in devices]
    for view in views[1:]:
        assert view[0] == views[0][0]
        assert view[1].links == views[0][1].links
        assert view[1].landmarks == views[0][1].landmarks
    assert len({device.replica.digest for device in devices}) == 1


def check_rebuilt(device: Device) -> None:
    """Build the read model of a copy of a running device anew; nothing changes."""
    maintained = content(device), living(device.replica)
    copied = replace(device, home=device.home.with_name(f"copy of {device.number}"))
    shutil.copytree(device.home, copied.home)
    with Database(copied.home, STORE_KEY) as database:
        rebuild(database, copied.identity, SPACE_KEYS)
    with copied.running(clean=False):
        assert (content(copied), living(copied.replica)) == maintained
    shutil.rmtree(copied.home)


def checkpoint_of(device: Device) -> list[bytes]:
    """Return the parts of a checkpoint that a device writes now."""
    replica = device.replica
    return list(
        write_checkpoint(
            device.database,
            device.identity,
            replica.keys,
            replica.roster,
            dice(f"checkpoint {device.number} {replica.totals.journal}"),
        )
    )


def sealed(
    author: Identity,
    head: ChainHead,
    *changes: Change,
    epoch: EpochKey = SPACE_KEYS.present_epoch,
    salt: bytes = bytes(32),
) -> bytes:
    """Return the envelope that a device writes behind `head`."""
    header = next_header(head, SPACE_KEYS.space, author.device, epoch.id)
    return seal(header, changes, epoch, author.signing_key(), salt)


def first(author: Identity, *changes: Change, salt: bytes = bytes(32)) -> bytes:
    """Return the first envelope of a device."""
    return sealed(author, EMPTY_CHAIN, *changes, salt=salt)
