"""The inviter's side while the daemon runs: one invitation, its clock, its messages.

Rules of this file:

1. One invitation at a time; opening another ends the one before.
2. Messages are answered one after the other: an admission is durable before its
   answer, and a repeated question waits for the answer to the first.
3. A stranger's message costs no more than decoding unless an invitation is open.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from crdt.errors import ConflictError, FractalityError, PeerError, RefusedError
from crdt.ids import format_id
from crdt.keys import device_id
from daemon.faults import places
from transport.invitation import (
    FINISH_MS,
    LIFETIME_MS,
    Action,
    Admit,
    Dismiss,
    Invitation,
    Reply,
    State,
)
from transport.pairing_causes import told_to_inviter
from transport.pairing_code import (
    CODE_RANDOMNESS_BYTES,
    PairingLink,
    format_link,
    new_code,
)
from transport.pairing_messages import Cause, Gift, Newcomer, Proposal

logger = logging.getLogger(__name__)

Offering: TypeAlias = Callable[[int], AbstractContextManager[None]]
"""Makes a nameplate known on the local network while the context is open."""


class Admission(Protocol):
    """What a pairing does with the graph's roster."""

    async def proposal(self) -> Proposal:
        """Return what a device would join."""

    async def admit(self, newcomer: Newcomer) -> Gift:
        """Add a device durably and return what makes it one of the person's.

        Raises `RefusedError` if it cannot be added.
        """

    async def dismiss(self, newcomer: Newcomer) -> None:
        """Remove a device that was added and holds nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation as the person who opened it needs it."""

    code: str
    link: str
    """What the QR code holds."""
    endpoint: str | None
    """The address to type if the new device does not find this one by itself."""
    lifetime_ms: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How the last invitation stands."""

    state: str
    """`none`, `open`, `joining`, `joined` or `ended`."""
    cause: str | None
    told: str
    """The same in a sentence."""
    tries_left: int
    device: tuple[str, str] | None
    """Id and name of the device that joined or is joining."""
    revision: int
    """Grows with every change."""


_STATES: Final = {
    State.OPEN: "open",
    State.ADDED: "joining",
    State.JOINED: "joined",
    State.ENDED: "ended",
}


class Pairing:
    """Invites devices, one at a time."""

    def __init__(
        self,
        admission: Admission,
        *,
        addresses: Callable[[], Sequence[str]],
        monotonic_ms: Callable[[], int],
        randomness: Callable[[int], bytes],
    ) -> None:
        """Open nothing yet; `addresses` are those under which peers may knock."""
        self._admission = admission
        self._addresses = addresses
        self.offering: Offering | None = None
        """Set while the local network is served."""
        self._offered = ExitStack()
        self._monotonic_ms = monotonic_ms
        self._randomness = randomness
        self._invitation: Invitation | None = None
        self._turn = asyncio.Lock()
        self._revision = 0
        self._changed = asyncio.Event()

    async def open(self) -> Opened:
        """Open an invitation, in place of one that is open.

        Raises `ConflictError` while a device is just taking its keys.
        """
        async with self._turn:
            if self._state() is State.ADDED:
                message = (
                    "A device is just joining, and nothing else can begin until it has"
                    f" finished or {FINISH_MS // 60_000} minutes have passed."
                )
                raise ConflictError(message)
            code = new_code(self._randomness(CODE_RANDOMNESS_BYTES))
            proposal = await self._admission.proposal()
            self._invitation = Invitation(
                code, proposal, self._randomness, self._monotonic_ms()
            )
            self._offered.close()
            if self.offering is not None:
                self._offered.enter_context(self.offering(code.nameplate))
            self._tell()
        addresses = self._addresses()
        return Opened(
            code=str(code),
            link=format_link(PairingLink(code, addresses)),
            endpoint=next(iter(addresses), None),
            lifetime_ms=LIFETIME_MS,
        )

    async def cancel(self) -> None:
        """End the open invitation, if there is one."""
        async with self._turn:
            if self._invitation is not None:
                self._invitation.cancel()
                self._tell()

    async def answer(self, message: bytes, address: str) -> bytes | None:
        """Answer a message of a joiner; None is silence."""
        invitation = self._invitation
        if invitation is None:
            return None
        async with self._turn:
            try:
                action = invitation.receive(message, self._monotonic_ms())
                return await self._perform(invitation, action)
            except PeerError:
                return None
            finally:
                self._tell()

    async def keep_time(self) -> None:
        """Let invitations end when their time is over, for as long as this runs."""
        while True:
            await self._wait(self._due_seconds())
            async with self._turn:
                if self._invitation is not None:
                    late = self._invitation.expire(self._monotonic_ms())
                    if late is not None:
                        await self._perform(self._invitation, late)
                    self._tell()

    async def wait_changed(self, revision: int, seconds: float) -> Standing:
        """Return how things stand once they differ from `revision`, or time is up."""
        if self._revision == revision:
            await self._wait(seconds)
        return self.standing()

    def standing(self) -> Standing:
        """Return how the last invitation stands."""
        invitation = self._invitation
        if invitation is None:
            told = "No invitation was opened since the daemon started."
            return Standing("none", None, told, 0, None, self._revision)
        newcomer = invitation.newcomer
        return Standing(
            _STATES[invitation.state],
            invitation.cause,
            told_to_inviter(invitation),
            invitation.tries_left,
            None
            if newcomer is None
            else (format_id(device_id(newcomer.public_key)), newcomer.name),
            self._revision,
        )

    async def _perform(self, invitation: Invitation, action: Action) -> bytes | None:
        match action:
            case Reply(message):
                return message
            case Admit(newcomer):
                return await self._admitted(invitation, newcomer)
            case Dismiss(newcomer, reply):
                await self._admission.dismiss(newcomer)
                return reply

    async def _admitted(self, invitation: Invitation, newcomer: Newcomer) -> bytes:
        try:
            gift = await self._admission.admit(newcomer)
        except RefusedError:
            return invitation.rejected(Cause.CLASH)
        except FractalityError as error:
            logger.warning("a device could not be added: %s", type(error).__name__)
            return invitation.rejected(Cause.FAILED)
        except Exception as error:  # noqa: BLE001  # the joiner must be told either way
            logger.error("a device could not be added: %s", places(error))  # noqa: TRY400  # no content
            return invitation.rejected(Cause.FAILED)
        return invitation.admitted(gift, self._monotonic_ms())

    def _tell(self) -> None:
        """Let those who watch look again, and the network know what is open."""
        self._revision += 1
        self._changed.set()
        self._changed = asyncio.Event()
        if self._state() is not State.OPEN:
            self._offered.close()

    def _state(self) -> State | None:
        return None if self._invitation is None else self._invitation.state

    def _due_seconds(self) -> float | None:
        invitation = self._invitation
        due_ms = None if invitation is None else invitation.due_ms
        if due_ms is None:
            return None
        return max(0, due_ms - self._monotonic_ms()) / 1000

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
