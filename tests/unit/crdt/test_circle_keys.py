"""Who a person is in a circle, and which keys they hold there."""

import hashlib
import hmac

import msgspec
import pytest

from crdt.circle_keys import (
    circle_device_identity,
    circle_identity,
    decode_circle_keys,
    default_alias,
    encode_circle_keys,
    founder_identity,
    no_circle_keys,
)
from crdt.errors import DamagedError
from crdt.ids import NodeKey, SpaceId
from crdt.keys import derive, hpke_public_key
from tests.support.circle_people import SPACE, Circle, founding, person

OTHER = SpaceId(b"\x05" * 16)


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_all_devices_of_a_person_are_one_member(who: str) -> None:
    """Founder or not, each device derives the same person and its own device keys."""
    phone, desk = (
        circle_identity(person(who, device), founding("ada"))
        for device in ("phone", "desk")
    )

    assert phone.author == desk.author
    assert phone.reference_secret == desk.reference_secret
    assert phone.device.public_key != desk.device.public_key
    assert phone.device.hpke_key != desk.device.hpke_key
    assert phone.author.public_key == phone.device.person_public_key


def test_the_founder_is_who_signed_the_founding() -> None:
    """The key that founds is known before the circle's id, and stays the person's."""
    statement = founding("ada")

    founder = founder_identity(person("ada"), SPACE)
    assert statement.author_key == founder.public_key
    assert circle_identity(person("ada"), statement).author == founder
    assert circle_identity(person("bob"), statement).author != founder_identity(
        person("bob"), SPACE
    )


def test_circles_cannot_be_linked() -> None:
    """No key, id or reference in one circle is one in another, nor one of a space."""
    one, other, twin = (
        circle_identity(person("bob"), statement)
        for statement in (founding("ada"), founding("ada", OTHER), founding("cleo"))
    )
    own = person("bob")

    seen = [
        value
        for who in (one, other, twin)
        for identity in (who.author, who.device)
        for value in (
            identity.public_key,
            identity.hpke_key,
            identity.signing_seed,
            identity.hpke_seed,
            identity.device,
        )
    ]
    seen += [who.reference(NodeKey("thought")) for who in (one, other, twin)]
    seen += [who.author.person_secret for who in (one, other, twin)]
    seen += [own.public_key, own.hpke_key, own.device, own.person_secret]
    assert len(set(seen)) == len(seen)


def test_nothing_in_a_circle_tells_the_person() -> None:
    """Neither name nor secret of person or device is in what a circle is given."""
    own = person("bob")
    who = circle_identity(own, founding("ada"))

    for identity in (who.author, who.device):
        record = msgspec.msgpack.encode(identity)
        assert identity.enrolment is None
        for secret in (
            own.person_name.encode(),
            own.device_name.encode(),
            own.person_secret,
            own.person_public_key,
            own.signing_seed,
            own.hpke_seed,
        ):
            assert secret not in record
        assert identity.device_name == default_alias(who.author_key)
        assert identity.client_id == 1
    assert repr(who) == "<CircleIdentity>"


def test_a_reference_names_a_node_and_tells_nothing_of_its_key() -> None:
    """It is an HMAC, so that only the person can tell it from a random one."""
    who = circle_identity(person("bob"), founding("ada"))

    expected = hmac.digest(who.reference_secret, b"thought", "sha256")[:16]
    assert who.reference(NodeKey("thought")) == expected
    assert who.reference(NodeKey("thought")) != who.reference(NodeKey("thoughts"))


def test_keys_follow_from_the_secrets_as_the_page_says() -> None:
    """docs/protocol/keys.md names the labels and contexts."""
    statement = founding("ada")
    circle = statement.hash
    bob = person("bob")
    who = circle_identity(bob, statement)

    secret = derive(bob.person_secret, "circle author", context=circle)
    assert who.author.signing_seed == derive(secret, "circle signing key")
    assert who.author.hpke_seed == derive(secret, "circle HPKE key")
    assert who.reference_secret == derive(secret, "circle reference")
    assert who.author.hpke_key == hpke_public_key(who.author.hpke_seed)
    device = circle_device_identity(bob, who.circle, who.author)
    assert device == who.device
    assert device.signing_seed == derive(
        bob.signing_seed, "circle device signing key", context=circle
    )
    assert device.hpke_seed == derive(
        bob.hpke_seed, "circle device HPKE key", context=circle
    )
    founder = derive(person("ada").person_secret, "circle founder", context=SPACE)
    assert circle_identity(person("ada"), statement).author.signing_seed == derive(
        founder, "circle signing key"
    )
    assert hashlib.sha256(statement.encoded).digest() == who.circle


def test_the_keys_of_a_circle_are_kept_as_one_record() -> None:
    """What is stored is read again, before any key came and after; the rest raises."""
    circle = Circle.of("ada", "bob")
    keys = circle.membership("bob").keys
    none = no_circle_keys(circle.id, SPACE)

    for each in (keys, none):
        assert decode_circle_keys(encode_circle_keys(each)) == each
    assert repr(keys) == "<CircleKeys>"
    assert (none.present_epoch, none.epochs) == (None, ())
    assert keys.present_epoch == keys.epochs[-1]
    for damaged in (b"", encode_circle_keys(keys)[:-1], b"\xc0"):
        with pytest.raises(DamagedError):
            decode_circle_keys(damaged)
