"""How a home comes to be: a new person and device, or a new device from a backup."""

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from crdt.backup import open_backup, read_record
from crdt.database import DATABASE_NAME, Connection, Database, store_errors
from crdt.errors import ConflictError, DamagedError, KeyUnavailableError
from crdt.identity import (
    DEVICE_RANDOMNESS_BYTES,
    Identity,
    decode_identity,
    encode_identity,
    new_identity,
)
from crdt.ids import format_id
from crdt.key_sources import (
    Source,
    StoreKey,
    create_store_key,
    find_store_key,
    has_store_key,
)
from crdt.keys import KEY_BYTES
from crdt.phrase import new_phrase, parse_phrase
from crdt.space_keys import (
    SpaceKeys,
    decode_space_keys,
    encode_space_keys,
    new_space_keys,
)
from crdt.succession import succeed
from daemon.home import UNFINISHED_NAME, has_store, locked, make_private

_ENTROPY_BYTES: Final = 32
AskPassphrase = Callable[[], str]


class InitResult(msgspec.Struct, frozen=True):
    """A device that has just been made."""

    words: str
    """The person's 24 words; empty if they were given, not made."""
    person: str
    device: str
    key_source: Source


class Secrets(msgspec.Struct, frozen=True):
    """What the store keeps about who this device is."""

    identity: Identity
    keys: SpaceKeys


def initialise(
    home: Path,
    name: str | None,
    key_source: Source | None,
    ask_passphrase: AskPassphrase | None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> InitResult:
    """Make a new person and their first device in `home`.

    Raises `ConflictError` if there is one already, or what kept the store from being
    made; then a second try finds nothing that it would stumble over.
    """
    entropy = secrets.token_bytes(_ENTROPY_BYTES)
    identity = _new_device(entropy, name)
    keys = new_space_keys(secrets.token_bytes(KEY_BYTES))
    make_private(home)
    with locked(home):
        refuse_existing(home)
        key = new_home_key(home, key_source, ask_passphrase, environment)
        with _taking_place(home) as folder, Database(folder, key.key) as database:
            store_secrets(database.writer, Secrets(identity, keys))
    return _result(new_phrase(entropy), identity, key.source)


def restore(
    home: Path,
    file: Path,
    words: str,
    *,
    name: str | None,
    key_source: Source | None,
    ask_passphrase: AskPassphrase | None,
    environment: Mapping[str, str] = os.environ,
) -> InitResult:
    """Make a new device in `home` of the person of a backup, with all it held.

    `words` are the person's 24. Raises `InvalidError` for what is no phrase,
    `WrongKeyError` for another person's, `DamagedError` for what is no whole backup:
    all before anything is written. A later failure leaves a home without a store.
    """
    identity = _new_device(parse_phrase(words), name)
    with open_backup(file, identity.backup_key()) as backup:
        person_name = read_record(backup).person_name
        identity = msgspec.structs.replace(identity, person_name=person_name)
        make_private(home)
        with locked(home):
            refuse_existing(home)
            key = new_home_key(home, key_source, ask_passphrase, environment)
            with _taking_place(home) as folder:
                succeed(backup, folder, key.key, identity)
    return _result("", identity, key.source)


def open_key(
    home: Path,
    ask_passphrase: AskPassphrase | None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> StoreKey:
    """Return the key of an existing home.

    Raises `KeyUnavailableError` with one clear sentence if it cannot be had.
    """
    if not has_store_key(home):
        message = (
            f"The home {home} has a store but no record of its key (store-key.json)."
            " Nothing was changed: put that file back, or restore a backup."
        )
        raise KeyUnavailableError(message)
    return find_store_key(home, environment, ask_passphrase)


def store_secrets(connection: Connection, held: Secrets) -> None:
    """Write who this device is, in a transaction of its own."""
    with store_errors(), connection:
        connection.executemany(
            "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
            (
                ("identity", encode_identity(held.identity)),
                ("space_keys", encode_space_keys(held.keys)),
            ),
        )


def load_secrets(connection: Connection) -> Secrets:
    """Return who this device is, or raise `DamagedError`."""
    with store_errors():
        found: list[tuple[Any, ...]] = connection.execute(
            "SELECT name, value FROM setting WHERE name IN ('identity', 'space_keys')"
        ).fetchall()
    rows = dict(found)
    if len(rows) != 2:
        message = (
            "The store does not say which device it belongs to: its making was cut"
            " short. If nothing was written yet, remove the home and start again."
        )
        raise DamagedError(message)
    return Secrets(
        decode_identity(rows["identity"]), decode_space_keys(rows["space_keys"])
    )


def _new_device(entropy: bytes, name: str | None) -> Identity:
    login = os.environ.get("USER") or os.environ.get("LOGNAME") or "me"
    return new_identity(
        entropy,
        secrets.token_bytes(DEVICE_RANDOMNESS_BYTES),
        person_name=login,
        device_name=name or socket.gethostname() or "device",
    )


def new_home_key(
    home: Path,
    source: Source | None,
    ask_passphrase: AskPassphrase | None,
    environment: Mapping[str, str],
) -> StoreKey:
    """Return a key for a home without a store: new, or left by an unfinished try."""
    if has_store_key(home):
        return find_store_key(home, environment, ask_passphrase)
    return create_store_key(
        home,
        environment,
        ask_passphrase if source == "passphrase" else None,
        secrets.token_bytes,
        preference=source,
    )


@contextmanager
def _taking_place(home: Path) -> Iterator[Path]:
    """Give a folder whose files become the home's when the block ends well."""
    folder = home / UNFINISHED_NAME
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
        for path in folder.iterdir():
            flush(path)
        # The store itself comes last: with it the home has a device.
        for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".db"):
            path.replace(home / path.name)
        flush(home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_existing(home: Path) -> None:
    """Raise `ConflictError` if the home holds a store, or what is left of one."""
    if has_store(home):
        message = f"There is a device in {home} already; nothing was changed."
        raise ConflictError(message)
    if (home / f"{DATABASE_NAME}-wal").exists():
        # SQLite would take it for the log of the new store.
        message = (
            f"{home} holds {DATABASE_NAME}-wal, the end of a store whose other files"
            " are gone; nothing was changed. Put them back, or take another home."
        )
        raise ConflictError(message)


def _result(words: str, identity: Identity, source: Source) -> InitResult:
    return InitResult(
        words, format_id(identity.person), format_id(identity.device), source
    )
