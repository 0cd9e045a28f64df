"""What commands about circles have in common: which circle is meant, durations."""

import re
import textwrap
from typing import Any, Final

import click

from crdt.errors import ConflictError, NotFoundError
from daemon.cli.shapes import items
from daemon.cli.text import many, safe_line
from daemon.client import Client, Document

SHORT_ID: Final = 8
SHORT_KEY: Final = 12
"""Digits of a consensus node's key: enough to tell it from any other."""
_LEAST_PREFIX: Final = 4
_COLUMNS: Final = 78
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def circle_path(circle: Document, part: str = "") -> str:
    """Return the route of a circle, or of a `part` of it."""
    route = f"/v1/circles/{circle['id']}"
    return f"{route}/{part}" if part else route


def chosen_circle(client: Client, text: str | None) -> Document:
    """Return the circle that is named by name or id; the only one if none is.

    Raises `NotFoundError`, or `ConflictError` if there are several.
    """
    listed = items(client.get("/v1/circles"))
    if text is not None:
        return _only([each for each in listed if _is_named(each, text)], text)
    active = [each for each in listed if each["state"] == "active"]
    if not active:
        message = (
            "You are in no circle. 'fractality circle found NAME' begins one;"
            " 'fractality circle join TICKET' enters one."
        )
        if listed:
            message = (
                "You are in no circle any more: 'fractality circle list' says which you"
                " left or were removed from; 'fractality circle join' enters one."
            )
        raise NotFoundError(message)
    if len(active) > 1:
        names = ", ".join(safe_line(each["name"]) for each in active)
        message = f"You are in several circles ({names}): say which by --circle."
        raise ConflictError(message)
    chosen: Document = active[0]
    return chosen


def _is_named(circle: Document, text: str) -> bool:
    is_prefix = len(text) >= _LEAST_PREFIX and circle["id"].startswith(text.lower())
    return bool(circle["name"] == text or is_prefix)


def _only(found: list[Any], text: str) -> Document:
    active = [each for each in found if each["state"] == "active"] or found
    if not active:
        message = f"There is no circle {text!r}; 'fractality circle list' lists them."
        raise NotFoundError(message)
    if len(active) > 1:
        message = f"{many(len(active), 'circle')} go by {text!r}: give the id instead."
        raise ConflictError(message)
    chosen: Document = active[0]
    return chosen


def chosen_member(circle: Document, text: str) -> Document:
    """Return the member of a circle that is named by alias or id."""
    found = [
        each
        for each in circle["members"]
        if each["alias"] == text
        or (len(text) >= _LEAST_PREFIX and each["id"].startswith(text.lower()))
    ]
    if not found:
        message = f"There is no member {text!r}; 'fractality circle show' lists them."
        raise NotFoundError(message)
    if len(found) > 1:
        message = f"{many(len(found), 'member')} go by {text!r}: give the id instead."
        raise ConflictError(message)
    chosen: Document = found[0]
    return chosen


class Duration(click.ParamType[int]):
    """A length of time such as 30m, 12h or 7d, in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the seconds."""
        if isinstance(value, int):
            return value
        parsed = _DURATION.fullmatch(value)
        if parsed is None:
            self.fail(f"{value!r} is no length of time such as 30m, 12h or 7d")
        return int(parsed[1]) * _SECONDS[parsed[2]]


def paragraph(text: str) -> str:
    """Return a text of ours in lines that can be read."""
    return textwrap.fill(safe_line(text), _COLUMNS)


CIRCLE_OPTION: Final = click.option(
    "--circle", metavar="CIRCLE", help="Which one, by name or id.  [default: the only]"
)
