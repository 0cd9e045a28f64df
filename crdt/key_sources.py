"""Where the key of the encrypted store comes from.

Specification: docs/protocol/keys.md. Rules of this file:

1. The source is chosen when a home is made and recorded in `store-key.json`; a source
   that fails later is an error, never a reason to make another key.
2. The key is durable before the record, and the record before the key is used: a home
   never holds data whose key was not kept.
3. A key that is already there is used, never overwritten.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from crdt.errors import ConflictError, InvalidError, KeyUnavailableError
from crdt.keys import KEY_BYTES, RECOMMENDED_COST, Argon2idCost, passphrase_key
from crdt.os_keyring import OpenKeyring, open_os_keyring
from crdt.private_files import read_small, write_private

RECORD_NAME: Final = "store-key.json"
KEY_FILE_NAME: Final = "store.key"
CREDENTIAL_NAME: Final = "fractality-store-key"
MIN_PASSPHRASE_CHARACTERS: Final = 8

Source: TypeAlias = Literal["systemd-credential", "keyring", "passphrase", "key-file"]
AskPassphrase: TypeAlias = Callable[[], str]
Randomness: TypeAlias = Callable[[int], bytes]
"""Returns that many fresh random bytes."""


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key of the store and where it came from."""

    key: bytes = field(repr=False)
    source: Source


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Literal[1] = 1


class _Credential(_Record, frozen=True, tag_field="source", tag="systemd-credential"):
    pass


class _Keyring(_Record, frozen=True, tag_field="source", tag="keyring"):
    entry: str


class _Passphrase(_Record, frozen=True, tag_field="source", tag="passphrase"):
    salt: Annotated[bytes, msgspec.Meta(min_length=16, max_length=64)]
    # Bounded, so that a damaged record cannot ask for all memory.
    memory_kib: Annotated[int, msgspec.Meta(ge=8, le=1024 * 1024)]
    iterations: Annotated[int, msgspec.Meta(ge=1, le=100)]
    lanes: Annotated[int, msgspec.Meta(ge=1, le=64)]


class _KeyFile(_Record, frozen=True, tag_field="source", tag="key-file"):
    pass


_AnyRecord: TypeAlias = _Credential | _Keyring | _Passphrase | _KeyFile


def has_store_key(home: Path) -> bool:
    """Whether a store key was made for this home."""
    return (home / RECORD_NAME).exists()


def find_store_key(
    home: Path,
    environment: Mapping[str, str],
    ask_passphrase: AskPassphrase | None,
    *,
    open_keyring: OpenKeyring = open_os_keyring,
) -> StoreKey:
    """Return the key of a home from the source chosen when it was made.

    Raises `KeyUnavailableError` with one sentence that says what to do.
    """
    record = _read_record(home)
    match record:
        case _Credential():
            return StoreKey(_credential(environment), "systemd-credential")
        case _Keyring(entry=entry):
            return StoreKey(_keyring_key(open_keyring, entry), "keyring")
        case _Passphrase():
            return StoreKey(_asked_key(record, ask_passphrase), "passphrase")
        case _KeyFile():
            path = home / KEY_FILE_NAME
            content = read_small(path, is_secret=True)
            return StoreKey(_parse_key(content, str(path)), "key-file")


def create_store_key(
    home: Path,
    environment: Mapping[str, str],
    ask_passphrase: AskPassphrase | None,
    randomness: Randomness,
    *,
    preference: Source | None = None,
    open_keyring: OpenKeyring = open_os_keyring,
    cost: Argon2idCost = RECOMMENDED_COST,
) -> StoreKey:
    """Choose or make the key of a new home, and record where it is kept.

    Without a preference: the systemd credential if one was passed, else the keyring if
    one works, else a passphrase if one can be asked for, else a key file.
    Raises `ConflictError` if the home has a key, `KeyUnavailableError` if the source
    fails, `InvalidError` for a passphrase that is too short.
    """
    if has_store_key(home):
        msg = f"{home} has a store key already; nothing was changed."
        raise ConflictError(msg)
    source = preference or _first_choice(environment, ask_passphrase, open_keyring)
    record: _AnyRecord
    match source:
        case "systemd-credential":
            key, record = _credential(environment), _Credential()
        case "keyring":
            key, record = _new_keyring_key(open_keyring, randomness)
        case "passphrase":
            key, record = _new_passphrase_key(ask_passphrase, randomness, cost)
        case "key-file":
            key, record = _new_key_file(home, randomness), _KeyFile()
    write_private(home / RECORD_NAME, msgspec.json.encode(record) + b"\n")
    return StoreKey(key, source)


def discard_store_key(
    home: Path, *, open_keyring: OpenKeyring = open_os_keyring
) -> None:
    """Remove the key of a home under which nothing was kept, and the record of it.

    An entry of a keyring that does not open is left: it is of no use to anybody.
    """
    if has_store_key(home):
        record = _read_record(home)
        if isinstance(record, _Keyring) and (keyring := open_keyring()) is not None:
            with suppress(KeyUnavailableError):
                keyring.remove(record.entry)
    for name in (RECORD_NAME, KEY_FILE_NAME):
        (home / name).unlink(missing_ok=True)


