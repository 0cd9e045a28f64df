"""What a peer can do that no honest one does, and what becomes of it.

Each case ends the session with its own cause, or is reported, and holds little memory.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

import pytest

from crdt.ids import DeviceId, SpaceId
from tests.support.sessions import (
    DIGEST,
    ME,
    PEER,
    ROSTER,
    THIRD,
    ended_by,
    hello,
    of_kind,
    opened,
    started,
)
from transport.frames import (
    MAX_DEVICES,
    MAX_PART_BYTES,
    MAX_STATEMENTS_BYTES,
    Acknowledge,
    Bye,
    Changed,
    CheckpointOffer,
    CheckpointPart,
    CheckpointWish,
    Condition,
    Envelopes,
    Farewell,
    Frame,
    Presence,
    Refusal,
    Refused,
    RosterHashes,
    Shown,
    Statements,
    StatementsKept,
)
from transport.patience import ASIDE_BURST, BURST
from transport.rollback import DOUBT_MS
from transport.stall import GIVE_UP_MS, STALL_MS
from transport.sync import HELLO_MS, SyncSession
from transport.sync_actions import (
    Action,
    Compared,
    EndCause,
    Hand,
    Holdings,
    Keep,
    Load,
    Moving,
    NotAccepted,
    RosterState,
    StallCause,
    Stalled,
    Standing,
)
from transport.sync_receiving import MAX_USELESS_BYTES
from transport.sync_sending import MAX_REWINDS, WINDOW_BYTES
from transport.vectors import vector_hash

OUT_OF_PLACE: Final[dict[str, Frame]] = {
    "second hello": hello({}),
    "statements nobody asked for": Statements((), is_last=True),
    "acknowledged statements that were not sent": StatementsKept(bytes(32)),
}


@pytest.mark.parametrize("name", OUT_OF_PLACE)
def test_frames_out_of_place_end_the_session(name: str) -> None:
    """What has no place in the order of things ends the session, and says so."""
    actions = opened().receive(OUT_OF_PLACE[name], 0)

    assert ended_by(actions) is EndCause.OUT_OF_PLACE
    assert of_kind(actions, Bye) == [Bye(Farewell.BROKEN_RULES)]


@pytest.mark.parametrize(
    "frame", [Acknowledge(0, {}), Envelopes((b"x",)), Presence(b"x"), RosterHashes(())]
)
def test_nothing_comes_before_hello(frame: Frame) -> None:
    """A peer that does not say hello first is not listened to."""
    session = started()

    assert ended_by(session.receive(frame, 0)) is EndCause.OUT_OF_PLACE


def test_a_silent_peer_is_left() -> None:
    """Without a hello the session ends after a while."""
    session = started()

    assert session.expire(HELLO_MS - 1) == []
    assert ended_by(session.expire(HELLO_MS)) is EndCause.STALLED


def test_a_foreign_space_ends_the_session() -> None:
    """Devices of different spaces have nothing to say to each other."""
    session = started()

    frame = hello({}, space=SpaceId(b"another space!!!"))

    assert ended_by(session.receive(frame, 0)) is EndCause.FOREIGN_SPACE


def test_too_many_devices_end_the_session() -> None:
    """A vector that grows beyond all rosters ends the session."""
    session = opened()
    cause = None
    for start in range(0, MAX_DEVICES + 2, 100):
        names = range(start + 1000, start + 1100)
        vector = {DeviceId(name.to_bytes(16)): 1 for name in names}
        cause = cause or ended_by(session.receive(Acknowledge(0, vector), 0))

    assert cause is EndCause.TOO_MANY_DEVICES


def test_acknowledging_too_much_ends_the_session() -> None:
    """A peer that acknowledges what it was not sent cannot be relied upon."""
    assert (
        ended_by(opened().receive(Acknowledge(1, {}), 0)) is EndCause.OVERACKNOWLEDGED
    )
    refused = Refused(((ME, 1, Refusal.GAP),))
    assert ended_by(opened().receive(refused, 0)) is EndCause.OVERACKNOWLEDGED


def test_taking_an_acknowledgement_back_ends_the_session() -> None:
    """What a peer held once, it holds."""
    session = opened(there={THIRD: 5})

    retreat = session.receive(Acknowledge(0, {THIRD: 4}), 0)

    assert ended_by(retreat) is EndCause.RETREATED


def test_a_flood_of_envelopes_ends_the_session() -> None:
    """Beyond its credit a peer is not listened to; until then it is."""
    session = opened(there={PEER: 100})
    mebibyte = Envelopes((bytes(2**20),))
    for _ in range(WINDOW_BYTES // 2**20):
        assert ended_by(session.receive(mebibyte, 0)) is None

    assert ended_by(session.receive(mebibyte, 0)) is EndCause.FLOODED


def test_one_large_envelope_is_within_the_credit() -> None:
    """An envelope larger than the window comes alone."""
    session = opened(there={PEER: 2})
    large = Envelopes((bytes(WINDOW_BYTES + 1),))

    assert of_kind(session.receive(large, 0), Keep)
    assert ended_by(session.receive(Envelopes((b"x",)), 0)) is EndCause.FLOODED


@pytest.mark.parametrize(
    "frame", [Changed(Condition.PAUSED), Shown(bytes(32), DIGEST), CheckpointOffer()]
)
def test_a_flood_of_small_frames_ends_the_session(frame: Frame) -> None:
    """Small frames cost as well, and are counted."""
    session = opened()
    causes = [ended_by(session.receive(frame, 0)) for _ in range(BURST)]

    assert EndCause.FLOODED in causes
    assert set(causes[: BURST // 2]) == {None}


def test_a_flood_of_presence_is_dropped() -> None:
    """What may be lost is dropped beyond a limit, and the session goes on."""
    session = opened()
    handed = [session.receive(Presence(b"x"), 0) for _ in range(2 * ASIDE_BURST)]

    assert sum(len(of_kind(each, Hand)) for each in handed) == ASIDE_BURST
    assert ended_by(session.receive(Acknowledge(0, {}), 0)) is None


def test_statements_come_one_frame_at_a_time() -> None:
    """The next before the last is kept, or too much at once, ends the session."""
    some = Statements((b"x",), is_last=False)
    session = opened()
    session.receive(some, 0)
    count = MAX_STATEMENTS_BYTES // 2**15 + 1
    large = Statements((bytes(2**15),) * count, is_last=False)

    assert ended_by(session.receive(some, 0)) is EndCause.FLOODED
    assert ended_by(opened().receive(large, 0)) is EndCause.FLOODED


def test_useless_envelopes_end_the_session() -> None:
    """A peer that repeats itself for ever is left."""
    session = opened(here={PEER: 1}, there={PEER: 1})
    frame = Envelopes((bytes(2**20),))
    causes = []
    for _ in range(MAX_USELESS_BYTES // 2**20 + 1):
        session.receive(frame, 0)
        stored = session.stored(Holdings({PEER: 1}, DIGEST), 0, (), 0)
        causes.append(ended_by(stored))

    assert causes[-1] is EndCause.USELESS
    assert set(causes[:-1]) == {None}


@pytest.mark.parametrize(
    ("there", "cause"),
    [({PEER: 9}, StallCause.WITHHELD), ({}, StallCause.UNACKNOWLEDGED)],
)
def test_a_peer_that_does_nothing_is_reported_then_left(
    there: dict[DeviceId, int], cause: StallCause
) -> None:
    """Announcing without sending and taking without acknowledging are stalls."""
    here = {} if there else {ME: 1}
    session = opened(here, there)
    if here:
        session.loaded(ME, 0, [b"envelope"], 0)

    assert not of_kind(session.expire(STALL_MS - 1), Stalled)
    told = of_kind(session.expire(STALL_MS), Stalled)
    assert [each.cause for each in told] == [cause]
    assert ended_by(session.expire(GIVE_UP_MS - 1)) is None
    assert ended_by(session.expire(GIVE_UP_MS)) is EndCause.STALLED


def test_what_moves_again_is_told() -> None:
    """An acknowledgement ends a stall."""
    session = opened({ME: 1})
    session.loaded(ME, 0, [b"envelope"], 0)
    session.expire(STALL_MS)
    session.receive(Acknowledge(8, {ME: 1}), STALL_MS)

    assert of_kind(session.expire(STALL_MS + 1), Moving)


def test_a_peer_that_is_paused_is_not_a_fault() -> None:
    """A pause is reported as such, and ends nothing."""
    session = opened({ME: 1})
    session.loaded(ME, 0, [], 0)
    session.receive(Changed(Condition.PAUSED), 0)
    told = of_kind(session.expire(STALL_MS), Stalled)

    assert [each.cause for each in told] == [StallCause.PAUSED_THERE]
    assert ended_by(session.expire(GIVE_UP_MS)) is None


@pytest.mark.parametrize(
    ("here", "there", "cause"),
    [
        ({}, {ME: 1}, EndCause.ROLLED_BACK_HERE),
        ({PEER: 2}, {PEER: 1}, EndCause.ROLLED_BACK_THERE),
    ],
)
def test_a_device_that_forgot_its_own_envelopes_is_named(
    here: dict[DeviceId, int], there: dict[DeviceId, int], cause: EndCause
) -> None:
    """A copy of a home, or one set back, is found by what others hold of it."""
    session = opened(here, there)

    assert ended_by(session.expire(0)) is None
    actions = session.expire(DOUBT_MS)

    assert ended_by(actions) is cause
    assert of_kind(actions, Bye) == [Bye(Farewell.ROLLED_BACK)]


@pytest.mark.parametrize(
    "part",
    [
        CheckpointPart(bytes(16), 2, 2, b"x"),
        CheckpointPart(bytes(16), 0, 2, b"x"),
    ],
)
def test_checkpoints_come_when_wished(part: CheckpointPart) -> None:
    """A part nobody wished for, or beyond the total, ends the session."""
    assert ended_by(opened().receive(part, 0)) is EndCause.BROKEN_CHECKPOINT


def test_parts_come_in_order() -> None:
    """A part that does not follow the last one ends the session."""
    session = opened()
    session.receive(CheckpointOffer(), 0)
    assert of_kind(session.checkpoint_wished(0), CheckpointWish)
    first = CheckpointPart(bytes(16), 0, 3, bytes(MAX_PART_BYTES))

    assert ended_by(session.receive(first, 0)) is None
    again = session.receive(first, 0)
    assert ended_by(again) is EndCause.BROKEN_CHECKPOINT


def refusing(refusal: Refusal, device: DeviceId) -> list[Action]:
    """Return what follows if an envelope of `device` is refused there."""
    session = opened({device: 1})
    session.loaded(device, 0, [b"one"], 0)
    return session.receive(Refused(((device, 1, refusal),)), 0)


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_answer(refusal: Refusal) -> None:
    """A gap is filled at once; all else waits for the roster, and is reported."""
    actions = refusing(refusal, THIRD)

    sent_again = of_kind(actions, Load) == [Load(THIRD, 0, 256 * 1024)]
    assert sent_again == (refusal is Refusal.GAP)
    assert of_kind(actions, NotAccepted)


def test_a_peer_that_always_finds_gaps_is_not_served_for_ever() -> None:
    """After some rounds the device's envelopes wait, and others go on."""
    session = opened({THIRD: 3})
    rounds = 0
    while of_kind(session.loaded(THIRD, 0, [b"one"], 0), Envelopes):
        rounds += 1
        session.receive(Refused(((THIRD, 1, Refusal.GAP),)), 0)

    assert rounds == MAX_REWINDS + 1


