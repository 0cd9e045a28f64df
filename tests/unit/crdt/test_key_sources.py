"""Where the store key comes from: real files, and a keyring in memory."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.backends.fail import Keyring as FailingKeyring
from keyring.backends.null import Keyring as NullKeyring
from keyring.backends.SecretService import Keyring as SecretServiceKeyring
from keyring.errors import KeyringLocked

from crdt.errors import ConflictError, InvalidError, KeyUnavailableError
from crdt.key_sources import (
    Source,
    StoreKey,
    create_store_key,
    find_store_key,
    has_store_key,
)
from crdt.keys import Argon2idCost
from crdt.os_keyring import Backend, OpenKeyring, OsKeyring, encrypting_backend

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
LONG = KEY.hex().encode() + b" " * 4096
CHEAP = Argon2idCost(memory_kib=64, iterations=1, lanes=1)


class MemoryKeyring:
    """A keyring that can be locked, forget, or drop what it is given."""

    def __init__(self, *, is_locked: bool = False, is_lossy: bool = False) -> None:
        self.is_locked = is_locked
        self.is_lossy = is_lossy
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            message = "the collection is locked"
            raise KeyringLocked(message)
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if not self.is_lossy:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.is_locked:
            message = "the collection is locked"
            raise KeyringLocked(message)
        del self.entries[service, username]


class Chain(MemoryKeyring):
    """Several back ends behind one, as the keyring library chains them."""

    def __init__(self, *backends: Backend) -> None:
        super().__init__()
        self.backends = backends


def counting() -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats."""
    calls = 0

    def take(count: int) -> bytes:
        nonlocal calls
        calls += 1
        return calls.to_bytes(count)

    return take


def no_keyring() -> OsKeyring | None:
    return None


def with_keyring(backend: MemoryKeyring) -> OpenKeyring:
    return lambda: OsKeyring(backend)


def credentials(folder: Path, content: bytes) -> dict[str, str]:
    """Lay a credential down as systemd does, and return the environment."""
    folder.mkdir(exist_ok=True)
    (folder / "fractality-store-key").write_bytes(content)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def create(
    home: Path,
    environment: dict[str, str] | None = None,
    passphrase: str | None = None,
    open_keyring: OpenKeyring = no_keyring,
    preference: Source | None = None,
) -> StoreKey:
    return create_store_key(
        home,
        environment or {},
        None if passphrase is None else lambda: passphrase,
        counting(),
        preference=preference,
        open_keyring=open_keyring,
        cost=CHEAP,
    )


def find(
    home: Path,
    environment: dict[str, str] | None = None,
    passphrase: str | None = None,
    open_keyring: OpenKeyring = no_keyring,
) -> StoreKey:
    ask = None if passphrase is None else lambda: passphrase
    return find_store_key(home, environment or {}, ask, open_keyring=open_keyring)


def test_without_anything_else_the_key_is_a_private_file(tmp_path: Path) -> None:
    """A key file is made for its owner alone, and found again."""
    assert not has_store_key(tmp_path)
    created = create(tmp_path)

    assert created.source == "key-file"
    assert find(tmp_path) == created
    assert has_store_key(tmp_path)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"store.key", "store-key.json"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """The refusal tells the command that mends it, and the command does."""
    created = create(tmp_path)
    (tmp_path / "store.key").chmod(mode)

    with pytest.raises(KeyUnavailableError, match=f"chmod 600 {tmp_path}/store.key"):
        find(tmp_path)

    (tmp_path / "store.key").chmod(0o600)
    assert find(tmp_path) == created


def test_a_key_file_that_is_already_there_is_kept(tmp_path: Path) -> None:
    """What an interrupted creation or a person left there is not overwritten."""
    (tmp_path / "store.key").write_text(KEY.hex())
    (tmp_path / "store.key").chmod(0o600)

    assert create(tmp_path) == find(tmp_path) == StoreKey(KEY, "key-file")


@pytest.mark.parametrize(
    "content", [KEY, KEY.hex().encode(), KEY.hex().encode() + b"\n"]
)
def test_a_systemd_credential_is_used_as_it_is(tmp_path: Path, content: bytes) -> None:
    """A credential wins over every other source, raw or in hexadecimal."""
    environment = credentials(tmp_path / "passed", content)
    keyring = with_keyring(MemoryKeyring())

    created = create(tmp_path, environment, "a long passphrase", keyring)

    assert created == StoreKey(KEY, "systemd-credential")
    assert find(tmp_path, environment) == created
    assert not (tmp_path / "store.key").exists()


