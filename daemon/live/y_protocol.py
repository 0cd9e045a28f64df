"""The messages of the y-websocket protocol, read strictly and written.

Specification: docs/protocol/y-websocket.md. Rules of this file:

1. Hostile bytes raise `MalformedError` and nothing else.
2. A message is read whole or refused; what it carries is opaque here: an update is for
   `crdt.yjs_update` to judge, a state vector as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from crdt.errors import MalformedError
from crdt.json_text import is_shallow
from crdt.yjs_bytes import MAX_CLOCK, encode_number, read_client, read_number, read_text

MAX_UPDATE_BYTES: Final = 6 * 1024 * 1024
"""A body's text at its limit, its history, and room in the envelope that carries it."""
MAX_MESSAGE_BYTES: Final = MAX_UPDATE_BYTES + 16
MAX_STATE_VECTOR_BYTES: Final = 1024 * 1024
MAX_PRESENCES: Final = 128
MAX_PRESENCE_BYTES: Final = 8 * 1024
"""Of one client's state: a name, a colour, a cursor, and whatever its editor adds."""
MAX_PRESENCE_UPDATE_BYTES: Final = 128 * 1024

SYNC: Final = 0
PRESENCE: Final = 1
REFUSAL: Final = 2
PRESENCE_QUERY: Final = 3
STEP_1: Final = 0
STEP_2: Final = 1
UPDATE: Final = 2
_PERMISSION_DENIED: Final = 0
_ABSENT: Final = "null"


@dataclass(frozen=True, slots=True)
class StateVector:
    """Sync step 1: what the sender holds; it asks for the rest."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """Sync step 2: what the receiver of a step 1 has, and its sender lacks."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """A change that was just made."""

    update: bytes


@dataclass(frozen=True, slots=True)
class Presence:
    """What one client shows of itself: who edits, where the cursor is."""

    client: int
    clock: int
    """Grows with each state of the client: the larger is the newer."""
    state: str | None
    """JSON for the other clients; None when the client has gone."""


@dataclass(frozen=True, slots=True)
class Presences:
    """An awareness update."""

    presences: Sequence[Presence]


@dataclass(frozen=True, slots=True)
class PresenceQuery:
    """The sender asks for everybody's presence."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Permission denied: why the connection is about to end."""

    reason: str


Message: TypeAlias = (
    StateVector | Missing | Update | Presences | PresenceQuery | Refusal
)


def decode_message(data: bytes) -> Message:
    """Return the message that `data` is, whole, or raise `MalformedError`."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedError("message: larger than allowed")
    try:
        message, at = _read_message(data)
    except (IndexError, UnicodeDecodeError):
        raise MalformedError("message: cut short, or text that is not UTF-8") from None
    if at != len(data):
        raise MalformedError("message: bytes follow its end")
    return message


def encode_message(message: Message) -> bytes:
    """Return the bytes of a message."""
    match message:
        case StateVector(encoded=state):
            return bytes((SYNC, STEP_1)) + _block(state)
        case Missing(update=update):
            return bytes((SYNC, STEP_2)) + _block(update)
        case Update(update=update):
            return bytes((SYNC, UPDATE)) + _block(update)
        case Presences(presences=presences):
            return bytes((PRESENCE,)) + _block(encode_presences(presences))
        case PresenceQuery():
            return bytes((PRESENCE_QUERY,))
        case Refusal(reason=reason):
            return bytes((REFUSAL, _PERMISSION_DENIED)) + _block(reason.encode())


def decode_presences(data: bytes) -> tuple[Presence, ...]:
    """Return what an awareness update tells, or raise `MalformedError`."""
    if len(data) > MAX_PRESENCE_UPDATE_BYTES:
        raise MalformedError("presence: larger than allowed")
    try:
        return _read_presences(data)
    except (IndexError, UnicodeDecodeError):
        raise MalformedError("presence: cut short, or text that is not UTF-8") from None


def encode_presences(presences: Iterable[Presence]) -> bytes:
    """Return an awareness update."""
    parts = []
    for each in presences:
        state = _ABSENT if each.state is None else each.state
        parts += [encode_number(each.client), encode_number(each.clock)]
        parts.append(_block(state.encode()))
    return encode_number(len(parts) // 3) + b"".join(parts)


def _read_message(data: bytes) -> tuple[Message, int]:
    kind, at = read_number(data, 0)
    if kind == PRESENCE_QUERY:
        return PresenceQuery(), at
    if kind == PRESENCE:
        block, at = _read_block(data, at, MAX_PRESENCE_UPDATE_BYTES)
        return Presences(_read_presences(block)), at
    if kind == REFUSAL:
        reason, at = _read_refusal(data, at)
        return Refusal(reason), at
    if kind != SYNC:
        raise MalformedError("message: of an unknown kind")
    step, at = read_number(data, at)
    if step == STEP_1:
        state, at = _read_block(data, at, MAX_STATE_VECTOR_BYTES)
        return StateVector(state), at
    update, at = _read_block(data, at, MAX_UPDATE_BYTES)
    if step == STEP_2:
        return Missing(update), at
    if step == UPDATE:
        return Update(update), at
    raise MalformedError("message: an unknown step of the synchronisation")


def _read_refusal(data: bytes, at: int) -> tuple[str, int]:
    kind, at = read_number(data, at)
    if kind != _PERMISSION_DENIED:
        raise MalformedError("message: an unknown answer to who may edit")
    return read_text(data, at)


def _read_presences(data: bytes) -> tuple[Presence, ...]:
    count, at = read_number(data, 0)
    if count > MAX_PRESENCES:
        raise MalformedError("presence: more clients than allowed")
    found: dict[int, Presence] = {}
    for _ in range(count):
        client, at = read_client(data, at, found)
        clock, at = read_number(data, at)
        state, at = read_text(data, at)
        if clock > MAX_CLOCK:
            raise MalformedError("presence: a clock is too large")
        found[client] = Presence(client, clock, _checked_state(state))
    if at != len(data):
        raise MalformedError("presence: bytes follow its end")
    return tuple(found.values())


def _checked_state(state: str) -> str | None:
    """Return JSON that every client can read, None for null."""
    if len(state.encode()) > MAX_PRESENCE_BYTES:
        raise MalformedError("presence: a state is larger than allowed")
    if not is_shallow(state):
        raise MalformedError("presence: a state nests too deeply")
    try:
        value = _JSON.decode(state)
    except msgspec.DecodeError:
        raise MalformedError("presence: a state that is not JSON") from None
    return None if value is None else state


def _read_block(data: bytes, at: int, limit: int) -> tuple[bytes, int]:
    size, at = read_number(data, at)
    if size > limit:
        raise MalformedError("message: larger than allowed")
    if at + size > len(data):
        raise MalformedError("message: cut short")
    return data[at : at + size], at + size


def _block(content: bytes) -> bytes:
    return encode_number(len(content)) + content


_JSON: Final = msgspec.json.Decoder()
