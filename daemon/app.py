"""The daemon from start to stop, read from top to bottom."""

import asyncio
import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Final

import msgspec

from crdt.committed import Committed
from crdt.database import Database, store_errors
from crdt.errors import ConflictError, FractalityError
from crdt.graph_reader import GraphReader
from crdt.graph_snapshot import GraphSnapshot
from crdt.ids import NodeKey, format_id
from crdt.key_sources import StoreKey
from crdt.replica import Replica
from daemon.api.openapi import openapi_document
from daemon.api.routes import ROUTES
from daemon.api.server import ApiServer
from daemon.api.service import Service
from daemon.api.state import VERSION
from daemon.circles.circles import Circles
from daemon.circles.graph_side import Graph, Joined, joining_graph
from daemon.config import Config, load_config
from daemon.event_log import EventLog
from daemon.home import RunRecord, announced, api_token, has_store, locked
from daemon.home_exchange import take_over
from daemon.joining_home import HomeJoiner
from daemon.live.bodies import LiveBodies
from daemon.live.room import BodyStore
from daemon.meaning.meaning import Meaning
from daemon.meaning.opening import open_meaning
from daemon.mesh.mesh import Mesh
from daemon.mesh.space_view import Clocks
from daemon.metrics import Metrics
from daemon.notify import (
    ALIVE,
    READY,
    STOPPING,
    notify,
    status,
    watchdog_interval,
    writes_to_journal,
)
from daemon.owner import Owner
from daemon.peering import Base, open_peering
from daemon.setup import Secrets, initialise, load_secrets, open_key
from daemon.tickets import Tickets
from transport.switchboard import steady_ms

STOPPED: Final = 0
_COLLECT_AFTER: Final = (10_000, 20, 100)
"""Objects per collection: a full one over an import's objects stalls for 30 ms."""


def run(home: Path, flags: Mapping[str, object]) -> int:
    """Serve `home` until SIGTERM or SIGINT; return the exit status.

    A home without a device gets one first, unless what is printed goes to the journal
    of systemd. Raises errors of ours for what keeps the daemon from starting; each says
    what to do.
    """
    config = load_config(home, os.environ, flags)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    ask_passphrase = _ask_passphrase if sys.stdin.isatty() else None
    if not has_store(home):
        if writes_to_journal(os.environ, sys.stdout.fileno()):
            message = (
                f"There is no device in {home} yet. Make one with 'fractality init':"
                " its 24 words are for your eyes, not for the system's log."
            )
            raise ConflictError(message)
        made = initialise(home, None, None, ask_passphrase)
        _print(
            "A new person and device were made. These 24 words are the only way back"
            " when every device is lost; write them down, they are shown once:\n\n"
            f"  {made.words}\n"
        )
    try:
        # What SQLite raises at the start or the end has a reader, too.
        with locked(home), store_errors():
            take_over(home)
            key = open_key(home, ask_passphrase)
            again: Config | None = config
            while again is not None:
                again = asyncio.run(_serve(home, again, key))
                take_over(home)
    except (FractalityError, BaseExceptionGroup) as error:
        cause = _only(error)
        if not isinstance(cause, FractalityError):
            raise
        notify(os.environ, status(str(cause)))
        raise cause from None
    return STOPPED


def _only(error: BaseException) -> BaseException:
    """Return what was raised: on its way out, tasks wrap it into groups of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _serve(home: Path, config: Config, key: StoreKey) -> Config | None:
    """Serve until told to stop, or until another device takes this one's place.

    Then return how to serve that one: as this one was.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        _service(home, key, config) as service,
        service.peering.serving(config.peer_port, is_seen=config.discovery),
        ApiServer(service, config.port) as server,
    ):
        url = f"http://127.0.0.1:{server.port}"
        peer_port, joiner = service.peering.port, service.peering.joiner
        record = RunRecord(os.getpid(), server.port, peer_port, url)
        with announced(home, record):
            # What exists now lives as long as the daemon: no need to look at it again.
            gc.freeze()
            gc.set_threshold(*_COLLECT_AFTER)
            _print(f"Fractality {VERSION} serves {home} at {url}")
            notify(os.environ, READY)
            async with asyncio.TaskGroup() as tasks:
                background = (
                    tasks.create_task(_keep_watchdog()),
                    tasks.create_task(_stop_with(service.owner, stop)),
                    tasks.create_task(_stop_when_joined(joiner, stop)),
                    tasks.create_task(service.peering.pairing.keep_time()),
                )
                await stop.wait()
                notify(os.environ, STOPPING)
                for task in background:
                    task.cancel()
    if not joiner.has_joined.is_set():
        return None
    return msgspec.structs.replace(config, port=server.port, peer_port=peer_port)


async def _keep_watchdog() -> None:
    """Tell systemd that the event loop turns."""
    interval = watchdog_interval(os.environ, os.getpid())
    while interval is not None:
        notify(os.environ, ALIVE)
        await asyncio.sleep(interval)


async def _stop_with(owner: Owner, stop: asyncio.Event) -> None:
    """Stop the daemon if the thread that owns the store ends by a fault."""
    await owner.wait_ended()
    stop.set()


