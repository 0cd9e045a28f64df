"""How a home comes to be, and what becomes of tries that fail."""

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from crdt.commands import PutNode
from crdt.database import Database
from crdt.errors import (
    ConflictError,
    DamagedError,
    InvalidError,
    KeyUnavailableError,
    NewerStoreError,
    StoreError,
    WrongKeyError,
)
from crdt.ids import format_id
from crdt.keys import person_id, person_keys
from crdt.phrase import new_phrase, parse_phrase
from daemon.setup import (
    InitResult,
    Secrets,
    initialise,
    load_secrets,
    open_key,
    restore,
    store_secrets,
)
from tests.support.homes import NOW_MS, files, fill, new_home, open_home


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let nobody write a file beyond `size` bytes, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def key_of(home: Path) -> bytes:
    return open_key(home, None, environment={}).key


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not there yet."""
    return tmp_path / "state" / "home"


@pytest.fixture
def former(tmp_path: Path) -> InitResult:
    """A device with a graph, and a backup of it in `tmp_path / "backup"`."""
    made = new_home(tmp_path / "former")
    fill(tmp_path / "former")
    with Database(tmp_path / "former", key_of(tmp_path / "former")) as database:
        held = load_secrets(database.writer)
        ada = msgspec.structs.replace(held.identity, person_name="Ada")
        store_secrets(database.writer, Secrets(ada, held.keys))
    with open_home(tmp_path / "former") as (replica, _):
        replica.back_up(tmp_path / "backup", NOW_MS)
    return made


def restored(home: Path, words: str, file: str = "backup") -> InitResult:
    return restore(
        home,
        home.parents[1] / file,
        words,
        name="desk",
        key_source="key-file",
        ask_passphrase=None,
        environment={},
    )


def test_a_new_home_holds_a_device_of_a_new_person(home: Path) -> None:
    """The words shown are the person's, and the store knows who it belongs to."""
    made = new_home(home)

    person = person_keys(parse_phrase(made.words)).signing_key.public_key
    assert made.person == format_id(person_id(person))
    assert made.key_source == "key-file"
    with open_home(home) as (replica, held):
        assert format_id(held.identity.person) == made.person
        assert format_id(held.identity.device) == made.device
        assert held.identity.device_name == "laptop"
        assert replica.totals.nodes == 0
    assert {path.name for path in home.iterdir()} == {
        "lock",
        "store.check",
        "store.db",
        "store.key",
        "store.mark",
        "store-key.json",
    }
    modes = {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert (stat.S_IMODE(home.stat().st_mode), modes) == (0o700, {0o600})


def test_a_home_is_made_once(home: Path) -> None:
    """A second try is refused and changes no file."""
    new_home(home)
    before = files(home)
    with pytest.raises(ConflictError):
        new_home(home)
    assert files(home) == before


def test_an_unfinished_try_is_taken_up(home: Path) -> None:
    """What a crash left is replaced, but for the key, which is used and not lost."""
    new_home(home)
    key = (home / "store.key").read_bytes()
    (home / "store.db").rename(home / "lost")
    (home / "store.check").write_text("of another try")
    (home / "unfinished").mkdir()
    (home / "unfinished" / "store.db").write_text("half a store")

    new_home(home)

    assert (home / "store.key").read_bytes() == key
    assert not (home / "unfinished").exists()
    with open_home(home) as (replica, _):
        assert replica.totals.nodes == 0


def test_the_log_of_a_lost_store_is_not_taken_for_a_new_ones(home: Path) -> None:
    """What it holds is not lost by making a store beside it."""
    home.mkdir(parents=True)
    (home / "store.db-wal").write_bytes(b"the last writes")
    with pytest.raises(ConflictError, match="wal"):
        new_home(home)
    assert (home / "store.db-wal").read_bytes() == b"the last writes"


def test_a_passphrase_is_asked_for_when_it_is_chosen(home: Path) -> None:
    """It opens the home afterwards, and another one does not."""
    made = initialise(home, None, "passphrase", lambda: "correct horse", environment={})
    assert made.key_source == "passphrase"
    key = open_key(home, lambda: "correct horse", environment={}).key
    with Database(home, key) as database:
        assert format_id(load_secrets(database.writer).identity.device) == made.device
    wrong = open_key(home, lambda: "wrong horse", environment={}).key
    with pytest.raises(WrongKeyError), Database(home, wrong):
        pass


def test_a_home_without_its_key_record_says_so(home: Path) -> None:
    """The store stays; the sentence names the file that is missing."""
    new_home(home)
    (home / "store-key.json").unlink()
    with pytest.raises(KeyUnavailableError, match=r"store-key\.json"):
        open_key(home, None, environment={})


def test_a_store_without_a_device_is_damaged(tmp_path: Path) -> None:
    """It is never taken for a device of nobody."""
    with (
        Database(tmp_path, bytes(32)) as database,
        pytest.raises(DamagedError, match="cut short"),
    ):
        load_secrets(database.writer)


def test_a_restored_home_is_a_new_device_of_the_same_person(
    home: Path, former: InitResult, tmp_path: Path
) -> None:
    """Same person, space and graph; new device, client id and store key."""
    made = restored(home, former.words.upper())

    assert made.words == ""
    assert made.person == former.person
    assert made.device != former.device
    with (
        open_home(home) as (replica, held),
        open_home(tmp_path / "former") as (first, first_held),
    ):
        assert replica.digest == first.digest
        assert replica.totals.nodes == 2
        assert held.keys == first_held.keys
        assert held.identity.device_name == "desk"
        assert held.identity.person_name == "Ada"
        assert held.identity.client_id != first_held.identity.client_id
        assert format_id(held.identity.device) == made.device
        replica.apply([PutNode("c", "Cherries")], NOW_MS)
        assert replica.totals.nodes == 3
    keys = {(each / "store.key").read_bytes() for each in (home, tmp_path / "former")}
    assert len(keys) == 2


def test_each_restored_home_is_a_device_of_its_own(
    home: Path, former: InitResult
) -> None:
    """One backup restored twice gives two devices that share no name."""
    made = restored(home, former.words), restored(home.with_name("2"), former.words)
    assert made[0].device != made[1].device
    clients = set[int]()
    for each in (home, home.with_name("2")):
        with open_home(each) as (_, held):
            clients.add(held.identity.client_id)
    assert len(clients) == 2


def test_another_persons_words_leave_nothing_behind(
    home: Path, former: InitResult
) -> None:
    """One sentence, and no home."""
    with pytest.raises(WrongKeyError, match="24 words"):
        restored(home, new_phrase(bytes(32)))
    with pytest.raises(InvalidError, match="phrase"):
        restored(home, former.words + " abandon")
    assert not home.exists()


def test_a_damaged_backup_leaves_nothing_behind(
    home: Path, former: InitResult, tmp_path: Path
) -> None:
    """It is named as damaged, and no home is made."""
    content = bytearray((tmp_path / "backup").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    for file in ("damaged", "former/store.db"):
        with pytest.raises(DamagedError):
            restored(home, former.words, file)
    with pytest.raises(StoreError, match="absent"):
        restored(home, former.words, "absent")
    assert not home.exists()


def test_a_backup_is_not_restored_over_a_device(home: Path, former: InitResult) -> None:
    """The device that is there stays as it is."""
    new_home(home)
    before = files(home)
    with pytest.raises(ConflictError):
        restored(home, former.words)
    assert files(home) == before


def test_a_restore_that_does_not_fit_can_be_tried_again(
    home: Path, former: InitResult, tmp_path: Path
) -> None:
    """However far it came, there is no device before there is all of it."""
    size = (tmp_path / "backup").stat().st_size
    for limit in (2000, size // 4, size // 2, size - 8192):
        with largest_file(limit), pytest.raises((StoreError, OSError)):
            restored(home, former.words)
        assert not (home / "store.db").exists()
        assert not (home / "unfinished").exists()
    restored(home, former.words)
    with open_home(home) as (replica, _):
        assert replica.totals.nodes == 2


def test_the_store_takes_its_place_last(home: Path, former: InitResult) -> None:
    """With it the home has a device, so all that guards it must be there before."""
    (home / "store.mark").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        restored(home, former.words)
    assert not (home / "store.db").exists()


def test_a_backup_of_a_newer_program_is_refused(
    home: Path, former: InitResult, tmp_path: Path
) -> None:
    """The sentence says which program to install; there is no device."""
    with open_home(tmp_path / "former") as (replica, _):
        with Database(tmp_path / "former", key_of(tmp_path / "former")) as database:
            database.writer.pragma("user_version", 99)
        replica.back_up(tmp_path / "newer", NOW_MS)
    with pytest.raises(NewerStoreError, match="99"):
        restored(home, former.words, "newer")
    assert not (home / "store.db").exists()
