"""Old histories move into sealed files, are read from there, and survive accidents."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.archive_part import open_part, part_hash, seal_part
from crdt.backup import open_backup
from crdt.commands import Pulse, PutNode
from crdt.errors import DamagedError
from crdt.graph_reader import GraphReader
from crdt.stream_archive import KEEP_MS, archive_path, parts
from crdt.stream_points import DAY_MS, HOUR_MS, Bucket, Point
from crdt.streams import MOST_A_MINUTE
from crdt.succession import succeed
from tests.support.replicas import (
    START_MS,
    STORE_KEY,
    Device,
    identity,
    scratch_folder,
)

LONG_AFTER = START_MS + 400 * DAY_MS
KILLED = """
import os, signal, sys
from pathlib import Path
from crdt import stream_archive
from tests.support.replicas import Device

device = Device(Path(sys.argv[1]))
with device.running() as replica:
    def archive(connection):
        stream_archive.archive_some(
            connection, device.home, int(sys.argv[2]), os.urandom
        )
        os.kill(os.getpid(), signal.SIGKILL)
    replica.put_aside(archive)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder / "home"


def write(device: Device, times: list[tuple[str, int]]) -> None:
    """Pulse nodes so long after the start."""
    device.replica.apply([PutNode("a", "a"), PutNode("b", "b")], START_MS)
    for key, after in times:
        device.replica.apply([Pulse(key)], START_MS + after)


def archive(device: Device, now_ms: int = LONG_AFTER) -> int:
    """Archive all that is due; return how many steps that took."""
    steps = 0
    while device.replica.archive(now_ms):
        steps += 1
    return steps


def history(
    device: Device, key: str, bucket: Bucket, limit: int = 1000, **bounds: int
) -> list[Point]:
    with GraphReader(device.database, device.replica.index) as reader:
        return reader.stream(
            key,
            **{"since_ms": 0, "until_ms": 2 * LONG_AFTER, **bounds},
            bucket=bucket,
            limit=limit,
        )


def all_histories(device: Device) -> dict[tuple[str, str], list[Point]]:
    buckets: tuple[Bucket, ...] = ("raw", "hour", "day")
    return {
        (key, bucket): history(device, key, bucket)
        for key in ("a", "b")
        for bucket in buckets
    }


def restored(file: Path, home: Path) -> Device:
    """Make a device from a backup."""
    heir = Device(home, 5)
    heir.home.mkdir()
    with open_backup(file, identity(5).backup_key()) as backup:
        succeed(backup, heir.home, STORE_KEY, identity(5))
    return heir


def left(device: Device) -> int:
    rows: Any = device.database.writer.execute("SELECT count(*) FROM stream").fetchall()
    return int(rows[0][0])


times = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 390 * DAY_MS)), max_size=40
).map(lambda found: sorted(found, key=lambda each: each[1]))


