"""Pages of what is in memory whole."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from daemon.api.nodes import decode_cursor, encode_cursor

Entry = TypeVar("Entry")


def page_of(
    entries: Sequence[Entry],
    name: Callable[[Entry], str],
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[Entry], str | None]:
    """Return the entries behind a cursor, and the cursor behind these.

    A cursor of an entry that is gone begins anew.
    """
    after = decode_cursor(cursor)
    names = [name(each) for each in entries]
    begin = names.index(after) + 1 if after in names else 0
    page = entries[begin : begin + limit]
    is_more = begin + limit < len(entries)
    return page, encode_cursor(name(page[-1])) if is_more else None
