"""A backup: what it holds, who opens it, and what the device made from it is."""

import hashlib
import hmac
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.backup import TRAILER_BYTES, open_backup, read_record
from crdt.commands import Pulse, PutBody, PutNode
from crdt.database import Database, commit_number, marked_commit
from crdt.devices import OWN_DEVICE, device_number
from crdt.envelope import Envelope, decode
from crdt.errors import (
    ConflictError,
    DamagedError,
    StoreError,
    WrongKeyError,
)
from crdt.identity import new_identity
from crdt.keys import derive, person_keys
from crdt.payload import ShardChange
from crdt.succession import succeed
from crdt.yjs_profile import SHARD
from crdt.yjs_update import parse
from tests.support.histories import Step, histories, perform
from tests.support.replicas import (
    STORE_KEY,
    Device,
    content,
    deliver,
    identity,
    living,
    opened,
    scratch_folder,
)

HEIR = 5
"""Number of the device that is made from a backup."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as made:
        yield made


@pytest.fixture
def file(folder: Path) -> Path:
    """A backup of a small graph."""
    device = Device(folder / "home")
    with device.running() as replica:
        replica.apply([PutNode("a", "Secret label")], device.now_ms)
        replica.freeze()
        # Too soon after the first to be sealed at once.
        replica.apply([PutBody("a", "b" * 5000), Pulse("a")], device.now_ms)
        replica.back_up(folder / "backup", 1234)
    return folder / "backup"


def restored(file: Path, home: Path, number: int = HEIR) -> Device:
    """Make device `number` from a backup of the same person."""
    home.mkdir()
    key = identity(number).backup_key()
    with open_backup(file, key) as backup:
        succeed(backup, home, STORE_KEY, identity(number))
    return Device(home, number)


def streams(device: Device) -> list[tuple[Any, ...]]:
    return device.database.writer.execute("SELECT * FROM stream").fetchall()


@settings(max_examples=settings().max_examples // 2)
@given(histories)
def test_a_restored_device_shows_the_same(history: list[Step]) -> None:
    """Nodes, trash, edges, bodies, energies, streams, search, counts and digest."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running(clean=False):
            for step in history:
                perform(device, step)
            device.replica.back_up(folder / "backup", device.now_ms)
            before = content(device), living(device.replica), streams(device)
        heir = restored(folder / "backup", folder / "heir")
        with heir.running():
            assert (content(heir), living(heir.replica), streams(heir)) == before


