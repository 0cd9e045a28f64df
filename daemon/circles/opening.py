"""How a circle's records come into the store, and out of it when the program starts."""

from crdt.circle_item_store import read_items, read_places, read_quarantine
from crdt.circle_items import ItemKind
from crdt.circle_keys import circle_identity, decode_circle_keys, encode_circle_keys
from crdt.circle_membership import CircleMembership
from crdt.circle_roster import decode_founding, present_members
from crdt.circle_store import (
    StoredCircle,
    read_circle_statements,
    write_circle,
    write_circle_statements,
)
from crdt.database import Connection
from crdt.identity import Identity
from crdt.statement import decode_statement
from daemon.circles.keeping import Clocks, Keeping
from daemon.circles.records import CircleRecords
from daemon.circles.sets import Sets
from daemon.circles.shelf import Shelf


async def begin_circle(
    shelf: Shelf, founding: bytes, membership: CircleMembership
) -> None:
    """Make a circle durable that this person founded, or was let into."""
    circle = membership.circle
    stored = StoredCircle(circle, founding, encode_circle_keys(membership.keys))
    statements = [(each.hash, each.encoded) for each in membership.statements.values()]

    def write(connection: Connection) -> None:
        write_circle(connection, stored)
        write_circle_statements(connection, circle, statements)

    await shelf.write(write)


async def open_circle(
    shelf: Shelf, stored: StoredCircle, identity: Identity, clocks: Clocks
) -> CircleRecords:
    """Return a circle's records as the store has them.

    `identity` is this device's own, of which who it is in the circle follows.
    """
    own = circle_identity(identity, decode_founding(stored.founding, stored.id))

    def read(connection: Connection) -> Keeping:
        statements = read_circle_statements(connection, stored.id)
        membership = CircleMembership.of(
            own.author,
            decode_circle_keys(stored.keys),
            [decode_statement(encoded) for _, encoded in statements],
        )
        members = frozenset(present_members(membership.roster))
        sets = Sets()
        sets.load_places(
            place
            for place in read_places(connection, stored.id, ItemKind.CONTRIBUTION)
            if place.author in members
        )
        for kind in (ItemKind.CARD, ItemKind.VOTE):
            items = read_items(connection, stored.id, kind)
            sets.load(each for each in items if each.placed.author in members)
        quarantined = read_quarantine(connection, stored.id)
        return Keeping(shelf, membership, clocks, sets, quarantined, members)

    return CircleRecords(own, await shelf.read(read))
