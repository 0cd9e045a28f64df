"""The daemon from start to stop, read from top to bottom."""

import asyncio
import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Final

import msgspec

from consensus.embedder import Embedder
from consensus.model_folder import find_model
from crdt.database import Database, store_errors
from crdt.envelope_reader import EnvelopeReader
from crdt.errors import ConflictError, FractalityError
from crdt.graph_reader import GraphReader
from crdt.graph_snapshot import GraphSnapshot
from crdt.ids import NodeKey, format_id
from crdt.key_sources import StoreKey
from crdt.meaning_reader import MeaningReader
from crdt.replica import Committed, Replica
from daemon.admitting import RosterAdmission
from daemon.api.openapi import openapi_document
from daemon.api.routes import ROUTES
from daemon.api.server import ApiServer
from daemon.api.service import Service
from daemon.api.state import VERSION
from daemon.config import Config, load_config
from daemon.event_log import EventLog
from daemon.home import RunRecord, announced, api_token, has_store, locked
from daemon.home_exchange import take_over
from daemon.joining import HANDLER_NAME
from daemon.joining_home import HomeJoiner
from daemon.live.bodies import LiveBodies
from daemon.live.room import BodyStore
from daemon.meaning.meaning import TURNED_OFF, Meaning
from daemon.meaning.thoughts import Thoughts
from daemon.mesh.calling import SIGNAL
from daemon.mesh.mesh import Clocks, Mesh
from daemon.mesh.overview import Overview
from daemon.metrics import Metrics
from daemon.nearby import NearbyInviters, own_addresses
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
from daemon.pairing import Pairing
from daemon.setup import Secrets, initialise, load_secrets, open_key
from daemon.tickets import Tickets
from transport.discovery import Discovery
from transport.endpoint import Endpoint, Handler
from transport.local_addresses import local_addresses
from transport.switchboard import steady_ms
from transport.tokens import TOKEN_BYTES, Ring, ring

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
    except FractalityError as error:
        notify(os.environ, status(str(error)))
        raise
    return STOPPED


async def _serve(home: Path, config: Config, key: StoreKey) -> Config | None:
    """Serve until told to stop, or until another device takes this one's place.

    Then return how to serve that one: as this one was.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        _service(home, key, config) as service,
        Endpoint(config.peer_port, _handlers(service)) as endpoint,
        ApiServer(service, config.port) as server,
        AsyncExitStack() as more,
    ):
        service.mesh.peer_port = endpoint.port
        await more.enter_async_context(service.mesh)
        discovery = None
        if config.discovery:
            discovery = await more.enter_async_context(
                _discovery(service, endpoint.port)
            )
        url = f"http://127.0.0.1:{server.port}"
        record = RunRecord(os.getpid(), server.port, endpoint.port, url)
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
                    tasks.create_task(_stop_when_joined(service.joiner, stop)),
                    tasks.create_task(service.pairing.keep_time()),
                    tasks.create_task(_follow(service.mesh, discovery)),
                )
                await stop.wait()
                notify(os.environ, STOPPING)
                for task in background:
                    task.cancel()
    if not service.joiner.has_joined.is_set():
        return None
    return msgspec.structs.replace(config, port=server.port, peer_port=endpoint.port)


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


def _handlers(service: Service) -> Mapping[str, Handler]:
    """Return what is done with requests to the endpoint, by name."""
    return {HANDLER_NAME: service.pairing.answer, SIGNAL: service.mesh.signal}


async def _follow(mesh: Mesh, discovery: Discovery | None) -> None:
    """Let the mesh know who is near."""
    if discovery is not None:
        await mesh.follow_discovery(discovery)


@asynccontextmanager
async def _discovery(service: Service, port: int) -> AsyncIterator[Discovery]:
    """Be seen by members on the local network, and by whoever is invited."""

    def known() -> Ring:
        replica = service.owner.replica
        return ring(service.identity.device, replica.roster.ranked, replica.keys)

    async with Discovery(port, known, local_addresses, _wall_ms) as discovery:
        service.pairing.offering = lambda nameplate: discovery.offering(
            nameplate, os.urandom(TOKEN_BYTES)
        )
        yield discovery


async def _stop_when_joined(joiner: HomeJoiner, stop: asyncio.Event) -> None:
    """Make room for the device that takes this one's place."""
    await joiner.has_joined.wait()
    stop.set()


