"""Printing: JSON as the API answers it, tables, and the fields of one thing.

Rule: whatever is printed here arrives safe (see `text`).
Rule: a table is no wider than a terminal; in a file or a pipe it takes its room.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from daemon.cli.text import cut, safe_json, width

_GAP: Final = "  "
_LEAST_WIDTH: Final = 12


def to_json(document: Any) -> str:
    """Return `document` as one line of JSON that is safe to print."""
    compact = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return safe_json(compact)


def print_json(document: Any) -> None:
    """Print what the API answered, nothing if it answered nothing."""
    if document is not None:
        click.echo(to_json(document))


def print_fields(fields: Iterable[tuple[str, str]], indent: int = 0) -> None:
    """Print names and values in two columns; further lines of a value line up."""
    rows = list(fields)
    column = max((width(name) for name, _ in rows), default=0)
    for name, value in rows:
        padding = " " * (column - width(name) + 2)
        lines = value.split("\n")
        click.echo(" " * indent + click.style(name, dim=True) + padding + lines[0])
        for line in lines[1:]:
            click.echo(" " * (indent + column + 2) + line)


def hint(text: str) -> None:
    """Print a remark that is not part of the answer."""
    click.secho(text, err=True, dim=True)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    wide: bool = False
    """Gives way when the terminal is narrow: its cells are cut short."""
    right: bool = False
    """Aligned to the right, as numbers are."""


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, header: bool = True
) -> None:
    """Print `rows`, one cell per column, aligned; on a terminal no wider than it."""
    titles = [column.title.upper() if header else "" for column in columns]
    needed = [max(map(width, cells)) for cells in zip(titles, *rows, strict=True)]
    room = _fitting(columns, needed) if sys.stdout.isatty() else needed
    if header:
        click.secho(_aligned(columns, room, titles), dim=True)
    for row in rows:
        click.echo(_aligned(columns, room, row))


def _fitting(columns: Sequence[Column], needed: Sequence[int]) -> Sequence[int]:
    """Return the widths with which a row fits the terminal, if it can."""
    gaps = len(_GAP) * (len(columns) - 1)
    excess = sum(needed) + gaps - shutil.get_terminal_size().columns
    if excess <= 0:
        return needed
    return [
        min(room, max(_LEAST_WIDTH, room - excess)) if column.wide else room
        for column, room in zip(columns, needed, strict=True)
    ]


def _aligned(
    columns: Sequence[Column], room: Sequence[int], cells: Sequence[str]
) -> str:
    """Return one row."""
    padded = []
    for column, space, cell in zip(columns, room, cells, strict=True):
        shown = cut(cell, space)
        padding = " " * (space - width(shown))
        padded.append(padding + shown if column.right else shown + padding)
    return _GAP.join(padded).rstrip()
