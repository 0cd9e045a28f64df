"""Reading server-sent events (WHATWG HTML, 9.2.6) from lines.

Rule: only what the daemon sends: `id`, `event` and `data` fields and comments; fields
of any other name are ignored, as the standard asks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the daemon."""

    id: str
    """Its number; empty for those that are not counted, such as `lost`."""
    type: str
    data: str
    """A JSON object."""


def parse_events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events of `lines`, each as soon as its blank line has come."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                kind = fields.get("event", "message")
                yield Event(fields.get("id", ""), kind, fields["data"])
            fields = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" and "data" in fields:
            value = f"{fields['data']}\n{value}"
        fields[name] = value
