"""Which offers are answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from tests.support.meeting import HIGHER, LOWER, Known, known
from transport.admission import (
    MAX_PEERS,
    OFFERS_PER_MINUTE,
    REMEMBERED_MS,
    Admission,
    ReplayedError,
    TooManyError,
    stands,
)
from transport.description import Description
from transport.limits import MAX_ADDRESSES, Buckets, network_of
from transport.signalling import Offer


def offer(session: int, sender: Known | None = None) -> Offer:
    description = Description("aaaa", "p" * 22, bytes(32), ())
    identity = session.to_bytes(16)
    return Offer(sender or known(LOWER), identity, bytes(32), description)


def test_an_offer_is_answered_once() -> None:
    """The same offer is refused for as long as its time lets it count as fresh."""
    admission = Admission()
    admission.admit(offer(1), 0)

    for now in (0, 1, REMEMBERED_MS):
        with pytest.raises(ReplayedError):
            admission.admit(offer(1), now)
    admission.admit(offer(2), 0)


def test_offers_of_one_peer_are_rationed() -> None:
    """A peer gets its offers of a minute; the others are not touched by it."""
    admission = Admission()
    for number in range(OFFERS_PER_MINUTE):
        admission.admit(offer(number), number)

    with pytest.raises(TooManyError):
        admission.admit(offer(1_000), 59_999)
    admission.admit(offer(1_000, known(HIGHER)), 59_999)
    admission.admit(offer(1_001), 60_000)


@given(st.lists(st.integers(0, 30_000), max_size=400))
def test_no_offer_is_ever_answered_twice_while_fresh(pauses: list[int]) -> None:
    """Whatever the pace, an admitted session is not admitted again while it counts."""
    admission, now = Admission(), 0
    admitted: dict[int, int] = {}

    for number, pause in enumerate(pauses):
        now += pause
        session = number % 7
        try:
            admission.admit(offer(session), now)
        except (ReplayedError, TooManyError):
            continue
        assert now - admitted.get(session, -REMEMBERED_MS - 1) > REMEMBERED_MS
        admitted[session] = now


def test_peers_beyond_memory_wait() -> None:
    """With too many peers to remember, a new one waits until others are old."""
    admission = Admission()

    def peer(number: int) -> Known:
        return Known(DeviceId(number.to_bytes(16)), bytes(32), bytes(32))

    for number in range(MAX_PEERS):
        admission.admit(offer(1, peer(number)), 0)

    with pytest.raises(TooManyError):
        admission.admit(offer(1, peer(MAX_PEERS)), REMEMBERED_MS)
    admission.admit(offer(1, peer(MAX_PEERS)), REMEMBERED_MS + 1)


def test_of_two_offers_one_stands() -> None:
    """Both sides agree which of their crossing offers is answered."""
    assert stands(LOWER.device, HIGHER.device)
    assert not stands(HIGHER.device, LOWER.device)


def test_an_address_has_a_burst_and_then_a_rate() -> None:
    """Tokens run out and come back; each address has its own."""
    buckets = Buckets(burst=3, per_second=2)

    assert [buckets.take("192.0.2.1", 0) for _ in range(4)] == [True] * 3 + [False]
    assert buckets.take("192.0.2.2", 0)
    assert not buckets.take("192.0.2.1", 0.4)
    assert buckets.take("192.0.2.1", 0.6)
    assert [buckets.take("192.0.2.1", 99) for _ in range(4)] == [True] * 3 + [False]


def test_memory_of_addresses_is_bounded() -> None:
    """More addresses than are remembered push out who has not asked for longest."""
    buckets = Buckets(burst=1, per_second=0)
    assert buckets.take("192.0.2.1", 0)

    for number in range(MAX_ADDRESSES):
        buckets.take(f"10.0.{number // 256}.{number % 256}", 1)

    assert buckets.take("192.0.2.1", 2)
    assert not buckets.take("10.0.1.1", 2)


def test_an_ipv6_network_is_one_address() -> None:
    """A /64 shares its tokens; IPv4 is the same in the clothes of IPv6."""
    assert network_of("2001:db8::1") == network_of("2001:db8::2:1%eth0")
    assert network_of("2001:db8::1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1")
    assert network_of("nonsense") == ""
