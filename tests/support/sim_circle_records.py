"""What one device of a simulated circle holds durably, by simple rules.

A statement makes a member. What a member made is taken from who knows the member. Of
cards the newest of each member counts. Some items a device refuses for good.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from crdt.circle_items import ItemKind, ItemName
from tests.support.name_set import NameSet
from transport.circle_exchange import Kept, Loaded
from transport.circle_frames import MAX_PAYLOAD_BYTES, CircleState
from transport.sorted_names import SortedNames


class Made(NamedTuple):
    """An item of a simulated circle."""

    kind: int
    epoch: int
    author: int
    sequence: int
    filling: bytes

    @property
    def name(self) -> ItemName:
        digest = hashlib.sha256(msgspec.msgpack.encode(self[:4])).digest()
        return ItemName(self.epoch, digest)


class SimRecords:
    """The items of one device."""

    def __init__(self, me: int) -> None:
        self.me: Final = me
        self.items: Final = {kind: dict[ItemName, Made]() for kind in ItemKind}
        self.sets: Final = {kind: NameSet() for kind in ItemKind}
        self.members: Final[set[int]] = set()
        self.refuses: Final[set[ItemName]] = set()
        """What this device does not take."""
        self.tokens: float = float("inf")
        """How many items it takes at present."""
        self.is_paused = False
        self.result: bytes | None = None
        self.refused = 0
        self.doubles = 0
        """Items that came although they were held."""
        self._made = 0

    def state(self) -> CircleState:
        """Return how this device stands."""
        statement, card, contribution, vote = (
            self.sets[kind].summary for kind in ItemKind
        )
        sets = (statement, card, contribution, vote)
        return CircleState(sets, self.result, self.is_paused)

    def make(self, kind: ItemKind, size: int) -> ItemName:
        """Make an item of this device's member, which is durable then."""
        self._made += 1
        epoch = self._made % 3 if kind is ItemKind.CONTRIBUTION else 0
        made = Made(kind, epoch, self.me, self._made, bytes(size))
        assert self.take(made) == "new"
        return made.name

    def take(self, made: Made) -> str:
        """Take an item; say whether it is new, held, old, or refused."""
        kind, name = ItemKind(made.kind), made.name
        if name in self.items[kind]:
            self.doubles += 1
            return "held"
        is_strange = kind is not ItemKind.STATEMENT and made.author not in self.members
        if is_strange or name in self.refuses or self.tokens < 1:
            self.refused += 1
            return "refused"
        if kind is ItemKind.CARD:
            for other, held in list(self.items[kind].items()):
                if held.author == made.author:
                    if held.sequence > made.sequence:
                        return "old"
                    del self.items[kind][other]
                    self.sets[kind].discard(other)
        self.tokens -= 1
        self.items[kind][name] = made
        self.sets[kind].add(name)
        if kind is ItemKind.STATEMENT:
            self.members.add(made.author)
        return "new"

    def names(self, kind: ItemKind) -> SortedNames:
        """Return the names of a set in order."""
        return self.sets[kind].sorted_names()

    def lacking(self, kind: ItemKind, names: Iterable[ItemName]) -> list[ItemName]:
        """Return those that this device neither holds nor refuses."""
        held = self.items[kind]
        return [each for each in names if each not in held and each not in self.refuses]

    def load(self, kind: ItemKind, names: Sequence[ItemName]) -> Loaded:
        """Return a payload with the first of these items."""
        found: list[Made] = []
        size = 0
        for at, name in enumerate(names):
            made = self.items[kind].get(name)
            if made is None:
                continue
            size += len(made.filling) + 32
            if found and size > MAX_PAYLOAD_BYTES:
                return Loaded(msgspec.msgpack.encode(found), names[at:])
            found.append(made)
        return Loaded(msgspec.msgpack.encode(found) if found else b"", ())

    def keep(self, kind: ItemKind, payload: bytes) -> tuple[Kept, list[ItemName]]:
        """Store the items of a payload; return also the names of those that are new."""
        came = msgspec.msgpack.decode(payload, type=list[Made])
        fates = [self.take(each) for each in came]
        new = [
            each.name for each, fate in zip(came, fates, strict=True) if fate == "new"
        ]
        names = [each.name for each in came]
        assert all(each.kind == kind for each in came)
        return Kept(names, len(new), fates.count("refused")), new
