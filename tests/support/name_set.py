"""A set of names that knows what a peer is told of it."""

from collections.abc import Iterable

from crdt.circle_items import ItemName
from transport.circle_frames import ID_BYTES, SetSummary
from transport.sorted_names import SortedNames


class NameSet:
    """Names that come and go."""

    def __init__(self, names: Iterable[ItemName] = ()) -> None:
        self._names = set(names)
        self._total = sum(int.from_bytes(name.id) for name in self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def summary(self) -> SetSummary:
        """What a peer is told of the set."""
        total = self._total % 2 ** (8 * ID_BYTES)
        return SetSummary(len(self._names), total.to_bytes(ID_BYTES))

    def add(self, name: ItemName) -> None:
        """Take in a name, if it is not there."""
        if name not in self._names:
            self._names.add(name)
            self._total += int.from_bytes(name.id)

    def discard(self, name: ItemName) -> None:
        """Let go of a name, if it is there."""
        if name in self._names:
            self._names.remove(name)
            self._total -= int.from_bytes(name.id)

    def sorted_names(self) -> SortedNames:
        """Return the names in order."""
        return SortedNames.of(self._names)
