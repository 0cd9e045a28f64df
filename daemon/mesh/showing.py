"""What of a roster is shown to somebody who may lack it, and in what form.

Specification: docs/protocol/signalling.md, "Introduction". Statements prove themselves,
so that nothing but their number and size is checked here.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Final, TypeAlias

import msgspec

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from crdt.statement import MAX_STATEMENT_BYTES, Statement
from crdt.statement_kinds import Remove

MAX_SHOWN: Final = 64
MAX_SHOWN_BYTES: Final = 12 * 1024
"""So that a request stays small; what is left out comes by a session."""
LARGEST_SHOWN: Final = 16 * 1024 - 256
"""A single larger one is shown up to this: a key for a full circle has 13 KiB."""
MAX_HASHES: Final = 128

Heads: TypeAlias = Annotated[
    tuple[Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)], ...],
    msgspec.Meta(max_length=MAX_HASHES),
]
"""Up to where somebody knows a roster."""
Shown: TypeAlias = Annotated[
    tuple[
        Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_STATEMENT_BYTES)],
        ...,
    ],
    msgspec.Meta(max_length=MAX_SHOWN),
]


class Answered(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True
):
    """What the asker may lack."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    statements: Shown


def decode_answered(encoded: bytes) -> Answered:
    """Return an answer; raises `MalformedError`."""
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedError(COMPLAINT) from None


def lacking(
    statements: Sequence[Statement], heads: frozenset[bytes], removed: DeviceId | None
) -> bytes:
    """Return the answer with the statements that are not behind `heads`.

    As many as fit, causes first. Who is `removed` is shown its removal, and nothing
    that came after it.
    """
    known = _with_causes(statements, heads)
    shown = {each.hash for each in statements}
    if removed is not None:
        removals = (each.hash for each in statements if _removes(each, removed))
        shown = _with_causes(statements, frozenset(removals))
    lacking = [
        each.encoded
        for each in statements
        if each.hash in shown and each.hash not in known
    ]
    return msgspec.msgpack.encode(Answered(1, fitting(lacking)))


def fitting(statements: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the first statements, as many as one message holds."""
    sizes = accumulate(map(len, statements[:MAX_SHOWN]))
    count = sum(size <= MAX_SHOWN_BYTES for size in sizes)
    if count == 0 and statements and len(statements[0]) <= LARGEST_SHOWN:
        count = 1
    return tuple(statements[:count])


def _with_causes(
    statements: Sequence[Statement], hashes: frozenset[bytes]
) -> set[bytes]:
    """Return hashes and those of all that they build upon; causes come first."""
    found = set(hashes)
    for each in reversed(statements):
        if each.hash in found:
            found.update(each.parents)
    return found


def _removes(statement: Statement, device: DeviceId) -> bool:
    return isinstance(statement.body, Remove) and statement.body.device == device


COMPLAINT: Final = "An introduction of a device breaks its format; it was dropped."
_DECODER: Final = msgspec.msgpack.Decoder(Answered)