def test_a_missing_credential_is_one_sentence(tmp_path: Path) -> None:
    """Without its credential a home is not opened by another source."""
    create(tmp_path, credentials(tmp_path / "passed", KEY))

    for environment in ({}, {"CREDENTIALS_DIRECTORY": str(tmp_path / "elsewhere")}):
        with pytest.raises(KeyUnavailableError, match="start the service by its unit"):
            find(tmp_path, environment, "a long passphrase")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 64, KEY + b"\n", LONG])
def test_a_malformed_credential_is_not_skipped(tmp_path: Path, content: bytes) -> None:
    """A credential that is no key stops the creation and leaves the home untouched."""
    environment = credentials(tmp_path / "passed", content)

    with pytest.raises(KeyUnavailableError):
        create(tmp_path, environment)

    assert not has_store_key(tmp_path)


def test_the_keyring_comes_before_a_passphrase(tmp_path: Path) -> None:
    """A working keyring keeps the key, and nothing in the home tells it."""
    backend = MemoryKeyring()
    created = create(tmp_path, None, "a long passphrase", with_keyring(backend))

    assert created.source == "keyring"
    assert find(tmp_path, open_keyring=with_keyring(backend)) == created
    assert [created.key.hex()] == list(backend.entries.values())
    assert created.key.hex() not in (tmp_path / "store-key.json").read_text()


def test_two_homes_have_two_keyring_entries(tmp_path: Path) -> None:
    """A second home does not overwrite the key of the first."""
    backend, randomness = MemoryKeyring(), counting()
    keys = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = create_store_key(
            tmp_path / name, {}, None, randomness, open_keyring=with_keyring(backend)
        )
        keys.append(made)

    for name, made in zip(("one", "two"), keys, strict=True):
        assert find(tmp_path / name, open_keyring=with_keyring(backend)) == made


def test_a_vanished_keyring_entry_never_becomes_a_new_key(tmp_path: Path) -> None:
    """A lost entry, a locked keyring and no keyring each have their own sentence."""
    backend = MemoryKeyring()
    create(tmp_path, open_keyring=with_keyring(backend))
    before = (tmp_path / "store-key.json").read_bytes()
    locked = with_keyring(MemoryKeyring(is_locked=True))
    empty = with_keyring(MemoryKeyring())

    for open_keyring, sentence in (
        (empty, "no longer holds"),
        (locked, r"refused \(KeyringLocked\): unlock it"),
        (no_keyring, "there is none in this session"),
    ):
        with pytest.raises(KeyUnavailableError, match=sentence):
            find(tmp_path, None, "a long passphrase", open_keyring)

    assert (tmp_path / "store-key.json").read_bytes() == before
    assert not (tmp_path / "store.key").exists()


def test_a_locked_keyring_is_passed_over_at_creation(tmp_path: Path) -> None:
    """A keyring that cannot be read is as good as none when a home is made."""
    created = create(tmp_path, open_keyring=with_keyring(MemoryKeyring(is_locked=True)))

    assert created.source == "key-file"


def test_a_keyring_that_drops_the_key_is_caught(tmp_path: Path) -> None:
    """A key is only relied on after it was read back."""
    with pytest.raises(KeyUnavailableError, match="did not keep"):
        create(tmp_path, open_keyring=with_keyring(MemoryKeyring(is_lossy=True)))

    assert not has_store_key(tmp_path)


def test_only_encrypting_back_ends_count() -> None:
    """Plain, null and failing back ends are passed over, alone or in a chain."""
    # Bound to a type here: the library's own constructors have none.
    constructors: tuple[Callable[[], Backend], ...] = (
        NullKeyring,
        FailingKeyring,
        SecretServiceKeyring,
    )
    new_null, new_failing, new_trusted = constructors
    trusted = new_trusted()

    for backend in (new_null(), new_failing(), MemoryKeyring(), Chain()):
        assert encrypting_backend(backend) is None
    assert encrypting_backend(trusted) is trusted
    assert encrypting_backend(Chain(MemoryKeyring(), trusted)) is trusted
    assert encrypting_backend(Chain(new_null())) is None


