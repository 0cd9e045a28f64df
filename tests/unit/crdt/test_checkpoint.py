"""Checkpoints: a whole graph for a device that has little of it, or nothing."""

import random
from contextlib import closing
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.arrival import Cause
from crdt.checkpoint import PIECE_BYTES, write_checkpoint
from crdt.checkpoint_part import (
    MAX_PART_BYTES,
    Content,
    End,
    Head,
    Header,
    PartPlace,
    Piece,
    decode_part,
    open_part,
    seal_part,
)
from crdt.commands import (
    AnyCommand,
    DeleteNode,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
)
from crdt.energy import MAX_LANDMARK
from crdt.envelope_reader import EnvelopeReader
from crdt.ids import NodeKey, ShardNumber
from crdt.payload import EnergyChange, ShardChange
from crdt.space_keys import epoch_key
from crdt.yjs_update import encode_creations
from tests.support.exchanging import (
    check_equal,
    check_rebuilt,
    checkpoint_of,
    give,
    missing,
    running,
    settle,
)
from tests.support.histories import Write, perform, writes
from tests.support.replicas import (
    SPACE_KEYS,
    Device,
    content,
    dice,
    identity,
    living,
    scratch_folder,
)

CHECKPOINT = b"\x05" * 16


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.monotonic_ms += 1000
    device.replica.apply(commands, device.now_ms)


def install(device: Device, *parts: bytes) -> list[Cause | None]:
    """Give a device parts; return why each was refused."""
    return [
        device.replica.install_checkpoint_part(part, device.now_ms).cause
        for part in parts
    ]


def made(number: int, contents: Content, giver: int = 0) -> bytes:
    """Return a part that a device of the team made by hand."""
    author = identity(giver)
    epoch = SPACE_KEYS.present_epoch
    place = PartPlace(SPACE_KEYS.space, author.device, CHECKPOINT, number, epoch.id)
    return seal_part(place, contents, epoch, author.signing_key(), bytes(32))


def header(*heads: Head, former: tuple[int, ...] = ()) -> Header:
    return Header(heads, 0, 0, 0, former)


