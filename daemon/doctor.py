"""Looks for what is wrong with a home and its surroundings, and says what to do.

Rule: nothing is changed and no secret is shown. It works beside a running daemon.
"""

import os
import platform
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from getpass import getpass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from consensus.model_folder import find_model
from crdt.errors import ConflictError, NotFoundError, StoreInUseError
from crdt.private_files import read_small
from daemon import service
from daemon.client import DaemonAbsentError, connect
from daemon.config import Config, load_config
from daemon.finding import AmissError, Finding, looked
from daemon.home import CONFIG_NAME, TOKEN_NAME, locked
from daemon.store_examination import examine_store
from daemon.systemctl import Machine, Scope, ServiceError, this_machine

LEAST_FREE_BYTES: Final = 1 << 30
_ANSWER_SECONDS: Final = 5.0
_MIB: Final = 1 << 20


def examine(
    home: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    machine: Machine | None = None,
) -> list[Finding]:
    """Return what was looked at, what was found and what to do about it."""
    return list(_examine(home, environment, machine))


def _examine(
    home: Path, environment: Mapping[str, str], machine: Machine | None
) -> Iterator[Finding]:
    yield looked("program", _program, "Install it again: make install")
    if not home.is_dir():
        fix = "Make one: fractality init; or restore one: fractality restore FILE"
        yield Finding(ok=False, title="home", detail=f"{home} is not there", fix=fix)
        return
    name = shlex.quote(str(home))
    yield looked("home", lambda: _home(home), f"Close it: chmod 700 {name}")
    yield looked("files", lambda: _files(home), f"Close them: chmod -R go= {name}")
    settings = looked("settings", lambda: _settings(home, environment), "Correct them.")
    yield settings
    yield looked("token", lambda: _token(home), "Remove it; the next start makes one.")
    yield looked("disk", lambda: _disk(home), "Free some space.")
    yield looked(
        "daemon",
        lambda: _daemon(home),
        "It may be starting or stopping: look again. If this lasts, stop it and see"
        " what it logged.",
    )
    machine = machine or this_machine(_scope_of(home), environment)
    yield looked("service", lambda: _service(home, machine), f"See: {machine.journal}")
    ask_passphrase = _ask_passphrase if sys.stdin.isatty() else None
    yield from examine_store(home, environment, ask_passphrase)
    detail = "known once the settings are valid"
    if settings.ok:
        detail = _meaning(load_config(home, environment, {}), environment)
    yield Finding(ok=True, title="meaning", detail=detail)


def _program() -> str:
    libraries = ", ".join(
        f"{name} {version(package)}"
        for name, package in (("apsw", "apsw-sqlite3mc"), ("pycrdt", "pycrdt"))
    )
    python = platform.python_version()
    return f"fractality {version('fractality')}, Python {python}, {libraries}"


def _home(home: Path) -> str:
    if _is_open(home):
        raise AmissError(f"others on this machine can enter {home}")
    return f"{home}, closed to others"


def _files(home: Path) -> str:
    open_files = sorted(
        path.name
        for path in home.iterdir()
        if path.name != CONFIG_NAME and path.is_file() and _is_open(path)
    )
    if open_files:
        raise AmissError(f"others have rights to {', '.join(open_files)}")
    return "all are their owner's alone"


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _settings(home: Path, environment: Mapping[str, str]) -> str:
    config = load_config(home, environment, {})
    return f"valid; the API's port is {config.port or 'any free one'}"


def _meaning(config: Config, environment: Mapping[str, str]) -> str:
    off = "search goes by words alone; everything else works"
    if not config.embeddings:
        return f"turned off by the setting 'embeddings': {off}"
    named = None if config.model is None else Path(config.model).expanduser()
    folder = find_model(named, environment)
    if folder is None or find_spec("sentence_transformers") is None:
        return f"off: {off}; 'make meaning' installs what it needs"
    return f"on; the model lies in {folder}"


def _token(home: Path) -> str:
    path = home / TOKEN_NAME
    if not path.exists():
        return "made by the first start"
    read_small(path, is_secret=True)
    return "there, its owner's alone"


def _disk(home: Path) -> str:
    store_bytes = sum(path.stat().st_size for path in home.glob("store.db*"))
    return room(shutil.disk_usage(home).free, store_bytes)


def room(free_bytes: int, store_bytes: int) -> str:
    """Return how much room there is, or raise `AmissError` if it may not last."""
    told = f"{free_bytes // _MIB:,} MiB free, the store takes {store_bytes // _MIB:,}"
    if free_bytes < max(LEAST_FREE_BYTES, store_bytes):
        raise AmissError(f"{told}; a full disk refuses writes, and backups need room")
    return told


def _daemon(home: Path) -> str:
    try:
        with locked(home):
            return "not running; start it with: fractality run"
    except StoreInUseError:
        pass
    try:
        client = connect(home, _ANSWER_SECONDS)
        client.get("/healthz")
    except DaemonAbsentError as error:
        detail = "a process holds the home, and no daemon answers"
        raise AmissError(detail) from error
    return f"runs and answers at port {client.port}"


def _scope_of(home: Path) -> Scope:
    return "system" if home == service.SYSTEM_HOME else "user"


def _service(home: Path, machine: Machine) -> str:
    try:
        told = service.status(machine.scope, home, machine)
    except (NotFoundError, ConflictError):
        return "none for this home; make one with: fractality service install"
    except ServiceError as error:
        return f"unknown: {error}"
    state = told.partition("\n")[0]
    if state.startswith("failed"):
        raise AmissError(state)
    return state


def _ask_passphrase() -> str:
    return getpass("Passphrase of the store: ")