@settings(max_examples=settings().max_examples // 2)
@given(histories, histories, histories)
def test_former_and_new_device_converge(
    before: list[Step], former: list[Step], new: list[Step]
) -> None:
    """Both write on after the backup; with each other's changes they show the same."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running():
            for step in before:
                perform(device, step)
            device.replica.back_up(folder / "backup", device.now_ms)
            held = len(device.envelopes())
            heir = restored(folder / "backup", folder / "heir")
            heir.now_ms = device.now_ms
            with heir.running():
                for writer, history in ((device, former), (heir, new)):
                    for step in history:
                        perform(writer, step)
                    writer.replica.seal()
                for envelope in device.envelopes()[held:]:
                    deliver(envelope, heir)
                for envelope in heir.envelopes():
                    deliver(envelope, device)

                assert content(heir) == content(device)
                assert living(heir.replica) == living(device.replica)


def kept_of(former: Device, heir: Device) -> list[Envelope]:
    """Return the envelopes of the former device that the new one keeps."""
    number = device_number(heir.database.writer, former.identity.device)
    assert number != OWN_DEVICE
    rows = heir.database.writer.execute(
        "SELECT bytes FROM envelope WHERE device = ? ORDER BY sequence", (number,)
    )
    return [decode(encoded) for (encoded,) in rows]


def test_the_new_device_begins_a_chain_of_its_own(file: Path, folder: Path) -> None:
    """Envelopes from number 1 under its own id, updates under its own client id."""
    heir = restored(file, folder / "heir")
    with heir.running() as replica:
        assert heir.envelopes() == []
        rows = heir.database.writer.execute("SELECT count(*) FROM journal")
        assert rows.fetchall() == [(0,)]
        replica.apply([PutNode("b", "B"), PutNode("a", "A")], heir.now_ms)
        replica.seal()
        own = heir.envelopes()
    assert [envelope.header.sequence for envelope in own] == [1]
    assert own[0].header.device == heir.identity.device
    changes = [c for c in opened(own[0], heir.identity) if isinstance(c, ShardChange)]
    clients = {tuple(parse(change.update, SHARD).clients) for change in changes}
    assert clients == {(heir.identity.client_id,)}


def test_a_restored_device_can_give_everything_to_others(
    file: Path, folder: Path
) -> None:
    """Its own envelopes and the former's are all that a newcomer needs."""
    former, newcomer = Device(folder / "home"), Device(folder / "newcomer", 7)
    heir = restored(file, folder / "heir")
    with heir.running() as replica, newcomer.running():
        replica.apply([PutNode("b", "B"), Pulse("a")], heir.now_ms)
        replica.seal()
        for envelope in kept_of(former, heir):
            deliver(envelope, newcomer)
        for envelope in heir.envelopes():
            deliver(envelope, newcomer)
        assert content(newcomer) == content(heir)


def test_all_restored_counts_as_acknowledged(file: Path, folder: Path) -> None:
    """An older copy of the restored store would be found out from the start."""
    heir = restored(file, folder / "heir")
    with Database(heir.home, STORE_KEY) as database:
        assert marked_commit(heir.home) == commit_number(database.writer) > 0


def test_a_restored_device_can_be_backed_up(file: Path, folder: Path) -> None:
    """The third device shows what the first did, and names both that were before."""
    heir = restored(file, folder / "heir")
    with heir.running() as replica:
        replica.apply([Pulse("a", 2.0)], heir.now_ms)
        replica.back_up(folder / "second", heir.now_ms)
        before = content(heir)
    third = restored(folder / "second", folder / "third", HEIR + 1)
    with third.running():
        assert content(third) == before
        names = third.database.writer.execute(
            "SELECT count(*) FROM setting WHERE name LIKE 'former device %'"
        )
        assert names.fetchall() == [(2,)]


def test_a_backup_holds_no_private_key_of_its_device(file: Path, folder: Path) -> None:
    """Not even in what is left of deleted rows; the space's keys are there."""
    device = Device(folder / "home")
    seeds = device.identity.signing_seed, device.identity.hpke_seed
    with device.running(clean=False) as replica:
        writer = device.database.writer
        for value in (b"".join(seeds) * 9, b"".join(seeds)):
            with writer:
                writer.execute("REPLACE INTO setting VALUES ('identity', ?)", (value,))
        replica.back_up(folder / "another", 0)
        assert any(seed in writer.serialize("main") for seed in seeds)
    for each in (file, folder / "another"):
        with open_backup(each, device.identity.backup_key()) as backup:
            pages = backup.serialize("main")
        assert b"Secret label" in pages
        assert not any(seed in pages for seed in seeds)


def test_a_backup_tells_nothing_without_the_words(file: Path) -> None:
    """No text of the graph is in the file, which only its owner may read."""
    content = file.read_bytes()
    assert not any(text in content for text in (b"Secret label", b"b" * 8))
    assert b"SQLite" not in content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_record_says_whose_backup_it_is(file: Path) -> None:
    """Person, device and time are known before anything is restored."""
    writer = identity(0)
    with open_backup(file, writer.backup_key()) as backup:
        record = read_record(backup)
    assert (record.person_name, record.device_name) == ("Ada", "device 0")
    assert record.enrolment == writer.enrolment
    assert record.device_public_key == writer.public_key
    assert record.client_id == writer.client_id
    assert record.time_ms == 1234


def test_the_trailer_is_as_described(file: Path) -> None:
    """Pages, magic, keyed hash of the pages, hash of all that: docs/backup.md."""
    content = file.read_bytes()
    pages, trailer = content[:-TRAILER_BYTES], content[-TRAILER_BYTES:]
    assert len(pages) % 4096 == 0
    sealed = hmac.digest(
        derive(person_keys(b"\x01" * 32).secret, "backup key"),
        b"fractality/1 backup seal\0" + hashlib.sha256(pages).digest(),
        "sha256",
    )
    assert trailer[:-32] == b"fractality backup 1\n" + sealed
    assert trailer[-32:] == hashlib.sha256(content[:-32]).digest()


def test_another_persons_words_do_not_open_it(file: Path) -> None:
    """The fault is told from damage."""
    other = new_identity(b"\x02" * 32, bytes(68), "Bob", "device")
    with pytest.raises(WrongKeyError), open_backup(file, other.backup_key()):
        pass


@cache
def backup_bytes() -> bytes:
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply([PutNode("a", "A")], device.now_ms)
            replica.back_up(folder / "backup", 0)
        return (folder / "backup").read_bytes()


@given(st.data())
def test_a_damaged_file_is_called_damaged(data: st.DataObject) -> None:
    """Whatever byte is changed, wherever it is cut, whatever is added: never a key."""
    content = backup_bytes()
    end = len(content) - 1
    place = data.draw(st.integers(0, end) | st.integers(end - TRAILER_BYTES, end))
    flipped = bytes([content[place] ^ data.draw(st.integers(1, 255))])
    damages = [
        content[:place],
        content[place + 1 :],
        content[:place] + flipped + content[place + 1 :],
        content + content[place:],
    ]
    with scratch_folder() as folder:
        for damaged in damages:
            (folder / "damaged").write_bytes(damaged)
            with (
                pytest.raises(DamagedError),
                open_backup(folder / "damaged", identity(0).backup_key()),
            ):
                pass


def test_a_copy_that_does_not_verify_is_removed(folder: Path) -> None:
    """A store whose text index is broken gives no backup, and says so."""
    device = Device(folder / "home")
    with device.running(clean=False) as replica:
        replica.apply([PutNode("a", "A")], device.now_ms)
        with device.database.writer as writer:
            writer.execute(
                "UPDATE node_text_data SET block = zeroblob(9) WHERE id > 1000"
            )
        with pytest.raises(DamagedError, match="removed"):
            replica.back_up(folder / "backup", 0)
    assert not (folder / "backup").exists()


def test_a_damaged_store_gives_no_backup(folder: Path) -> None:
    """A page that does not verify is met while copying; nothing is left."""
    device = Device(folder / "home")
    with device.running() as replica:
        replica.apply([PutNode("a", "A"), PutBody("a", "b" * 50_000)], device.now_ms)
    with device.running(clean=False) as replica:
        with (device.home / "store.db").open("r+b") as store:
            store.seek(-2000, 2)
            store.write(b"damage")
        with pytest.raises(DamagedError):
            replica.back_up(folder / "backup", 0)
    assert not (folder / "backup").exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_backup_that_does_not_fit_leaves_nothing(folder: Path) -> None:
    """Neither while pages are copied nor when the trailer is added; writing goes on."""
    device = Device(folder / "home")
    with device.running() as replica:
        replica.apply([PutNode("a", "A")], device.now_ms)
        replica.back_up(folder / "whole", 0)
        size = (folder / "whole").stat().st_size
        for limit in (size // 2, size - 1):
            with largest_file(limit), pytest.raises(StoreError):
                replica.back_up(folder / "backup", 0)
            assert not (folder / "backup").exists()
        replica.apply([PutNode("b", "B")], device.now_ms)
        assert replica.totals.nodes == 2


def test_an_existing_file_stays_as_it_is(file: Path, folder: Path) -> None:
    """Nothing is overwritten, neither a backup nor anything else."""
    before = file.read_bytes()
    with Device(folder / "home").running() as replica, pytest.raises(ConflictError):
        replica.back_up(file, 0)
    assert file.read_bytes() == before


def test_a_missing_file_is_named(folder: Path) -> None:
    """The error says which file, and makes none."""
    with (
        pytest.raises(StoreError, match="absent"),
        open_backup(folder / "absent", identity(0).backup_key()),
    ):
        pass
    assert not (folder / "absent").exists()
