"""Links that come and go: each is held or closed, whatever comes at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from daemon.mesh.links import Links
from tests.support.links import MemoryLink, memory_pair
from tests.support.replicas import identity
from transport.dialing import DialPolicy
from transport.link import Link, LinkClosedError
from transport.reasons import NotWanted
from transport.switchboard import Switchboard

ME: Final = identity(0)
PEERS: Final = tuple(identity(number).device for number in (1, 2))


class Arrivals(Switchboard):
    """A switchboard at which a test lets links arrive."""

    def __init__(self) -> None:
        super().__init__(ME, lambda _: None)
        self.links: asyncio.Queue[Link] = asyncio.Queue()

    async def accept(self) -> Link:
        return await self.links.get()


class Alone:
    """Nobody is introduced."""

    async def question(self, peer: DeviceId) -> bytes | None:
        return None

    async def take(self, sealed: bytes) -> None:
        raise NotImplementedError


class Hall:
    """Links under test, and all that arrived."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.conversing: list[Link] = []
        self.ends: list[MemoryLink] = []
        self.fault: Exception | None = None
        self.links = Links(
            DialPolicy(ME.device, lambda: 0.5),
            self.arrivals,
            self._forward,
            Alone(),
            self._converse,
            now_ms=lambda: 0,
        )

    def arrive(self, peer: DeviceId) -> MemoryLink:
        """Let a link to a device arrive; return its end here."""
        here, there = memory_pair(ME.device, peer)
        self.arrivals.links.put_nowait(here)
        self.ends.append(there)
        return here

    async def settled(self) -> None:
        """Return when all that can happen by itself has happened."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def is_closed(self, link: MemoryLink) -> bool:
        """Whether a link is over."""
        try:
            await link.send(b"x")
        except LinkClosedError:
            return True
        return False

    async def _converse(self, link: Link) -> None:
        self.conversing.append(link)
        if self.fault is not None:
            raise self.fault
        try:
            await link.receive()
        except LinkClosedError:
            pass
        finally:
            self.conversing.remove(link)

    async def _forward(self, peer: DeviceId, offer: bytes) -> bytes | None:
        return None


@asynccontextmanager
async def hall(*wanted: DeviceId) -> AsyncIterator[Hall]:
    """Run links that want these devices."""
    here = Hall()
    async with here.links:
        here.links.want(frozenset(wanted))
        yield here


async def test_a_link_of_nobody_is_closed() -> None:
    """Who is not wanted any more when its link arrives is let go of at once."""
    async with hall() as here:
        link = here.arrive(PEERS[0])
        await here.settled()

        assert await here.is_closed(link)
        assert here.links.linked == frozenset()
        assert here.links.link(PEERS[0]) is None
        assert here.links.explain(PEERS[0]) == NotWanted()


async def test_of_links_at_once_the_newest_stands() -> None:
    """Links that arrive in one moment replace each other, and none is left over."""
    async with hall(*PEERS) as here:
        links = [here.arrive(PEERS[0]) for _ in range(3)]
        await here.settled()

        assert [await here.is_closed(link) for link in links] == [True, True, False]
        assert here.links.link(PEERS[0]) is links[2]
        assert here.conversing == [links[2]]


async def test_a_conversation_that_fails_ends_its_link_only() -> None:
    """A fault in one conversation leaves the other link and the rest as they are."""
    async with hall(*PEERS) as here:
        good = here.arrive(PEERS[0])
        await here.settled()
        here.fault = ValueError("a bug")
        bad = here.arrive(PEERS[1])
        await here.settled()

        assert await here.is_closed(bad)
        assert not await here.is_closed(good)
        assert here.links.linked == {PEERS[0]}


async def test_leaving_ends_every_link() -> None:
    """Afterwards no conversation goes on and every link is closed, even a new one."""
    async with hall(*PEERS) as here:
        links = [here.arrive(PEERS[0])]
        await here.settled()
        links.append(here.arrive(PEERS[1]))

    assert here.conversing == []
    assert await here.is_closed(links[0])
    assert here.links.linked == frozenset()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("arrive", "cut", "want", "unwant", "wait")),
            st.sampled_from(PEERS),
        ),
        max_size=20,
    )
)
async def test_whatever_comes_links_are_those_that_are_open(
    events: list[tuple[str, DeviceId]],
) -> None:
    """Arrivals, losses and removals in any order leave no dead link listed."""
    async with hall(*PEERS) as here:
        links: list[MemoryLink] = []
        wanted = set(PEERS)
        for event, peer in events:
            match event:
                case "arrive":
                    links.append(here.arrive(peer))
                case "cut":
                    for link in links:
                        if link.peer == peer:
                            link.cut()
                case "want" | "unwant":
                    wanted = wanted | {peer} if event == "want" else wanted - {peer}
                    here.links.want(frozenset(wanted))
                case _:
                    await here.settled()
        await here.settled()

        still = [link for link in links if not await here.is_closed(link)]
        assert {link.peer for link in still} == here.links.linked <= wanted
        assert len(still) == len(here.links.linked) == len(here.conversing)
