"""How a new device asks to join: by which addresses, what is sent again, what is kept.

Rules of this file:

1. Whatever goes wrong, nothing of the attempt is kept, and the inviter is told.
2. A question whose answer was lost is asked again, word for word.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from crdt.errors import FractalityError, InvalidError, NotFoundError, PeerError
from crdt.identity import DEVICE_RANDOMNESS_BYTES
from transport.addresses import Address, parse_address
from transport.endpoint import PostError, post
from transport.gift import Joined, examine, newcomer, unfinished_identity
from transport.joining import Action, Ask, Consent, Ended, Examine, Joining
from transport.joining import Joined as Finished
from transport.pairing_causes import PairingError
from transport.pairing_code import PairingLink
from transport.pairing_messages import ATTEMPT_BYTES

HANDLER_NAME: Final = "pair"
"""Of the endpoint."""
MAX_REPEATS: Final = 5
FIND_SECONDS: Final = 20.0

Post: TypeAlias = Callable[[Address, str, bytes], Awaitable[bytes]]
"""`transport.endpoint.post`."""
_Expected = TypeVar("_Expected", Consent, Examine, Finished)


class Finder(Protocol):
    """Looks for inviters on the local network."""

    def find_inviters(self, nameplate: int) -> AsyncIterator[Address]:
        """Yield the addresses of devices that invite under a number, as they appear."""


class NoInviterError(NotFoundError):
    """No device that invites could be reached."""


class PairingLostError(FractalityError):
    """The inviter fell silent, or answered what no inviter answers."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How inviters are reached."""

    post: Post = post
    finder: Finder | None = None
    repeat_seconds: float = 1.0
    """How long to wait before a question is asked again."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """A device that wants to join, as far as it depends on where it is made."""

    name: str
    randomness: Callable[[int], bytes]
    keep: Callable[[Joined], Awaitable[None]]
    """Makes the device durable, but not yet this home's."""
    ways: Ways


async def join(
    applicant: Applicant, link: PairingLink, address: Address | None
) -> Joined:
    """Join by the first address at which an inviter answers.

    Raises `PairingError`, `NoInviterError` or `PairingLostError`, each with a sentence
    for the person, or what `keep` raises.
    """
    finder = applicant.ways.finder
    try:
        async with asyncio.timeout(FIND_SECONDS) as patience:
            async for place in _places(finder, link, address):
                joining = Joining(
                    link.code, applicant.randomness(ATTEMPT_BYTES), applicant.randomness
                )
                hello = joining.start().message
                try:
                    welcome = await applicant.ways.post(place, HANDLER_NAME, hello)
                except PostError:
                    continue
                patience.reschedule(None)
                return await _Talk(applicant, place, joining).to_the_end(welcome)
    except TimeoutError:
        pass
    raise NoInviterError(_nobody(link, address, is_seeking=finder is not None))


async def _places(
    finder: Finder | None, link: PairingLink, address: Address | None
) -> AsyncIterator[Address]:
    """Yield where to knock: where the person says, else all places that are known."""
    if address is not None:
        yield address
        return
    for text in link.addresses:
        with suppress(InvalidError):
            yield parse_address(text)
    if finder is not None:
        async for each in finder.find_inviters(link.code.nameplate):
            yield each


@dataclass(frozen=True, slots=True)
class _Talk:
    """A try with an inviter that answers."""

    applicant: Applicant
    place: Address
    joining: Joining

    async def to_the_end(self, welcome: bytes) -> Joined:
        """Return what the device begins with, once the inviter knows of it."""
        try:
            consent = await self._until(self.joining.receive(welcome), Consent)
            proposal = consent.proposal
            identity = unfinished_identity(
                proposal,
                self.applicant.randomness(DEVICE_RANDOMNESS_BYTES),
                self.applicant.name,
            )
            introduction = self.joining.introduce(newcomer(proposal, identity))
            given = await self._until(introduction, Examine)
            try:
                joined = examine(given.gift, proposal, identity)
                await self.applicant.keep(joined)
            except BaseException:
                # The inviter takes the device out again; silence would do it later.
                await self._tell(self.joining.finish(is_kept=False).message)
                raise
            await self._until(self.joining.finish(is_kept=True), Finished)
        except PeerError as error:
            raise PairingLostError(f"{error} {_AGAIN}") from None
        return joined

    async def _until(self, action: Action, kind: type[_Expected]) -> _Expected:
        """Ask until the answers come to what is expected, or raise how it ended."""
        while isinstance(action, Ask):
            action = self.joining.receive(await self._answer(action.message))
        if isinstance(action, Ended):
            if action.message is not None:
                await self._tell(action.message)
            raise PairingError(action.cause)
        if not isinstance(action, kind):
            raise PairingLostError(f"{_OUT_OF_TURN} {_AGAIN}")
        return action

    async def _answer(self, question: bytes) -> bytes:
        for _ in range(MAX_REPEATS):
            try:
                return await self.applicant.ways.post(
                    self.place, HANDLER_NAME, question
                )
            except PostError:
                await asyncio.sleep(self.applicant.ways.repeat_seconds)
        raise PairingLostError(f"{_SILENT} {_AGAIN}")

    async def _tell(self, message: bytes) -> None:
        """Send what is a courtesy: if it does not arrive, time does the same."""
        try:
            await self.applicant.ways.post(self.place, HANDLER_NAME, message)
        except PostError:
            return


def _nobody(link: PairingLink, address: Address | None, *, is_seeking: bool) -> str:
    number = link.code.nameplate
    if address is not None:
        where = f"Nobody who invites devices answers at {address}."
    elif is_seeking:
        where = f"No device on this network invites under the number {number}."
    else:
        where = "It is not known where the other device is."
    return (
        f"{where} Nothing was kept on this device. Is 'fractality pair' still waiting"
        " there? It shows an address: fractality join CODE --at HOST:PORT"
    )


_SILENT: Final = "The other device fell silent."
_OUT_OF_TURN: Final = "The other device answered out of turn."
_AGAIN: Final = (
    "Nothing was kept on this device; run 'fractality pair' there again. Should this"
    " device be listed there all the same, revoke it: nobody holds its keys."
)
