"""Signalling through a device to which both are linked."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from daemon.mesh.space_view import Clocks, SpaceView
from transport.forwarding import (
    ID_BYTES,
    Action,
    Ask,
    Deliver,
    Forwarder,
    Pass,
    decode_message,
    encode_message,
)
from transport.frames import Forward

ANSWER_SECONDS: Final = 8.0


class Carrying:
    """Asks others to carry offers, and carries theirs."""

    def __init__(
        self,
        view: SpaceView,
        clocks: Clocks,
        *,
        say: Callable[[Forward, DeviceId], bool],
        answer: Callable[[bytes], Awaitable[bytes | None]],
        beside: Callable[[Awaitable[None]], None],
        linked: Callable[[], frozenset[DeviceId]],
    ) -> None:
        """Take how to speak to a linked device, and who answers offers to this one."""
        self._view = view
        self._clocks = clocks
        self._say = say
        self._answer = answer
        self._beside = beside
        self._linked = linked
        self._forwarder = Forwarder(view.identity.device)
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}

    async def ask(self, peer: DeviceId, offer: bytes) -> bytes | None:
        """Return the answer of a device that others carried; None if none came."""
        identity = self._clocks.randomness(ID_BYTES)
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[identity] = waiting
        try:
            linked, now_ms = self._linked(), self._clocks.steady_ms()
            self._perform(self._forwarder.ask(identity, peer, offer, linked, now_ms))
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await waiting
            return None
        finally:
            del self._waiting[identity]

    def hear(self, peer: DeviceId, frame: Forward) -> None:
        """Take what a linked device gives to carry, or an answer that it brings."""
        with suppress(MalformedError):
            message = decode_message(frame.content)
            actions = self._forwarder.receive(
                peer,
                message,
                self._linked(),
                self._view.others,
                self._clocks.steady_ms(),
            )
            self._perform(actions)

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Pass(to, message):
                    self._say(Forward(encode_message(message)), to)
                case Ask(identity, payload):
                    self._beside(self._find_answer(identity, payload))
                case Deliver(identity, payload):
                    waiting = self._waiting.get(identity)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(payload)

    async def _find_answer(self, identity: bytes, payload: bytes) -> None:
        answer = await self._answer(payload)
        if answer is not None:
            self._perform(self._forwarder.answered(identity, answer))
