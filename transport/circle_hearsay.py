"""What two devices of a circle tell each other of items that came from others.

Specification: docs/protocol/circle-sync.md. Who made an item gives it to all that it is
linked with; of what came from others only the names are told, after a moment and if the
peer does not hold the same by then: mostly it was given the same. It asks for what it
does not get from elsewhere in another moment.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import DeviceId
from transport.circle_actions import CircleAction, Seek, Send
from transport.circle_frames import MAX_NAMES, Ask, Tell
from transport.sorted_names import key_of, name_of

TELL_MS: Final = 250
"""Mostly the peer's next Stand says by then that it holds the same."""
SEEK_MS: Final = 60
SEEK_SPREAD_MS: Final = 25
SEEK_PLACES: Final = 8
MAX_HEARD: Final = 8192


class Hearsay:
    """Names to be told, and names heard of that may have to be asked for."""

    def __init__(self, peer: DeviceId) -> None:
        # Of several devices that tell the same, one is asked first.
        self._patience_ms: Final = SEEK_MS + peer[0] % SEEK_PLACES * SEEK_SPREAD_MS
        self._to_tell: Final = {kind: dict[bytes, None]() for kind in ItemKind}
        self._tell_ms: int | None = None
        self._heard: Final = {kind: dict[bytes, int]() for kind in ItemKind}

    @property
    def due_ms(self) -> int | None:
        """When something is to be told, or something heard of to be looked for."""
        firsts = [next(iter(each.values())) for each in self._heard.values() if each]
        if self._tell_ms is not None:
            firsts.append(self._tell_ms)
        return min(firsts, default=None)

    def note(self, kind: ItemKind, keys: Iterable[bytes], now_ms: int) -> None:
        """Tell of what came from others, in a moment."""
        self._to_tell[kind].update(dict.fromkeys(keys))
        if self._tell_ms is None and self._to_tell[kind]:
            self._tell_ms = now_ms + TELL_MS

    def take_told(self, now_ms: int) -> dict[ItemKind, list[bytes]]:
        """Return what is to be told now."""
        if self._tell_ms is None or now_ms < self._tell_ms:
            return {}
        found = {kind: list(each) for kind, each in self._to_tell.items() if each}
        self._tell_nothing()
        return found

    def hear(self, kind: ItemKind, keys: Iterable[bytes], now_ms: int) -> None:
        """Take what the peer has; beyond `MAX_HEARD` a comparison finds it."""
        heard = self._heard[kind]
        for key in keys:
            if len(heard) < MAX_HEARD:
                heard.setdefault(key, now_ms + self._patience_ms)

    def clear(self) -> None:
        """Look for nothing, tell nothing."""
        for heard in self._heard.values():
            heard.clear()
        self._tell_nothing()

    def pump(self, now_ms: int) -> list[CircleAction]:
        """Look for what is due."""
        actions: list[CircleAction] = []
        for kind, heard in self._heard.items():
            due = [key for key, due_ms in heard.items() if due_ms <= now_ms]
            for key in due:
                del heard[key]
            if due:
                actions.append(Seek(kind, [name_of(key) for key in due]))
        return actions

    def _tell_nothing(self) -> None:
        for each in self._to_tell.values():
            each.clear()
        self._tell_ms = None

    @staticmethod
    def ask(kind: ItemKind, names: Sequence[ItemName]) -> list[CircleAction]:
        """Ask for what is wanted here."""
        return [Send(Ask(kind, keys)) for keys in pages(map(key_of, names))]

    @staticmethod
    def tell(kind: ItemKind, keys: Sequence[bytes]) -> list[CircleAction]:
        """Tell of items."""
        return [Send(Tell(kind, page)) for page in pages(keys)]


def pages(keys: Iterable[bytes]) -> Iterable[tuple[bytes, ...]]:
    """Yield keys in parts that fit a frame."""
    waiting = iter(keys)
    while page := tuple(islice(waiting, MAX_NAMES)):
        yield page
