"""Changes that no honest device would send leave a replica as it was."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest
from pycrdt import Doc, Map

from crdt.arrival import Cause
from crdt.chain import EMPTY_CHAIN, next_header
from crdt.commands import PatchNode, PutBody, PutEdge, PutNode
from crdt.database import Database
from crdt.envelope import seal
from crdt.errors import ForgedError, MalformedError, PeerError
from crdt.identity import Identity
from crdt.ids import NodeKey, ShardNumber, edge_id, shard_of
from crdt.payload import BodyChange, Change, EnergyChange, ShardChange
from crdt.rebuild import rebuild
from crdt.yjs_profile import BODY, EDGES, NODES, SHARD
from crdt.yjs_update import encode_creations
from tests.support.hostile_updates import CLIENTS, hostile_updates, victim
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Device,
    content,
    identity,
    living,
    opened,
    scratch_folder,
)

CASES: Final = 3000
SENDER: Final = identity(1)
SENDERS: Final = tuple(
    msgspec.structs.replace(identity(20 + number), client_id=client)
    for number, client in enumerate(CLIENTS)
)
KEY: Final = NodeKey("a")
SHARD_OF_KEY: Final = shard_of(SPACE_KEYS.shard_secret, KEY)
NEW: Final = next(
    key
    for key in map(NodeKey, map(str, range(1_000_000)))
    if shard_of(SPACE_KEYS.shard_secret, key) == SHARD_OF_KEY
)
"""A key that is not used, in the shard of the one that is."""


@contextmanager
def running(home: Path) -> Iterator[Device]:
    """Run a device that holds some nodes, an edge and a body."""
    device = Device(home, members=(identity(0), SENDER, *SENDERS))
    with device.running() as replica:
        replica.apply(
            [
                PutNode("a", "a", metadata={"x": 1}),
                PutNode("node-0", "0"),
                PutEdge("a", "node-0"),
                PutBody("a", "one 😀 two"),
                PatchNode("a", label="b"),
            ],
            device.now_ms,
        )
        yield device


def receive(device: Device, *changes: Change, sender: Identity = SENDER) -> None:
    """Seal changes as a member does; raise `PeerError` if they are refused."""
    head = device.replica.heads.get(sender.device, EMPTY_CHAIN)
    epoch = SPACE_KEYS.present_epoch
    header = next_header(head, SPACE_KEYS.space, sender.device, epoch.id)
    envelope = seal(header, changes, epoch, sender.signing_key(), bytes(32))
    received = device.replica.receive_envelopes([envelope], device.now_ms)
    match [each.cause for each in received.refused]:
        case [Cause.FORGED]:
            raise ForgedError
        case [Cause.MALFORMED]:
            raise MalformedError
        case refused:
            assert refused == []


def view(device: Device) -> tuple[object, ...]:
    connection = device.database.writer
    tables = ("journal", "body", "shard_tail", "node", "edge", "energy", "envelope")
    return (
        device.replica.totals,
        living(device.replica),
        [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables],
    )


def check_shards_say_so(home: Path) -> None:
    """Write once more, then compare the read model with what the shards say."""
    device = Device(home)
    with device.running() as replica:
        replica.apply([PatchNode("a", label="again")], device.now_ms)
        maintained = content(device), living(replica)
        assert b'"label":"again"' in maintained[0].nodes["a"][0]
    with Database(home, STORE_KEY) as database:
        rebuild(database, device.identity, SPACE_KEYS)
    with device.running() as replica:
        assert (content(device), living(replica)) == maintained


def held(device: Device) -> list[ShardChange]:
    """Return all that a device wrote into the shard of `KEY`."""
    device.replica.seal()
    return [
        change
        for envelope in device.envelopes()
        for change in opened(envelope, device.identity)
        if isinstance(change, ShardChange) and change.shard == SHARD_OF_KEY
    ]


def entries(*found: tuple[str, str, str]) -> ShardChange:
    """Return a change in which the sender creates these entries."""
    return ShardChange(SHARD_OF_KEY, encode_creations(SENDER.client_id, 0, found))


def test_hostile_updates_change_nothing_or_are_merged() -> None:
    """Thousands of broken updates are refused whole, or leave a store that works."""
    refused = 0
    with scratch_folder() as home:
        with running(home) as device:
            for number, case in enumerate(hostile_updates(seed=11, count=CASES)):
                change: Change = (
                    ShardChange(ShardNumber(7), case.data)
                    if case.profile is SHARD
                    else BodyChange(KEY, case.data)
                )
                good = EnergyChange(SENDER.device, ((KEY, number / CASES),))
                before = view(device) if number % 10 == 0 else None
                try:
                    receive(device, good, change, sender=SENDERS[number % 4])
                except PeerError:
                    refused += 1
                    assert before is None or view(device) == before
        assert CASES // 2 < refused < CASES
        check_shards_say_so(home)


def test_entries_in_the_shard_of_others_are_left_out() -> None:
    """What stands in a shard to which its key does not hash is no node and no edge."""
    with scratch_folder() as home:
        with running(home) as device:
            before = content(device)
            elsewhere = ShardNumber((SHARD_OF_KEY + 1) % 4096)
            found = [
                (NODES, "a\x1f@1", json.dumps([10**13, "fake"])),
                (EDGES, f"a\x1fe{edge_id(KEY, 'x', KEY)}", json.dumps([5, "a", "x"])),
            ]
            update = encode_creations(SENDER.client_id, 0, found)
            receive(device, ShardChange(elsewhere, update))
            assert content(device) == before
        check_shards_say_so(home)


def test_whoever_may_write_may_delete() -> None:
    """Without its base a node is no node; put again, it is there for everyone."""
    document: Doc[Map[str]] = Doc(client_id=SENDER.client_id)
    nodes, edges = (document.get(name, type=Map) for name in (NODES, EDGES))
    with scratch_folder() as home:
        with running(home) as device:
            device.replica.apply([PutEdge("a", "a")], device.now_ms)
            shown = content(device)
            for change in held(device):
                document.apply_update(change.update)
            nodes.clear()
            edges.clear()
            erased = document.get_update(document.get_state())
            receive(device, ShardChange(SHARD_OF_KEY, erased))
            assert content(device).nodes.keys() == {"node-0"}
            assert content(device).counts == (1, 0)

            device.replica.apply([PutNode("a", "a")], device.now_ms)
            for target in ("a", "node-0"):
                device.replica.apply([PutEdge("a", target)], device.now_ms)
            assert content(device).counts == shown.counts
            assert content(device).nodes["a"][1] == "one 😀 two"
        check_shards_say_so(home)


def test_one_bad_change_spoils_its_group() -> None:
    """Of an envelope with one malformed change nothing is merged."""
    good = entries((NODES, f"{NEW}\x1f@1", json.dumps([5, "new"])))
    with scratch_folder() as home, running(home) as device:
        before = view(device)
        for bad in (
            ShardChange(SHARD_OF_KEY, victim(BODY).state),
            BodyChange(KEY, victim(SHARD).state),
            ShardChange(SHARD_OF_KEY, b""),
        ):
            with pytest.raises(MalformedError):
                receive(device, good, bad)
            assert view(device) == before
        receive(device, good)
        assert content(device).nodes.keys() >= {NEW}


def test_nobody_writes_under_another_client_id() -> None:
    """A shard update of the sender that bears our client id is forged."""
    own = identity(0).client_id
    forged = encode_creations(own, 0, [(NODES, f"{NEW}\x1f@1", '[5, "new"]')])
    with scratch_folder() as home, running(home) as device:
        before = view(device)
        with pytest.raises(ForgedError):
            receive(device, ShardChange(SHARD_OF_KEY, forged))
        assert view(device) == before


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[" * 100_000,
        json.dumps([5, "new", "t", "n", {"deep": [[[["x"]]]] * 100}]),
        '[5, "' + "x" * 5000 + '"]',
        '[5, "new", "t", "n", {"a": ' + "9" * 5000 + "}]",
        '[5, "new", "t", "n", {"\\u0000": "\\u0000", "": 1}]',
        '[5, "", "", ""]',
        '[253402300799999, "\\u2028\\u0000"]',
        '[5, "new", "\\u001f", "n", {"a": 1e308, "b": -0.0}]',
        '[true, "new"]',
    ],
)
def test_strange_entries_are_read_or_left_out(value: str) -> None:
    """Entries that no command would make are merged without an error."""
    fake_edge = f"{NEW}\x1fe{edge_id(NEW, 'x', KEY)}"
    with scratch_folder() as home:
        with running(home) as device:
            receive(
                device,
                entries(
                    (NODES, f"{NEW}\x1f@1", value),
                    (NODES, "a\x1flabel\x1f", value),
                    (NODES, "\x1f@1", value),
                    (NODES, "no separator", value),
                    (EDGES, fake_edge, value),
                    (EDGES, f"a\x1fe{'A' * 24}", value),
                    (EDGES, "a\x1fe", value),
                ),
            )
        check_shards_say_so(home)
