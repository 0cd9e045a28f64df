"""The API's documents as text for a person: nodes, their rows and their cards."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from daemon.cli.output import Column, to_json
from daemon.cli.text import ago, cut, number, safe_line
from daemon.client import Document

NODE_COLUMNS: Final = (
    Column("key"),
    Column("label", wide=True),
    Column("type"),
    Column("energy", right=True),
    Column("changed"),
)
_LABEL_LENGTH: Final = 72


def items(answer: Any) -> list[Any]:
    """Return what a list answered, whether it comes in pages or whole."""
    return list(answer["items"] if isinstance(answer, dict) else answer)


def node_of(entry: Document) -> Document:
    """Return the node of a search hit or neighbour."""
    node: Document = entry.get("node", entry)
    return node


def label_of(node: Document) -> str:
    """Return a label on one line, cut where a row has no more room."""
    return cut(safe_line(node["label"]), _LABEL_LENGTH)


def node_row(node: Document) -> Sequence[str]:
    """Return the cells of `NODE_COLUMNS`."""
    return (
        safe_line(node["key"]),
        label_of(node),
        safe_line(node["type"]),
        number(node["energy"]["atp"]),
        ago(node["updated_at"], datetime.now(UTC)),
    )


def value_text(value: Any) -> str:
    """Return one metadata value: text as it is, anything else as JSON."""
    return safe_line(value) if isinstance(value, str) else to_json(value)
