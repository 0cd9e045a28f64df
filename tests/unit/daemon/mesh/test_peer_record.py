"""What is said of a device after any sequence of news is never better than it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId
from crdt.roster import Member, Role
from daemon.mesh.peer_record import Here, PeerRecord
from daemon.mesh.report import LinkKind
from daemon.mesh.standing import (
    BrokenOff,
    DiskFull,
    KeyMissing,
    PeerStanding,
    SpaceState,
    Stopped,
    Unlinked,
    explain,
    space_state,
)
from transport.frames import Condition, Refusal
from transport.reasons import Dialling, Failed, FailureCause, Linked, NoRoute, Reason
from transport.sync_actions import (
    CheckpointProgress,
    Compared,
    Conditioned,
    EndCause,
    Greeted,
    Moving,
    News,
    NotAccepted,
    Progress,
    StallCause,
    Stalled,
)

ME: Final = DeviceId(b"laptop".ljust(16))
PHONE: Final = DeviceId(b"phone".ljust(16))
MEMBER: Final = Member(PHONE, b"", b"", 1, "phone", Role.WRITER)
HERE: Final = Here(
    device=ME,
    vector={ME: 3, PHONE: 2},
    is_sealed=True,
    is_removed=False,
    is_paused=False,
    is_disk_full=False,
    lacks_key=False,
    forked=frozenset(),
)
GREETED: Final = Greeted(bytes(8), 1, 0, Condition.READY)
CUT_SHORT: Final = Failed(FailureCause.CUT_SHORT, 0, 0)
VECTORS: Final = st.fixed_dictionaries(
    {}, optional={ME: st.integers(1, 4), PHONE: st.integers(1, 4)}
)
NEWS: Final[st.SearchStrategy[News]] = st.one_of(
    st.just(GREETED),
    st.builds(Conditioned, st.sampled_from(Condition)),
    st.builds(Progress, st.integers(0, 3), st.integers(0, 3)),
    st.builds(CheckpointProgress, st.integers(1, 3), st.just(3), st.booleans()),
    st.builds(Compared, st.booleans()),
    st.builds(
        NotAccepted,
        st.just(PHONE),
        st.just(1),
        st.sampled_from(Refusal),
        st.booleans(),
    ),
    st.builds(Stalled, st.sampled_from(StallCause)),
    st.just(Moving()),
)
EVENTS: Final = st.lists(
    NEWS
    | VECTORS
    | st.sampled_from(EndCause)
    | st.sampled_from(("link made", "link lost"))
)


def look(
    record: PeerRecord,
    here: Here = HERE,
    link: LinkKind | None = "webrtc",
    reason: Reason | None = None,
) -> PeerStanding:
    """Return how the phone stands."""
    return record.standing(MEMBER, here, link, reason or Linked(0))


def tell(record: PeerRecord, events: Sequence[object], here: Here = HERE) -> None:
    """Let a record take in what happens, in order."""
    for event in events:
        match event:
            case dict():
                record.acknowledge(event, 1_000)
            case EndCause():
                record.session_ended(event)
            case "link made":
                record.link_made()
            case "link lost":
                record.session_ended(None)
            case _:
                record.note(event, here.vector)  # type: ignore[arg-type]  # all else is news


@given(events=EVENTS, vector=VECTORS, is_sealed=st.booleans())
def test_synced_and_safe_are_only_what_it_said_itself(
    *, events: list[object], vector: dict[DeviceId, int], is_sealed: bool
) -> None:
    """Safe takes its own acknowledgement of all; synced takes equal digests as well."""
    record = PeerRecord()
    tell(record, events)
    here = replace(HERE, vector=vector, is_sealed=is_sealed)
    standing = look(record, here)

    said: dict[DeviceId, int] = {}
    for event in events:
        if isinstance(event, dict):
            said |= event
    if standing.is_safe:
        assert any(isinstance(event, dict) for event in events)
        assert is_sealed
        assert all(said.get(device, 0) >= held for device, held in vector.items())
    if standing.is_synced:
        assert Compared(is_equal=True) in events
        assert vector == HERE.vector


@given(EVENTS, st.sampled_from((Linked(0), CUT_SHORT, NoRoute(3, 0, 0))))
def test_who_is_not_linked_has_a_cause(events: list[object], reason: Reason) -> None:
    """Each device has a link or words for why it has none."""
    record = PeerRecord()
    tell(record, events)

    trouble = look(record, link=None, reason=reason).trouble

    assert trouble is not None
    assert explain(trouble)[0]


@given(EVENTS, st.sampled_from(StallCause))
def test_a_stall_is_red_until_it_moves(events: list[object], cause: StallCause) -> None:
    """Whatever came before, a stall is the state of the space; then it is not."""
    record = PeerRecord()
    tell(record, [*events, "link made", GREETED, Stalled(cause)])
    shown = look(record)
    assert shown.trouble is not None
    assert space_state([shown]) is SpaceState.STALLED

    tell(record, [Compared(is_equal=True), Moving()])
    assert space_state([look(record)]) is not SpaceState.STALLED


def test_what_stands_in_no_envelope_is_pending() -> None:
    """A change that is not sealed yet is nowhere else: nothing is safe or synced."""
    record = PeerRecord()
    tell(record, [GREETED, dict(HERE.vector), Compared(is_equal=True)])
    assert look(record).is_synced

    standing = look(record, replace(HERE, is_sealed=False))

    assert (standing.is_safe, standing.is_synced, standing.pending_out) == (
        False,
        False,
        1,
    )


def test_a_hello_replaces_what_was_known() -> None:
    """Who comes back from an older backup is not said to hold what it has lost."""
    record = PeerRecord(dict(HERE.vector), 1)
    assert look(record).is_safe

    tell(record, ["link made", GREETED, {PHONE: 2}])
    assert look(record).pending_out == 3

    tell(record, [{ME: 3}])
    assert look(record).is_safe


@pytest.mark.parametrize(
    "cause",
    [EndCause.BROKEN_ENVELOPE, EndCause.REJECTED, EndCause.STORE_FAILED],
    ids=lambda cause: cause.name,
)
def test_a_session_that_ends_again_and_again_shows_why(cause: EndCause) -> None:
    """The fault is told between sessions, in the next one and after a lost link."""
    record = PeerRecord()
    for again in range(3):
        tell(record, ["link made"])
        assert (look(record).trouble == BrokenOff(cause)) == bool(again)
        tell(record, [GREETED, {ME: 1}, Progress(2, 0), Progress(2, 0), cause])
        for reason in (CUT_SHORT, Dialling(1, 0)):
            shown = look(record, link=None, reason=reason)
            assert space_state([shown]) is SpaceState.STALLED
            assert shown.trouble is not None
            assert str(cause) in explain(shown.trouble)[0] or reason != CUT_SHORT
    tell(record, ["link made", "link lost"])
    assert look(record).trouble == BrokenOff(cause)
    gone = NoRoute(3, 0, 0)
    assert look(record, link=None, reason=gone).trouble == Unlinked(gone)

    tell(record, ["link made", GREETED, Compared(is_equal=True)])

    assert look(record).trouble is None


@pytest.mark.parametrize(
    ("cause", "moved"),
    [
        (EndCause.BROKEN_ENVELOPE, Progress(2, 1)),
        (EndCause.REJECTED, Progress(1, 2)),
        (EndCause.STALLED, Progress(2, 1)),
        (EndCause.STALLED, Progress(1, 2)),
        (EndCause.DISK_FULL, Progress(2, 1)),
        (EndCause.DISK_FULL_THERE, Progress(1, 2)),
    ],
)
def test_a_fault_is_over_when_what_it_held_up_moves(
    cause: EndCause, moved: Progress
) -> None:
    """Not by a link alone, nor by traffic the other way."""
    record = PeerRecord()
    tell(record, [cause, "link made", GREETED, Progress(2, 2)])
    assert record.ended is cause

    tell(record, [moved])

    assert record.ended is None


@pytest.mark.parametrize(
    ("cause", "is_here"),
    [(EndCause.DISK_FULL, True), (EndCause.DISK_FULL_THERE, False)],
)
def test_a_full_disk_is_named_though_the_link_ended(
    cause: EndCause, *, is_here: bool
) -> None:
    """The cause is not hidden by the link that ended of it."""
    record = PeerRecord()
    tell(record, ["link made", GREETED, cause])

    assert look(record, link=None, reason=CUT_SHORT).trouble == DiskFull(is_here)


def test_only_who_said_so_was_stopped() -> None:
    """A device that left is told from one that broke off for a fault of ours."""
    record = PeerRecord()
    tell(record, ["link made", EndCause.PEER_LEFT])
    assert look(record, link=None, reason=CUT_SHORT).trouble == Stopped()

    tell(record, ["link made", EndCause.REJECTED])

    trouble = look(record, link=None, reason=CUT_SHORT).trouble
    assert trouble == BrokenOff(EndCause.REJECTED)


def test_a_key_that_came_is_not_missing_any_more() -> None:
    """What was refused for want of a key there is forgotten when it was taken."""
    refused = NotAccepted(ME, 3, Refusal.NO_KEY, is_here=False)
    for over in (Progress(0, 0), Compared(is_equal=True), Moving(), "link made"):
        record = PeerRecord()
        tell(record, ["link made", GREETED, refused])
        assert look(record).trouble == KeyMissing(is_here=False)

        tell(record, [over])

        assert look(record).trouble is None


def test_what_stalled_in_a_replaced_session_is_over() -> None:
    """A link that takes over from another begins without its stall and progress."""
    record = PeerRecord()
    stall = Stalled(StallCause.NO_ANSWER)
    tell(record, ["link made", CheckpointProgress(1, 3, is_incoming=True), stall])

    tell(record, ["link made"])

    assert look(record).trouble is None
    assert record.progress is None


def test_a_finished_checkpoint_is_no_progress() -> None:
    """After the last part, progress is that of envelopes again."""
    record = PeerRecord()
    tell(record, [CheckpointProgress(2, 3, is_incoming=False)])
    assert record.progress is not None

    tell(record, [CheckpointProgress(3, 3, is_incoming=False)])

    assert record.progress is None
