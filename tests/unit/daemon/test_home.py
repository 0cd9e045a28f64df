"""A home: who may use it, and how it is found."""

import multiprocessing
import os
import stat
from pathlib import Path

import msgspec
import pytest

from crdt.errors import KeyUnavailableError, StoreInUseError
from daemon.home import (
    RunRecord,
    announced,
    api_token,
    has_store,
    locked,
    make_private,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_is_closed_to_others(tmp_path: Path) -> None:
    """Folders on the way are made as usual; one that is there stays as it is."""
    home = tmp_path / "on the way" / "home"
    make_private(home)
    assert mode(home) == 0o700
    home.chmod(0o750)
    make_private(home)
    assert mode(home) == 0o750
    assert not has_store(home)


def test_a_home_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second holder is refused at once; afterwards the home is free again."""
    with locked(tmp_path):
        with pytest.raises(StoreInUseError, match="Another process"), locked(tmp_path):
            pass
        assert mode(tmp_path / "lock") == 0o600
    with locked(tmp_path):
        pass


def hold_and_die(home: Path, failed: int) -> None:
    try:
        with locked(home):
            os._exit(0)
    except StoreInUseError:
        os._exit(failed)


@pytest.mark.parametrize(("is_held", "status"), [(False, 0), (True, 3)])
def test_another_process_is_kept_out_until_it_ends(
    tmp_path: Path, *, is_held: bool, status: int
) -> None:
    """The lock counts between processes, and a killed one leaves none behind."""
    other = multiprocessing.get_context("spawn").Process(
        target=hold_and_die, args=(tmp_path, 3)
    )
    if is_held:
        with locked(tmp_path):
            other.start()
            other.join()
    else:
        other.start()
        other.join()
    assert other.exitcode == status
    with locked(tmp_path):
        pass


def test_the_token_is_made_once(tmp_path: Path) -> None:
    """It is long, private, and the same at the next start."""
    token = api_token(tmp_path)
    assert len(token) >= 43
    assert mode(tmp_path / "token") == 0o600
    assert api_token(tmp_path) == token


def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    """The sentence says what to do."""
    api_token(tmp_path)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(KeyUnavailableError, match="chmod 600"):
        api_token(tmp_path)


def test_an_empty_token_lets_nobody_in(tmp_path: Path) -> None:
    """A token that was emptied is no token: a new one is made."""
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text("\n")
    assert len(api_token(tmp_path)) >= 43
    assert api_token(tmp_path) == (tmp_path / "token").read_text()


def test_a_daemon_is_announced_while_it_listens(tmp_path: Path) -> None:
    """`run.json` says where, and goes with the daemon whatever ends it."""
    record = RunRecord(1, 7373, 7374, "http://127.0.0.1:7373")

    def serve_and_fail() -> None:
        with announced(tmp_path, record):
            content = (tmp_path / "run.json").read_bytes()
            assert msgspec.json.decode(content, type=RunRecord) == record
            assert mode(tmp_path / "run.json") == 0o600
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve_and_fail()
    assert not (tmp_path / "run.json").exists()
