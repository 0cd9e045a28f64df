"""Statements of a roster as bytes."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt import roster, roster_rules, statement, statement_kinds
from crdt.chain import ChainHead
from crdt.envelope import NO_HASH
from crdt.errors import ConflictError, ForgedError, MalformedError, PeerError
from crdt.identity import Identity, new_identity, new_paired_identity
from crdt.ids import SpaceId
from crdt.keys import SEALED_KEY_BYTES, WRAPPED_KEY_BYTES, Domain, person_keys
from crdt.roster import Roster
from crdt.roster_writing import enrol, found
from crdt.space_keys import new_space_keys
from crdt.statement import (
    MAX_PARENTS,
    MAX_STATEMENT_BYTES,
    Statement,
    apply_for,
    decode_statement,
    sign_statement,
)
from crdt.statement_kinds import (
    MAX_KEYS,
    MAX_RECIPIENTS,
    Add,
    Body,
    Enrol,
    Epoch,
    Grant,
    Remove,
    Rename,
    Role,
    Rotate,
)

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/roster.json").read_text())
GOLDEN_KEYS: dict[str, Any] = json.loads((ROOT / "tests/vectors/keys.json").read_text())
PAGE = (ROOT / "docs/protocol/roster.md").read_text()
ENTROPY = bytes.fromhex(GOLDEN_KEYS["person"]["entropy"])
PERSON = person_keys(ENTROPY)
KEYS = new_space_keys(bytes.fromhex(GOLDEN_KEYS["space"]["randomness"]))
ADA = new_identity(
    ENTROPY, bytes.fromhex(GOLDEN_KEYS["device"]["randomness"]), "Ada", "desk"
)
HEIR = new_identity(ENTROPY, bytes.fromhex(VECTORS["heir_randomness"]), "Ada", "heir")
PHONE = new_paired_identity(
    "Ada",
    PERSON.signing_key.public_key,
    PERSON.secret,
    bytes.fromhex(VECTORS["phone_randomness"]),
    "phone",
)
ENCODED = [bytes.fromhex(each["encoded"]) for each in VECTORS["statements"]]
ELSEWHERE = SpaceId(bytes(16))
PARENT = bytes([9]) * 32


def signed(body: Body, *parents: bytes, author: Identity = ADA) -> Statement:
    return sign_statement(KEYS.space, author.signing_key(), parents, body)


def resigned(encoded: bytes, change: dict[int, Any]) -> bytes:
    """Return a statement of which its author changed fields by their place."""
    fields = msgspec.msgpack.decode(encoded)
    for place, value in change.items():
        fields[place] = value
    unsigned = msgspec.msgpack.encode(fields)[:-66]
    signature = ADA.signing_key().sign(Domain.ROSTER, unsigned)
    return unsigned + msgspec.msgpack.encode(signature)


def test_the_golden_statements() -> None:
    """They decode, sign to the same bytes again, and are named by their hashes."""
    authors = {each.public_key: each for each in (ADA, PHONE, HEIR)}
    for golden, encoded in zip(VECTORS["statements"], ENCODED, strict=True):
        decoded = decode_statement(encoded)
        author = authors[decoded.author_key]

        assert decoded.hash.hex() == golden["hash"]
        assert decoded.author == author.device
        assert decoded.encoded == encoded
        assert signed(decoded.body, *decoded.parents, author=author) == decoded


def test_the_golden_roster() -> None:
    """What the golden statements say of the golden space, down to the keys."""
    golden = VECTORS["roster"]
    made = Roster.of(
        KEYS.space,
        PERSON.signing_key.public_key,
        map(decode_statement, reversed(ENCODED)),
    )

    assert made.fingerprint.hex() == golden["fingerprint"]
    assert made.present_epoch.hex() == golden["present_epoch"]
    assert golden["members"] == [
        {
            "device": device.hex(),
            "name": member.name,
            "role": member.role.value,
            "client_id": member.client_id,
            "accepted_through": member.accepted_through,
        }
        for device, member in made.members.items()
    ]
    unlocked = made.unlock_epochs(PHONE, KEYS)
    assert golden["epoch_secrets"] == [each.secret.hex() for each in unlocked.epochs]


def test_every_flipped_bit_is_noticed() -> None:
    """No bit of a statement can change without its being refused."""
    for encoded in (ENCODED[1], ENCODED[7]):
        for place in range(len(encoded) * 8):
            changed = bytearray(encoded)
            changed[place // 8] ^= 1 << place % 8
            with pytest.raises(PeerError):
                decode_statement(bytes(changed))


@given(st.binary(max_size=200) | st.sampled_from(ENCODED), st.data())
def test_hostile_bytes_are_refused(encoded: bytes, data: st.DataObject) -> None:
    """Whatever is cut short, lengthened or made up raises a `PeerError`."""
    end = data.draw(st.integers(0, max(len(encoded) - 1, 0)))

    for hostile in (encoded[:end], encoded + b"\0"):
        with pytest.raises(PeerError):
            decode_statement(hostile)


@pytest.mark.parametrize(
    "change",
    [
        {0: 2},
        {1: bytes(15)},
        {3: [PARENT, PARENT]},
        {3: [PARENT, bytes(32)]},
        {3: []},
        {3: [bytes([place, high] * 16) for high in range(3) for place in range(256)]},
        {4: [7, 0]},
        {4: [6, bytes(16), "two\nlines"]},
        {4: [6, bytes(16), "x" * 256]},
        {4: [5, bytes(16), 0, PARENT]},
        {4: [2, bytes(16), 0, PARENT, [bytes(16), [], []]]},
        {4: [2, bytes(16), 1, NO_HASH, [bytes(16), [], []]]},
        {4: [4, bytes(16), []]},
        {4: [4, bytes(16), [[bytes(16), bytes(80)]] * 2]},
        {4: [3, [bytes(16), [[b"b" * 16, bytes(80)], [b"a" * 16, bytes(80)]], []]]},
        {4: [3, [bytes(16), [[b"b" * 16, bytes(79)]], []]]},
    ],
)
def test_each_limit_holds(change: dict[int, Any]) -> None:
    """What its own author signed is refused if it breaks the grammar."""
    whole = signed(Rename(ADA.device, "desk"), PARENT).encoded
    assert decode_statement(resigned(whole, {}))

    with pytest.raises(MalformedError):
        decode_statement(resigned(whole, change))


def test_a_later_version_is_named() -> None:
    """Who meets a statement of a later version is told to update."""
    later = resigned(signed(Rename(ADA.device, "desk"), PARENT).encoded, {0: 2})
    with pytest.raises(MalformedError, match="update this program"):
        decode_statement(later)


def test_nobody_is_added_without_consent() -> None:
    """An addition carries the device's own word, for this space and these keys."""
    applicant = apply_for(PHONE, KEYS.space)
    elsewhere = apply_for(PHONE, ELSEWHERE)
    whole = Add(
        applicant.public_key,
        applicant.hpke_key,
        applicant.client_id,
        "phone",
        Role.READER,
        applicant.consent,
    )
    changes: tuple[dict[str, Any], ...] = (
        {"consent": elsewhere.consent},
        {"hpke_key": bytes(32)},
        {"client_id": 7},
        {"public_key": ADA.public_key},
    )
    assert signed(whole, PARENT)

    for change in changes:
        with pytest.raises(ForgedError):
            signed(msgspec.structs.replace(whole, **change), PARENT)


