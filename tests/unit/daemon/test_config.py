"""Settings: later layers win, and every fault is told at once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Config, ConfigError, load_config
from tests.support.replicas import scratch_folder


def test_defaults_hold_where_nothing_is_set(tmp_path: Path) -> None:
    """A home without settings, or an environment of other programs, changes nothing."""
    environment = {"PATH": "/bin", "FRACTALITY_HOME": "/x", "FRACTALITY_NOTIFY": "0"}
    assert load_config(tmp_path, environment, {}) == Config()


def test_later_layers_win(tmp_path: Path) -> None:
    """Flags over environment over file over defaults, setting by setting."""
    (tmp_path / "config.toml").write_text(
        'port = 1\npeer_port = 1\nrelay = "file"\nlog_level = "error"\n'
    )
    environment = {
        "FRACTALITY_PORT": "2",
        "FRACTALITY_PEER_PORT": "2",
        "FRACTALITY_RELAY": "environment",
        "FRACTALITY_DISCOVERY": "false",
    }
    flags = {"port": 3, "peer_port": 0}

    assert load_config(tmp_path, environment, flags) == Config(
        port=3, peer_port=0, discovery=False, relay="environment", log_level="error"
    )


def test_every_fault_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """Wrong types, values out of range and unknown names, of all layers."""
    path = tmp_path / "config.toml"
    path.write_text('port = "7373"\ncolour = "red"\nlog_level = "loud"\n')
    environment = {"FRACTALITY_PORT": "many", "FRACTALITY_SPEED": "1"}
    flags = {"peer_port": 65536}

    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path, environment, flags)

    first, *faults = str(caught.value).split("\n")
    assert first == "The settings are not usable; the daemon was not started."
    starts = [
        f"  {path}: port: ",
        f"  {path}: colour: there is no such setting",
        f"  {path}: log_level: ",
        "  environment: port: ",
        "  environment: speed: there is no such setting",
        "  flags: peer_port: ",
    ]
    assert len(faults) == len(starts)
    for fault, start in zip(faults, starts, strict=True):
        assert fault.startswith(start)


@pytest.mark.parametrize(
    "content", [b"port = ", b"\xff", b"port = 1\nport = 2", b"[port]\nx = 1"]
)
def test_a_file_that_is_no_settings_is_named(tmp_path: Path, content: bytes) -> None:
    """The fault names the file, and other layers do not hide it."""
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load_config(tmp_path, {}, {"port": 1})


def test_a_flag_names_another_file(tmp_path: Path) -> None:
    """It is read in place of the home's; a file that was named must be there."""
    (tmp_path / "config.toml").write_text("port = 1")
    other = tmp_path / "other.toml"
    with pytest.raises(ConfigError, match=r"other\.toml"):
        load_config(tmp_path, {}, {"config": other})
    other.write_text("peer_port = 2")
    assert load_config(tmp_path, {}, {"config": other}) == Config(peer_port=2)


_SOMETHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers())
)


@given(
    st.dictionaries(
        st.sampled_from(("port", "peer_port", "discovery", "relay", "log_level", "x")),
        _SOMETHING,
    )
)
def test_what_is_accepted_is_valid(flags: dict[str, Any]) -> None:
    """Whatever is given, there are settings within their rules or one error."""
    with scratch_folder() as home:
        try:
            config = load_config(home, {}, flags)
        except ConfigError:
            return
    assert 0 <= config.port <= 65535
    assert 0 <= config.peer_port <= 65535
    assert isinstance(config.discovery, bool)
    assert config.log_level in {"debug", "info", "warning", "error"}
    assert all(getattr(config, name) == value for name, value in flags.items())