@asynccontextmanager
async def _service(home: Path, key: StoreKey, config: Config) -> AsyncIterator[Service]:
    """Open the store and everything that reads and writes it."""
    started_ms = _wall_ms()
    metrics = Metrics()
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)
        watchers = _Watchers(metrics, EventLog(0))
        async with AsyncExitStack() as open_parts:
            owner = await open_parts.enter_async_context(
                Owner(_opener(database, held), _wall_ms, _monotonic_ms, watchers.tell)
            )
            watchers.events.last = owner.replica.totals.events
            index = owner.replica.index
            reader = open_parts.enter_context(GraphReader(database, index))
            slow_reader = open_parts.enter_context(GraphReader(database, index))
            threads = ThreadPoolExecutor(1, "reader")
            open_parts.callback(threads.shutdown, cancel_futures=True)
            store = _body_store(owner, slow_reader, threads)
            watchers.live_bodies = await open_parts.enter_async_context(
                LiveBodies(store, _monotonic_ms)
            )
            envelopes = open_parts.enter_context(
                EnvelopeReader(database, held.identity.device)
            )
            watchers.meaning = meaning = await open_parts.enter_async_context(
                _meaning(database, owner, config, open_parts)
            )
            carriers = ThreadPoolExecutor(1, "envelopes")
            open_parts.callback(carriers.shutdown, cancel_futures=True)
            watchers.mesh = mesh = Mesh(
                owner,
                held.identity,
                envelopes,
                carriers,
                _clocks(),
                servers=config.ice,
            )
            service = Service(
                home=home,
                token=api_token(home),
                space=format_id(held.keys.space_id),
                identity=held.identity,
                key_source=key.source,
                owner=owner,
                mesh=mesh,
                devices=Overview(mesh, owner, _wall_ms, os.urandom),
                live_bodies=watchers.live_bodies,
                meaning=meaning,
                thoughts=_thoughts(meaning, owner, open_parts),
                reader=reader,
                slow_reader=slow_reader,
                threads=threads,
                events=watchers.events,
                tickets=Tickets(os.urandom),
                metrics=metrics,
                pairing=_pairing(held, owner, mesh),
                joiner=HomeJoiner(home, key, owner, NearbyInviters(), _wall_ms),
                openapi=openapi_document(ROUTES, VERSION),
                wall_ms=_wall_ms,
                started_ms=started_ms,
                snapshot=lambda: GraphSnapshot(database, index, held.identity.device),
            )
            yield service


def _meaning(
    database: Database, owner: Owner, config: Config, open_parts: AsyncExitStack
) -> Meaning:
    reader = open_parts.enter_context(MeaningReader(database, owner.replica.index))
    threads = ThreadPoolExecutor(1, "meaning")
    open_parts.callback(threads.shutdown, cancel_futures=True)

    def embedder(folder: Path) -> Embedder:
        return Embedder(
            folder,
            _monotonic_ms,
            threads=config.embedding_threads,
            idle_ms=config.embedding_idle_seconds * 1000,
        )

    if not config.embeddings:
        return Meaning(owner, reader, threads, embedder, None, cause_if_none=TURNED_OFF)
    named = None if config.model is None else Path(config.model).expanduser()
    folder = find_model(named, os.environ)
    return Meaning(owner, reader, threads, embedder, folder)


def _thoughts(meaning: Meaning, owner: Owner, open_parts: AsyncExitStack) -> Thoughts:
    thoughts = Thoughts(meaning, owner, os.urandom)
    open_parts.callback(thoughts.stop)
    return thoughts


def _pairing(held: Secrets, owner: Owner, mesh: Mesh) -> Pairing:
    def addresses() -> Sequence[str]:
        return own_addresses(mesh.peer_port)

    admission = RosterAdmission(
        owner=owner,
        identity=held.identity,
        space=held.keys.space,
        addresses=addresses,
        wall_ms=_wall_ms,
        randomness=os.urandom,
        tell=mesh.roster_changed,
    )
    return Pairing(
        admission,
        addresses=addresses,
        monotonic_ms=_monotonic_ms,
        randomness=os.urandom,
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


def _body_store(
    owner: Owner, reader: GraphReader, threads: ThreadPoolExecutor
) -> BodyStore:
    async def missing(key: NodeKey, state: bytes) -> tuple[bytes, bytes]:
        loop, ask = asyncio.get_running_loop(), reader.missing_of_body
        return await loop.run_in_executor(threads, ask, key, state)

    return BodyStore(owner.write, missing)


def _opener(database: Database, held: Secrets) -> Callable[[], Replica]:
    return lambda: Replica(
        database,
        held.identity,
        held.keys,
        randomness=os.urandom,
        monotonic_ms=_monotonic_ms,
    )


def _clocks() -> Clocks:
    return Clocks(
        wall_ms=_wall_ms,
        steady_ms=lambda: int(steady_ms()),
        awake_ms=_monotonic_ms,
        randomness=os.urandom,
        dice=random.random,
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
