"""What the handlers of the API work with."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from crdt.database import DATABASE_NAME
from crdt.graph_reader import GraphReader
from crdt.graph_snapshot import GraphSnapshot
from crdt.identity import Identity
from crdt.ids import CircleId
from crdt.key_sources import Source
from daemon.circles.bridge import Bridge
from daemon.circles.checking import Checks
from daemon.circles.ports import CirclesPort
from daemon.circles.publishing import Publishing
from daemon.event_log import EventLog
from daemon.live.bodies import LiveBodies
from daemon.meaning.meaning import Meaning
from daemon.meaning.thoughts import Thoughts
from daemon.mesh.mesh import Mesh
from daemon.mesh.overview import Overview
from daemon.metrics import Metrics
from daemon.owner import Owner
from daemon.peering import Peering
from daemon.tickets import Tickets

Result = TypeVar("Result")


@dataclass(slots=True)
class Service:
    """The parts of a running daemon, as the API uses them."""

    home: Path
    token: str
    space: str
    """Text form of the person's own space."""
    identity: Identity
    key_source: Source
    owner: Owner
    live_bodies: LiveBodies
    meaning: Meaning
    thoughts: Thoughts
    circles: CirclesPort
    publishing: Publishing
    bridge: Bridge
    checks: Callable[[CircleId], Checks]
    """How far the contributions of a circle are checked."""
    reader: GraphReader
    """For reads by key, on the event loop itself: they take microseconds."""
    slow_reader: GraphReader
    """For everything else, in `threads`."""
    threads: ThreadPoolExecutor
    """One thread: a reader is used by one thread at a time."""
    events: EventLog
    tickets: Tickets
    metrics: Metrics
    peering: Peering
    openapi: bytes
    wall_ms: Callable[[], int]
    started_ms: int
    snapshot: Callable[[], GraphSnapshot]
    is_serving: bool = True
    backing_up: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def mesh(self) -> Mesh:
        """What links with the other devices."""
        return self.peering.mesh

    @property
    def devices(self) -> Overview:
        """The person's devices as they are shown."""
        return self.peering.overview

    def store_bytes(self) -> int:
        """Return the size of the store's files."""
        return sum(path.stat().st_size for path in self.home.glob(f"{DATABASE_NAME}*"))

    async def read(self, question: Callable[[GraphReader], Result]) -> Result:
        """Ask a question that may take longer than the event loop can wait."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, question, self.slow_reader)
