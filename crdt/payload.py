"""What an envelope carries: changes, compressed, and padded to hide their size.

Specification: docs/protocol/envelope.md. Rules of this file:

1. Each count and length is checked before memory is spent on it.
2. A change that decodes is valid as a form; whether its Yjs bytes are is for the
   update parser, which sees them next.
"""

import zlib
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn, TypeAlias

import msgspec

from crdt.energy import HALF_LIFE, MAX_HALF_LIFE, MAX_LANDMARK
from crdt.errors import InvalidError, MalformedError
from crdt.ids import SHARD_COUNT, DeviceId, NodeKey, ShardNumber, check_key

MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024
MAX_CHANGES: Final = 16_384
MAX_ACCUMULATORS: Final = 16_384
_MARKER_RAW: Final = 0
_MARKER_ZLIB: Final = 1
_PREFIX_BYTES: Final = 5

Landmark: TypeAlias = Annotated[float, msgspec.Meta(ge=-MAX_LANDMARK, le=MAX_LANDMARK)]
"""A landmark that some clock could have made; no infinity and no NaN."""


class ShardChange(
    msgspec.Struct, frozen=True, array_like=True, tag=0, forbid_unknown_fields=True
):
    """A Yjs update of one shard."""

    shard: Annotated[ShardNumber, msgspec.Meta(ge=0, lt=SHARD_COUNT)]
    update: bytes


class BodyChange(
    msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True
):
    """A Yjs update of the body of one node."""

    node: NodeKey
    update: bytes


class EnergyChange(
    msgspec.Struct, frozen=True, array_like=True, tag=2, forbid_unknown_fields=True
):
    """Accumulators of one device in landmark form, merged by maximum."""

    device: Annotated[DeviceId, msgspec.Meta(min_length=16, max_length=16)]
    """Who spent the energy: not the sealing device when an export was imported."""
    accumulators: Annotated[
        tuple[tuple[NodeKey, Landmark], ...], msgspec.Meta(max_length=MAX_ACCUMULATORS)
    ]

    @property
    def half_life(self) -> int:
        """In hours."""
        return HALF_LIFE


class PacedEnergyChange(
    msgspec.Struct, frozen=True, array_like=True, tag=3, forbid_unknown_fields=True
):
    """Accumulators under another half-life than the usual one, in landmark form."""

    device: Annotated[DeviceId, msgspec.Meta(min_length=16, max_length=16)]
    half_life: Annotated[int, msgspec.Meta(ge=1, le=MAX_HALF_LIFE)]
    """In hours."""
    accumulators: Annotated[
        tuple[tuple[NodeKey, Landmark], ...], msgspec.Meta(max_length=MAX_ACCUMULATORS)
    ]


AnyEnergyChange: TypeAlias = EnergyChange | PacedEnergyChange
Change: TypeAlias = ShardChange | BodyChange | AnyEnergyChange
_Changes: TypeAlias = Annotated[
    tuple[Change, ...], msgspec.Meta(min_length=1, max_length=MAX_CHANGES)
]


def energy_change(
    device: DeviceId,
    half_life: int,
    accumulators: tuple[tuple[NodeKey, float], ...],
) -> AnyEnergyChange:
    """Return the change that tells accumulators of a device under a half-life."""
    if half_life == HALF_LIFE:
        return EnergyChange(device, accumulators)
    return PacedEnergyChange(device, half_life, accumulators)


def encoded_size(change: Change) -> int:
    """Return the bytes that a change takes in an uncompressed payload."""
    return len(msgspec.msgpack.encode(change))


def encode_payload(changes: tuple[Change, ...]) -> bytes:
    """Return changes as they are sealed: compressed if that helps, then padded.

    Raises `InvalidError` if they break a rule of payloads: an envelope that others
    refuse would end the chain of this device for them.
    """
    plain = msgspec.msgpack.encode(changes)
    try:
        _read(plain)
    except MalformedError:
        raise InvalidError("changes", "break the rules of an envelope") from None
    return shrink(plain)


def decode_payload(padded: bytes) -> tuple[Change, ...]:
    """Return the changes of a payload, or raise `MalformedError`."""
    return _read(expand(padded))


def shrink(plain: bytes) -> bytes:
    """Return bytes compressed if that helps, then padded."""
    compressed = zlib.compress(plain, level=1)
    if len(compressed) < len(plain):
        return _pad(_MARKER_ZLIB, compressed)
    return _pad(_MARKER_RAW, plain)


def expand(padded: bytes) -> bytes:
    """Return what `shrink` took, or raise `MalformedError`."""
    marker, body = _strip(padded)
    if marker == _MARKER_ZLIB:
        body = _inflate(body)
    elif marker != _MARKER_RAW:
        _refuse("is compressed in an unknown way")
    return body


def check_changes(changes: Sequence[Change]) -> None:
    """Raise `InvalidError` for a node key that breaks the rules of keys."""
    for change in changes:
        _check_keys(change)


def padded_size(size: int) -> int:
    """Return the size to which `size` bytes are padded: at most 12 % more.

    Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
    Communication with PURBs", 2019): only the leading bits of a length survive, so
    that it tells O(log log size) bits.
    """
    exponent = size.bit_length() - 1
    if exponent < 1:
        return size
    hidden_bits = exponent - exponent.bit_length()
    mask = (1 << hidden_bits) - 1
    return size + mask & ~mask


def _read(plain: bytes) -> tuple[Change, ...]:
    if len(plain) > MAX_PAYLOAD_BYTES:
        _refuse("is larger than allowed")
    try:
        changes: tuple[Change, ...] = _DECODER.decode(plain)
        check_changes(changes)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidError):
        _refuse("does not follow its format")
    return changes


def _pad(marker: int, body: bytes) -> bytes:
    content = bytes([marker]) + len(body).to_bytes(4) + body
    return content.ljust(padded_size(len(content)), b"\0")


def _strip(padded: bytes) -> tuple[int, bytes]:
    end = _PREFIX_BYTES + int.from_bytes(padded[1:_PREFIX_BYTES])
    if len(padded) < _PREFIX_BYTES or len(padded) != padded_size(end):
        _refuse("is not padded to the size of its content")
    if padded.count(0, end) != len(padded) - end:
        _refuse("hides bytes in its padding")
    return padded[0], padded[_PREFIX_BYTES:end]


def _inflate(compressed: bytes) -> bytes:
    """Undo compression, but never beyond the limit: the rest is not even computed."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(compressed, MAX_PAYLOAD_BYTES + 1)
    except zlib.error:
        _refuse("cannot be decompressed")
    if not stream.eof or stream.unused_data:
        _refuse("is larger than allowed or cut short")
    return plain


def _check_keys(change: Change) -> None:
    match change:
        case BodyChange(node=node):
            check_key(node)
        case (
            EnergyChange(accumulators=accumulators)
            | PacedEnergyChange(accumulators=accumulators)
        ):
            for node, _ in accumulators:
                check_key(node)
        case ShardChange():
            pass


def _refuse(complaint: str) -> NoReturn:
    msg = f"The payload of an envelope {complaint}; it was dropped."
    raise MalformedError(msg)


_DECODER: Final = msgspec.msgpack.Decoder(_Changes)
