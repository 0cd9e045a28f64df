"""Values that are remembered as long as they are needed each time."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Values by all that they follow from; one round not asked for, and forgotten."""

    def __init__(self) -> None:
        self._former: dict[Key, Value] = {}
        self._present: dict[Key, Value] = {}

    def begin_round(self) -> None:
        """Forget what the last round did not ask for."""
        self._former, self._present = self._present, {}

    def recall(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of `key`, made now if it is not remembered."""
        if key not in self._present:
            former = self._former.get(key)
            self._present[key] = make() if former is None else former
        return self._present[key]
