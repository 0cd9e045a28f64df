"""Devices with circles in stores of their own, that reach each other by name alone.

Nobody listens on any port: questions about joining are carried by the test, and no
links come of the addresses that these devices tell.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from consensus.rule import Preset
from crdt.database import Database
from crdt.identity import Identity
from daemon.circles.circle import Circle
from daemon.circles.circles import Circles
from daemon.circles.entering import HANDLER_NAME, Ways
from daemon.circles.taking_part import Means
from daemon.mesh.calling import ENROL, SIGNAL
from daemon.mesh.space_view import Clocks
from tests.support.circle_people import person
from tests.support.circle_records import StoreShelf
from tests.support.replicas import START_MS, STORE_KEY
from transport.addresses import Address
from transport.endpoint import PostError, PostFailure
from transport.ice_servers import IceServers

WEEK = 604_800
PORTS = {"ada": 1, "ben": 2, "cleo": 3, "dan": 4}


async def silent(sealed: bytes, source: str) -> bytes | None:
    """Answer nothing, as a space does to offers that are not for it."""


@asynccontextmanager
async def homes(folder: Path, *names: str) -> AsyncIterator[list["Home"]]:
    """Run a device of each person; names are `person` or `person device`."""
    net = Net()
    async with AsyncExitStack() as stack:
        made = []
        for name in names:
            whose, _, device = name.partition(" ")
            home = Home(folder / name, net, whose, device or "phone")
            made.append(await stack.enter_async_context(home.running()))
        yield made


async def founded(home: "Home") -> Circle:
    """Let a person found a circle."""
    return await home.circles.found("mill", Preset.BROAD, home.name)


async def ticket(circle: Circle, uses: int = 1, seconds: int = WEEK) -> str:
    """Return a ticket of a circle."""
    return (await circle.invite(uses, seconds))[0]


async def until(condition: Callable[[], bool]) -> None:
    """Return when `condition` holds, or fail when it does not in five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the condition has no event
            await asyncio.sleep(0.005)


@dataclass
class Net:
    """Carries questions to whoever listens at a port."""

    homes: dict[int, "Home"] = field(default_factory=dict)
    is_lossy: Callable[[], bool] = lambda: False
    """Whether the next answer is lost."""
    asked: int = 0

    async def post(self, address: Address, name: str, body: bytes) -> bytes:
        """Carry a question, and bring its answer."""
        self.asked += 1
        home = self.homes.get(address.port)
        if home is None:
            raise PostError(PostFailure.UNREACHABLE)
        answer = await home.ask(body, name)
        if answer is None or self.is_lossy():
            raise PostError(PostFailure.SILENT)
        return answer


@dataclass
class Home:
    """A device of a person."""

    folder: Path
    net: Net
    name: str
    device: str = "phone"
    now_ms: int = START_MS
    circles: Circles = field(init=False)
    told: int = 0
    """How often the person's other devices were to be told something."""
    places: tuple[str, ...] = ()
    """Where the device is besides."""

    @property
    def identity(self) -> Identity:
        """Who the device is."""
        return person(self.name, self.device)

    async def ask(self, body: bytes, name: str = HANDLER_NAME) -> bytes | None:
        """Return what the endpoint of the device answers."""
        handlers = self.circles.handlers({SIGNAL: silent, ENROL: silent})
        return await handlers[name](body, "192.0.2.1")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Home"]:
        """Open the store and take part."""
        self.folder.mkdir(exist_ok=True)
        port = PORTS[self.name]
        with Database(self.folder, STORE_KEY) as database:
            self.circles = Circles(
                self.identity,
                StoreShelf(database.writer),
                self._means(port),
                ways=Ways(secrets.token_bytes, self.net.post, repeat_seconds=0),
            )
            async with self.circles:
                self.net.homes[port] = self
                yield self
                self.net.homes.pop(port, None)

    def _means(self, port: int) -> Means:
        def announce() -> None:
            self.told += 1

        clocks = Clocks(
            wall_ms=lambda: self.now_ms,
            steady_ms=lambda: self.now_ms,
            awake_ms=lambda: self.now_ms,
            randomness=secrets.token_bytes,
            dice=random.random,
        )
        return Means(
            clocks=clocks,
            servers=IceServers(),
            addresses=lambda: (f"127.0.0.1:{port}", *self.places),
            announce=announce,
        )