async def _stop_when_joined(joiner: HomeJoiner, stop: asyncio.Event) -> None:
    """Make room for the device that takes this one's place."""
    await joiner.has_joined.wait()
    stop.set()


@dataclass(frozen=True, slots=True)
class _Opened:
    """The store of a home, and who reads and writes it."""

    database: Database
    held: Secrets
    owner: Owner
    watchers: "_Watchers"
    reader: GraphReader
    slow_reader: GraphReader
    threads: ThreadPoolExecutor


@asynccontextmanager
async def _opened(home: Path, key: StoreKey) -> AsyncIterator[_Opened]:
    """Open the store."""
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)
        watchers = _Watchers(Metrics(), EventLog(0))
        async with AsyncExitStack() as parts:
            owner = await parts.enter_async_context(
                Owner(_opener(database, held), _wall_ms, _monotonic_ms, watchers.tell)
            )
            watchers.events.last = owner.replica.totals.events
            index = owner.replica.index
            reader = parts.enter_context(GraphReader(database, index))
            slow_reader = parts.enter_context(GraphReader(database, index))
            threads = ThreadPoolExecutor(1, "reader")
            parts.callback(threads.shutdown, cancel_futures=True)
            yield _Opened(database, held, owner, watchers, reader, slow_reader, threads)


@asynccontextmanager
async def _service(home: Path, key: StoreKey, config: Config) -> AsyncIterator[Service]:
    """Open the store and everything that works with it."""
    started_ms = _wall_ms()
    async with _opened(home, key) as opened, AsyncExitStack() as parts:
        held, owner, watchers = opened.held, opened.owner, opened.watchers
        live = LiveBodies(_body_store(opened), _monotonic_ms)
        watchers.live_bodies = await parts.enter_async_context(live)
        base = Base(home, key, held, opened.database, owner, _clocks())
        peering = open_peering(parts, base, config.ice, live)
        watchers.mesh = peering.mesh
        meaning, thoughts = await open_meaning(
            parts, opened.database, owner, config, _clocks()
        )
        watchers.meaning = meaning
        joined = await _joined(parts, opened, meaning, peering.circles)
        yield Service(
            home=home,
            token=api_token(home),
            space=format_id(held.keys.space_id),
            identity=held.identity,
            key_source=key.source,
            owner=owner,
            live_bodies=live,
            meaning=meaning,
            thoughts=thoughts,
            circles=peering.circles,
            publishing=joined.publishing,
            bridge=joined.bridge,
            checks=joined.checkers.checks,
            reader=opened.reader,
            slow_reader=opened.slow_reader,
            threads=opened.threads,
            events=watchers.events,
            tickets=Tickets(os.urandom),
            metrics=watchers.metrics,
            peering=peering,
            openapi=openapi_document(ROUTES, VERSION),
            wall_ms=_wall_ms,
            started_ms=started_ms,
            snapshot=_snapshots(opened),
        )


async def _joined(
    parts: AsyncExitStack, opened: _Opened, meaning: Meaning, circles: Circles
) -> Joined:
    """Join circles to the graph and to what texts mean; `parts` ends it."""
    graph = Graph(opened.owner, opened.slow_reader, opened.threads)
    events = opened.watchers.events
    joined = await parts.enter_async_context(
        joining_graph(graph, meaning, _wall_ms, lambda: events.is_followed)
    )
    circles.on_change = joined.watching.changed
    circles.on_open = joined.checkers.opened
    return joined


def _snapshots(opened: _Opened) -> Callable[[], GraphSnapshot]:
    index, device = opened.owner.replica.index, opened.held.identity.device
    return lambda: GraphSnapshot(opened.database, index, device)


def _clocks() -> Clocks:
    return Clocks(
        wall_ms=_wall_ms,
        steady_ms=lambda: int(steady_ms()),
        awake_ms=_monotonic_ms,
        randomness=os.urandom,
        dice=random.random,
    )


@dataclass(slots=True)
class _Watchers:
    """Who is told of each commit."""

    metrics: Metrics
    events: EventLog
    live_bodies: LiveBodies | None = None
    mesh: Mesh | None = None
    meaning: Meaning | None = None

    def tell(self, committed: Committed) -> None:
        """Pass on what became durable."""
        self.metrics.commits += 1
        self.metrics.events += len(committed.events)
        self.events.extend(committed.first_event, committed.events)
        if self.mesh is not None:
            self.mesh.committed(committed)
        if self.meaning is not None:
            self.meaning.committed(committed)
        if self.live_bodies is not None:
            self.live_bodies.tell(committed)


def _body_store(opened: _Opened) -> BodyStore:
    async def missing(key: NodeKey, state: bytes) -> tuple[bytes, bytes]:
        loop, ask = asyncio.get_running_loop(), opened.slow_reader.missing_of_body
        return await loop.run_in_executor(opened.threads, ask, key, state)

    return BodyStore(opened.owner.write, missing)


def _opener(database: Database, held: Secrets) -> Callable[[], Replica]:
    return lambda: Replica(
        database,
        held.identity,
        held.keys,
        randomness=os.urandom,
        monotonic_ms=_monotonic_ms,
    )


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _ask_passphrase() -> str:
    return getpass("Passphrase of the store: ")


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
