"""What a session gives, and when: at once what is new, in turns what is old."""

from crdt.ids import DeviceId
from tests.support.sessions import DIGEST, ME, THIRD, of_kind, opened
from transport.frames import Acknowledge, Changed, Condition, Envelopes
from transport.sync import SyncSession
from transport.sync_actions import Action, Holdings, Load, Send
from transport.sync_sending import FORWARD_DELAY_MS, LOAD_BYTES, SMALL_BYTES


def written(
    session: SyncSession, device: DeviceId, number: int, size: int = 10
) -> list[Action]:
    """Return what follows when an envelope becomes durable here."""
    holdings = Holdings({device: number}, DIGEST)
    return session.advanced([(device, number, bytes(size))], holdings, 0)


def sent(actions: list[Action]) -> list[bool]:
    """Return for each frame of envelopes whether it goes by the bulk channel."""
    sends = of_kind(actions, Send)
    return [each.is_bulk for each in sends if isinstance(each.frame, Envelopes)]


def test_own_envelopes_are_given_at_once() -> None:
    """A small one by the control channel, a large one by bulk."""
    assert sent(written(opened(), ME, 1)) == [False]
    assert sent(written(opened(), ME, 1, SMALL_BYTES + 1)) == [True]


def test_what_is_on_its_way_keeps_to_its_channel() -> None:
    """Until it is acknowledged, nothing of the device may overtake it."""
    session = opened()
    written(session, ME, 1, SMALL_BYTES + 1)

    assert sent(written(session, ME, 2)) == [True]
    session.receive(Acknowledge(SMALL_BYTES + 11, {ME: 2}), 0)
    assert sent(written(session, ME, 3)) == [False]


def test_what_others_wrote_waits_a_moment() -> None:
    """It is acknowledged at once, and given on when the peer has not got it by then."""
    session = opened()

    actions = written(session, THIRD, 1)

    assert of_kind(actions, Acknowledge) == [Acknowledge(0, {THIRD: 1})]
    assert not of_kind(actions, Load)
    assert sent(actions) == []
    assert session.due_ms == FORWARD_DELAY_MS
    assert of_kind(session.expire(FORWARD_DELAY_MS), Load)


def test_what_the_peer_got_elsewhere_is_not_given() -> None:
    """Its acknowledgement comes in time."""
    session = opened()
    written(session, THIRD, 1)
    session.receive(Acknowledge(0, {THIRD: 1}), 10)

    assert not of_kind(session.expire(FORWARD_DELAY_MS), Load)


def test_devices_take_turns() -> None:
    """A device with much to give does not keep others waiting."""
    session = opened({ME: 100, THIRD: 100})
    turns = []
    device, after = ME, 0
    for _ in range(4):
        turns.append(device)
        loads = of_kind(session.loaded(device, after, [b"x"], 0), Load)
        assert loads[0].max_bytes == LOAD_BYTES
        device, after = loads[0].device, loads[0].after

    assert turns == [ME, THIRD, ME, THIRD]


def test_a_pause_here_holds_back() -> None:
    """A paused device gives nothing until it goes on."""
    session = opened()
    session.condition_changed(Condition.PAUSED, 0)

    assert sent(written(session, ME, 1)) == []
    assert of_kind(session.condition_changed(Condition.READY, 0), Load)


def test_a_pause_there_holds_back() -> None:
    """A paused peer is given nothing until it goes on."""
    session = opened()
    session.receive(Changed(Condition.PAUSED), 0)

    assert sent(written(session, ME, 1)) == []
    assert of_kind(session.receive(Changed(Condition.READY), 0), Load)


def test_a_full_disk_still_gives() -> None:
    """A device that cannot take gives what it has."""
    session = opened()
    session.condition_changed(Condition.DISK_FULL, 0)

    assert sent(written(session, ME, 1)) == [False]