def test_the_peers_own_fork_ends_the_session() -> None:
    """A peer that signed two histories is not talked to any more."""
    session = opened(there={PEER: 3})
    session.receive(Envelopes((b"x",)), 0)
    stored = session.stored(Holdings({}, DIGEST), 0, [(PEER, 3, Refusal.FORK)], 0)

    assert ended_by(stored) is EndCause.FORKED


def test_different_graphs_at_one_vector_are_an_alarm() -> None:
    """It is told, and the newest envelopes are shown so that a fork is found."""
    session = opened({ME: 3}, {ME: 3})
    frame = Shown(vector_hash({ME: 3}), bytes([1]) * 64)
    actions = session.receive(frame, 0)

    assert of_kind(actions, Compared) == [Compared(is_equal=False)]
    assert of_kind(actions, Load) == [Load(ME, 2, 1)]
    shown = session.loaded(ME, 2, [b"third"], 0)
    assert of_kind(shown, Envelopes) == [Envelopes((b"third",))]


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.receive(Acknowledge(0, {}), 0),
        lambda session: session.expire(10**9),
        lambda session: session.end(EndCause.STOPPED),
        lambda session: session.advanced([(ME, 1, b"x")], Holdings({ME: 1}, None), 0),
        lambda session: session.stored(Holdings({}, None), 0, (), 0),
        lambda session: session.roster_changed(ROSTER, 0),
    ],
)
def test_nothing_follows_the_end(act: Callable[[SyncSession], list[Action]]) -> None:
    """A session that ended asks for nothing more."""
    session = opened()
    session.end(EndCause.STOPPED)

    assert act(session) == []


def test_a_removed_peer_hears_why() -> None:
    """A peer that was removed is sent the statements, told, and let go."""
    session = opened()
    removal = RosterState(
        bytes([1]) * 32,
        (sha256(b"removal").digest(),),
        Standing.REMOVED,
        Standing.MEMBER,
    )
    session.roster_changed(removal, 0)
    told = session.statements_loaded([b"removal"], 0)
    actions = session.receive(StatementsKept(bytes(32)), 0)

    assert of_kind(told, Statements) == [Statements((b"removal",), is_last=False)]
    assert of_kind(actions, Bye) == [Bye(Farewell.REMOVED)]
    assert ended_by(actions) is EndCause.REMOVED_THERE