@pytest.mark.parametrize("backend", ["keyring.backends.null.Keyring", "no.such.Thing"])
def test_a_configured_back_end_that_is_unfit_is_no_keyring(backend: str) -> None:
    """The library is loaded only when asked for, and its choice is not trusted."""
    program = (
        "import sys, crdt.key_sources\n"
        "from crdt.os_keyring import open_os_keyring\n"
        "print('keyring' in sys.modules, open_os_keyring())"
    )
    environment = {"PYTHON_KEYRING_BACKEND": backend}

    shown = subprocess.check_output(
        [sys.executable, "-c", program], env=environment, text=True, cwd=ROOT
    )

    assert shown == "False None\n"


def test_a_passphrase_opens_its_home(tmp_path: Path) -> None:
    """The same passphrase gives the same key, another gives another."""
    created = create(tmp_path, passphrase="correct horse battery")

    assert created.source == "passphrase"
    assert find(tmp_path, passphrase="correct horse battery") == created
    assert find(tmp_path, passphrase="correct horse") != created
    record = json.loads((tmp_path / "store-key.json").read_text())
    assert (record["memory_kib"], record["iterations"], record["lanes"]) == (64, 1, 1)


def test_a_passphrase_that_cannot_be_asked_for_is_one_sentence(tmp_path: Path) -> None:
    """A service without a terminal says what it lacks."""
    create(tmp_path, passphrase="correct horse battery")

    with pytest.raises(KeyUnavailableError, match="no way to ask"):
        find(tmp_path)
    with pytest.raises(KeyUnavailableError, match="no way to ask"):
        create(tmp_path / "other", preference="passphrase")


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    """Argon2id cannot save a passphrase that is guessed at once."""
    with pytest.raises(InvalidError, match="at least 8 characters"):
        create(tmp_path, passphrase="1234567")

    assert not has_store_key(tmp_path)


def test_a_preference_overrides_the_order(tmp_path: Path) -> None:
    """What the person chose is used, or refused; never silently something else."""
    environment = credentials(tmp_path / "passed", KEY)
    keyring = with_keyring(MemoryKeyring())

    created = create(tmp_path, environment, "long enough", keyring, "key-file")

    assert created.source == "key-file"
    for preference in ("keyring", "systemd-credential"):
        home = tmp_path / preference
        home.mkdir()
        with pytest.raises(KeyUnavailableError):
            create(home, preference=preference)
        assert not list(home.iterdir())


def test_a_home_gets_its_key_once(tmp_path: Path) -> None:
    """A second creation is refused and changes nothing."""
    created = create(tmp_path)

    with pytest.raises(ConflictError, match="nothing was changed"):
        create(tmp_path, passphrase="correct horse battery")

    assert find(tmp_path) == created


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b'{"source":"cloud","version":1}',
        b'{"source":"key-file","version":2}',
        b'{"source":"key-file","version":1,"more":1}',
        b'{"source":"passphrase","version":1,"salt":"AAAA","memory_kib":64,"iterations":1,"lanes":1}',
        b'{"source":"keyring","entry":"\xff"}',
        b"x" * 5000,
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, damage: bytes) -> None:
    """A record that cannot be read names its file and what to do."""
    create(tmp_path)
    (tmp_path / "store-key.json").write_bytes(damage)

    with pytest.raises(KeyUnavailableError, match=r"store-key\.json.*from a backup"):
        find(tmp_path, passphrase="correct horse battery")


def test_a_record_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    """The cost of Argon2id stands in a clear file, so it is bounded when read."""
    create(tmp_path, passphrase="correct horse battery")
    path = tmp_path / "store-key.json"
    path.write_text(
        path.read_text().replace('"memory_kib":64', '"memory_kib":99999999')
    )

    with pytest.raises(KeyUnavailableError, match="damaged"):
        find(tmp_path, passphrase="correct horse battery")


def test_lost_files_are_named(tmp_path: Path) -> None:
    """A missing record or key file is an error that names it."""
    with pytest.raises(KeyUnavailableError, match=r"store-key\.json is missing"):
        find(tmp_path)

    create(tmp_path)
    (tmp_path / "store.key").unlink()
    with pytest.raises(
        KeyUnavailableError, match=r"store\.key cannot be read: No such"
    ):
        find(tmp_path)


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A disk that refuses gives a sentence with the path and the reason."""
    with pytest.raises(KeyUnavailableError, match="cannot be written: No such file"):
        create(tmp_path / "nowhere")


def test_a_store_key_does_not_show_when_printed(tmp_path: Path) -> None:
    """Printing a store key tells its source only."""
    created = create(tmp_path)

    assert repr(created) == "StoreKey(source='key-file')"
