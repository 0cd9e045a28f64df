"""What admins state by themselves, and what a person may change of the devices."""

from collections.abc import Iterator

import pytest

from crdt.errors import ConflictError, InvalidError, NotFoundError
from crdt.identity import MAX_NAME_BYTES
from crdt.ids import DeviceId
from crdt.replica import Replica
from daemon.mesh.tending import removed, renamed, tend
from tests.support.replicas import START_MS, Device, dice, identity, scratch_folder

PHONE = identity(1).device
RANDOMNESS = dice("tending")


@pytest.fixture
def replica() -> Iterator[Replica]:
    """Open the replica of an admin among eight devices."""
    with scratch_folder() as folder, Device(folder / "home").running() as replica:
        yield replica


def test_who_owes_nothing_states_nothing(replica: Replica) -> None:
    """Once every member has its keys, tending says nothing more, however often."""
    while tend(replica, RANDOMNESS, START_MS):
        pass
    before = replica.roster.fingerprint

    assert tend(replica, RANDOMNESS, START_MS) == []
    assert replica.roster.fingerprint == before
    assert not replica.roster.needs_rotation
    assert not replica.roster.ungranted


def test_a_removed_device_is_out_for_good(replica: Replica) -> None:
    """It is removed, a new epoch begins without it, and it is removed once."""
    epoch = replica.roster.present_epoch

    change = removed(replica, PHONE, RANDOMNESS, START_MS)

    member = change.roster.member(PHONE)
    assert member is not None
    assert member.is_removed
    assert change.roster.present_epoch != epoch
    assert replica.keys.present_epoch.id == change.roster.present_epoch
    with pytest.raises(ConflictError, match="removed before"):
        removed(replica, PHONE, RANDOMNESS, START_MS)
    with pytest.raises(NotFoundError):
        renamed(replica, PHONE, "ghost", START_MS)


def test_refusals_change_nothing(replica: Replica) -> None:
    """Who is unknown or oneself is not removed, and the text says what to do."""
    before = replica.roster.fingerprint
    with pytest.raises(NotFoundError, match="fractality devices"):
        removed(replica, DeviceId(bytes(16)), RANDOMNESS, START_MS)
    with pytest.raises(ConflictError, match="on another one"):
        removed(replica, replica.identity.device, RANDOMNESS, START_MS)
    with pytest.raises(NotFoundError, match="fractality devices"):
        renamed(replica, DeviceId(bytes(16)), "x", START_MS)

    assert replica.roster.fingerprint == before


@pytest.mark.parametrize(
    "name", ["", " ", "two\nlines", "\x1b[31m", "n" * (MAX_NAME_BYTES + 1), "é" * 200]
)
def test_names_that_cannot_be_shown_are_refused(replica: Replica, name: str) -> None:
    """What is no name is refused by its field, of known and unknown devices alike."""
    for device in (PHONE, DeviceId(bytes(16))):
        with pytest.raises(InvalidError) as refusal:
            renamed(replica, device, name, START_MS)
        assert refusal.value.field == "name"


def test_a_name_may_be_as_long_as_it_fits(replica: Replica) -> None:
    """The bound is one of bytes, and any device may be renamed."""
    for name in ("pocket", "é" * (MAX_NAME_BYTES // 2)):
        change = renamed(replica, PHONE, name, START_MS)
        member = change.roster.member(PHONE)
        assert member is not None
        assert member.name == name


def test_a_removed_device_tends_nothing(replica: Replica) -> None:
    """Who was removed, or is no admin, states nothing on behalf of the others."""
    statement = removed(replica, PHONE, RANDOMNESS, START_MS).statements
    with scratch_folder() as folder, Device(folder / "home", 1).running() as phone:
        phone.receive_statements(statement, START_MS)
        assert tend(phone, RANDOMNESS, START_MS) == []
        with pytest.raises(ConflictError):
            removed(phone, replica.identity.device, RANDOMNESS, START_MS)
