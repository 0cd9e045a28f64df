"""Of two sessions of the same devices both devices keep the same one."""

from hypothesis import given
from hypothesis import strategies as st

from crdt.ids import DeviceId, SpaceId
from transport.frames import Condition
from transport.session_names import Meeting, SessionName
from transport.sync_actions import Greeted

LOWER, HIGHER = DeviceId(b"\x01" * 16), DeviceId(b"\x02" * 16)
SIDES = st.tuples(st.sampled_from([b"run of a", b"run of b"]), st.integers(0, 3))


def meeting(me: DeviceId, here: tuple[bytes, int], there: tuple[bytes, int]) -> Meeting:
    """Return how one side names a session."""
    peer = HIGHER if me == LOWER else LOWER
    name = SessionName(SpaceId(bytes(16)), me, peer, *here)
    return Meeting.of(name, Greeted(*there, 0, Condition.READY))


@given(SIDES, SIDES)
def test_both_sides_name_a_session_alike(
    lower: tuple[bytes, int], higher: tuple[bytes, int]
) -> None:
    """It does not matter who looks."""
    assert meeting(LOWER, lower, higher) == meeting(HIGHER, higher, lower)


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_one_of_two_goes_on(lower: list[int], higher: list[int]) -> None:
    """Among sessions of the same processes the same one goes on, in whatever order."""
    run = b"the same"
    meetings = [
        meeting(LOWER, (run, first), (run, second))
        for first, second in zip(lower, higher, strict=True)
    ]
    for one in meetings:
        for other in meetings:
            assert one is other or one.supersedes(other) != other.supersedes(one)


@given(SIDES, SIDES, SIDES)
def test_a_new_process_goes_on(
    old: tuple[bytes, int], new: tuple[bytes, int], peer: tuple[bytes, int]
) -> None:
    """Sessions of a process that is gone are dead, whatever they were called."""
    before, after = meeting(LOWER, old, peer), meeting(LOWER, new, peer)

    assert after.supersedes(before) == (old[0] != new[0] or new[1] > old[1])
