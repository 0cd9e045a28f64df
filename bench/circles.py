"""What it costs to keep a circle's contributions: checked, durable, found again."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from bench.report import Figure, spread
from consensus.contribution import contribute, sign_contribution
from consensus.model_tag import DIMENSION
from consensus.rule import QUOTA
from crdt.circle_items import ItemKind
from crdt.circle_keys import CircleIdentity, circle_identity
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import apply_to_circle, decode_founding, found_circle, invite
from crdt.circle_store import read_circles
from crdt.database import Connection, Database, store_errors
from crdt.identity import Identity, new_identity
from crdt.ids import SpaceId
from daemon.circles.keeping import Clocks
from daemon.circles.opening import begin_circle, open_circle
from daemon.circles.records import CircleRecords

Found = TypeVar("Found")

LARGEST: Final = 10_000
_BATCH: Final = 64
"""About as many as one message of a session carries."""
_KIND: Final = ItemKind.CONTRIBUTION
_CLOCKS: Final = Clocks(lambda: time.time_ns() // 1_000_000, lambda: 0)
_TICK_SECONDS: Final = 0.001


class _Shelf:
    """A store in the hands of who measures."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(self, read: Callable[[Connection], Found]) -> Found:
        """Return what `read` finds."""
        with store_errors():
            return read(self._connection)

    async def write(self, write: Callable[[Connection], None]) -> None:
        """Make durable what `write` writes."""
        with store_errors(), self._connection:
            write(self._connection)


def measure_circle(count: int, seed: int) -> Iterator[Figure]:
    """Yield the figures of a circle with `count` contributions, up to 10,000."""
    if count > LARGEST:
        return
    with TemporaryDirectory(prefix="fractality-bench-") as folder:
        yield from asyncio.run(_measured(Path(folder), count, seed))


async def _measured(home: Path, count: int, seed: int) -> list[Figure]:
    own = _person(0, seed)
    encoded, keys = found_circle(
        own, SpaceId(bytes(16)), bytes(32), name="bench", preset=0
    )
    founding = decode_founding(encoded)
    founder = circle_identity(own, founding)
    membership = CircleMembership.of(founder.author, keys, [founding])
    members: list[CircleIdentity] = []
    for number in range(1, 1 + -(-count // QUOTA)):
        member = circle_identity(_person(number, seed), founding)
        applicant = apply_to_circle(member.author, founding.space)
        membership = membership.saying(
            lambda roster, author, _, applicant=applicant: invite(  # type: ignore[misc]  # bound at once
                roster, author, applicant
            )
        )
        members.append(member)
    contents = [_content(members[n % len(members)], n) for n in range(count)]
    with Database(home, bytes(32)) as database:
        shelf = _Shelf(database.writer)
        await begin_circle(shelf, encoded, membership)
        (stored,) = read_circles(database.writer)
        records = await open_circle(shelf, stored, own, _CLOCKS)
        figures = await _kept(records, contents)
        started = time.perf_counter()
        records = await open_circle(shelf, stored, own, _CLOCKS)
        seconds = time.perf_counter() - started
        figures.append(Figure("a circle opened", count, "s", seconds))
        started = time.perf_counter()
        found = await records.contributions()
        seconds = time.perf_counter() - started
        figures.append(Figure("all contributions read", len(found), "s", seconds))
    return figures


async def _kept(records: CircleRecords, contents: list[bytes]) -> list[Figure]:
    stalls: list[float] = []
    ticking = asyncio.create_task(_tick(stalls))
    batches: list[float] = []
    for start in range(0, len(contents), _BATCH):
        started = time.perf_counter()
        kept = await records.keep(_KIND, contents[start : start + _BATCH])
        batches.append((time.perf_counter() - started) * 1000)
        if kept.refused:
            message = f"{kept.refused.total()} contributions were refused"
            raise RuntimeError(message)
    ticking.cancel()
    count = len(contents)
    return [
        Figure("contributions kept", count, "per s", count / sum(batches) * 1000),
        spread(f"{_BATCH} contributions kept", count, "ms", batches),
        Figure("event loop late while keeping", count, "ms", max(stalls)),
    ]


async def _tick(stalls: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(_TICK_SECONDS)
        stalls.append((time.perf_counter() - started - _TICK_SECONDS) * 1000)


def _person(number: int, seed: int) -> Identity:
    entropy = (seed << 32 | number).to_bytes(32)
    return new_identity(entropy, entropy + entropy + b"\0\0\0\1", "bench", "bench")


def _content(who: CircleIdentity, number: int) -> bytes:
    contribution = contribute(
        who.circle,
        who.author_key,
        number.to_bytes(16),
        number + 1,
        text=f"Of thought number {number} there are a few words, as of others.",
        model=bytes(8),
        vector=bytes([127]) + bytes(DIMENSION - 1),
        epoch=2900,
    )
    signature = sign_contribution(who.author.signing_key(), contribution)
    return contribution.encoded + signature
