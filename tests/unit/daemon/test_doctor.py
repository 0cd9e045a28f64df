"""What `doctor` finds in homes with one thing wrong, and that it changes nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.commands import Pulse, PutNode
from crdt.database import Database
from crdt.stream_archive import archive_path
from crdt.stream_points import DAY_MS
from daemon.doctor import LEAST_FREE_BYTES, examine, room
from daemon.finding import AmissError, Finding
from daemon.home import api_token, locked
from daemon.setup import initialise, open_key
from daemon.systemctl import Machine
from daemon.unit_file import fill as fill_unit
from tests.support.fake_daemon import fake_daemon, ok, problem
from tests.support.homes import NOW_MS, files, fill, new_home, open_home
from tests.support.recorded_systemctl import RecordedSystemctl


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a small graph in it, as a daemon that ended well leaves it."""
    new_home(tmp_path / "home")
    fill(tmp_path / "home")
    api_token(tmp_path / "home")
    return tmp_path / "home"


def machine(home: Path, systemctl: Path | None = None) -> Machine:
    return Machine("user", systemctl, home.parent / "units", home, home, 1000)


def found(home: Path, **environment: str) -> dict[str, Finding]:
    """Examine a home on a machine without systemd; return findings by title."""
    findings = examine(home, environment=environment, machine=machine(home))
    assert all(each.ok == (each.fix is None) for each in findings)
    assert len({each.title for each in findings}) == len(findings)
    return {each.title: each for each in findings}


def amiss(home: Path, **environment: str) -> list[str]:
    return [title for title, each in found(home, **environment).items() if not each.ok]


def test_all_is_well_with_a_good_home(home: Path) -> None:
    """Everything was looked at, nothing changed, and no secret was told."""
    before = files(home)
    findings = found(home)

    assert list(findings) == [
        *("program", "home", "files", "settings", "token", "disk", "daemon"),
        *("service", "store key", "store", "device", "pages", "writes"),
        *("archive", "meaning"),
    ]
    assert amiss(home) == []
    assert "store.key beside the store" in findings["store key"].detail
    assert "SQLite 3." in findings["store"].detail
    assert re.search(r"Python 3\.\d+.*apsw \d.*pycrdt \d", findings["program"].detail)
    assert findings["device"].detail.startswith("laptop of ")
    told = repr(findings)
    assert api_token(home) not in told
    assert (home / "store.key").read_text().strip() not in told
    assert before.items() <= files(home).items()


def test_the_archive_is_opened(home: Path) -> None:
    """A file of old histories that is damaged or gone is named, and nothing else is."""
    with open_home(home) as (replica, _):
        replica.apply([Pulse("a")], NOW_MS)
        assert replica.archive(NOW_MS + 200 * DAY_MS)
    assert "all 1 files" in found(home)["archive"].detail
    path = archive_path(home, 1)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert amiss(home) == ["archive"]
    path.unlink()
    assert amiss(home) == ["archive"]


def test_whether_meaning_works_is_told(home: Path) -> None:
    """As the settings say, and as far as the model is there."""
    off = found(home, FRACTALITY_EMBEDDINGS="false")["meaning"].detail
    named = found(home, FRACTALITY_MODEL="/somewhere")["meaning"].detail

    assert "turned off" in off
    assert "/somewhere" in named or "make meaning" in named


def test_a_home_in_use_is_examined_too(home: Path) -> None:
    """Beside an open replica the pages and the last acknowledged write are there."""
    with locked(home), open_home(home) as (replica, _):
        replica.apply([PutNode("c", "Cherries")], NOW_MS)
        findings = found(home)
        replica.apply([PutNode("d", "Dates")], NOW_MS)
    assert [title for title, each in findings.items() if not each.ok] == ["daemon"]
    assert "no daemon answers" in findings["daemon"].detail


def test_a_daemon_is_asked_whether_it_serves(home: Path) -> None:
    """At the port that it announced; one that refuses is not well."""
    with fake_daemon(home) as daemon, locked(home):
        (home / "token").chmod(0o600)
        (home / "run.json").chmod(0o600)
        daemon.answers["GET", "/healthz"] = problem(503, "The store is closed.")
        assert amiss(home) == ["daemon"]
        daemon.answers["GET", "/healthz"] = ok({"status": "ok"})
        assert found(home)["daemon"].detail.startswith("runs and answers at port")
        assert amiss(home) == []


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    """Nothing else is looked at, and nothing is made."""
    assert amiss(tmp_path / "home") == ["home"]
    assert not (tmp_path / "home").exists()


def test_a_home_without_a_device(tmp_path: Path) -> None:
    """The fix says how to get one."""
    tmp_path.chmod(0o700)
    assert amiss(tmp_path) == ["device"]
    assert "init" in str(found(tmp_path)["device"].fix)


def open_the_home(home: Path) -> None:
    home.chmod(0o755)


def open_a_file(home: Path) -> None:
    (home / "store.db").chmod(0o644)


def open_the_token(home: Path) -> None:
    (home / "token").chmod(0o640)


def write_wrong_settings(home: Path) -> None:
    (home / "config.toml").write_text("port = 70000")


def lose_the_key(home: Path) -> None:
    (home / "store.key").unlink()


def exchange_the_key(home: Path) -> None:
    (home / "store.key").write_text("00" * 32)


