"""Instants as RFC 3339 text, exact to the millisecond.

Integers throughout: a float of seconds would lose milliseconds in far years.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from crdt.errors import InvalidError
from crdt.schema import MAX_TIME_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def format_time(time_ms: int) -> str:
    """Return Unix milliseconds as text in UTC, such as 2026-01-02T03:04:05.678Z."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: str, field: str) -> int:
    """Return the Unix milliseconds of a time; without an offset it is UTC.

    Raises `InvalidError` naming `field` if `text` is no time from 1970 to 9999.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError(
            field, "must be a time such as 2026-01-02T03:04:05Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    time_ms = (moment - _EPOCH) // _MILLISECOND
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidError(field, "must be a time from 1970 to 9999")
    return time_ms
