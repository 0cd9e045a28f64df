"""What is kept of circles in the store comes out of it as it went in."""

from collections.abc import Iterator
from hashlib import sha256

import pytest

from crdt.circle_invitation_store import (
    StoredInvitation,
    drop_expired,
    find_invitation,
    read_invitations,
    write_invitation,
)
from crdt.circle_item_store import (
    delete_items,
    read_items,
    read_items_at,
    read_items_of,
    read_places,
    read_quarantine,
    write_items,
    write_quarantine,
)
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.circle_notes_store import (
    Moment,
    Published,
    SeenNode,
    circles_with,
    delete_published,
    delete_seen,
    drop_history,
    read_aliases,
    read_history,
    read_last_moments,
    read_ledger,
    read_seen,
    write_alias,
    write_history,
    write_published,
    write_seen,
)
from crdt.circle_standing import Placed, StoredItem
from crdt.circle_store import (
    CircleState,
    StoredCircle,
    read_circle_statements,
    read_circles,
    write_circle,
    write_circle_keys,
    write_circle_state,
    write_circle_statements,
)
from crdt.database import Connection, Database
from crdt.ids import AuthorKey, CircleId, NodeKey
from tests.support.replicas import STORE_KEY, scratch_folder


def named(text: str) -> bytes:
    """Return 32 bytes of a name."""
    return sha256(text.encode()).digest()


