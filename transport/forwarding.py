"""Signalling that a common peer carries, for devices that know no way to each other.

Specification: docs/protocol/forwarding.md. What is carried is sealed to the device that
it is for: who carries it learns who wants to reach whom, and nothing else. Rules of
this file:

1. A question goes over at most `MAX_HOPS` links, and only between members. A device
   passes it on once, and again only if it comes by a way that leaves it more hops: slow
   links hide nobody. The answer goes back the way the question came first.
2. Everything that is remembered is bounded and forgotten after `REMEMBERED_MS`.
3. A peer asks no more than `ASKED_PER_MINUTE` times a minute: what is more is dropped.
"""

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.errors import MalformedError
from crdt.ids import DeviceId

MAX_HOPS: Final = 3
MAX_PAYLOAD_BYTES: Final = 4096
"""The largest sealed offer or answer."""
MAX_REMEMBERED: Final = 512
REMEMBERED_MS: Final = 20_000
ASKED_PER_MINUTE: Final = 60
ID_BYTES: Final = 16

_Id: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
_Payload: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=1, max_length=MAX_PAYLOAD_BYTES)
]


class Question(
    msgspec.Struct, frozen=True, array_like=True, tag=0, forbid_unknown_fields=True
):
    """An offer on its way to a device."""

    id: _Id
    """Random; by it the answer finds back."""
    target: _Id
    hops: Annotated[int, msgspec.Meta(ge=1, le=MAX_HOPS)]
    """Over how many links more it may go, this one counted."""
    payload: _Payload


class Answer(
    msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True
):
    """What the device answered, on its way back."""

    id: _Id
    payload: _Payload


Message: TypeAlias = Question | Answer


@dataclass(frozen=True, slots=True)
class Pass:
    """Say this to a linked device."""

    to: DeviceId
    message: Message


@dataclass(frozen=True, slots=True)
class Ask:
    """The question is for this device: find an answer and call `answered`."""

    id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """The answer to a question of this device has come."""

    id: bytes
    payload: bytes


Action: TypeAlias = Pass | Ask | Deliver


@dataclass(frozen=True, slots=True)
class _Way:
    """How a question came here."""

    back: DeviceId | None
    """Who brought it first, this device if it is its own; None once it was answered."""
    came_ms: int
    hops: int
    """The most that it had left."""


@dataclass(slots=True, eq=False)
class Forwarder:
    """One device's part in carrying signalling."""

    me: DeviceId
    _ways_back: OrderedDict[bytes, _Way] = field(default_factory=OrderedDict)
    """Where answers go, by the id of their question."""
    _asked: dict[DeviceId, deque[int]] = field(default_factory=dict)

    def ask(
        self,
        identity: bytes,
        target: DeviceId,
        payload: bytes,
        linked: Collection[DeviceId],
        now_ms: int,
    ) -> list[Action]:
        """Ask linked devices to carry an offer; `identity` is 16 random bytes."""
        self._remember(identity, _Way(self.me, now_ms, MAX_HOPS))
        question = Question(identity, target, MAX_HOPS, payload)
        return [Pass(peer, question) for peer in sorted(linked) if peer != target]

    def receive(
        self,
        peer: DeviceId,
        message: Message,
        linked: Collection[DeviceId],
        members: Collection[DeviceId],
        now_ms: int,
    ) -> list[Action]:
        """Take what a linked device says."""
        if isinstance(message, Answer):
            return self._back(message)
        way, target = self._ways_back.get(message.id), DeviceId(message.target)
        if way is None:
            if not self._admits(peer, now_ms):
                return []
            self._remember(message.id, _Way(peer, now_ms, message.hops))
            if target == self.me:
                return [Ask(message.id, message.payload)]
        elif way.back is None or target == self.me or message.hops <= way.hops:
            return []
        else:
            self._ways_back[message.id] = replace(way, hops=message.hops)
        if target not in members or message.hops == 1:
            return []
        further = Question(message.id, target, message.hops - 1, message.payload)
        if target in linked:
            return [Pass(target, further)]
        return [Pass(each, further) for each in sorted(linked) if each != peer]

    def answered(self, identity: bytes, payload: bytes) -> list[Action]:
        """Send back what was found in answer to an `Ask`."""
        return self._back(Answer(identity, payload))

    def forget(self, now_ms: int) -> None:
        """Let go of what nobody waits for any more."""
        while self._ways_back:
            oldest = next(iter(self._ways_back.values()))
            if now_ms - oldest.came_ms < REMEMBERED_MS:
                return
            self._ways_back.popitem(last=False)

    def _back(self, answer: Answer) -> list[Action]:
        """Pass an answer back once."""
        way = self._ways_back.get(answer.id)
        if way is None or way.back is None:
            return []
        # Kept, so that the question is not taken again; but it leads nowhere any more.
        self._ways_back[answer.id] = replace(way, back=None)
        if way.back == self.me:
            return [Deliver(answer.id, answer.payload)]
        return [Pass(way.back, answer)]

    def _remember(self, identity: bytes, way: _Way) -> None:
        self.forget(way.came_ms)
        while len(self._ways_back) >= MAX_REMEMBERED:
            self._ways_back.popitem(last=False)
        self._ways_back[identity] = way

    def _admits(self, peer: DeviceId, now_ms: int) -> bool:
        times = self._asked.setdefault(peer, deque(maxlen=ASKED_PER_MINUTE))
        if len(times) == ASKED_PER_MINUTE and now_ms - times[0] < 60_000:
            return False
        times.append(now_ms)
        return True


def encode_message(message: Message) -> bytes:
    """Return a message as a `Forward` frame carries it."""
    return msgspec.msgpack.encode(message)


def decode_message(content: bytes) -> Message:
    """Return what a `Forward` frame carries, or raise `MalformedError`."""
    try:
        message: Message = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "Forwarded signalling breaks its format; it was dropped."
        raise MalformedError(detail) from None
    return message


_DECODER: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)
