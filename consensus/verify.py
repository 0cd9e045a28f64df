"""Consensus worked out again by anybody, from a file and nothing else.

Specification: docs/protocol/consensus.md, section "Verification".

Rule: a line that is wrong ends it with the line's number. What was left out silently
would give a hash that nobody else has.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from consensus.contribution import (
    AUTHOR_BYTES,
    MAX_RECORD_BYTES,
    Author,
    Contribution,
    decode_contribution,
)
from consensus.errors import InvalidRecordError
from consensus.invitations import Invitation, InviteTree
from consensus.rc1 import consensus
from consensus.result import ConsensusNode
from consensus.rule import Preset
from crdt.errors import InvalidError

MAX_LINE_BYTES: Final = 2 * MAX_RECORD_BYTES + 256


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    record: str | None = None
    member: str | None = None
    inviter: str | None = None
    vouched: bool = False


def verify(lines: Iterable[bytes], preset: Preset) -> dict[str, Any]:
    """Return the consensus of the records and members in `lines`, as it is printed.

    Raises `InvalidError` that names the line.
    """
    records: list[Contribution] = []
    invitations: dict[Author, Invitation] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                _read(line, records, invitations)
            except InvalidRecordError as error:
                raise InvalidError(f"line {number}", error.detail) from None
            except ValueError as error:
                raise InvalidError(f"line {number}", str(error)) from None
    tree = InviteTree(invitations)
    circle = records[0].circle if records else b""
    result = consensus(circle, preset, tree, records)
    return {
        "nodes": [_shown(node) for node in result.nodes],
        "result_hash": result.hash.hex(),
    }


def _read(
    line: bytes, records: list[Contribution], invitations: dict[Author, Invitation]
) -> None:
    """Add what a line says, or raise `InvalidRecordError` or `ValueError`."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(_WRONG)
    try:
        said = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError(_WRONG) from None
    if (said.record is None) == (said.member is None):
        raise ValueError(_WRONG)
    if said.record is not None:
        record = decode_contribution(_bytes(said.record))
        if records and record.circle != records[0].circle:
            detail = "its record is of another circle than those before it"
            raise ValueError(detail)
        records.append(record)
    if said.member is not None:
        member = _author(said.member)
        inviter = None if said.inviter is None else _author(said.inviter)
        invitation = Invitation(inviter, is_vouched=said.vouched)
        if invitations.setdefault(member, invitation) != invitation:
            detail = "it contradicts an earlier line about the same member"
            raise ValueError(detail)


def _author(text: str) -> Author:
    author = _bytes(text)
    if len(author) != AUTHOR_BYTES:
        detail = f"a member's key has {AUTHOR_BYTES} bytes"
        raise ValueError(detail)
    return author


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        detail = "bytes are given as hexadecimal digits"
        raise ValueError(detail) from None


def _shown(node: ConsensusNode) -> dict[str, Any]:
    return {
        "key": node.key.hex(),
        "status": node.status.value,
        "counted_authors": node.counted_authors,
        "contributor_count": node.contributor_count,
        "members": [each.hex() for each in node.members],
        "label_id": node.label_id.hex(),
        "label": node.label,
        "score": node.score,
    }


_WRONG: Final = 'it is neither {"record": ...} nor {"member": ..., "inviter": ...}'
_DECODER: Final = msgspec.json.Decoder(_Line)
