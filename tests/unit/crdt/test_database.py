"""The encrypted file: what is wrong with it is named, and nothing leaks from it."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from crdt.commands import (
    DeleteNode,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
)
from crdt.database import (
    CHECK_NAME,
    DATABASE_NAME,
    MARK_NAME,
    Database,
    commit_number,
    integrity_faults,
)
from crdt.errors import (
    DamagedError,
    KeyUnavailableError,
    NewerStoreError,
    StoreError,
    WrongKeyError,
)
from crdt.graph_reader import GraphReader
from crdt.identity import encode_identity
from crdt.replica import Replica
from crdt.space_keys import encode_space_keys
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Content,
    Device,
    content,
    identity,
    scratch_folder,
)

LOG_NAME: Final = f"{DATABASE_NAME}-wal"
SECRETS: Final = ("Zaunkönig", "geheim schluessel", "metawert", "kantenart", "leibtext")


def write(device: Device) -> None:
    """Make some commits with everything that a graph holds."""
    label, key, value, kind, body = SECRETS
    for number in range(8):
        device.replica.apply(
            [
                PutNode(f"{key} {number}", f"{label} {number}", kind),
                PatchNode(f"{key} {number}", metadata={value: value}),
                PutEdge(f"{key} {number}", f"{key} 0", kind, 1.0, {value: value}),
                PutBody(f"{key} {number}", f"{body} {number} " * 50),
                Pulse(f"{key} {number}"),
            ],
            device.now_ms,
        )
    device.replica.apply([DeleteNode(f"{key} 7")], device.now_ms)


@pytest.fixture(scope="module")
def homes() -> Iterator[dict[str, Path]]:
    """Make a home that was closed, and one whose process was killed."""
    with scratch_folder() as folder:
        device = Device(folder / "closed")
        with device.running() as replica:
            write(device)
            replica.save_index(at_least=0)
            replica.freeze()
            shutil.copytree(device.home, folder / "killed")
        yield {"closed": folder / "closed", "killed": folder / "killed"}


@contextmanager
def copied(home: Path) -> Iterator[Device]:
    with scratch_folder() as folder:
        yield Device(Path(shutil.copytree(home, folder / "copy")))


def opened(device: Device) -> tuple[Content, int]:
    """Open a store, read all of it, and return what it shows."""
    with device.running(clean=False) as replica:
        faults = integrity_faults(device.database.writer)
        if faults:
            raise DamagedError(faults[0])
        with GraphReader(device.database, replica.index) as reader:
            for node in reader.nodes(limit=1000):
                reader.body(node.key)
        return content(device), commit_number(device.database.writer)


def flip(path: Path, at: int, bits: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)


def test_a_copy_shows_the_same(homes: dict[str, Path]) -> None:
    """Closed or killed, the files show what was written."""
    shown = []
    for home in homes.values():
        with copied(home) as device:
            shown.append(opened(device)[0])
    assert shown[0] == shown[1]
    assert shown[0].counts == (7, 7)


def test_another_key_is_told_from_damage(homes: dict[str, Path]) -> None:
    """A wrong key is named as such, and the store still opens with its own."""
    with copied(homes["closed"]) as device:
        before = {path.name: path.read_bytes() for path in device.home.iterdir()}
        with pytest.raises(WrongKeyError), Database(device.home, bytes(32)):
            pass
        assert before == {
            path.name: path.read_bytes() for path in device.home.iterdir()
        }
        opened(device)


def test_a_missing_check_file_is_named(homes: dict[str, Path]) -> None:
    """Without its check file a store is not opened."""
    with copied(homes["closed"]) as device:
        (device.home / CHECK_NAME).unlink()
        with pytest.raises(KeyUnavailableError, match=CHECK_NAME):
            opened(device)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 64, b"\x00" * 64])
def test_a_damaged_check_file_is_refused(
    homes: dict[str, Path], content: bytes
) -> None:
    """Whatever stands in the check file, the answer is an error with a reader."""
    with copied(homes["closed"]) as device:
        (device.home / CHECK_NAME).write_bytes(content)
        with pytest.raises(StoreError):
            opened(device)


@pytest.mark.parametrize("is_log_kept", [True, False])
def test_a_missing_database_is_not_made_anew(
    homes: dict[str, Path], *, is_log_kept: bool
) -> None:
    """If only the database is gone, nothing else is touched."""
    with copied(homes["killed"]) as device:
        (device.home / DATABASE_NAME).unlink()
        if not is_log_kept:
            (device.home / LOG_NAME).unlink()
        before = {path.name: path.read_bytes() for path in device.home.iterdir()}
        with pytest.raises(DamagedError):
            opened(device)
        assert before == {
            path.name: path.read_bytes() for path in device.home.iterdir()
        }


def test_a_file_cut_anywhere_is_damaged(homes: dict[str, Path]) -> None:
    """A database that lost its end, within a page or between two, is refused."""
    size = (homes["closed"] / DATABASE_NAME).stat().st_size
    for length in (0, 1, 4095, 4096, 8192, size // 2 // 4096 * 4096, size - 4096):
        with copied(homes["closed"]) as device:
            with (device.home / DATABASE_NAME).open("r+b") as file:
                file.truncate(length)
            with pytest.raises(StoreError):
                opened(device)


def test_a_flipped_bit_is_never_read_over(homes: dict[str, Path]) -> None:
    """A changed byte anywhere in the database is an error, or changes nothing."""
    dice = random.Random(5)
    with copied(homes["closed"]) as device:
        expected = opened(device)
        pristine = (device.home / DATABASE_NAME).read_bytes()
        places = [*range(100), *(dice.randrange(len(pristine)) for _ in range(200))]
        named = 0
        for at in places:
            flip(device.home / DATABASE_NAME, at, 1 << dice.randrange(8))
            try:
                assert opened(device) == expected
            except StoreError:
                named += 1
            (device.home / DATABASE_NAME).write_bytes(pristine)
        assert named > 200


def kept(device: Device) -> list[bytes]:
    """Return the content of the database and of its log; an absent one has none."""
    paths = (device.home / DATABASE_NAME, device.home / LOG_NAME)
    return [path.read_bytes() if path.exists() else b"" for path in paths]


@pytest.mark.parametrize("how", ["cut", "flipped", "removed", "emptied"])
def test_a_damaged_log_loses_no_acknowledged_write_silently(
    homes: dict[str, Path], how: str
) -> None:
    """A log that lost acknowledged commits is named; else all of them are there.

    A start that is refused leaves file and log as they are: mended, they hold all.
    """
    dice = random.Random(how)
    with copied(homes["killed"]) as device:
        expected = opened(device)
    log = (homes["killed"] / LOG_NAME).read_bytes()
    named = 0
    for _ in range(40):
        with copied(homes["killed"]) as device:
            path = device.home / LOG_NAME
            at = dice.randrange(len(log))
            match how:
                case "cut":
                    path.write_bytes(log[:at])
                case "flipped":
                    flip(path, at, 1 << dice.randrange(8))
                case "removed":
                    path.unlink()
                case _:
                    path.write_bytes(b"")
            before = kept(device)
            try:
                assert opened(device) == expected
            except StoreError:
                named += 1
                assert kept(device) == before
                path.write_bytes(log)
                assert opened(device) == expected
    assert named >= 35


def test_a_store_that_is_one_commit_too_old_is_named(homes: dict[str, Path]) -> None:
    """The mark of a later commit tells that the files are not the latest."""
    with copied(homes["closed"]) as device:
        expected = opened(device)
        with copied(device.home) as older:
            with device.running(clean=False) as replica:
                replica.apply([PutNode("one", "more")], device.now_ms)
            assert opened(older) == expected
            shutil.copy(device.home / MARK_NAME, older.home)
            with pytest.raises(DamagedError, match="last 1 acknowledged"):
                opened(older)


def test_a_store_of_a_newer_program_is_left_alone(homes: dict[str, Path]) -> None:
    """A store with a version that this program does not know is not opened."""
    with copied(homes["closed"]) as device:
        with Database(device.home, STORE_KEY) as database:
            database.writer.pragma("user_version", 99)
        with pytest.raises(NewerStoreError):
            opened(device)


def test_readers_cannot_write(homes: dict[str, Path]) -> None:
    """A reader sees what is committed and changes nothing."""
    with copied(homes["closed"]) as device, device.running():
        reader = device.database.reader()
        with pytest.raises(Exception, match="readonly"):
            reader.execute("DELETE FROM node")
        reader.close()


def compact(replica: Replica) -> None:
    while replica.compact():
        pass


def searched(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def forms(text: str) -> list[bytes]:
    return [text.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]


def find_in_clear(home: Path, wanted: list[bytes]) -> list[tuple[str, bytes]]:
    return [
        (name, form)
        for name, data in searched(home).items()
        for form in wanted
        if form in data
    ]


def test_nothing_stands_in_clear_in_any_file() -> None:
    """Labels, keys, metadata, types, bodies and secrets are in no file, ever."""
    wanted = [form for text in SECRETS for form in forms(text)]
    wanted += [STORE_KEY, STORE_KEY.hex().encode(), SPACE_KEYS.shard_secret]
    wanted += [identity(0).signing_seed, encode_identity(identity(0))[:40]]
    wanted += [encode_space_keys(SPACE_KEYS)[:40], b"SQLite format 3"]
    with scratch_folder() as home:
        device = Device(home)
        steps: list[Callable[[], object]] = []
        with device.running() as replica:
            steps = [
                lambda: write(device),
                replica.seal,
                replica.freeze,
                lambda: replica.save_index(at_least=0),
                lambda: compact(replica),
            ]
            for step in steps:
                step()
                assert find_in_clear(home, wanted) == []
            with GraphReader(device.database, replica.index) as reader:
                assert reader.search(SECRETS[0], limit=5, now_ms=device.now_ms)
                assert {f"{DATABASE_NAME}-shm", LOG_NAME} <= searched(home).keys()
                assert find_in_clear(home, wanted) == []
        assert find_in_clear(home, wanted) == []
        assert {DATABASE_NAME, CHECK_NAME, MARK_NAME} == searched(home).keys()
        assert find_in_clear(home, [STORE_KEY[:0]]) != []
