"""What a person can set: defaults, then config.toml, then environment, then flags.

Rule: every fault is reported at once, each with the place where it was set.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from crdt.errors import FractalityError
from daemon.home import CONFIG_NAME
from transport.ice_servers import IceServers

_PREFIX: Final = "FRACTALITY_"
_NOT_SETTINGS: Final = frozenset({"HOME", "NOTIFY"})
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class ConfigError(FractalityError):
    """Settings are not usable; the daemon was not started."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of a daemon."""

    port: Port = 7373
    """Of the local API; 0 takes any free one."""
    peer_port: Port = 7374
    """Where other devices knock; 0 takes any free one."""
    discovery: bool = True
    """Whether to look for peers on the local network and be seen there."""
    ice: IceServers = IceServers()
    """Servers that may help two devices to reach each other; none by default."""
    embeddings: bool = True
    """Whether to find out what texts mean, for search by meaning."""
    model: str | None = None
    """Folder of the model for that; by default the one that is installed."""
    embedding_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    embedding_idle_seconds: Annotated[int, msgspec.Meta(ge=1)] = 120
    """After so long without texts the process with the model is stopped."""
    relay: str | None = None
    """URL of a relay to go through."""
    log_level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = (
        "info"
    )


def load_config(
    home: Path,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
) -> Config:
    """Return the settings in force.

    `flags` may name another file as `config`. Raises `ConfigError` that lists every
    fault.
    """
    named = flags.get("config")
    path = Path(str(named)) if named is not None else home / CONFIG_NAME
    faults: list[str] = []
    layers = [
        (str(path), _from_file(path, faults, must_exist=named is not None)),
        ("environment", _from_environment(environment)),
        ("flags", {name: flags[name] for name in flags if name != "config"}),
    ]
    values: dict[str, Any] = {}
    for place, layer in layers:
        for name, value in layer.items():
            try:
                values[name] = _checked(name, value, is_text=place == "environment")
            except (msgspec.ValidationError, KeyError) as fault:
                faults.append(f"{place}: {name}: {_explain(fault)}")
    if faults:
        lines = "".join(f"\n  {fault}" for fault in faults)
        message = f"The settings are not usable; the daemon was not started.{lines}"
        raise ConfigError(message)
    return Config(**values)


def _from_file(path: Path, faults: list[str], *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path}: {error}")
        return {}


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in _NOT_SETTINGS
    }


def _checked(name: str, value: object, *, is_text: bool) -> object:
    """Return a setting as its type, or raise what is wrong with it."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(Config)}
    return msgspec.convert(value, kinds[name], strict=not is_text)


def _explain(fault: Exception) -> str:
    if isinstance(fault, KeyError):
        return "there is no such setting"
    return str(fault)
