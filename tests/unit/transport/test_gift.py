"""A gift is whole or it is refused: no device begins with a part of what it needs."""

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from crdt.chain import EMPTY_CHAIN
from crdt.errors import PeerError
from crdt.identity import DEVICE_RANDOMNESS_BYTES, Identity, new_identity
from crdt.roster import Role, Roster, decode_statement
from crdt.roster_writing import add, found, remove
from crdt.space_keys import (
    EpochKey,
    SpaceKeys,
    encode_space_keys,
    epoch_key,
    new_space_keys,
)
from crdt.statement import apply_for
from transport.gift import UnwholeGiftError, examine, newcomer, unfinished_identity
from transport.pairing_messages import Gift, Proposal


def dice(seed: str, size: int) -> bytes:
    """Return bytes that a text alone determines."""
    return hashlib.shake_256(seed.encode()).digest(size)


class House:
    """A person with a laptop, a lost phone that was removed, and a newcomer."""

    def __init__(self) -> None:
        self.laptop = new_identity(
            dice("words", 32), dice("laptop", DEVICE_RANDOMNESS_BYTES), "ada", "laptop"
        )
        self.keys = new_space_keys(dice("space", 32))
        self.roster = self._with(None, found(self.laptop, self.keys))
        lost = self.device("lost")
        self.admit(lost)
        removal, self.keys = remove(
            self.roster,
            self.laptop,
            self.keys,
            lost.device,
            cut=EMPTY_CHAIN,
            new_epoch_secret=dice("epoch", 32),
        )
        self.roster = self._with(self.roster, removal)
        self.identity = self.device("newcomer")
        self.admit(self.identity)

    def device(self, name: str) -> Identity:
        """Return a device that would join."""
        randomness = dice(name, DEVICE_RANDOMNESS_BYTES)
        return unfinished_identity(self.proposal, randomness, name)

    def admit(self, identity: Identity) -> None:
        """Add a device."""
        applicant = apply_for(identity, self.keys.space)
        stated = add(self.roster, self.laptop, applicant, Role.ADMIN)
        self.roster = self._with(self.roster, stated)

    @property
    def proposal(self) -> Proposal:
        """What is proposed to newcomers."""
        return Proposal(
            self.keys.space,
            self.laptop.person_public_key,
            "ada",
            self.laptop.device,
            "laptop",
        )

    def gift(self, keys: SpaceKeys | None = None) -> Gift:
        """Return a whole gift, or one with other keys."""
        return Gift(
            self.laptop.person_secret,
            encode_space_keys(keys or self.keys),
            tuple(each.encoded for each in self.roster.statements),
            ("192.0.2.1:7374",),
        )

    def _with(self, roster: Roster | None, stated: Any) -> Roster:
        encoded = stated if isinstance(stated, bytes) else stated.encoded
        before = () if roster is None else roster.statements
        return Roster.of(
            self.keys.space,
            self.laptop.person_public_key,
            (*before, decode_statement(encoded)),
        )


HOUSE = House()


def with_epochs(*epochs: EpochKey) -> Gift:
    """Return a gift with these epochs."""
    return HOUSE.gift(msgspec.structs.replace(HOUSE.keys, epochs=epochs))


def without_statement(place: int) -> Gift:
    """Return a gift that lacks one statement."""
    whole = HOUSE.gift()
    left = tuple(each for n, each in enumerate(whole.statements) if n != place)
    return msgspec.structs.replace(whole, statements=left)


def test_a_whole_gift_makes_a_device() -> None:
    """It has the person's secret, both epochs, and its own private keys."""
    joined = examine(HOUSE.gift(), HOUSE.proposal, HOUSE.identity)

    assert joined.identity.person_secret == HOUSE.laptop.person_secret
    assert joined.identity.signing_seed == HOUSE.identity.signing_seed
    assert joined.keys == HOUSE.keys
    assert len(joined.keys.epochs) == 2
    assert joined.inviter == HOUSE.laptop.device


def test_a_newcomer_agrees_to_the_proposed_space() -> None:
    """What it signs is about that space, and about the keys it tells."""
    told = newcomer(HOUSE.proposal, HOUSE.identity)

    assert told.public_key == HOUSE.identity.public_key
    assert told.consent == apply_for(HOUSE.identity, HOUSE.keys.space).consent


FIRST, SECOND = HOUSE.keys.epochs
OTHER = epoch_key(dice("other", 32))
OTHER_SPACE = new_space_keys(dice("other space", 32))


@pytest.mark.parametrize(
    ("unwhole", "told"),
    [
        (lambda: with_epochs(SECOND), "an epoch is missing"),
        (lambda: with_epochs(FIRST), "an epoch is missing"),
        (lambda: with_epochs(SECOND, FIRST), "not the last"),
        (lambda: with_epochs(FIRST, SECOND, OTHER), "not the last"),
        (lambda: with_epochs(FIRST, EpochKey(SECOND.id, OTHER.secret)), "right one"),
        (lambda: HOUSE.gift(OTHER_SPACE), "another space"),
        (lambda: without_statement(0), "missing or do not belong"),
        (lambda: without_statement(1), "missing or do not belong"),
        (lambda: without_statement(3), "not in the roster"),
    ],
)
def test_an_unwhole_gift_is_refused(unwhole: Callable[[], Gift], told: str) -> None:
    """The error says what is wrong, and that nothing was kept."""
    with pytest.raises(UnwholeGiftError, match=told):
        examine(unwhole(), HOUSE.proposal, HOUSE.identity)


@pytest.mark.parametrize(
    "changes",
    [
        {"space_keys": b"\xc1"},
        {"statements": (b"\xc1",)},
        {"statements": ()},
        {"statements": (HOUSE.roster.statements[0].encoded[:-1] + b"\0",)},
    ],
)
def test_rubbish_is_refused(changes: dict[str, Any]) -> None:
    """What does not decode, or is not signed, is the fault of the peer."""
    gift = msgspec.structs.replace(HOUSE.gift(), **changes)

    with pytest.raises(PeerError):
        examine(gift, HOUSE.proposal, HOUSE.identity)


def test_another_person_is_refused() -> None:
    """A roster that the proposed person has not founded is nobody's."""
    stranger = new_identity(
        dice("strange", 32), dice("x", DEVICE_RANDOMNESS_BYTES), "eve", "x"
    )
    proposal = msgspec.structs.replace(
        HOUSE.proposal, person_public_key=stranger.person_public_key
    )

    with pytest.raises(UnwholeGiftError):
        examine(HOUSE.gift(), proposal, HOUSE.identity)


def test_another_device_is_refused() -> None:
    """A roster in which somebody else was added makes no device of this one."""
    with pytest.raises(UnwholeGiftError, match="this device is not in the roster"):
        examine(HOUSE.gift(), HOUSE.proposal, HOUSE.device("third"))
