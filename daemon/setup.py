"""How a home comes to be: a new person and device, or a new device from a backup."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from crdt.database import DATABASE_NAME, Database, store_errors
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
from crdt.phrase import new_phrase, parse_phrase
from crdt.keys import KEY_BYTES
from crdt.space_keys import (
    SpaceKeys,
    decode_space_keys,
    encode_space_keys,
    new_space_keys,
)
from daemon.home import has_store, locked, make_private

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

    Raises `ConflictError` if there is one already, or what kept the key from being
    made; then nothing is left behind that a second try would stumble over.
    """
    make_private(home)
    with locked(home):
        _refuse_existing(home)
        entropy = secrets.token_bytes(_ENTROPY_BYTES)
        identity = _new_device(entropy, name)
        key = create_store_key(
            home,
            environment,
            ask_passphrase if key_source == "passphrase" else None,
            secrets.token_bytes,
            preference=key_source,
        )
        keys = new_space_keys(secrets.token_bytes(KEY_BYTES))
        with Database(home, key.key) as database:
            store_secrets(database.writer, Secrets(identity, keys))
    return _result(new_phrase(entropy), identity, key.source)


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


def store_secrets(connection: apsw.Connection, held: Secrets) -> None:
    """Write who this device is, in a transaction of its own."""
    with store_errors(), connection:
        connection.executemany(
            "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
            (
                ("identity", encode_identity(held.identity)),
                ("space_keys", encode_space_keys(held.keys)),
            ),
        )


def load_secrets(connection: apsw.Connection) -> Secrets:
    """Return who this device is, or raise `DamagedError`."""
    with store_errors():
        found: list[tuple[Any, ...]] = connection.execute(
            "SELECT name, value FROM setting WHERE name IN ('identity', 'space_keys')"
        ).fetchall()
    rows = {name: value for name, value in found}
    if len(rows) != 2:
        message = (
            "The store does not say which device it belongs to: its making was cut"
            " short. If nothing was written yet, remove the home and start again."
        )
        raise DamagedError(message)
    return Secrets(
        decode_identity(rows["identity"]), decode_space_keys(rows["space_keys"])
    )


def new_device(entropy: bytes, person_name: str, device_name: str) -> Identity:
    """Return a new device of the person whose phrase stands for `entropy`."""
    return new_identity(
        entropy,
        secrets.token_bytes(DEVICE_RANDOMNESS_BYTES),
        person_name,
        device_name,
    )


def _new_device(entropy: bytes, name: str | None) -> Identity:
    login = os.environ.get("USER") or os.environ.get("LOGNAME") or "me"
    return new_device(entropy, login, name or socket.gethostname() or "device")


def _refuse_existing(home: Path) -> None:
    if has_store(home):
        message = f"There is a device in {home} already; nothing was changed."
        raise ConflictError(message)


def _result(words: str, identity: Identity, source: Source) -> InitResult:
    return InitResult(
        words, format_id(identity.person), format_id(identity.device), source
    )