def lose_the_record_of_the_key(home: Path) -> None:
    (home / "store-key.json").unlink()


def lose_the_key_check(home: Path) -> None:
    (home / "store.check").unlink()


def cut_inside_a_page(home: Path) -> None:
    content = (home / "store.db").read_bytes()
    (home / "store.db").write_bytes(content[:-1000])


def change_a_byte(home: Path) -> None:
    content = bytearray((home / "store.db").read_bytes())
    content[-2000] ^= 1
    (home / "store.db").write_bytes(content)


def change_the_first_page(home: Path) -> None:
    content = bytearray((home / "store.db").read_bytes())
    content[200] ^= 1
    (home / "store.db").write_bytes(content)


def put_an_older_copy_back(home: Path) -> None:
    older = (home / "store.db").read_bytes()
    with open_home(home) as (replica, _):
        replica.apply([PutNode("late", "Late")], NOW_MS)
    (home / "store.db").write_bytes(older)


def written(home: Path, statement: str) -> None:
    key = open_key(home, None, environment={}).key
    with Database(home, key) as database:
        database.writer.execute(statement)


def break_the_text_index(home: Path) -> None:
    written(home, "UPDATE node_text_data SET block = zeroblob(9) WHERE id > 1000")


def forget_the_device(home: Path) -> None:
    written(home, "DELETE FROM setting WHERE name = 'identity'")


def come_from_a_newer_program(home: Path) -> None:
    written(home, "PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "titles", "fix"),
    [
        (open_the_home, ["home"], "chmod 700"),
        (open_a_file, ["files"], "chmod"),
        (open_the_token, ["files", "token"], "chmod"),
        (write_wrong_settings, ["settings"], "Correct"),
        (lose_the_key, ["store key"], "Put the key back"),
        (exchange_the_key, ["store key"], "Put the key back"),
        (lose_the_record_of_the_key, ["store key"], "Put the key back"),
        (lose_the_key_check, ["store key"], "Put the key back"),
        (cut_inside_a_page, ["store key"], "restore FILE"),
        (change_a_byte, ["pages"], "restore FILE"),
        (change_the_first_page, ["store"], "restore FILE"),
        (put_an_older_copy_back, ["writes"], "restore FILE"),
        (break_the_text_index, ["pages"], "restore FILE"),
        (forget_the_device, ["device"], "restore FILE"),
        (come_from_a_newer_program, ["store"], "newest version"),
    ],
)
def test_each_fault_is_named_and_has_a_fix(
    home: Path, spoil: Callable[[Path], None], titles: list[str], fix: str
) -> None:
    """Nothing else is blamed, and nothing is changed by looking."""
    spoil(home)
    before = files(home)
    findings = found(home)
    assert [title for title, each in findings.items() if not each.ok] == titles
    assert fix in str(findings[titles[0]].fix)
    assert before.items() <= files(home).items()


def test_a_home_after_a_crash_is_well(home: Path, tmp_path: Path) -> None:
    """What stands in the log alone is found, and stays there."""
    crashed = tmp_path / "crashed"
    with open_home(home) as (replica, _):
        replica.apply([PutNode("c", "Cherries")], NOW_MS)
        crashed.mkdir(mode=0o700)
        for name, content in files(home).items():
            if not name.endswith("-shm"):
                (crashed / name).touch(0o600)
                (crashed / name).write_bytes(content)
    before = files(crashed)
    assert amiss(crashed) == []
    assert before.items() <= files(crashed).items()


def test_wrong_settings_of_the_environment_are_found(home: Path) -> None:
    """They would keep the daemon from starting as those of the file would."""
    assert amiss(home, FRACTALITY_PORT="many") == ["settings"]


def test_a_passphrase_that_cannot_be_asked_for(tmp_path: Path) -> None:
    """Without a terminal the store stays closed, and the sentence says why."""
    home = tmp_path / "home"
    initialise(home, None, "passphrase", lambda: "correct horse", environment={})
    assert amiss(home) == ["store key"]
    assert "passphrase" in found(home)["store key"].detail


@pytest.mark.parametrize(
    ("state", "is_ok"), [("active", True), ("inactive", True), ("failed", False)]
)
def test_the_state_of_the_service_is_told(
    home: Path, tmp_path: Path, state: str, *, is_ok: bool
) -> None:
    """One that failed needs a look at its log."""
    systemctl = RecordedSystemctl(tmp_path)
    systemctl.show(f"ActiveState={state}\nSubState=sub\n")
    on = machine(home, systemctl.command)
    on.unit_folder.mkdir()
    line = '\nEnvironment="FRACTALITY_HOME=@HOME@"\n'
    on.unit.write_text(fill_unit(line, {"HOME": home}))

    findings = examine(home, environment={}, machine=on)

    (service,) = (each for each in findings if each.title == "service")
    assert (service.ok, service.detail) == (is_ok, f"{state} (sub)")
    assert is_ok or "journalctl --user" in str(service.fix)
    assert systemctl.asked == []


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_room_is_enough_for_a_gibibyte_and_a_copy(free: int, store: int) -> None:
    """Less than either is a finding that says both."""
    if free >= LEAST_FREE_BYTES and free >= store:
        assert "MiB free" in room(free, store)
    else:
        with pytest.raises(AmissError, match="MiB free"):
            room(free, store)
