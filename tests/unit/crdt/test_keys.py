"""Phrase, derivation, identity and space keys."""

import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from crdt.errors import (
    DamagedError,
    ForgedError,
    InvalidError,
    MalformedError,
    PeerError,
)
from crdt.identity import (
    DEVICE_RANDOMNESS_BYTES,
    Enrolment,
    Identity,
    client_id,
    decode_enrolment,
    decode_identity,
    encode_enrolment,
    encode_identity,
    enrol,
    new_identity,
    new_paired_identity,
)
from crdt.keys import (
    RECOMMENDED_COST,
    Argon2idCost,
    Domain,
    SigningKey,
    derive,
    device_id,
    passphrase_key,
    person_keys,
    verify_signature,
)
from crdt.phrase import new_phrase, parse_phrase
from crdt.space_keys import (
    SpaceKeys,
    decode_space_keys,
    encode_space_keys,
    epoch_key,
    new_space_keys,
)

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/keys.json").read_text())
PAGE = (ROOT / "docs/protocol/keys.md").read_text()
ENTROPY = bytes.fromhex(VECTORS["person"]["entropy"])
RANDOMNESS = bytes.fromhex(VECTORS["device"]["randomness"])
PHRASE: str = VECTORS["person"]["phrase"]
secrets = st.binary(min_size=32, max_size=32)


def ada() -> Identity:
    return new_identity(ENTROPY, RANDOMNESS, "Ada", "desk")


def ada_enrolment() -> Enrolment:
    enrolment = ada().enrolment
    assert enrolment is not None
    return enrolment


def paired() -> Identity:
    person = person_keys(ENTROPY)
    return new_paired_identity(
        "Ada", person.signing_key.public_key, person.secret, bytes(range(68)), "phone"
    )


def space() -> SpaceKeys:
    return new_space_keys(bytes.fromhex(VECTORS["space"]["randomness"]))


@given(secrets)
def test_a_phrase_stands_for_its_entropy(entropy: bytes) -> None:
    """Words made from 32 bytes give the same 32 bytes back."""
    phrase = new_phrase(entropy)

    assert len(phrase.split()) == 24
    assert parse_phrase(phrase) == entropy


def test_the_phrase_is_bip_39() -> None:
    """The published vector of BIP 39 for 32 zero bytes holds."""
    assert new_phrase(bytes(32)) == "abandon " * 23 + "art"


def test_case_and_white_space_of_a_phrase_do_not_matter() -> None:
    """A phrase may be typed in capitals, over lines and with wide gaps."""
    typed = "\n ".join(PHRASE.upper().split()) + "\t"

    assert parse_phrase(typed) == ENTROPY


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (PHRASE.split()[:-1], "has 23 words"),
        ([*PHRASE.split()[:6], "kage", *PHRASE.split()[7:]], "word 7 "),
        ([*PHRASE.split()[:-1], "abandon"], "do not belong together"),
        (PHRASE.split()[::-1], "do not belong together"),
    ],
)
def test_a_wrong_phrase_says_what_is_wrong(words: list[str], complaint: str) -> None:
    """Count, unknown word and checksum each have their sentence; none tells a word."""
    with pytest.raises(InvalidError) as caught:
        parse_phrase(" ".join(words))

    assert complaint in str(caught.value)
    assert not set(PHRASE.split()) & set(str(caught.value).split())
    assert "kage" not in str(caught.value)


def test_a_phrase_takes_exactly_32_bytes() -> None:
    """Shorter entropy would give fewer words than a person expects."""
    with pytest.raises(ValueError, match="32 bytes"):
        new_phrase(bytes(16))


@given(secrets, st.binary(max_size=40), st.binary(max_size=40))
def test_derivation_is_hkdf(secret: bytes, context: bytes, salt: bytes) -> None:
    """Keys follow RFC 5869 with the label in the info, as the page says."""
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    info = b"fractality/1 some label\0" + context
    expected = hmac.digest(extracted, info + b"\x01", "sha256")

    assert derive(secret, "some label", context=context, salt=salt) == expected


def test_the_person_follows_from_the_phrase() -> None:
    """The golden person: same words, same person, for ever."""
    golden = VECTORS["person"]
    person = person_keys(parse_phrase(golden["phrase"]))

    assert derive(ENTROPY, "root key").hex() == golden["root_key"]
    assert person.signing_key.public_key.hex() == golden["public_key"]
    assert person.secret.hex() == golden["person_secret"]
    assert ada().person.hex() == golden["person_id"]
    assert ada().backup_key().hex() == golden["backup_key"]