@settings(max_examples=settings().max_examples // 4)
@given(times, st.integers(1, 400), st.integers(1, 60))
def test_the_archive_shows_the_same(
    pulses: list[tuple[str, int]], days: int, limit: int
) -> None:
    """Whenever it is archived, every question has the answer of before."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running():
            write(device, pulses)
            before = all_histories(device)
            bounds = {"since_ms": START_MS + 40 * DAY_MS, "until_ms": LONG_AFTER}
            cut = history(device, "a", "raw", limit, **bounds)
            hours = history(device, "a", "hour", limit, **bounds)
            archive(device, START_MS + days * DAY_MS)

            assert all_histories(device) == before
            assert history(device, "a", "raw", limit, **bounds) == cut
            assert history(device, "a", "hour", limit, **bounds) == hours
            archive(device)
            assert all_histories(device) == before


def test_only_whole_months_of_three_months_ago_go(home: Path) -> None:
    """What is younger stays in the store, and what is older does not."""
    device = Device(home)
    with device.running():
        write(device, [("a", day * DAY_MS) for day in range(300)])
        now_ms = START_MS + 300 * DAY_MS
        assert archive(device, now_ms) >= 6
        rows: Any = device.database.writer.execute(
            "SELECT min(time_ms), (SELECT min(start_ms) FROM stream_hour),"
            " (SELECT min(start_ms) FROM stream_day) FROM stream"
        ).fetchall()
        oldest, oldest_hour, oldest_day = rows[0]

        assert now_ms - KEEP_MS - 31 * DAY_MS <= oldest <= now_ms - KEEP_MS + DAY_MS
        assert oldest_hour == oldest - oldest % HOUR_MS
        assert oldest_day == START_MS - START_MS % DAY_MS
        assert not device.replica.archive(now_ms)
        assert len(history(device, "a", "raw")) == 300


def test_a_late_point_of_an_archived_hour_counts_in_it(home: Path) -> None:
    """A clock that was set back adds to hours and days that are in files already."""
    device = Device(home)
    with device.running():
        write(device, [("a", 0), ("a", 1)])
        archive(device)
        write(device, [("a", 2)])
        assert [point.count for point in history(device, "a", "hour")] == [3]
        archive(device)

        assert [point.count for point in history(device, "a", "hour")] == [3]
        assert [point.count for point in history(device, "a", "day")] == [3]
        assert len(history(device, "a", "raw")) == 3


def test_a_kill_between_file_and_rows_loses_and_doubles_nothing(home: Path) -> None:
    """The file that nobody names is written over by the next try."""
    device = Device(home)
    with device.running():
        write(device, [("a", hour * HOUR_MS) for hour in range(50)])
        before = all_histories(device)
    arguments = [sys.executable, "-c", KILLED, str(home), str(LONG_AFTER)]
    ended = subprocess.run(arguments, check=False)
    orphan = archive_path(home, 1).read_bytes()

    assert ended.returncode == -signal.SIGKILL
    with device.running():
        assert parts(device.database.writer) == []
        assert all_histories(device) == before
        assert archive(device) == len(parts(device.database.writer)) > 0
        assert archive_path(home, 1).read_bytes() != orphan
        assert left(device) == 0
        assert all_histories(device) == before


def test_a_damaged_or_missing_file_is_an_error(home: Path) -> None:
    """Never a shorter history; the days, which stay in the store, are still told."""
    device = Device(home)
    with device.running():
        write(device, [("a", 0), ("b", 0)])
        archive(device)
        path = archive_path(home, 1)
        content = path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        for change in (content[:-1] + b"x", content[: len(content) // 2], b"", None):
            if change is None:
                path.unlink()
            else:
                path.write_bytes(change)
            with pytest.raises(DamagedError, match="archive"):
                history(device, "a", "raw")
            assert len(history(device, "a", "day")) == 1
        path.write_bytes(content)
        assert len(history(device, "a", "raw")) == 1
        for word in (b"pulse", b"a\xa5pulse"):
            assert word not in content


def test_a_backup_has_the_archive(home: Path) -> None:
    """The device made from it tells the same histories, from files of its own."""
    device = Device(home)
    with device.running():
        write(device, [("a", 0), ("b", DAY_MS), ("a", 399 * DAY_MS)])
        archive(device)
        before = all_histories(device)
        device.replica.back_up(home / "backup", LONG_AFTER)
        number = len(parts(device.database.writer))
    heir = restored(home / "backup", home.parent / "heir")
    with heir.running():
        assert number > 0
        assert all_histories(heir) == before
        tables = heir.database.writer.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'packed_archive'"
        )
        assert tables.fetchall() == [(0,)]
        heir.replica.back_up(home / "second", LONG_AFTER)


def test_what_is_lost_keeps_no_backup_from_being_made(home: Path) -> None:
    """The rest comes along; of the lost file both devices say that it is lost."""
    device = Device(home)
    with device.running():
        write(device, [("a", 0), ("b", 60 * DAY_MS)])
        assert archive(device) == 2
        archive_path(home, 1).unlink()
        device.replica.back_up(home / "backup", LONG_AFTER)
        before = history(device, "b", "raw")
    heir = restored(home / "backup", home.parent / "heir")
    with heir.running():
        assert history(heir, "b", "raw") == before
        with pytest.raises(DamagedError, match="archive"):
            history(heir, "a", "raw")


def test_a_storm_is_counted_and_bounded(home: Path) -> None:
    """Of thousands of pulses in a minute few are points; hours count them all."""
    device = Device(home)
    with device.running():
        write(device, [])
        minute = START_MS - START_MS % HOUR_MS
        for at in range(2_000):
            device.replica.apply([Pulse("a")], minute + at)

        assert len(history(device, "a", "raw")) == left(device) == MOST_A_MINUTE
        assert [point.count for point in history(device, "a", "hour")] == [2_000]
        assert [point.count for point in history(device, "a", "day")] == [2_000]


def test_a_large_month_becomes_several_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is bounded, however much happened in a month."""
    monkeypatch.setattr("crdt.stream_archive.MOST_POINTS", 7)
    device = Device(home)
    with device.running():
        write(device, [("ab"[n % 2], n * 20 * 60_000) for n in range(100)])
        before = all_histories(device)

        assert archive(device) >= 100 // 7
        assert left(device) == 0
        assert all_histories(device) == before


@given(st.binary(max_size=200))
def test_no_bytes_but_the_ones_written_open(content: bytes) -> None:
    """Whatever lies in the place of a file, it is refused in one way."""
    with pytest.raises(DamagedError):
        open_part(STORE_KEY, content, part_hash(content))


def test_the_page_has_these_bytes() -> None:
    """tests/vectors/archive.json is what the code writes and reads."""
    path = Path(__file__).parents[2] / "vectors" / "archive.json"
    vector: dict[str, Any] = json.loads(path.read_text())
    content = bytes.fromhex(vector["file"])
    key, salt = bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"])

    streams = open_part(key, content, part_hash(content))

    assert seal_part(key, salt, streams)[:53] == content[:53]
    assert [
        [each.node, [[p.time_ms, p.atp, p.attention, p.type] for p in each.points]]
        for each in streams
    ] == [[node, points] for node, points, _ in vector["streams"]]
    assert [
        [[h.start_ms, h.type, h.count, h.atp, h.attention] for h in each.hours]
        for each in streams
    ] == [hours for _, _, hours in vector["streams"]]
