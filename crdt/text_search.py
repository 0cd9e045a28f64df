"""Nodes by the words of their label and body, best first.

The newest matches are ranked, up to a bound: of a word that stands in every tenth of a
million nodes nobody looks at the hundred-thousandth hit, and counting them all, as
BM25 must, takes a tenth of a second.
"""

from typing import Final

import apsw

from crdt.text_query import match_expression, relevance

CANDIDATES: Final = 1_000
_BODY_RELEVANCE: Final = 0.1
"""Of words that stand in the body alone; any word in the label counts more."""
_NEWEST: Final = (
    "SELECT node.id, node.label FROM node_text"
    " JOIN node ON node.id = node_text.rowid"
    " WHERE node_text MATCH ?1 AND (?2 IS NULL OR node.type = ?2)"
    " AND (?4 IS NULL OR node.network = ?4)"
    " ORDER BY node_text.rowid DESC LIMIT ?3"
)


def matching(
    connection: apsw.Connection,
    wanted: list[str],
    enough: int,
    node_type: str | None,
    network: str | None = None,
    *,
    all_words: bool = False,
) -> dict[int, float]:
    """Return relevance (above 0, at most 1) by row number, in no order.

    First nodes with all of the words in their label, then with all of them anywhere,
    then with any of them unless `all_words`, until there are `enough`.
    """
    found: dict[int, float] = {}
    every, some = (match_expression(wanted, every=flag) for flag in (True, False))
    expressions = [f"label : ({every})", every]
    for expression in expressions if all_words else [*expressions, some]:
        rows: list[tuple[int, str]] = connection.execute(  # type: ignore[assignment]  # typed by the schema
            _NEWEST, (expression, node_type, CANDIDATES, network)
        ).fetchall()
        for number, label in rows:
            if number not in found:
                found[number] = max(relevance(label, wanted), _BODY_RELEVANCE)
        if len(found) >= enough:
            break
    return found