def test_the_device_follows_from_its_randomness() -> None:
    """The golden device and its enrolment."""
    golden, identity = VECTORS["device"], ada()

    assert identity.signing_key().public_key.hex() == golden["public_key"]
    assert identity.device.hex() == golden["device_id"]
    assert identity.hpke_key.hex() == golden["hpke_public_key"]
    assert identity.client_id == golden["client_id"]
    assert encode_enrolment(ada_enrolment()).hex() == golden["enrolment"]


def test_the_space_follows_from_its_randomness() -> None:
    """The golden space."""
    golden, keys = VECTORS["space"], space()

    assert keys.space.hex() == golden["space_id"]
    assert keys.shard_secret.hex() == golden["shard_secret"]
    assert keys.digest_key.hex() == golden["digest_key"]
    assert keys.present_epoch.secret.hex() == golden["epoch_key"]
    assert keys.present_epoch.id.hex() == golden["epoch_key_id"]


def test_records_are_read_as_they_were_written() -> None:
    """The golden records of the store decode, and encode to the same bytes."""
    golden = VECTORS["records"]
    keys = bytes.fromhex(golden["space_keys"])

    for name, identity in (("identity", ada()), ("paired_identity", paired())):
        assert decode_identity(bytes.fromhex(golden[name])) == identity
        assert encode_identity(identity).hex() == golden[name]
    assert decode_space_keys(keys) == space()
    assert encode_space_keys(space()) == keys


def test_an_identity_of_version_1_is_read() -> None:
    """The record that stores held before devices were paired gives the same device."""
    assert decode_identity(bytes.fromhex(VECTORS["records"]["identity_v1"])) == ada()


def test_a_paired_device_is_of_the_person_without_their_word() -> None:
    """It shares the person's id and backups, has keys of its own, and no enrolment."""
    assert paired().person == ada().person
    assert paired().backup_key() == ada().backup_key()
    assert paired().device == device_id(paired().signing_key().public_key)
    assert paired().device != ada().device
    assert paired().enrolment is None


@given(st.data())
def test_a_damaged_record_is_named(data: st.DataObject) -> None:
    """A record that is cut short is damage, not a crash."""
    for record, decode in (
        (encode_identity(ada()), decode_identity),
        (encode_space_keys(space()), decode_space_keys),
    ):
        end = data.draw(st.integers(0, len(record) - 1))
        with pytest.raises(DamagedError, match="restore a backup"):
            decode(record[:end])


def test_an_identity_with_a_foreign_enrolment_is_damage() -> None:
    """The signing seed of a record must be the one that was enrolled."""
    other = new_identity(ENTROPY, bytes(68), "Ada", "lap")
    record = encode_identity(ada()).replace(RANDOMNESS[:32], other.signing_seed)

    with pytest.raises(DamagedError):
        decode_identity(record)


@pytest.mark.parametrize(
    "fields",
    [
        {"person_public_key": bytes(32)},
        {"hpke_seed": bytes(32)},
        {"public_key": bytes(32)},
        {"public_key": bytes(32), "enrolment": None},
    ],
)
def test_an_identity_that_contradicts_itself_is_damage(fields: dict[str, Any]) -> None:
    """Seeds, public keys and enrolment of a record belong together."""
    record = encode_identity(msgspec.structs.replace(ada(), **fields))

    with pytest.raises(DamagedError):
        decode_identity(record)


def test_secrets_do_not_show_when_printed() -> None:
    """Neither repr, str nor rich tells any of the secrets, in bytes or in hex."""
    identity, keys = ada(), space()
    person = person_keys(ENTROPY)
    shown = "".join(
        text
        for value in (identity, keys, keys.present_epoch, person, person.signing_key)
        for text in (repr(value), str(value), pretty_repr(value), f"{value}")
    )

    for secret in (
        identity.person_secret,
        identity.signing_seed,
        identity.hpke_seed,
        keys.shard_secret,
        keys.digest_key,
        keys.present_epoch.secret,
    ):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_one_phrase_makes_one_person_on_many_devices() -> None:
    """Devices of a person share the person's secrets and nothing of their own."""
    other = new_identity(ENTROPY, bytes(68), "Ada", "lap")

    assert other.person == ada().person
    assert other.backup_key() == ada().backup_key()
    assert other.device != ada().device


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 256])
def test_names_are_visible_text(name: str) -> None:
    """A name that nobody could read or display is refused."""
    with pytest.raises(InvalidError, match="person name"):
        new_identity(ENTROPY, RANDOMNESS, name, "desk")
    with pytest.raises(InvalidError, match="device name"):
        new_identity(ENTROPY, RANDOMNESS, "Ada", name)


