"""Which statements from outside are worth a look at the whole roster."""

from collections import Counter
from collections.abc import Iterable

from crdt.circle_membership import CircleMembership
from crdt.errors import ForgedError, MalformedError
from crdt.statement import MAX_STATEMENT_BYTES, decode_statement, statement_hash
from daemon.circles.refusals import Refusal


def sorted_out(
    membership: CircleMembership, contents: Iterable[bytes]
) -> tuple[dict[bytes, bytes], Counter[Refusal]]:
    """Return by hash the new statements about this circle, and why not the others."""
    good: dict[bytes, bytes] = {}
    refused: Counter[Refusal] = Counter()
    for content in contents:
        name = statement_hash(content)
        if len(content) > MAX_STATEMENT_BYTES:
            refused[Refusal.SIZE] += 1
        elif name in membership.statements or name in good:
            refused[Refusal.DUPLICATE] += 1
        elif (fault := _fault(membership, content)) is not None:
            refused[fault] += 1
        else:
            good[name] = content
    return good, refused


def _fault(membership: CircleMembership, content: bytes) -> Refusal | None:
    try:
        statement = decode_statement(content)
    except MalformedError:
        return Refusal.FORM
    except ForgedError:
        return Refusal.SIGNATURE
    return None if statement.space == membership.keys.space else Refusal.CIRCLE
