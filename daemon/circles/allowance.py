"""How many records of one author are taken in a time.

An author may bring at once whatever can stand of theirs; only who goes on replacing
records is slowed down. What is not taken is not lost: whoever has it offers it again,
and by then there is room. So devices come to hold equal sets, if later.
"""

from dataclasses import dataclass, field

from crdt.ids import AuthorKey


@dataclass(slots=True)
class Allowance:
    """Room for records of each author, which fills up again as time passes."""

    most: int
    """So many at once."""
    refill_ms: int
    """After so long there is room for one more."""
    _used: dict[AuthorKey, tuple[float, int]] = field(default_factory=dict)
    """By author: how much room was used up, and when that was."""

    def take(self, author: AuthorKey, now_ms: int) -> bool:
        """Use up room for one record of an author; return whether there was any."""
        used, since_ms = self._used.get(author, (0.0, now_ms))
        used = max(0.0, used - (now_ms - since_ms) / self.refill_ms)
        has_room = used + 1 <= self.most
        self._used[author] = (used + 1 if has_room else used), now_ms
        return has_room

    def forget(self, author: AuthorKey) -> None:
        """Drop what is known of somebody who is no member."""
        self._used.pop(author, None)