def test_a_device_takes_all_its_randomness() -> None:
    """Too few random bytes are a fault of the caller, not a weak device."""
    with pytest.raises(ValueError, match="68 random bytes"):
        new_identity(ENTROPY, bytes(DEVICE_RANDOMNESS_BYTES - 1), "Ada", "desk")


@given(st.binary(min_size=4, max_size=4))
def test_a_client_id_is_32_bits_and_not_zero(randomness: bytes) -> None:
    """Yjs takes any id but zero, which reads as no author."""
    assert 1 <= client_id(randomness) < 2**32
    assert client_id(bytes(4)) == 1


@given(secrets, st.binary(max_size=60))
def test_a_signature_holds_in_its_domain_only(seed: bytes, message: bytes) -> None:
    """What was signed as one kind of statement is no other kind."""
    key = SigningKey(seed)
    signature = key.sign(Domain.ENROLMENT, message)

    verify_signature(Domain.ENROLMENT, key.public_key, signature, message)
    for domain, public_key, text in (
        (Domain.ENVELOPE, key.public_key, message),
        (Domain.ENROLMENT, key.public_key[:-1], message),
        (Domain.ENROLMENT, key.public_key, message + b"\0"),
    ):
        with pytest.raises(ForgedError):
            verify_signature(domain, public_key, signature, text)


def test_every_flipped_bit_of_an_enrolment_is_noticed() -> None:
    """An enrolment reads back, and with any bit changed it is refused."""
    encoded = encode_enrolment(ada_enrolment())
    assert decode_enrolment(encoded) == ada_enrolment()

    for place in range(len(encoded) * 8):
        changed = bytearray(encoded)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(PeerError):
            decode_enrolment(bytes(changed))


def test_an_enrolment_has_one_encoding() -> None:
    """A longer form of the same values, or bytes behind them, are refused."""
    encoded = encode_enrolment(ada_enrolment())

    for other in (b"\xdc\x00\x06" + encoded[1:], encoded + b"\0", encoded[:-1]):
        with pytest.raises(MalformedError):
            decode_enrolment(other)


def test_nobody_enrols_the_device_of_another() -> None:
    """Without the device's own signature a person cannot claim it."""
    eve, device = SigningKey(bytes(32)), ada().signing_key()
    claim = enrol(eve, eve, ada_enrolment().hpke_public_key)
    forged = encode_enrolment(claim).replace(
        b"\xc4\x20" + eve.public_key + b"\xc4\x20" + claim.hpke_public_key,
        b"\xc4\x20" + device.public_key + b"\xc4\x20" + claim.hpke_public_key,
    )

    assert device_id(device.public_key).hex() == VECTORS["device"]["device_id"]
    with pytest.raises(ForgedError):
        decode_enrolment(forged)


@given(secrets, secrets)
def test_an_epoch_id_belongs_to_its_key(first: bytes, second: bytes) -> None:
    """Two keys have one id only if they are one key; a space finds its epochs by id."""
    one, other = epoch_key(first), epoch_key(second)
    keys = SpaceKeys(1, bytes(16), bytes(32), bytes(32), (one, other))

    assert (one.id == other.id) == (first == second)
    assert keys.epoch(one.id) == one
    assert keys.present_epoch == other
    assert keys.epoch(bytes(16)) is None


def test_a_passphrase_is_stretched_by_argon2id() -> None:
    """The golden passphrase gives its key, in composed or decomposed Unicode."""
    golden = VECTORS["passphrase"]
    cost = Argon2idCost(golden["memory_kib"], golden["iterations"], golden["lanes"])
    salt = bytes.fromhex(golden["salt"])

    for text in ("Crème brûlée", "Cre\u0300me bru\u0302le\u0301e"):
        assert passphrase_key(text, salt, cost).hex() == golden["key"]
    assert passphrase_key("Creme brulee", salt, cost).hex() != golden["key"]


def test_the_page_shows_what_the_code_does() -> None:
    """docs/protocol/keys.md quotes the golden person and the Argon2id cost in use."""
    cost = RECOMMENDED_COST

    assert PHRASE in " ".join(PAGE.split())
    assert VECTORS["person"]["person_id"] in PAGE
    assert VECTORS["device"]["device_id"] in PAGE
    assert (
        f"{cost.memory_kib} KiB, {cost.iterations} passes, {cost.lanes} lanes" in PAGE
    )
    for domain in Domain:
        assert f"`{domain.value[:-1].decode()}`" in PAGE