def test_nobody_enrols_another() -> None:
    """An enrolment counts in the mouth of its own device only, if all have signed."""
    assert ADA.enrolment is not None
    body = Enrol(ADA.enrolment, ADA.client_id, "desk", None)
    forged = msgspec.structs.replace(ADA.enrolment, person_signature=bytes(64))
    assert signed(body, PARENT)

    with pytest.raises(ForgedError):
        signed(body, PARENT, author=PHONE)
    with pytest.raises(ForgedError):
        signed(msgspec.structs.replace(body, enrolment=forged), PARENT)


def test_a_paired_device_neither_founds_nor_enrols() -> None:
    """It has no word of its person that others could check."""
    empty = Roster.of(KEYS.space, PERSON.signing_key.public_key, ())

    with pytest.raises(ConflictError, match="was paired"):
        found(PHONE, KEYS)
    with pytest.raises(ConflictError, match="was paired"):
        enrol(empty, PHONE)


def test_who_knows_no_roster_states_nothing() -> None:
    """A device that lost or never had the statements is told so."""
    empty = Roster.of(KEYS.space, PERSON.signing_key.public_key, ())

    assert (empty.present_epoch, empty.needs_rotation) == (b"", False)
    with pytest.raises(ConflictError, match="has not heard yet"):
        enrol(empty, HEIR)


def test_the_largest_statement_fits() -> None:
    """All counts at their limits together stay below the limit of bytes."""
    ids = [place.to_bytes(16) for place in range(MAX_RECIPIENTS)]
    epoch = Epoch(
        bytes(16),
        tuple((each, bytes(SEALED_KEY_BYTES)) for each in ids),
        tuple((each, bytes(WRAPPED_KEY_BYTES)) for each in ids[:MAX_KEYS]),
    )
    parents = [place.to_bytes(32) for place in range(MAX_PARENTS)]
    cut = ChainHead(2**63 - 1, PARENT)

    made = signed(Remove(bytes(16), cut.sequence, cut.hash, epoch), *parents)

    assert len(made.encoded) < MAX_STATEMENT_BYTES
    assert isinstance(made.body, Remove)
    assert made.body.cut == cut
    with pytest.raises(MalformedError, match="larger"):
        decode_statement(made.encoded.ljust(MAX_STATEMENT_BYTES + 1, b"\0"))
    for body in (
        Rotate(Epoch(bytes(16), (*epoch.sealed, (b"\1" * 16, bytes(80))), ())),
        Rotate(Epoch(bytes(16), (), (*epoch.previous, (b"\1" * 16, bytes(48))))),
        Grant(bytes(16), tuple((each, bytes(80)) for each in ids[: MAX_KEYS + 1])),
    ):
        with pytest.raises(MalformedError):
            signed(body, PARENT)


def test_the_page_shows_what_the_code_does() -> None:
    """docs/protocol/roster.md quotes the first golden statement and all limits."""
    hexadecimal = "".join(PAGE.split("## Example")[1].split("```")[1].split())
    limits = re.findall(r"^\| `(MAX_\w+)` \| ([\d,]+) ", PAGE, re.MULTILINE)
    modules = (statement, statement_kinds, roster_rules, roster)
    code = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if name in dict(limits)
    }

    assert hexadecimal == ENCODED[0].hex()
    assert f"{len(ENCODED[0])} bytes" in PAGE
    assert {name: int(value.replace(",", "")) for name, value in limits} == code
    domains = (Domain.ROSTER.value, Domain.CONSENT.value)
    for text in (*Role, *(domain[:-1].decode() for domain in domains)):
        assert f'"{text}"' in PAGE
