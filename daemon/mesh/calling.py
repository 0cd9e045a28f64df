"""One dial: an offer by every way that may lead to a device, and what comes of it.

Rule: the ways are tried one after the other without giving up the earlier ones (RFC
8305), and the first answer counts. Whether it is the device that answered is for
signalling to find out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from crdt.errors import PeerError
from crdt.ids import DeviceId
from transport.addresses import Address
from transport.dialing import Step
from transport.endpoint import PostError, PostFailure, post
from transport.link import Link
from transport.reasons import Failure, FailureCause
from transport.switchboard import DialError, DialFailure, Switchboard

SIGNAL: Final = "signal"
"""Under which name endpoints take offers."""
ENROL: Final = "enrol"
"""Under which name they take introductions."""
Forwarding: TypeAlias = Callable[[DeviceId, bytes], Awaitable[bytes | None]]
"""Takes an offer to a device through a device to which both are linked."""


class Introducing(Protocol):
    """What is said to a device that keeps silent: it may not know this one."""

    async def question(self, peer: DeviceId) -> bytes | None:
        """Return what to show it; None if there is nothing to show."""

    async def take(self, sealed: bytes) -> None:
        """Take in its answer. Raises a `PeerError`."""


_CAUSES: Final = {
    DialFailure.NO_ANSWER: FailureCause.UNANSWERED,
    DialFailure.NO_ROUTE: FailureCause.BLOCKED,
    DialFailure.NOT_PROVED: FailureCause.UNANSWERED,
}


@dataclass(frozen=True, slots=True)
class Reached:
    """A dial that led to a link."""

    link: Link
    address: Address | None
    """Where the device answered; None if its answer was carried by another."""


async def call(
    switchboard: Switchboard,
    peer: DeviceId,
    steps: Sequence[Step],
    forwarding: Forwarding,
    introducing: Introducing,
) -> Reached | Failure | None:
    """Return the link, why there is none, or None if the device's own dial goes first.

    Cancelled, it leaves nothing behind.
    """
    ways = _Ways(peer, steps, forwarding, introducing)
    try:
        link = await switchboard.dial(peer, ways.carry)
        return Reached(link, ways.answered_at)
    except DialError as error:
        if error.failure is DialFailure.SUPERSEDED:
            return None
        if error.failure is DialFailure.NO_ANSWER and not ways.silent:
            return Failure(FailureCause.UNREACHABLE)
        return Failure(_CAUSES[error.failure])
    except PeerError:
        return Failure(FailureCause.REFUSED)


class _Ways:
    """The ways of one dial."""

    def __init__(
        self,
        peer: DeviceId,
        steps: Sequence[Step],
        forwarding: Forwarding,
        introducing: Introducing,
    ) -> None:
        self._peer = peer
        self._steps = steps
        self._forwarding = forwarding
        self._introducing = introducing
        self.answered_at: Address | None = None
        """Where something answered."""
        self.silent: list[Address] = []
        """Where something listened and did not answer."""

    async def carry(self, offer: bytes) -> bytes | None:
        """Return the first answer to an offer, None if all ways were in vain."""
        asked = {asyncio.ensure_future(self._ask(each, offer)) for each in self._steps}
        try:
            while asked:
                done, asked = await asyncio.wait(
                    asked, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    if (answer := task.result()) is not None:
                        return answer
            await self._introduce()
            return None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _ask(self, step: Step, offer: bytes) -> bytes | None:
        await asyncio.sleep(step.after_ms / 1000)
        if step.address is None:
            return await self._forwarding(self._peer, offer)
        return await self._post(step.address, offer)

    async def _post(self, address: Address, offer: bytes) -> bytes | None:
        try:
            answer = await post(address, SIGNAL, offer)
        except PostError as error:
            if error.failure is PostFailure.SILENT:
                self.silent.append(address)
            return None
        self.answered_at = address
        return answer

    async def _introduce(self) -> None:
        """Show a device that keeps silent who this one is."""
        question = await self._introducing.question(self._peer)
        if question is None:
            return
        for address in self.silent:
            with suppress(PostError, PeerError):
                answer = await post(address, ENROL, question)
                await self._introducing.take(answer)
                return
