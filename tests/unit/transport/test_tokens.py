"""Tokens: known to members of the space, and nothing to anybody else."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from crdt.space_keys import SpaceKeys, epoch_key, new_space_keys
from transport.tokens import (
    MAX_EPOCHS,
    SLOT_MS,
    expected_tokens,
    own_token,
    ring,
    slot_at,
    token,
)

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads(
    (ROOT / "tests/vectors/discovery.json").read_text()
)
KEYS = new_space_keys(bytes(range(32)))
A, B, C = (DeviceId(bytes([number]) * 16) for number in (1, 2, 3))
MEMBERS = (A, B, C)
slots = st.integers(1, 2**40)


def with_epochs(count: int) -> SpaceKeys:
    return SpaceKeys(
        version=1,
        space_id=KEYS.space_id,
        shard_secret=KEYS.shard_secret,
        digest_key=KEYS.digest_key,
        epochs=tuple(epoch_key(bytes([number]) * 32) for number in range(count)),
    )


def test_golden_tokens() -> None:
    """The tokens of the vector are those that the code makes."""
    keys = with_epochs(1)
    assert VECTORS["epoch_key"] == keys.present_epoch.secret.hex()

    secret = ring(A, MEMBERS, keys).secrets[0]

    assert VECTORS["discovery_secret"] == secret.hex()
    for example in VECTORS["tokens"]:
        device = DeviceId(bytes.fromhex(example["device"]))
        assert example["slot"] == slot_at(example["at_ms"])
        assert example["token"] == token(secret, device, example["slot"]).hex()


@given(slots, st.integers(-1, 1))
def test_members_know_each_other_across_an_hour(slot: int, off: int) -> None:
    """A clock that is one slot off changes nothing."""
    shown = own_token(ring(A, MEMBERS, KEYS), slot + off)

    assert expected_tokens(ring(B, MEMBERS, KEYS), slot)[shown] == A


@given(slots)
def test_nobody_knows_itself(slot: int) -> None:
    """The own token is not among those expected."""
    known = ring(A, MEMBERS, KEYS)

    assert own_token(known, slot) not in expected_tokens(known, slot)


@given(slots, st.integers(1, MAX_EPOCHS + 2))
def test_who_missed_an_epoch_is_still_known(slot: int, missed: int) -> None:
    """A device that knows only an older epoch is recognized for a few of them."""
    shown = own_token(ring(A, MEMBERS, with_epochs(1)), slot)

    known = expected_tokens(ring(B, MEMBERS, with_epochs(1 + missed)), slot)

    assert (shown in known) == (missed < MAX_EPOCHS)


@given(slots)
def test_who_was_removed_is_blind(slot: int) -> None:
    """Without the present epoch key the tokens of those who stay mean nothing."""
    shown = own_token(ring(A, MEMBERS, with_epochs(3)), slot)

    assert shown not in expected_tokens(ring(C, MEMBERS, with_epochs(2)), slot)


@given(slots, slots)
def test_tokens_do_not_repeat(one: int, other: int) -> None:
    """Each device and slot has a token of its own."""
    known = ring(A, MEMBERS, KEYS)
    shown = {own_token(known, one), own_token(known, other)}
    shown.add(own_token(ring(B, MEMBERS, KEYS), one))

    assert len(shown) == (2 if one == other else 3)


def test_slots_are_hours() -> None:
    """The slot changes once an hour, and a clock before 1970 is the first."""
    assert [slot_at(-5), slot_at(SLOT_MS - 1), slot_at(SLOT_MS)] == [0, 0, 1]


def test_a_ring_keeps_its_secrets() -> None:
    """Printing a ring shows no secret."""
    known = ring(A, MEMBERS, KEYS)

    assert known.secrets[0].hex() not in repr(known)
    assert repr(known.secrets[0]) not in repr(known)
