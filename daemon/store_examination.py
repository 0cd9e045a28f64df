"""What `doctor` finds in the store itself, whether a daemon has it open or not.

Rule: nothing is changed. The store is read beside its owner and never locked.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from crdt.database import (
    DATABASE_NAME,
    Connection,
    commit_number,
    connect,
    integrity_faults,
    marked_commit,
    newest_schema,
    store_errors,
    verify_commits,
    verify_store,
)
from crdt.errors import DamagedError, StoreError
from crdt.key_sources import KEY_FILE_NAME, AskPassphrase, Source
from crdt.stream_archive import parts, read_part
from daemon.finding import AmissError, Finding, looked
from daemon.home import has_store
from daemon.setup import load_secrets, open_key

_RESTORE: Final = (
    "Keep this home as it is and restore a backup into a new one:"
    " fractality --home NEW restore FILE"
)
_KEY: Final = (
    "Put the key back where it is said to be. If it is gone, restore a backup into a"
    " new home: fractality --home NEW restore FILE"
)
_UPGRADE: Final = "Install the newest version of this program."
_ARCHIVE: Final = (
    "Put the file back from a copy of the home. Without it only old histories lack;"
    " everything else goes on."
)
_FAULTS_SHOWN: Final = 3
_KEPT: Final[dict[Source, str]] = {
    "systemd-credential": "systemd keeps it and passes it to the service",
    "keyring": "the keyring of this login session keeps it",
    "passphrase": "it comes from a passphrase",
    "key-file": (
        f"it lies in {KEY_FILE_NAME} beside the store: who can copy this home can read"
        " it; a keyring or a passphrase protects better"
    ),
}


def examine_store(
    home: Path, environment: Mapping[str, str], ask_passphrase: AskPassphrase | None
) -> Iterator[Finding]:
    """Look at the key, the store, its pages and its last writes."""
    if not has_store(home):
        fix = "Make one: fractality init; or restore one: fractality restore FILE"
        yield Finding(ok=False, title="device", detail="there is none yet", fix=fix)
        return
    try:
        key = open_key(home, ask_passphrase, environment=environment)
        verify_store(home, key.key)
    except StoreError as error:
        fix = _RESTORE if isinstance(error, DamagedError) else _KEY
        yield Finding(ok=False, title="store key", detail=str(error), fix=fix)
        return
    yield Finding(ok=True, title="store key", detail=_KEPT[key.source])
    yield from _examine_file(home, key.key)


def _examine_file(home: Path, key: bytes) -> Iterator[Finding]:
    # Before the store is opened: commits that are acknowledged later are not missing.
    marked = marked_commit(home)
    try:
        with store_errors():
            connection = connect(home / DATABASE_NAME, key, is_read_only=True)
    except StoreError as error:
        yield Finding(ok=False, title="store", detail=str(error), fix=_RESTORE)
        return
    with closing(connection):
        schema = looked("store", lambda: _schema(connection), _UPGRADE)
        yield schema
        if schema.ok:
            yield looked("device", lambda: _device(connection), _RESTORE)
            yield looked("pages", lambda: _pages(connection), _RESTORE)
            yield looked("writes", lambda: _writes(connection, marked), _RESTORE)
            yield looked("archive", lambda: _archive(connection, home), _ARCHIVE)


def _schema(connection: Connection) -> str:
    with store_errors():
        version = connection.pragma("user_version")
        ((library,),) = connection.execute("SELECT sqlite_version()").fetchall()
    newest = newest_schema()
    if version > newest:
        raise AmissError(f"has version {version}; this program knows {newest}")
    later = "" if version == newest else f"; the next start brings it to {newest}"
    return f"opens, schema version {version}{later}, SQLite {library}"


def _device(connection: Connection) -> str:
    held = load_secrets(connection)
    return f"{held.identity.device_name} of {held.identity.person_name}"


def _pages(connection: Connection) -> str:
    faults = integrity_faults(connection)
    if faults:
        more = len(faults) - _FAULTS_SHOWN
        shown = "; ".join(faults[:_FAULTS_SHOWN])
        raise AmissError(shown + (f"; and {more} more" if more > 0 else ""))
    return f"all {connection.pragma('page_count'):,} verify"


def _writes(connection: Connection, marked: int) -> str:
    verify_commits(connection, marked)
    with store_errors():
        return f"all {commit_number(connection):,} acknowledged ones are there"


def _archive(connection: Connection, home: Path) -> str:
    if connection.pragma("user_version") != newest_schema():
        return "looked at once the store has the newest version"
    with store_errors():
        found = parts(connection)
        for part in found:
            read_part(connection, home, part)
    return f"all {len(found):,} files of old histories verify"
