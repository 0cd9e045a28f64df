"""SPAKE2, as this project runs it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdt.errors import MalformedError
from tests.support.pairings import dice
from transport.password_agreement import PasswordAgreement

IDENTITY = b"\x01" + bytes(31)
"""The point that would make any key known to all."""
OF_SMALL_ORDER = bytes.fromhex(
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
)

POINTS = st.binary(min_size=32, max_size=32)


def agreed(ours: bytes, theirs: bytes) -> tuple[bytes, bytes]:
    """Return the keys of both sides."""
    joiner = PasswordAgreement("joiner", ours, dice("joiner"))
    inviter = PasswordAgreement("inviter", theirs, dice("inviter"))
    return joiner.finish(inviter.message), inviter.finish(joiner.message)


def test_one_password_makes_one_key() -> None:
    """Both sides have it, and another run would have another."""
    first, second = agreed(b"orbit", b"orbit")

    assert first == second
    assert len(first) == 32


def test_two_passwords_make_two_keys() -> None:
    """Nothing tells either side but that the keys differ."""
    first, second = agreed(b"orbit", b"ladder")

    assert first != second


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=34) | POINTS.map(lambda point: b"B" + point))
@example(b"B" + IDENTITY)
@example(b"B" + OF_SMALL_ORDER)
@example(b"B" + b"\xff" * 32)
@example(b"")
def test_what_no_honest_side_sends_is_refused(message: bytes) -> None:
    """Points off the curve or of small order, wrong sides and sizes are malformed."""
    joiner = PasswordAgreement("joiner", b"orbit", dice("joiner"))

    try:
        joiner.finish(message)
    except MalformedError:
        return
    assert message[:1] == b"B"
    assert message[1:] not in {IDENTITY, OF_SMALL_ORDER}


def test_a_message_sent_back_is_refused() -> None:
    """A side does not agree with itself."""
    joiner = PasswordAgreement("joiner", b"orbit", dice("joiner"))

    with pytest.raises(MalformedError):
        joiner.finish(b"B" + joiner.message[1:])
