"""Stores from before there was a roster, and devices that were restored."""

from pathlib import Path

from crdt.backup import open_backup
from crdt.commands import PatchNode, PutEdge, PutNode
from crdt.envelope_reader import EnvelopeReader
from crdt.succession import succeed
from tests.support.exchanging import (
    check_equal,
    check_rebuilt,
    checkpoint_of,
    give,
    missing,
    settle,
)
from tests.support.replicas import STORE_KEY, Device, content, identity, scratch_folder


def restore(folder: Path, heir: Device) -> None:
    """Make a new device from the backup in a folder."""
    heir.home.mkdir()
    with open_backup(folder / "backup", heir.identity.backup_key()) as backup:
        succeed(backup, heir.home, STORE_KEY, heir.identity)


def test_what_was_written_before_the_roster_comes_by_checkpoint() -> None:
    """A device that nobody vouches for stays in the shards; its envelopes go."""
    with scratch_folder() as folder:
        former = Device(folder / "former", members=())
        with former.running() as replica:
            replica.apply([PutNode("a", "a"), PutNode("b", "b"), PutEdge("a", "b")], 0)
            former.database.writer.execute("DELETE FROM statement")
            replica.back_up(folder / "backup", former.now_ms)
            before = content(former)
        heir = Device(folder / "heir", 1, members=())
        newcomer = Device(folder / "newcomer", 2, members=())
        restore(folder, heir)
        with heir.running() as replica, newcomer.running() as other:
            assert replica.roster.members.keys() == {heir.identity.device}
            assert replica.vector == {heir.identity.device: 1}
            assert content(heir) == before
            replica.apply([PatchNode("a", label="new")], heir.now_ms)
            with EnvelopeReader(heir.database, heir.identity.device) as reader:
                assert reader.after(heir.identity.device, 0, 2**20) == []
            for giver, taker in ((replica, other), (other, replica)):
                taker.receive_statements(giver.statements, 0)
            assert missing(heir, newcomer) == []
            for part in checkpoint_of(heir):
                assert other.install_checkpoint_part(part, 0).cause is None
            check_equal((heir, newcomer))
            check_rebuilt(newcomer)
        with heir.running() as replica, newcomer.running():
            give(newcomer, heir)
            settle((heir, newcomer))


def test_a_restored_device_enrols_itself() -> None:
    """Restored from a backup it is a new member, and loses and forks nothing."""
    with scratch_folder() as folder:
        former, other = (
            Device(folder / f"{n}", n, members=(identity(0), identity(1)))
            for n in range(2)
        )
        heir = Device(folder / "heir", 5)
        with former.running() as replica, other.running() as peer:
            replica.apply([PutNode("a", "a")], 0)
            give(former, other)
            replica.back_up(folder / "backup", former.now_ms)
            former.monotonic_ms += 1000
            replica.apply([PutNode("late", "not in the backup")], 0)
            give(former, other)
            restore(folder, heir)
            with heir.running() as new:
                assert identity(5).device in new.roster.members
                assert new.vector == {former.identity.device: 1}
                assert new.acknowledged[other.identity.device] == new.vector
                new.apply([PutNode("b", "b")], 0)
                peer.receive_statements(new.statements, 0)
                replica.receive_statements(new.statements, 0)
                settle((heir, other))
                assert content(heir).nodes.keys() == {"a", "b", "late"}
                settle((heir, other, former))
                check_equal((heir, other, former))
                assert [*new.forks, *peer.forks, *replica.forks] == []
