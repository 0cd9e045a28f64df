"""Who is there and what is edited: told at once, forgotten soon, never waited for.

Specification: docs/protocol/sync.md. Rules of this file:

1. Presence is of the moment: it is not stored, not forwarded, and expires unless it is
   told again.
2. It counts by itself, so that it can come late, twice or never; a newer word of the
   same run of a device takes the place of an older one.
3. Memory is bounded: one word for each node that a device edits, a few nodes for each
   device, some devices. Who is heard least is forgotten first.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from crdt.errors import MalformedError
from crdt.ids import MAX_KEY_BYTES, DeviceId

LIFETIME_MS: Final = 30_000
REPEAT_MS: Final = 10_000
"""How often a device repeats what still holds: two may be lost before it expires."""
MAX_DEVICES: Final = 256
MAX_NODES: Final = 16
MAX_STATE_BYTES: Final = 1024


class Word(msgspec.Struct, frozen=True, array_like=True):
    """What one device says of itself; what a later version adds is ignored."""

    run: Annotated[bytes, msgspec.Meta(min_length=8, max_length=8)]
    """Random, new each time the device's process starts."""
    number: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    """Counts the words of that run."""
    editing: Annotated[
        dict[
            Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_BYTES)],
            Annotated[bytes, msgspec.Meta(max_length=MAX_STATE_BYTES)],
        ],
        msgspec.Meta(max_length=MAX_NODES),
    ]
    """Each node that is edited, and what its editors show of themselves."""


def encode_word(word: Word) -> bytes:
    """Return the content of a presence frame."""
    return msgspec.msgpack.encode(word)


def decode_word(encoded: bytes) -> Word:
    """Return what a presence frame says, or raise `MalformedError`."""
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = "A device told its presence in no known form; it was dropped."
        raise MalformedError(detail) from None


@dataclass(frozen=True, slots=True)
class _Heard:
    word: Word
    at_ms: int


class Presences:
    """What other devices last said, as long as it holds."""

    def __init__(self) -> None:
        self._heard: OrderedDict[DeviceId, _Heard] = OrderedDict()

    def hear(self, device: DeviceId, word: Word, now_ms: int) -> bool:
        """Take a word; return whether it says anything new."""
        before = self._heard.get(device)
        if (
            before is not None
            and before.word.run == word.run
            and before.word.number >= word.number
        ):
            return False
        self._heard[device] = _Heard(word, now_ms)
        self._heard.move_to_end(device)
        while len(self._heard) > MAX_DEVICES:
            self._heard.popitem(last=False)
        return before is None or before.word.editing != word.editing

    def leave(self, device: DeviceId) -> bool:
        """Forget a device whose last session ended; return whether it was there."""
        return self._heard.pop(device, None) is not None

    def expire(self, now_ms: int) -> frozenset[DeviceId]:
        """Forget who was not heard for too long, and return them."""
        gone = frozenset(
            device
            for device, heard in self._heard.items()
            if now_ms - heard.at_ms >= LIFETIME_MS
        )
        for device in gone:
            del self._heard[device]
        return gone

    @property
    def due_ms(self) -> int | None:
        """When the next one expires."""
        first = next(iter(self._heard.values()), None)
        return None if first is None else first.at_ms + LIFETIME_MS

    def editing(self) -> Mapping[DeviceId, Mapping[str, bytes]]:
        """Return what each device that is there edits."""
        return {device: heard.word.editing for device, heard in self._heard.items()}


class OwnPresence:
    """What this device says of itself, and when it says it again."""

    def __init__(self, run: bytes) -> None:
        self._run = run
        self._number = 0
        self._editing: dict[str, bytes] = {}
        self._said_ms: int | None = None

    def edit(self, node: str, state: bytes | None, now_ms: int) -> Word | None:
        """Say what is shown at a node, None for nothing; None if that is not new.

        More than `MAX_NODES` at once, or more than `MAX_STATE_BYTES` of one, are not
        told.
        """
        editing = {key: value for key, value in self._editing.items() if key != node}
        is_small = state is not None and len(state) <= MAX_STATE_BYTES
        if state is not None and is_small and len(editing) < MAX_NODES:
            editing[node] = state
        if editing == self._editing:
            return None
        self._editing = editing
        return self.say(now_ms)

    def say(self, now_ms: int) -> Word:
        """Say it, to everybody or to somebody new."""
        self._number += 1
        self._said_ms = now_ms
        return Word(self._run, self._number, dict(self._editing))

    @property
    def due_ms(self) -> int | None:
        """When it is to be said again, None before the first time."""
        return None if self._said_ms is None else self._said_ms + REPEAT_MS


_DECODER: Final = msgspec.msgpack.Decoder(Word)
