"""What two devices of a circle tell each other of items that came from others.

Specification: docs/protocol/circle-sync.md. Who made an item gives it to all that it is
linked with; of what came from others only the names are told, for mostly the peer was
given the same. It asks for what it does not get from elsewhere in a moment.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import DeviceId
from transport.circle_actions import CircleAction, Seek, Send
from transport.circle_frames import MAX_NAMES, Ask, Tell
from transport.sorted_names import key_of, name_of

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
        self._heard: Final = {kind: dict[bytes, int]() for kind in ItemKind}

    @property
    def due_ms(self) -> int | None:
        """When something heard of is to be looked for."""
        firsts = [next(iter(each.values())) for each in self._heard.values() if each]
        return min(firsts, default=None)

    def note(self, kind: ItemKind, keys: Iterable[bytes]) -> None:
        """Tell of what came from others, when it is known who brought it."""
        self._to_tell[kind].update(dict.fromkeys(keys))

    def take_told(self) -> dict[ItemKind, list[bytes]]:
        """Return what is to be told now."""
        found = {kind: list(each) for kind, each in self._to_tell.items() if each}
        for each in self._to_tell.values():
            each.clear()
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
        self.take_told()

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
