"""Circles go into a backup, and what one device alone can answer for stays out."""

from hashlib import sha256

from crdt.backup import open_backup
from crdt.circle_invitation_store import (
    StoredInvitation,
    read_invitations,
    write_invitation,
)
from crdt.circle_item_store import read_items, write_items
from crdt.circle_items import ItemKind, ItemName
from crdt.circle_notes_store import Published, read_ledger, write_published
from crdt.circle_standing import Placed, StoredItem
from crdt.circle_store import (
    StoredCircle,
    read_circle_statements,
    read_circles,
    write_circle,
    write_circle_statements,
)
from crdt.database import Connection
from crdt.ids import AuthorKey, CircleId, NodeKey
from crdt.rebuild import rebuild
from crdt.succession import succeed
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Device,
    identity,
    scratch_folder,
)

CIRCLE = StoredCircle(CircleId(sha256(b"circle").digest()), b"founding", b"keys")
STATEMENT = (CIRCLE.id, b"founding")
PLACED = Placed(AuthorKey(bytes(32)), bytes(16), 7, ItemName(2900, bytes(32)))
ITEM = StoredItem(ItemKind.CONTRIBUTION, PLACED, b"content")
PUBLISHED = Published(bytes(16), NodeKey("mill"), 5)


def write(connection: Connection) -> None:
    """Store a circle with one of everything."""
    write_circle(connection, CIRCLE)
    write_circle_statements(connection, CIRCLE.id, [STATEMENT])
    write_items(connection, CIRCLE.id, [ITEM])
    write_published(connection, CIRCLE.id, PUBLISHED)
    ticket = StoredInvitation(CIRCLE.id, bytes(32), 1, 10)
    write_invitation(connection, ticket)


def verify(connection: Connection) -> None:
    """Compare what is there with what was stored."""
    assert read_circles(connection) == [CIRCLE]
    assert read_circle_statements(connection, CIRCLE.id) == [STATEMENT]
    assert read_items(connection, CIRCLE.id, ItemKind.CONTRIBUTION) == [ITEM]
    assert read_ledger(connection, CIRCLE.id) == [PUBLISHED]


def test_a_restored_device_is_in_the_circles_of_its_person() -> None:
    """Circles, records and ledger come back; tickets of the former device do not."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.put_aside(write)
            replica.back_up(folder / "backup", device.now_ms)
        heir = Device(folder / "heir", 5)
        heir.home.mkdir()
        with open_backup(folder / "backup", identity(5).backup_key()) as backup:
            succeed(backup, heir.home, STORE_KEY, identity(5))
        with heir.running() as replica:
            replica.look_aside(verify)
            assert replica.look_aside(read_invitations) == []


def test_a_rebuilt_store_has_its_circles() -> None:
    """The read model is made anew, and circles are left as they are."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.put_aside(write)
        with device.running(clean=False):
            rebuild(device.database, device.identity, SPACE_KEYS)
        with device.running() as replica:
            replica.look_aside(verify)
            assert len(replica.look_aside(read_invitations)) == 1
