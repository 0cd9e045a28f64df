"""The roster as a replica keeps it: founding, hearing, stating, keys and cuts."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import pytest

from crdt.arrival import Cause
from crdt.chain import EMPTY_CHAIN
from crdt.commands import AnyCommand, PutNode
from crdt.errors import ConflictError
from crdt.identity import Identity, new_paired_identity
from crdt.ids import DeviceId
from crdt.membership import RosterChange
from crdt.roster import Role, Roster
from crdt.roster_writing import add, remove, rename, rotate
from crdt.space_keys import SpaceKeys
from crdt.statement import apply_for
from tests.support.exchanging import check_equal, give, missing, settle
from tests.support.replicas import SPACE_KEYS, Device, content, identity, scratch_folder

TRIO: Final = tuple(map(identity, range(3)))


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.monotonic_ms += 1000
    device.replica.apply(commands, device.now_ms)


def tell(giver: Device, taker: Device) -> RosterChange:
    """Deliver all statements."""
    return taker.replica.receive_statements(giver.replica.statements, taker.now_ms)


def revoke(device: Device, target: DeviceId, secret: bytes = b"\x31" * 32) -> None:
    head = device.replica.heads.get(target, EMPTY_CHAIN)

    def statement(
        roster: Roster, author: Identity, keys: SpaceKeys
    ) -> tuple[bytes, SpaceKeys]:
        return remove(roster, author, keys, target, cut=head, new_epoch_secret=secret)

    device.replica.state(statement, device.now_ms)


def test_a_device_alone_founds_its_roster_once() -> None:
    """A store without statements gets one when it is opened, and none after that."""
    with scratch_folder() as home:
        device = Device(home, members=())
        with device.running() as replica:
            (statement,) = replica.statements
            member = replica.roster.member(device.identity.device)
            assert member is not None
            assert member.role is Role.ADMIN
        with device.running() as replica:
            assert replica.statements == [statement]


def test_statements_spread_and_add_up() -> None:
    """New ones are kept and told, known ones not; what is no statement is refused."""
    with scratch_folder() as folder:
        here, there = (Device(folder / f"{n}", n, members=()) for n in range(2))
        with here.running() as replica, there.running() as other:
            change = tell(there, here)
            assert change.statements == other.statements
            assert (change.refused, change.has_new_keys) == (0, False)
            again = tell(there, here)
            assert (again.statements, again.refused) == ([], 0)
            broken = [b"", other.statements[0][:-1] + b"\0"]
            assert replica.receive_statements(broken, 0).refused == 2
            tell(here, there)
            assert replica.roster.fingerprint == other.roster.fingerprint
            fingerprint = replica.roster.fingerprint
            settle_graph((here, there))
        with here.running() as replica:
            assert replica.roster.fingerprint == fingerprint


def settle_graph(devices: Sequence[Device]) -> None:
    for device in devices:
        write(device, PutNode(f"by {device.number}", "x"))
    settle(devices)
    check_equal(devices)


def test_a_paired_device_writes_when_others_hear_of_it() -> None:
    """Its envelopes are a stranger's until the statement that adds it has come."""
    paired = new_paired_identity(
        "Ada",
        identity(0).person_public_key,
        identity(0).person_secret,
        b"7" * 68,
        "phone",
    )
    with scratch_folder() as folder, ExitStack() as stack:
        here, there = (Device(folder / f"{n}", n, members=TRIO) for n in range(2))
        phone = Device(folder / "phone", 9, members=TRIO, own_identity=paired)
        for device in (here, there, phone):
            stack.enter_context(device.running())
        here.replica.state(
            lambda roster, author, _: add(
                roster, author, apply_for(paired, SPACE_KEYS.space), Role.WRITER
            ),
            here.now_ms,
        )
        tell(here, phone)
        write(phone, PutNode("a", "a"))
        refused = give(phone, there).refused
        assert [each.cause for each in refused] == [Cause.STRANGER]
        tell(here, there)
        assert give(phone, there).refused == []
        assert there.replica.roster.may_write(paired.device)