def _first_choice(
    environment: Mapping[str, str],
    ask_passphrase: AskPassphrase | None,
    open_keyring: OpenKeyring,
) -> Source:
    if _credential_path(environment) is not None:
        return "systemd-credential"
    if _keyring_works(open_keyring):
        return "keyring"
    return "key-file" if ask_passphrase is None else "passphrase"


def _read_record(home: Path) -> _AnyRecord:
    path = home / RECORD_NAME
    if not path.exists():
        msg = f"{path} is missing, and only it says where the key of this home is kept."
        raise KeyUnavailableError(msg + " Restore it from a backup.")
    try:
        record: _AnyRecord = _DECODER.decode(read_small(path, is_secret=False))
    except (msgspec.DecodeError, UnicodeDecodeError):
        msg = f"{path} is damaged: restore it from a backup."
        raise KeyUnavailableError(msg) from None
    return record


def _credential_path(environment: Mapping[str, str]) -> Path | None:
    """Return where systemd put the credential, None if it passed none."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "/", CREDENTIAL_NAME)
    # A folder inherited from another user's service cannot be read, and is not ours.
    return path if folder and os.access(path, os.R_OK) else None


def _credential(environment: Mapping[str, str]) -> bytes:
    path = _credential_path(environment)
    if path is None:
        msg = (
            f"systemd passed no credential {CREDENTIAL_NAME}, where this home's key "
            "is kept: start the service by its unit."
        )
        raise KeyUnavailableError(msg)
    # Who may read it is systemd's business: it sets access lists that show as modes.
    content = read_small(path, is_secret=False)
    return _parse_key(content, f"the systemd credential {CREDENTIAL_NAME}")


def _keyring_works(open_keyring: OpenKeyring) -> bool:
    try:
        keyring = open_keyring()
        if keyring is None:
            return False
        keyring.read("probe")
    except KeyUnavailableError:
        return False
    return True


def _keyring_key(open_keyring: OpenKeyring, entry: str) -> bytes:
    keyring = open_keyring()
    if keyring is None:
        msg = (
            "The key of this home is in the keyring of the system, and there is none "
            "in this session: log in to the desktop session that has it."
        )
        raise KeyUnavailableError(msg)
    secret = keyring.read(entry)
    if secret is None:
        msg = (
            f"The keyring of the system no longer holds the entry {entry} of "
            "'fractality' with this home's key: restore it there, or restore a backup."
        )
        raise KeyUnavailableError(msg)
    return _parse_key(secret.encode(), f"the keyring entry {entry}")


def _new_keyring_key(
    open_keyring: OpenKeyring, randomness: Randomness
) -> tuple[bytes, _Keyring]:
    keyring = open_keyring()
    if keyring is None:
        msg = "This session has no keyring that encrypts: choose another source."
        raise KeyUnavailableError(msg)
    key, entry = randomness(KEY_BYTES), f"store-key-{randomness(8).hex()}"
    keyring.write(entry, key.hex())
    return key, _Keyring(entry=entry)


def _asked_key(record: _Passphrase, ask_passphrase: AskPassphrase | None) -> bytes:
    if ask_passphrase is None:
        msg = "This home is locked by a passphrase, and there is no way to ask for it."
        raise KeyUnavailableError(msg)
    cost = Argon2idCost(record.memory_kib, record.iterations, record.lanes)
    return passphrase_key(ask_passphrase(), record.salt, cost)


def _new_passphrase_key(
    ask_passphrase: AskPassphrase | None, randomness: Randomness, cost: Argon2idCost
) -> tuple[bytes, _Passphrase]:
    if ask_passphrase is None:
        msg = (
            "A passphrase was chosen to lock this home, and there is no way to ask it."
        )
        raise KeyUnavailableError(msg)
    passphrase = ask_passphrase()
    if len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
        detail = f"must have at least {MIN_PASSPHRASE_CHARACTERS} characters"
        raise InvalidError("passphrase", detail)
    record = _Passphrase(
        salt=randomness(16),
        memory_kib=cost.memory_kib,
        iterations=cost.iterations,
        lanes=cost.lanes,
    )
    return passphrase_key(passphrase, record.salt, cost), record


def _new_key_file(home: Path, randomness: Randomness) -> bytes:
    path = home / KEY_FILE_NAME
    if not path.exists():
        write_private(path, randomness(KEY_BYTES).hex().encode() + b"\n")
    return _parse_key(read_small(path, is_secret=True), str(path))


def _parse_key(content: bytes, place: str) -> bytes:
    """Return the key that is written as 32 raw bytes or 64 hexadecimal characters."""
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        msg = f"{place} does not hold a key of 32 bytes or 64 hexadecimal characters."
        raise KeyUnavailableError(msg)
    return key


_DECODER: Final = msgspec.json.Decoder(_AnyRecord)
