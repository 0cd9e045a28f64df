"""What is said of other devices, and what is never said too early."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from daemon.mesh.standing import (
    BrokenOff,
    DigestsDiffer,
    DiskFull,
    Forked,
    KeyMissing,
    NewerVersion,
    Paused,
    PeerStanding,
    Removed,
    SpaceState,
    Stopped,
    Stuck,
    Trouble,
    Unlinked,
    explain,
    foremost,
    space_state,
)
from transport.reasons import ClockSkew, Dialling, NeverSeen, NoRoute
from transport.sync_actions import EndCause, StallCause

PHONE: Final = DeviceId(b"phone".ljust(16))
IN_STEP: Final = PeerStanding(
    PHONE, "webrtc", 0, 0, 1_000, is_digest_equal=True, trouble=None
)
TROUBLES: Final[tuple[Trouble, ...]] = (
    *(
        kind(is_here=side)
        for kind in (Removed, KeyMissing, Paused, DiskFull, Forked)
        for side in (True, False)
    ),
    Unlinked(ClockSkew(7 * 60_000)),
    Unlinked(NoRoute(3, 0, 0)),
    Unlinked(NeverSeen()),
    Unlinked(Dialling(1, 0)),
    DigestsDiffer(),
    NewerVersion(),
    Stopped(),
    BrokenOff(EndCause.BROKEN_ENVELOPE),
    Stuck(StallCause.NO_ANSWER),
)
STANDINGS: Final = st.builds(
    PeerStanding,
    st.just(PHONE),
    st.sampled_from(("webrtc", "relay", None)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.none() | st.integers(0, 10),
    st.booleans(),
    st.none() | st.sampled_from(TROUBLES),
)


@given(st.lists(STANDINGS))
def test_synced_is_said_only_of_what_is(peers: list[PeerStanding]) -> None:
    """A space is synced iff all others acknowledged all and show the same.

    And nothing keeps one of the two from hearing of more.
    """
    state = space_state(peers)

    is_true = bool(peers) and all(
        peer.last_ack_ms is not None
        and peer.pending_out == peer.pending_in == 0
        and peer.is_digest_equal
        and isinstance(peer.trouble, Unlinked | Stopped | Paused | None)
        for peer in peers
    )
    assert (state is SpaceState.SYNCED) == is_true
    assert (state is SpaceState.ALONE) == (not peers)


def test_nothing_acknowledged_is_not_safe() -> None:
    """A device that never acknowledged anything is not called safe."""
    assert not replace(IN_STEP, last_ack_ms=None).is_safe
    assert space_state([replace(IN_STEP, last_ack_ms=None)]) is SpaceState.SYNCING


def test_states_by_what_is_pending() -> None:
    """Pending while linked is syncing; without a link, behind; unmoved, stalled."""
    pending = replace(IN_STEP, pending_out=1)

    assert space_state([IN_STEP]) is SpaceState.SYNCED
    assert space_state([pending]) is SpaceState.SYNCING
    assert space_state([replace(pending, link=None)]) is SpaceState.BEHIND
    for trouble in (Stuck(StallCause.WITHHELD), BrokenOff(EndCause.USELESS)):
        stalled = replace(pending, trouble=trouble)
        assert space_state([IN_STEP, stalled]) is SpaceState.STALLED
    stalled = replace(pending, trouble=DiskFull(is_here=False), is_stalled=True)
    assert space_state([IN_STEP, stalled]) is SpaceState.STALLED
    meeting = replace(pending, trouble=BrokenOff(EndCause.STRANGER_HERE))
    assert space_state([IN_STEP, meeting]) is SpaceState.SYNCING


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
def test_every_trouble_has_words(trouble: Trouble) -> None:
    """Each trouble has a cause, and a whole sentence if something can be done."""
    cause, fix = explain(trouble)

    assert cause
    assert fix is None or fix.endswith(".")


def test_words_of_the_contract() -> None:
    """The causes that are promised read as they are promised."""
    assert explain(Unlinked(ClockSkew(7 * 60_000)))[0] == (
        "its clock is 7 min ahead of this one"
    )
    assert explain(Unlinked(NoRoute(3, 0, 0)))[0].startswith(
        "no route: 3 addresses tried"
    )
    assert explain(Removed(is_here=False))[0] == "revoked"
    assert explain(KeyMissing(is_here=True))[0] == "key of epoch missing on this device"
    assert explain(DiskFull(is_here=False))[0] == "disk full there"


@given(st.lists(st.sampled_from(TROUBLES)))
def test_the_foremost_trouble(troubles: list[Trouble]) -> None:
    """Which trouble is told does not depend on the order in which they are found."""
    first = foremost(troubles)

    assert (first is None) == (not troubles)
    assert type(first) is type(foremost(reversed(troubles)))