@settings(max_examples=settings().max_examples // 2)
@given(
    history=st.lists(st.tuples(st.integers(0, 1), writes), max_size=8),
    own=st.lists(writes, max_size=3),
    is_frozen=st.booleans(),
)
def test_a_checkpoint_gives_all(
    history: list[tuple[int, Write]], own: list[Write], *, is_frozen: bool
) -> None:
    """Whoever installs one, empty or not, shows what its giver shows and goes on."""
    with running(3) as devices:
        giver, other, taker = devices
        for who, step in history:
            perform(devices[who], step)
            give(other, giver)
        for step in own:
            perform(taker, step)
        if is_frozen:
            giver.replica.freeze()
        parts = checkpoint_of(giver)
        giver.replica.seal()

        assert set(install(taker, *parts)) == {None}
        held = giver.replica.vector
        if not own:
            assert content(taker).nodes == content(giver).nodes
            give(giver, taker)
            assert taker.replica.vector == held
            assert content(taker) == content(giver)
            assert living(taker.replica).links == living(giver.replica).links
        check_rebuilt(taker)
        settle(devices)
        check_equal(devices)


@settings(max_examples=settings().max_examples // 8)
@given(st.data(), st.integers(0, 2**32))
def test_a_checkpoint_that_breaks_off_leaves_a_whole_graph(
    data: st.DataObject, seed: int
) -> None:
    """Killed after any part, a replica is consistent, and resumes or begins again."""
    roll = random.Random(seed)
    with scratch_folder() as folder:
        giver, taker = Device(folder / "giver"), Device(folder / "taker", 1)
        with giver.running():
            for number in range(12):
                write(
                    giver,
                    PutNode(f"{number}", "x" * 50, metadata={"x": roll.random()}),
                    PutEdge(f"{number}", f"{roll.randrange(number + 1)}"),
                    PutBody(f"{number}", f"text {number}"),
                    Pulse(f"{number}", 1),
                )
            write(giver, DeleteNode("3"), PatchNode("4", label="new"))
            parts = small_parts(giver, roll.randrange(300, 3000))
        at = 0
        while at < len(parts):
            count = data.draw(st.integers(1, len(parts)))
            with taker.running(clean=False) as replica:
                resumed = replica.installation
                assert (resumed.next_number if resumed else 0) == at
                assert set(install(taker, *parts[at : at + count])) == {None}
            at += count
            with taker.running(clean=False) as replica:
                check_rebuilt(taker)
                assert (replica.vector == {}) == (at < len(parts))
            if at < len(parts) and data.draw(st.booleans()):
                at = 0
                with taker.running(clean=False):
                    assert install(taker, parts[0]) == [None]
                at = 1
        with giver.running(clean=False), taker.running(clean=False):
            assert content(taker) == content(giver)
            assert taker.replica.vector == giver.replica.vector


def small_parts(device: Device, piece_bytes: int) -> list[bytes]:
    """Return a checkpoint in more parts than it needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crdt.checkpoint.PIECE_BYTES", piece_bytes)
        return checkpoint_of(device)


def test_parts_out_of_place_are_refused() -> None:
    """A part comes right behind the one before it, of the same checkpoint and giver."""
    with running(2) as (giver, taker):
        write(giver, *(PutNode(f"{n}", "x" * 500) for n in range(40)))
        parts = small_parts(giver, 2000)
        assert len(parts) > 6
        assert install(taker, parts[1]) == [Cause.GAP]
        assert install(taker, *parts[:2], parts[1], parts[3]) == [
            None,
            None,
            Cause.DUPLICATE,
            Cause.GAP,
        ]
        assert install(taker, made(2, End())) == [Cause.GAP]
        assert set(install(taker, *parts[2:])) == {None}
        assert install(taker, parts[-1]) == [Cause.GAP]
        assert content(taker) == content(giver)


def test_what_is_no_part_is_refused() -> None:
    """Strangers, other spaces, flipped bits, missing keys: nothing is changed."""
    with running(2) as (giver, taker):
        write(giver, PutNode("a", "a"))
        parts = checkpoint_of(giver)
        view = content(taker), taker.replica.totals
        flipped = parts[0][:-1] + bytes([parts[0][-1] ^ 1])
        moved = parts[0].replace(SPACE_KEYS.space_id, b"\x01" * 16)
        later = epoch_key(b"\x21" * 32)
        place = decode_part(parts[0]).place
        unknown = seal_part(
            replace(place, epoch_key_id=later.id),
            header(),
            later,
            giver.identity.signing_key(),
            bytes(32),
        )
        for part, cause in (
            (b"", Cause.MALFORMED),
            (parts[0][:-1], Cause.MALFORMED),
            (bytes(MAX_PART_BYTES + 1), Cause.MALFORMED),
            (flipped, Cause.FORGED),
            (moved, Cause.FOREIGN_SPACE),
            (made(0, header(), giver=99), Cause.STRANGER),
            (unknown, Cause.NO_KEY),
        ):
            assert install(taker, part) == [cause]
        assert (content(taker), taker.replica.totals) == view
        assert taker.replica.installation is None


def test_a_header_comes_first_and_only_there() -> None:
    """A first part that is no header, and a header further on, are malformed."""
    with running(2) as (_, taker):
        piece = Piece((EnergyChange(identity(0).device, ()),))
        assert install(taker, made(0, piece)) == [Cause.MALFORMED]
        assert install(taker, made(0, header()), made(1, header())) == [
            None,
            Cause.MALFORMED,
        ]
        assert install(taker, made(1, piece), made(2, End())) == [None, None]


def update_by(client: int, key: str) -> ShardChange:
    found = [("n", f"{key}\x1f@1", '[5, "new"]')]
    return ShardChange(ShardNumber(7), encode_creations(client, 0, found))


def test_nobody_writes_under_an_id_that_is_not_known() -> None:
    """Updates bear client ids of the roster, or those that the header says were before.

    This device's own are its own to make: a checkpoint can only bring them back.
    """
    unknown = 4242
    with running(2) as (_, taker):
        own = taker.identity.client_id
        assert install(taker, made(0, header())) == [None]
        for client in (unknown, own):
            part = made(1, Piece((update_by(client, "x"),)))
            assert install(taker, part) == [Cause.FORGED]
        assert install(taker, made(0, header(former=(unknown,)))) == [None]
        assert install(taker, made(1, Piece((update_by(unknown, "x"),)))) == [None]


def test_a_checkpoint_tells_of_a_copy_of_this_device() -> None:
    """A header that names more of this device's envelopes than there are is refused."""
    with running(2) as (_, taker):
        own = Head(taker.identity.device, 1, bytes(32))
        assert install(taker, made(0, header(own))) == [Cause.COPY_OF_THIS_DEVICE]
        write(taker, PutNode("a", "a"))
        assert install(taker, made(0, header(own))) == [None]


def test_a_checkpoint_brings_nothing_back() -> None:
    """What the taker changed or deleted since stays as it is, and heads stay ahead."""
    with running(2) as (giver, taker):
        write(giver, PutNode("a", "old"), PutNode("b", "b"), PutEdge("a", "b"))
        parts = checkpoint_of(giver)
        give(giver, taker)
        write(giver, PutNode("c", "c"))
        give(giver, taker)
        write(taker, PatchNode("a", label="new"), DeleteNode("b"))
        before, vector = content(taker), taker.replica.vector

        assert set(install(taker, *parts)) == {None}
        assert (content(taker), taker.replica.vector) == (before, vector)


def test_after_a_checkpoint_the_tail_follows() -> None:
    """Envelopes behind the checkpoint continue the chains; those before it are gone."""
    with running(3) as (giver, taker, third):
        for number in range(3):
            write(giver, PutNode(f"{number}", "x"))
        (head, *_) = missing(giver, taker)
        assert taker.replica.receive_envelopes([head], 0).refused == []
        assert set(install(taker, *checkpoint_of(giver))) == {None}
        own = giver.identity.device
        with EnvelopeReader(taker.database, taker.identity.device) as reader:
            assert reader.oldest(own) is None
            write(giver, PutNode("later", "x"))
            assert give(giver, taker).refused == []
            assert reader.oldest(own) == 4
        assert {each.cause for each in give(taker, third).refused} == set()
        assert third.replica.vector == {}
        check_equal((giver, taker))


def test_large_shards_and_bodies_come_in_pieces() -> None:
    """One node with thousands of edges, or a long text, takes several small parts."""
    roll = dice("large")
    with running(2) as (giver, taker):
        write(giver, *(PutNode(f"{n}", "x") for n in range(60)))
        for first in range(0, 60, 20):
            write(
                giver,
                *(
                    PutEdge("0", f"{n}", metadata={"x": roll(16_000).hex()})
                    for n in range(first, first + 20)
                ),
            )
        write(giver, PutBody("1", roll(400_000).hex()))
        parts = checkpoint_of(giver)

        assert sorted(map(len, parts))[-2] <= 512 * 1024
        assert len(parts) > 5
        assert set(install(taker, *parts)) == {None}
        assert content(taker) == content(giver)
        check_rebuilt(taker)


def test_a_checkpoint_is_of_one_moment() -> None:
    """What is written while it is read does not show in it."""
    with running(2) as (giver, taker):
        write(giver, *(PutNode(f"{n}", "x" * 2000) for n in range(500)))
        before, vector = content(giver), giver.replica.vector
        parts = write_checkpoint(
            giver.database,
            giver.identity,
            SPACE_KEYS,
            giver.replica.roster,
            dice("moment"),
        )
        taken = [next(parts)]
        write(giver, PutNode("late", "x"), DeleteNode("1"))
        giver.replica.freeze()
        taken += parts
        assert set(install(taker, *taken)) == {None}
        assert content(taker) == before
        assert taker.replica.vector == vector
        with closing(parts):
            give(giver, taker)
        check_equal((giver, taker))


def test_energies_come_along() -> None:
    """Accumulators of every device, one that nobody's node has yet as well."""
    with running(3) as (giver, other, taker):
        write(giver, PutNode("a", "a"), Pulse("a", 3))
        give(giver, other)
        write(other, Pulse("a", 2))
        give(other, giver)
        assert set(install(taker, *checkpoint_of(giver))) == {None}
        assert content(taker).energy == content(giver).energy
        assert len(content(taker).energy) == 2
        check_equal((giver, taker))


def test_contents_that_no_giver_writes_are_malformed() -> None:
    """Energy beyond all clocks, keys that are none, or nothing at all do not decode."""
    device = identity(0).device
    for piece in (
        Piece(()),
        Piece((EnergyChange(device, ((NodeKey("a"), MAX_LANDMARK * 2),)),)),
        Piece((EnergyChange(device, ((NodeKey("\x00"), 1.0),)),)),
    ):
        with running(2) as (_, taker):
            assert install(taker, made(0, header()), made(1, piece)) == [
                None,
                Cause.MALFORMED,
            ]


def test_a_part_says_what_it_was_made_of() -> None:
    """A part opens to the content that was sealed, and to nothing with another key."""
    contents = header(Head(identity(1).device, 7, b"\x01" * 32), former=(3, 9))
    part = decode_part(made(0, contents))
    assert open_part(part, SPACE_KEYS.present_epoch) == contents
    assert msgspec.msgpack.encode(contents)[0] == 0x96
    assert PIECE_BYTES < 512 * 1024
