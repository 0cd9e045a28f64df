"""A contribution: one text that one person published to one circle.

Specification: docs/protocol/consensus.md. Rules of this file:

1. One content has one encoding; the hash of the bytes names the record, and they are
   never encoded a second time.
2. What is checked here needs the record alone, and neither clock nor setting: a record
   is valid on every device or on none. Whether its author belongs to the circle is for
   whoever knows the members.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from consensus.errors import Fault, InvalidRecordError
from consensus.model_tag import DIMENSION, TAG_BYTES
from consensus.published_text import check_text
from crdt.errors import ConflictError
from crdt.keys import Domain, SigningKey, verify_signature

VERSION: Final = 1
CIRCLE_BYTES: Final = 32
AUTHOR_BYTES: Final = 32
REFERENCE_BYTES: Final = 16
MAX_RECORD_BYTES: Final = 1024
"""More than any record has; what is longer is not even looked at."""
MAX_SEQUENCE: Final = 2**64 - 1
MAX_EPOCH: Final = 2**32 - 1
SECONDS_OF_AN_EPOCH: Final = 604_800
LARGEST: Final = 127
"""The largest magnitude in a vector, exactly."""


class Operation(IntEnum):
    """What a record does with the node that its reference stands for."""

    CONTRIBUTE = 0
    RETRACT = 1


Author: TypeAlias = bytes
"""The key of a person in a circle (32 bytes)."""
Reference: TypeAlias = bytes
"""What an author calls the node that a contribution came from (16 bytes)."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """A valid record; signed or not is told elsewhere."""

    circle: bytes
    author: Author
    reference: Reference
    sequence: int
    operation: Operation
    text: str
    model: bytes
    vector: bytes
    """384 signed integers of one byte each; none in a retraction."""
    epoch: int
    encoded: bytes
    id: bytes
    """SHA-256 of `encoded`."""

    @property
    def is_live(self) -> bool:
        """Whether it takes part, if no other record replaces it."""
        return self.operation is Operation.CONTRIBUTE


class _Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: Literal[1]
    circle: Annotated[
        bytes, msgspec.Meta(min_length=CIRCLE_BYTES, max_length=CIRCLE_BYTES)
    ]
    author: Annotated[
        bytes, msgspec.Meta(min_length=AUTHOR_BYTES, max_length=AUTHOR_BYTES)
    ]
    reference: Annotated[
        bytes, msgspec.Meta(min_length=REFERENCE_BYTES, max_length=REFERENCE_BYTES)
    ]
    sequence: int
    operation: Operation
    text: str
    model: bytes
    vector: Annotated[bytes, msgspec.Meta(max_length=DIMENSION)]
    epoch: Annotated[int, msgspec.Meta(ge=0, le=MAX_EPOCH)]


def contribute(
    circle: bytes,
    author: Author,
    reference: Reference,
    sequence: int,
    *,
    text: str,
    model: bytes,
    vector: bytes,
    epoch: int,
) -> Contribution:
    """Return the record by which `author` publishes `text`."""
    return _write(
        _Wire(
            version=VERSION,
            circle=circle,
            author=author,
            reference=reference,
            sequence=sequence,
            operation=Operation.CONTRIBUTE,
            text=text,
            model=model,
            vector=vector,
            epoch=epoch,
        )
    )


def retract(
    circle: bytes,
    author: Author,
    reference: Reference,
    sequence: int,
    *,
    model: bytes,
    epoch: int,
) -> Contribution:
    """Return the record by which `author` takes back what `reference` stands for."""
    return _write(
        _Wire(
            version=VERSION,
            circle=circle,
            author=author,
            reference=reference,
            sequence=sequence,
            operation=Operation.RETRACT,
            text="",
            model=model,
            vector=b"",
            epoch=epoch,
        )
    )


def next_sequence(largest: int) -> int:
    """Return the sequence after the largest of the author that is known here, or 0.

    Raises `ConflictError` when there is none left.
    """
    if largest >= MAX_SEQUENCE:
        detail = (
            "A record of yours has the last number there is, so nothing more can be "
            "published to this circle under your key. What is published stays."
        )
        raise ConflictError(detail)
    return largest + 1


def decode_contribution(encoded: bytes) -> Contribution:
    """Return the contribution that `encoded` is the only valid encoding of.

    Raises `InvalidRecordError`.
    """
    if len(encoded) > MAX_RECORD_BYTES:
        raise InvalidRecordError(Fault.SIZE, "A record is larger than any can be")
    try:
        wire = _DECODER.decode(encoded)
    except UnicodeDecodeError:
        detail = "A record's text is not UTF-8"
        raise InvalidRecordError(Fault.UTF8, detail) from None
    except msgspec.DecodeError:
        raise _form_error(encoded) from None
    if wire.sequence < 0:
        detail = "A record's sequence is below 0"
        raise InvalidRecordError(Fault.SEQUENCE, detail)
    if len(wire.model) != TAG_BYTES:
        detail = f"A record's model tag has not {TAG_BYTES} bytes"
        raise InvalidRecordError(Fault.MODEL, detail)
    if msgspec.msgpack.encode(wire) != encoded:
        detail = "A record is not in its only valid encoding"
        raise InvalidRecordError(Fault.ENCODING, detail)
    if wire.operation is Operation.RETRACT:
        if wire.text or wire.vector:
            detail = "A retraction has a text or a vector"
            raise InvalidRecordError(Fault.FORM, detail)
    else:
        check_text(wire.text)
        _check_vector(wire.vector)
    return Contribution(
        circle=wire.circle,
        author=wire.author,
        reference=wire.reference,
        sequence=wire.sequence,
        operation=wire.operation,
        text=wire.text,
        model=wire.model,
        vector=wire.vector,
        epoch=wire.epoch,
        encoded=encoded,
        id=hashlib.sha256(encoded).digest(),
    )


def sign_contribution(author: SigningKey, contribution: Contribution) -> bytes:
    """Return the author's signature (64 bytes) of a record."""
    return author.sign(Domain.CONTRIBUTION, contribution.encoded)


def verify_contribution(contribution: Contribution, signature: bytes) -> None:
    """Raise `ForgedError` unless the author signed the record."""
    verify_signature(
        Domain.CONTRIBUTION, contribution.author, signature, contribution.encoded
    )


def _write(wire: _Wire) -> Contribution:
    return decode_contribution(msgspec.msgpack.encode(wire))


def _check_vector(vector: bytes) -> None:
    """Check that the largest of 384 magnitudes is 127."""
    if len(vector) != DIMENSION:
        detail = f"A record's vector has not {DIMENSION} numbers"
        raise InvalidRecordError(Fault.VECTOR, detail)
    found = set(vector)
    # As bytes, 127 is 0x7f, -127 is 0x81; 0x80 would be -128.
    if 0x80 in found or not found & {0x7F, 0x81}:
        detail = f"The largest magnitude in a record's vector is not {LARGEST}"
        raise InvalidRecordError(Fault.VECTOR, detail)


def _form_error(encoded: bytes) -> InvalidRecordError:
    is_array = b"\x90" <= encoded[:1] <= b"\x9f"
    if is_array and VERSION < int.from_bytes(encoded[1:2]) < 0x80:
        detail = "A record is of a later version: update this program to read it"
        return InvalidRecordError(Fault.VERSION, detail)
    return InvalidRecordError(Fault.FORM, "A record does not follow its format")


_DECODER: Final = msgspec.msgpack.Decoder(_Wire)
