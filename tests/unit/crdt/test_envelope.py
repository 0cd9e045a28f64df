"""Envelopes and the chain they form."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt import arrival, sealing
from crdt import envelope as envelopes
from crdt import payload as payloads
from crdt.arrival import Cause
from crdt.chain import (
    EMPTY_CHAIN,
    Arrival,
    ChainHead,
    check_next,
    head_after,
    next_header,
)
from crdt.envelope import (
    MAX_ENVELOPE_BYTES,
    NO_HASH,
    Header,
    decode,
    envelope_hash,
    open_payload,
    seal,
    verify,
)
from crdt.errors import ForgedError, InvalidError, MalformedError, PeerError
from crdt.ids import DeviceId, NodeKey, ShardNumber, SpaceId
from crdt.keys import Domain, SigningKey, device_id
from crdt.payload import BodyChange, Change, EnergyChange, ShardChange, encode_payload
from crdt.space_keys import epoch_key
from tests.support.changes import changes

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/envelope.json").read_text())
PAGE = (ROOT / "docs/protocol/envelope.md").read_text()
KEY = SigningKey(bytes.fromhex(VECTORS["device_seed"]))
DEVICE = device_id(KEY.public_key)
EPOCH = epoch_key(bytes.fromhex(VECTORS["epoch_key"]))
SPACE = SpaceId(bytes.fromhex(VECTORS["first"]["space"]))
SALT = bytes(range(32))
FIRST = next_header(EMPTY_CHAIN, SPACE, DEVICE, EPOCH.id)
FIELDS = (
    "version",
    "space",
    "device",
    "sequence",
    "previous",
    "epoch_key_id",
    "salt",
    "sealed",
    "signature",
)
GOLDEN_CHANGES = (
    ShardChange(ShardNumber(7), b"\0\1\2"),
    BodyChange(NodeKey("oak"), b"\3\4"),
    EnergyChange(DEVICE, ((NodeKey("oak"), 1.5),)),
)
change_lists = st.lists(changes, min_size=1, max_size=5).map(tuple)


def receive(encoded: bytes) -> tuple[Change, ...]:
    """Do all that an arriving envelope goes through."""
    arrived = decode(encoded)
    verify(arrived, KEY.public_key)
    return open_payload(arrived, EPOCH)


def sealed(head: ChainHead = EMPTY_CHAIN, salt: bytes = SALT) -> bytes:
    header = next_header(head, SPACE, DEVICE, EPOCH.id)
    return seal(header, GOLDEN_CHANGES, EPOCH, KEY, salt)


def resigned(encoded: bytes, **fields: object) -> bytes:
    """Return an envelope whose owner changed fields of it and signed again."""
    wire = msgspec.msgpack.decode(encoded)
    values = dict(zip(FIELDS, wire, strict=True)) | fields
    signed = b"\x99" + b"".join(
        msgspec.msgpack.encode(values[name]) for name in FIELDS[:-1]
    )
    signature = KEY.sign(Domain.ENVELOPE, signed)
    return signed + msgspec.msgpack.encode(signature)


@given(change_lists, st.binary(min_size=32, max_size=32))
def test_an_envelope_gives_its_changes_back(
    sent: tuple[Change, ...], salt: bytes
) -> None:
    """What was sealed opens to the same changes under the same header."""
    encoded = seal(FIRST, sent, EPOCH, KEY, salt)

    assert receive(encoded) == sent
    assert decode(encoded).header == FIRST


def test_the_golden_envelope() -> None:
    """Sealing gives the stored bytes; they open, and so do compressed ones."""
    golden, second = VECTORS["first"], VECTORS["second_compressed"]
    encoded = bytes.fromhex(golden["envelope"])
    update = bytes.fromhex(second["update"])
    compressed = bytes.fromhex(second["envelope"])

    assert seal(FIRST, GOLDEN_CHANGES, EPOCH, KEY, SALT) == encoded
    assert receive(encoded) == GOLDEN_CHANGES
    assert envelope_hash(encoded).hex() == golden["hash"]
    assert encode_payload(GOLDEN_CHANGES).hex() == golden["payload"]
    # Only opened: what a compressor makes of an input differs between its builds.
    assert receive(compressed) == (ShardChange(second["shard"], update),)
    assert check_next(head_after(decode(encoded)), decode(compressed)) is Arrival.NEXT
    for size, padded in VECTORS["padded_sizes"].items():
        assert payloads.padded_size(int(size)) == padded


def test_every_flipped_bit_is_noticed() -> None:
    """No bit of an envelope can change without its being refused."""
    encoded = sealed()
    for place in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(PeerError):
            receive(bytes(changed))


@pytest.mark.parametrize(
    "fields",
    [
        {"space": bytes(16)},
        {"sequence": 2, "previous": bytes([1]) * 32},
        {"salt": bytes(32)},
        {"epoch_key_id": bytes(16)},
        {"sealed": bytes(80)},
        {"sealed": b""},
    ],
)
def test_a_payload_opens_only_where_it_was_sealed(fields: dict[str, object]) -> None:
    """Not even its signer can move a sealed payload to another place."""
    moved = resigned(sealed(), **fields)
    verify(decode(moved), KEY.public_key)

    with pytest.raises(ForgedError):
        receive(moved)


def test_a_previous_hash_cannot_be_exchanged() -> None:
    """The predecessor is bound to the payload as well as signed."""
    encoded = sealed(ChainHead(4, bytes([4]) * 32))

    with pytest.raises(ForgedError):
        receive(resigned(encoded, previous=bytes([5]) * 32))


@given(st.binary(min_size=32, max_size=32).filter(lambda key: key != EPOCH.secret))
def test_another_epoch_key_does_not_open(secret: bytes) -> None:
    """Both the id and the key must be those of the seal."""
    arrived = decode(sealed())

    for wrong in (
        epoch_key(secret),
        msgspec.structs.replace(EPOCH, secret=secret),
        msgspec.structs.replace(EPOCH, id=secret[:16]),
    ):
        with pytest.raises(ForgedError):
            open_payload(arrived, wrong)


def test_another_device_is_not_the_signer() -> None:
    """A signature counts only for the device that the header names."""
    other = SigningKey(bytes(32))
    by_other = seal(FIRST, GOLDEN_CHANGES, EPOCH, other, SALT)

    with pytest.raises(ForgedError, match="names another device"):
        verify(decode(sealed()), other.public_key)
    with pytest.raises(ForgedError, match="signature does not fit"):
        verify(decode(by_other), KEY.public_key)


@given(st.binary(max_size=400))
def test_hostile_bytes_are_malformed(data: bytes) -> None:
    """Bytes from anywhere raise `MalformedError` or decode to themselves."""
    for encoded in (data, sealed()[: len(data)] + data, b"\x99\x01" + data):
        try:
            assert decode(encoded).encoded == encoded
        except MalformedError:
            continue


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0},
        {"space": bytes(15)},
        {"device": bytes(17)},
        {"sequence": 0, "previous": bytes(32)},
        {"sequence": 2**63, "previous": bytes([1]) * 32},
        {"previous": bytes([1]) * 32},
        {"sequence": 2, "previous": bytes(32)},
        {"salt": bytes(31)},
        {"sealed": "text"},
    ],
)
def test_malformed_envelopes(fields: dict[str, object]) -> None:
    """Each rule about a field has a case that breaks only that rule."""
    with pytest.raises(MalformedError):
        decode(resigned(sealed(), **fields))


@pytest.mark.parametrize(
    "encoded",
    [
        sealed() + b"\0",
        b"\x98" + sealed()[1:],
        b"\xdc\x00\x09" + sealed()[1:],
        b"\x99\xcc\x01" + sealed()[2:],
        sealed().replace(b"\xc4\x10" + SPACE, b"\xc5\x00\x10" + SPACE),
    ],
)
def test_one_content_has_one_encoding(encoded: bytes) -> None:
    """Trailing bytes and longer forms of the same value are refused."""
    with pytest.raises(MalformedError):
        decode(encoded)


def test_a_later_version_is_named() -> None:
    """The refusal of version 2 says what to do, unlike that of rubbish."""
    for later in (b"\x99\x02" + bytes(40), b"\x93\x7f"):
        with pytest.raises(MalformedError, match="update this program"):
            decode(later)
    for rubbish in (b"", b"\x99", b"\x99\x01", b"\x99\x80", b"\x80\x02"):
        with pytest.raises(MalformedError, match="does not follow its format"):
            decode(rubbish)


def test_nothing_of_the_changes_shows() -> None:
    """Neither update, key nor shard of a large payload stands in the sealed bytes."""
    words = [b"chrysanthemum", b"marmalade", b"peregrine"]
    sent = (
        ShardChange(ShardNumber(7), words[0] * 9),
        BodyChange(NodeKey(words[1].decode()), words[2]),
    )
    encoded = seal(FIRST, sent, EPOCH, KEY, SALT)

    assert not [word for word in words if word in encoded or word[:6] in encoded]


def test_two_salts_give_unrelated_ciphertexts() -> None:
    """The same changes sealed twice cannot be told to be the same."""
    one, other = decode(sealed()).sealed, decode(sealed(salt=bytes(32))).sealed
    matches = sum(left == right for left, right in zip(one, other, strict=True))

    assert matches < len(one) // 4


def test_limits_hold_for_the_sender_too() -> None:
    """An envelope above the limit is neither sealed nor looked into."""
    random = b"".join(
        envelope_hash(number.to_bytes(4)) for number in range(MAX_ENVELOPE_BYTES // 32)
    )

    with pytest.raises(InvalidError, match="6 MiB"):
        seal(FIRST, (ShardChange(ShardNumber(1), random),), EPOCH, KEY, SALT)
    with pytest.raises(MalformedError, match="larger than allowed"):
        decode(bytes(MAX_ENVELOPE_BYTES + 1))


@pytest.mark.parametrize(
    ("header", "salt"),
    [(replace(FIRST, epoch_key_id=bytes(16)), SALT), (FIRST, SALT[:31])],
)
def test_sealing_what_nobody_could_open_is_a_fault(header: Header, salt: bytes) -> None:
    """A header that names another key, or a short salt, is caught before it is sent."""
    with pytest.raises(ValueError, match="names another epoch key"):
        seal(header, GOLDEN_CHANGES, EPOCH, KEY, salt)


@given(st.integers(0, 6), st.integers(0, 6))
def test_arrivals_are_judged_by_the_head(held: int, arriving: int) -> None:
    """Next continues, the head is a duplicate, lower is earlier, higher is a gap."""
    chain, head = [sealed()], EMPTY_CHAIN
    for _ in range(6):
        chain.append(sealed(head_after(decode(chain[-1]))))
    if held:
        head = head_after(decode(chain[held - 1]))
    expected = {0: Arrival.DUPLICATE, 1: Arrival.NEXT}
    distance = arriving + 1 - held

    assert check_next(head, decode(chain[arriving])) is expected.get(
        distance, Arrival.GAP if distance > 1 else Arrival.EARLIER
    )


def test_two_histories_of_one_device_are_a_fork() -> None:
    """A second first envelope, and a successor of another head, are forks."""
    first, other = decode(sealed()), decode(sealed(salt=bytes(32)))
    after_other = decode(sealed(head_after(other)))

    assert check_next(head_after(first), other) is Arrival.FORK
    assert check_next(head_after(first), after_other) is Arrival.FORK
    assert check_next(head_after(other), after_other) is Arrival.NEXT


def test_headers_follow_the_chain() -> None:
    """The first header has no predecessor, each next one names the hash before."""
    head = head_after(decode(sealed()))
    following = next_header(head, SPACE, DeviceId(DEVICE), EPOCH.id)

    assert (FIRST.sequence, FIRST.previous) == (1, NO_HASH)
    assert (following.sequence, following.previous) == (2, envelope_hash(sealed()))


def test_the_page_shows_the_golden_envelope() -> None:
    """The hex example of docs/protocol/envelope.md is the golden vector."""
    example = PAGE.split("## Example")[1]
    blocks = ["".join(block.split()) for block in re.findall(r"```([^`]*)```", example)]

    assert blocks == [VECTORS["first"]["payload"], VECTORS["first"]["envelope"]]


def test_the_page_lists_the_limits_of_the_code() -> None:
    """Every limit on the page has the code's value, and none is missing."""
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) \|", PAGE, re.MULTILINE))
    limits = {
        name: f"{value:,}"
        for module in (envelopes, payloads, sealing, arrival)
        for name, value in vars(module).items()
        if name.startswith(("MIN_", "MAX_"))
    }

    assert listed == limits


def first_names(heading: str) -> list[str]:
    """Return the code names in the first column of the table under its head."""
    table = PAGE[PAGE.index(heading) :].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)]


def test_the_page_lists_the_arrivals() -> None:
    """The table of arrivals names what `check_next` can return, no more, no less."""
    assert first_names("| arrival |") == [arrival.name for arrival in Arrival]


def test_the_page_lists_the_causes() -> None:
    """The table of causes names every reason to refuse an envelope, and no other."""
    assert first_names("| cause |") == [cause.name for cause in Cause]
