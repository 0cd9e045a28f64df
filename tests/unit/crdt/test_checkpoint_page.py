"""The page on checkpoints says what the code does; golden bytes hold both to it."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from crdt import checkpoint, checkpoint_part
from crdt.checkpoint_part import (
    Content,
    End,
    Head,
    Header,
    PartPlace,
    Piece,
    decode_part,
    open_part,
    seal_part,
    verify_part,
)
from crdt.errors import ForgedError, MalformedError, PeerError
from crdt.ids import NodeKey, ShardNumber, SpaceId
from crdt.keys import SigningKey, device_id
from crdt.payload import BodyChange, EnergyChange, ShardChange
from crdt.space_keys import epoch_key

ROOT: Final = Path(__file__).parents[3]
VECTOR: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/checkpoint.json").read_text()
)
PAGE: Final = (ROOT / "docs/protocol/checkpoint.md").read_text()
KEY: Final = SigningKey(bytes.fromhex(VECTOR["device_seed"]))
EPOCH: Final = epoch_key(bytes.fromhex(VECTOR["epoch_key"]))
OAK: Final = NodeKey("oak")
CONTENTS: Final[tuple[Content, ...]] = (
    Header((Head(device_id(KEY.public_key), 3, bytes(range(32))),), 1, 0, 1, (9,)),
    Piece(
        (
            ShardChange(ShardNumber(7), b"\x00\x01\x02"),
            BodyChange(OAK, b"\x03\x04"),
            EnergyChange(device_id(KEY.public_key), ((OAK, 1.5),)),
        )
    ),
    End(),
)


def sealed(number: int) -> bytes:
    """Return a part of the golden checkpoint."""
    place = PartPlace(
        SpaceId(bytes.fromhex(VECTOR["space"])),
        device_id(KEY.public_key),
        bytes.fromhex(VECTOR["checkpoint"]),
        number,
        EPOCH.id,
    )
    salt = bytes(range(number, number + 32))
    return seal_part(place, CONTENTS[number], EPOCH, KEY, salt)


def received(encoded: bytes) -> Content:
    part = decode_part(encoded)
    verify_part(part, KEY.public_key)
    return open_part(part, EPOCH)


@pytest.mark.parametrize("number", range(3))
def test_the_golden_parts(number: int) -> None:
    """Sealing gives the stored bytes, and they open to what was sealed."""
    encoded = bytes.fromhex(VECTOR["parts"][number])

    assert sealed(number) == encoded
    assert received(encoded) == CONTENTS[number]


def test_every_flipped_bit_is_noticed() -> None:
    """No bit of a part can change without its being refused."""
    encoded = sealed(1)
    for place in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(PeerError):
            received(bytes(changed))


def test_a_part_opens_with_its_own_key_only() -> None:
    """Another signer, another epoch, another place: it does not open."""
    part = decode_part(sealed(1))
    with pytest.raises(ForgedError):
        verify_part(part, SigningKey(bytes(32)).public_key)
    with pytest.raises(ForgedError):
        open_part(part, epoch_key(bytes(32)))
    with pytest.raises(MalformedError):
        decode_part(part.encoded + b"\0")


def test_the_page_shows_the_golden_parts() -> None:
    """The example on the page is the checkpoint that the code writes."""
    example = PAGE.split("## Example")[1]
    blocks = ["".join(each.split()) for each in re.findall(r"```([^`]*)```", example)]

    assert blocks == VECTOR["parts"]


def test_the_page_lists_the_limits_of_the_code() -> None:
    """Every limit on the page has the code's value, and none is missing."""
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) \|", PAGE, re.MULTILINE))
    names = {
        **{n: v for n, v in vars(checkpoint_part).items() if n.startswith("MAX_")},
        "PIECE_BYTES": checkpoint.PIECE_BYTES,
    }
    taken_over = {"MAX_CHANGES", "MAX_PAYLOAD_BYTES", "MAX_SEQUENCE"}
    names = {n: v for n, v in names.items() if n not in taken_over}

    assert listed == {
        name: f"{value:,}"
        for name, value in names.items()
        if name != "MAX_ENVELOPE_BYTES"
    }