MILL, TOWN = CircleId(named("mill")), CircleId(named("town"))
ADA, BEN = AuthorKey(named("ada")), AuthorKey(named("ben"))
CONTRIBUTION = ItemKind.CONTRIBUTION


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A store with two circles."""
    with scratch_folder() as folder, Database(folder, STORE_KEY) as database:
        for circle in (MILL, TOWN):
            write_circle(database.writer, StoredCircle(circle, b"founding", b"keys"))
        yield database.writer


def item(author: AuthorKey, slot: str, sequence: int = 1) -> StoredItem:
    """Return a record."""
    name = ItemName(2900, named(f"{slot} {sequence}"))
    placed = Placed(author, named(slot)[:16], sequence, name)
    return StoredItem(CONTRIBUTION, placed, b"content " + name.id)


def test_what_is_acknowledged_is_flushed(connection: Connection) -> None:
    """A commit is on the disk when it returns."""
    full = 2
    assert connection.pragma("synchronous") == full


def test_circles_keep_state_and_keys(connection: Connection) -> None:
    """Circles come in order, with the keys and the state they have last."""
    write_circle_keys(connection, TOWN, b"newer keys")
    write_circle_state(connection, MILL, CircleState.LEFT)
    assert read_circles(connection) == [
        StoredCircle(MILL, b"founding", b"keys", CircleState.LEFT),
        StoredCircle(TOWN, b"founding", b"newer keys"),
    ]
    write_circle(connection, StoredCircle(MILL, b"founding", b"again"))
    assert read_circles(connection)[0] == StoredCircle(MILL, b"founding", b"again")
    assert b"keys" not in repr(read_circles(connection)).encode().replace(b"'", b"")


def test_statements_are_those_of_their_circle(connection: Connection) -> None:
    """Statements are kept once, apart for each circle."""
    statements = [(named("1"), b"one"), (named("2"), b"two")]
    write_circle_statements(connection, MILL, statements)
    write_circle_statements(connection, MILL, statements)
    write_circle_statements(connection, TOWN, statements[:1])
    assert sorted(read_circle_statements(connection, MILL)) == sorted(statements)
    assert read_circle_statements(connection, TOWN) == statements[:1]


def test_a_record_takes_the_place_of_the_one_in_its_slot(
    connection: Connection,
) -> None:
    """Of an author and slot one record is kept, whatever its sequence."""
    first, last = item(ADA, "mill"), item(ADA, "mill", 2**64 - 1)
    other, elsewhere = item(BEN, "mill"), item(ADA, "mill")
    write_items(connection, MILL, [first, other])
    write_items(connection, TOWN, [elsewhere])
    write_items(connection, MILL, [last])
    assert sorted(
        read_places(connection, MILL, CONTRIBUTION), key=lambda e: e.rank
    ) == [
        last.placed,
        other.placed,
    ]
    assert read_items_of(connection, MILL, [ADA]) == [last]
    assert read_items(connection, TOWN, CONTRIBUTION) == [elsewhere]
    assert read_items(connection, MILL, ItemKind.VOTE) == []
    wanted = [other.placed, first.placed, last.placed]
    assert read_items_at(connection, MILL, CONTRIBUTION, wanted) == [
        Item(CONTRIBUTION, each.placed.name, each.content) for each in (other, last)
    ]
    delete_items(connection, MILL, CONTRIBUTION, [first.placed, other.placed])
    assert read_items(connection, MILL, CONTRIBUTION) == [last]


def test_the_newest_quarantined_are_kept(connection: Connection) -> None:
    """Only so many are remembered, and each circle has its own."""
    for number in range(5):
        found = [(named(str(number)), ADA)]
        write_quarantine(connection, MILL, found, number, 3)
    write_quarantine(connection, TOWN, [(named("0"), BEN)], 9, 3)
    kept = {named(str(number)): ADA for number in (2, 3, 4)}
    assert read_quarantine(connection, MILL) == kept
    assert list(read_quarantine(connection, MILL)) == list(kept)
    assert read_quarantine(connection, TOWN) == {named("0"): BEN}


def test_invitations_are_found_and_expire(connection: Connection) -> None:
    """A ticket is found in its circle alone, until its time is over."""
    ticket = StoredInvitation(MILL, named("secret"), 2, 1_000)
    write_invitation(connection, ticket)
    assert read_invitations(connection) == [ticket]
    assert find_invitation(connection, MILL, ticket.secret_hash) == ticket
    assert find_invitation(connection, TOWN, ticket.secret_hash) is None
    drop_expired(connection, 999)
    assert read_invitations(connection) == [ticket]
    drop_expired(connection, 1_000)
    assert read_invitations(connection) == []


def test_the_ledger_says_what_is_out_since_when(connection: Connection) -> None:
    """A node that is published again keeps its time; one taken back is gone."""
    mill = Published(named("r1")[:16], NodeKey("mill"), 5)
    oven = Published(named("r2")[:16], NodeKey("oven"), 3)
    for each in (mill, oven, Published(mill.reference, mill.node_key, 9)):
        write_published(connection, MILL, each)
    write_published(connection, TOWN, mill)
    assert read_ledger(connection, MILL) == [oven, mill]
    assert circles_with(connection, NodeKey("mill")) == [MILL, TOWN]
    delete_published(connection, MILL, mill.reference)
    assert read_ledger(connection, MILL) == [oven]
    assert read_ledger(connection, TOWN) == [mill]


def test_seen_nodes_are_noted_and_forgotten(connection: Connection) -> None:
    """Nodes come back with their members, as they were seen last."""
    former = SeenNode(named("old"), (named("a"),), "Old", 1)
    now = [
        SeenNode(key, (named("a"), named("b")), "New", 2)
        for key in sorted((named("new"), named("old")))
    ]
    write_seen(connection, MILL, [former])
    write_seen(connection, TOWN, [former])
    write_seen(connection, MILL, now)
    assert read_seen(connection, MILL) == now
    delete_seen(connection, MILL, [now[0].key, named("unknown")])
    assert read_seen(connection, MILL) == now[1:]
    assert read_seen(connection, TOWN) == [former]


def test_history_is_read_from_a_time_on(connection: Connection) -> None:
    """Moments are in order, and the old ones can be dropped."""
    key = named("node")
    moments = [Moment(key, time_ms, 7000, 3, 4, 5) for time_ms in (10, 20, 30)]
    write_history(connection, MILL, reversed(moments))
    assert read_history(connection, MILL, key) == moments
    assert read_history(connection, MILL, key, 20) == moments[1:]
    assert read_last_moments(connection, MILL) == {key: moments[-1]}
    drop_history(connection, MILL, 20)
    assert read_history(connection, MILL, key) == moments[1:]
    assert read_history(connection, TOWN, key) == []


def test_aliases_lead_to_the_present_key(connection: Connection) -> None:
    """Every former key leads to the last of its line; one that is back to none."""
    first, second, third = (named(str(number)) for number in range(3))
    write_alias(connection, MILL, first, second, 1)
    write_alias(connection, MILL, second, third, 2)
    assert read_aliases(connection, MILL) == {first: third, second: third}
    write_alias(connection, MILL, third, first, 3)
    assert read_aliases(connection, MILL) == {second: first, third: first}
    assert read_aliases(connection, TOWN) == {}
