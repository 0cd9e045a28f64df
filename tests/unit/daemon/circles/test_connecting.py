"""With whom a device of a large circle wants links, and for how long."""

import hashlib
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from crdt.ids import AuthorKey, DeviceId
from daemon.circles.connecting import GUEST_MS, MAX_GUESTS, Connecting
from daemon.circles.directory import KnownDevice
from daemon.circles.neighbours import TRIED, neighbours
from daemon.mesh.space_view import Clocks
from tests.support.circle_people import Circle
from transport.ice_servers import IceServers
from transport.link import Link

CIRCLE = Circle.of("ada", "ben")


def known(count: int, author: AuthorKey) -> dict[DeviceId, KnownDevice]:
    """Return so many devices of one author, at addresses where nobody is."""
    found = {}
    for number in range(count):
        name = hashlib.sha256(author + bytes([number])).digest()
        device = DeviceId(name[:16])
        found[device] = KnownDevice(device, author, name, name, ())
    return found


class Shy:
    """Shows nobody who it is."""

    async def question(self, peer: DeviceId) -> bytes | None:
        return None

    async def take(self, sealed: bytes) -> None:
        raise AssertionError(sealed)


@dataclass
class Device:
    """A device of ada in a circle, on a clock of the test's own."""

    now_ms: int = 1_000_000
    connecting: Connecting = field(init=False)

    @property
    def wanted(self) -> frozenset[DeviceId]:
        """The devices to which there should be a link."""
        return self.connecting.links.wanted

    def knocks(self, device: DeviceId) -> None:
        """Let an offer of a device be answered."""
        self.connecting._receive(device)  # noqa: SLF001  # the switchboard's to call

    def looks(self) -> None:
        """Let the device look for late guests."""
        self.connecting._want()  # noqa: SLF001  # a timer's to call


@asynccontextmanager
async def running() -> AsyncIterator[Device]:
    """Run the links of a device; whatever it dials, nobody answers."""
    device, who = Device(), CIRCLE.who("ada")

    async def converse(link: Link) -> None:
        raise AssertionError(link)

    clocks = Clocks(
        wall_ms=lambda: device.now_ms,
        steady_ms=lambda: device.now_ms,
        awake_ms=lambda: device.now_ms,
        randomness=secrets.token_bytes,
        dice=random.random,
    )
    device.connecting = Connecting(who, converse, clocks, IceServers(), Shy())
    async with device.connecting:
        yield device


async def test_of_many_some_are_wanted() -> None:
    """Neighbours, a few others while nobody is linked, and all sisters."""
    sisters, others = known(3, CIRCLE.key("ada")), known(60, CIRCLE.key("ben"))
    async with running() as device:
        device.connecting.follow({**others, **sisters})

        me = CIRCLE.who("ada").device.device
        near = neighbours(me, others.keys())
        assert sisters.keys() | near <= device.wanted
        assert len(device.wanted) <= len(sisters) + len(near) + TRIED


async def test_guests_stay_a_while_and_are_few() -> None:
    """Who dials is let in, until it is clear that no link came of it."""
    others = known(60, CIRCLE.key("ben"))
    async with running() as device:
        device.connecting.follow(others)
        before = device.wanted
        strangers = sorted(others.keys() - before)

        for each in strangers:
            device.knocks(each)

        guests = device.wanted - before
        assert guests == frozenset(strangers[:MAX_GUESTS])
        device.now_ms += GUEST_MS
        device.looks()
        assert device.wanted == before


async def test_who_is_gone_is_not_wanted() -> None:
    """Neither as a neighbour nor as a guest."""
    others = known(60, CIRCLE.key("ben"))
    async with running() as device:
        device.connecting.follow(others)
        device.knocks(min(others.keys() - device.wanted))

        device.connecting.follow({})

        assert device.wanted == frozenset()


async def test_after_the_end_nothing_is_dialled_or_answered() -> None:
    """And nothing fails."""
    others = known(3, CIRCLE.key("ben"))
    async with running() as device:
        pass

    device.connecting.follow(others)
    device.connecting.network_changed()
    device.connecting.sync_now()

    assert device.wanted == frozenset()
    assert await device.connecting.answer(b"an offer", "192.0.2.1") is None