def test_a_removed_device_is_cut_off() -> None:
    """What it had sent stays, what it sends later is refused, as are keys to it."""
    with scratch_folder() as folder, ExitStack() as stack:
        here, there, gone = (Device(folder / f"{n}", n, members=TRIO) for n in range(3))
        for device in (here, there, gone):
            stack.enter_context(device.running())
        write(gone, PutNode("before", "x"))
        give(gone, here)
        revoke(here, gone.identity.device)
        write(gone, PutNode("after", "x"))
        assert [each.cause for each in give(gone, here).refused] == [Cause.REMOVED]
        write(here, PutNode("secret", "x"))

        refused = give(here, there).refused
        assert {each.cause for each in refused} == {Cause.NO_KEY}
        change = tell(here, there)
        assert change.has_new_keys
        assert give(here, there).refused == []
        assert content(there).nodes.keys() == {"before", "secret"}
        tell(here, gone)
        assert {each.cause for each in give(here, gone).refused} == {Cause.NO_KEY}
        check_equal((here, there))


def test_what_was_acknowledged_before_a_removal_is_accepted_everywhere() -> None:
    """Who had stored more of the removed device says so, and the others take it."""
    with scratch_folder() as folder, ExitStack() as stack:
        here, there, gone = (Device(folder / f"{n}", n, members=TRIO) for n in range(3))
        for device in (here, there, gone):
            stack.enter_context(device.running())
        write(gone, PutNode("first", "x"))
        give(gone, here)
        write(gone, PutNode("second", "x"))
        give(gone, there)
        revoke(here, gone.identity.device)

        change = tell(here, there)
        assert len(change.statements) == 2
        member = there.replica.roster.member(gone.identity.device)
        assert member is not None
        assert member.accepted_through == 2
        assert {each.cause for each in give(there, here).refused} == {Cause.REMOVED}
        tell(there, here)
        settle((here, there))
        check_equal((here, there))
        assert content(here).nodes.keys() == {"first", "second"}


def test_two_who_remove_at_once_converge() -> None:
    """Concurrent removals and a rotation end in one roster, one epoch, one graph."""
    with scratch_folder() as folder, ExitStack() as stack:
        here, there, gone = (Device(folder / f"{n}", n, members=TRIO) for n in range(3))
        for device in (here, there, gone):
            stack.enter_context(device.running())
        write(gone, PutNode("a", "a"))
        give(gone, here)
        revoke(here, gone.identity.device)
        there.replica.state(
            lambda roster, author, keys: rotate(roster, author, keys, b"\x41" * 32),
            there.now_ms,
        )
        tell(there, here)
        tell(here, there)
        assert here.replica.roster.present_epoch == there.replica.roster.present_epoch
        settle_graph((here, there))


def test_a_refused_statement_changes_nothing() -> None:
    """What nobody would accept is not written; the error says so."""
    with scratch_folder() as home:
        device = Device(home, members=TRIO)
        with device.running() as replica:
            fingerprint, totals = replica.roster.fingerprint, replica.totals
            with pytest.raises(ConflictError):
                replica.state(
                    lambda roster, author, _: rename(
                        roster, author, identity(99).device, "x"
                    ),
                    device.now_ms,
                )
            assert (replica.roster.fingerprint, replica.totals) == (fingerprint, totals)


def test_keys_are_there_after_a_start() -> None:
    """The key of a new epoch is stored with the statement that begins it."""
    with scratch_folder() as home:
        device = Device(home, members=TRIO)
        with device.running() as replica:
            revoke(device, identity(1).device)
            epoch = replica.keys.present_epoch
            write(device, PutNode("a", "a"))
        with device.running() as replica:
            assert replica.keys.present_epoch == epoch
            assert [e.header.epoch_key_id for e in device.envelopes()] == [epoch.id]
            assert missing(device, device) == []
