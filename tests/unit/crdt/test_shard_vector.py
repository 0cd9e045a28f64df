"""The golden history: what two devices write, and how anybody reads it back.

`tests/vectors/shard.json` holds commands as `POST /v1/batch` takes them, the updates
that they became, and what all of it means in the end. docs/protocol/shard.md tells it.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from crdt import digest, energy
from crdt.commands import AnyCommand
from crdt.document import ShardDocument
from crdt.ids import NodeKey, ShardNumber, edge_id, shard_of
from crdt.payload import (
    BodyChange,
    Change,
    EnergyChange,
    PacedEnergyChange,
    ShardChange,
)
from crdt.records import Edge, Node
from crdt.schema import fold_edge, fold_node
from crdt.shard_content import shard_content
from tests.support.replicas import (
    SPACE_KEYS,
    Device,
    deliver,
    identity,
    opened,
    scratch_folder,
)

ROOT: Final = Path(__file__).parents[3]
VECTOR: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/shard.json").read_text()
)
AUTHORS: Final = {"first": 0, "second": 1}
decode_commands = msgspec.json.Decoder(list[AnyCommand]).decode


def in_words(change: Change) -> dict[str, Any]:
    """Return a change as the vector has it."""
    match change:
        case ShardChange(shard=shard, update=update):
            return {"shard": shard, "update": update.hex()}
        case EnergyChange(device=device, accumulators=accumulators):
            return {"device": device.hex(), "accumulators": dict(accumulators)}
        case BodyChange() | PacedEnergyChange():
            pytest.fail("the golden history has no bodies, and one half-life")


def play(steps: Iterable[dict[str, Any]]) -> tuple[list[Any], list[str]]:
    """Carry the steps out on two devices; return their changes and digests."""
    written: list[Any] = []
    with scratch_folder() as folder, ExitStack() as running:
        devices = {
            name: Device(folder / name, number) for name, number in AUTHORS.items()
        }
        for device in devices.values():
            running.enter_context(device.running(clean=False))
        told = dict.fromkeys(devices, 0)
        for step in steps:
            if "exchange" in step:
                exchange(devices, told)
                continue
            device = devices[step["device"]]
            device.now_ms = step["now_ms"]
            commands = decode_commands(json.dumps(step["commands"]))
            device.replica.apply(commands, device.now_ms)
            device.replica.seal()
            written.append(
                [in_words(c) for c in opened(device.envelopes()[-1], device.identity)]
            )
        return written, [device.replica.digest for device in devices.values()]


def exchange(devices: dict[str, Device], told: dict[str, int]) -> None:
    """Give each device what the other sealed since the last time."""
    first, second = devices.values()
    for name, sender, receiver in (
        ("first", first, second),
        ("second", second, first),
    ):
        envelopes = sender.envelopes()
        for envelope in envelopes[told[name] :]:
            deliver(envelope, receiver)
        told[name] = len(envelopes)


def shards(authors: Iterable[str] = AUTHORS) -> dict[ShardNumber, ShardDocument]:
    """Return the shards that the golden updates make, taken author by author."""
    documents: dict[ShardNumber, ShardDocument] = {}
    for author in authors:
        for step in VECTOR["steps"]:
            if step.get("device") != author:
                continue
            for change in step["changes"]:
                if "shard" in change:
                    document = documents.setdefault(
                        change["shard"], ShardDocument(1, ())
                    )
                    document.apply(bytes.fromhex(change["update"]))
    return documents


def records(
    documents: dict[ShardNumber, ShardDocument],
) -> tuple[dict[str, Node], dict[str, Edge]]:
    """Return nodes and edges by key and id, whether they show or not."""
    nodes: dict[str, Node] = {}
    edges: dict[str, Edge] = {}
    for shard, document in documents.items():
        content = shard_content(document.entries(), shard, SPACE_KEYS.shard_secret)
        for key, entries in content.nodes.items():
            node = fold_node(key, entries)
            assert node is not None
            nodes[key] = node
        for (source, identity_), entries in content.edges.items():
            edge = fold_edge(source, identity_, entries)
            assert edge is not None
            edges[identity_] = edge
    return nodes, edges


def test_the_history_makes_the_golden_updates() -> None:
    """The same commands at the same times become the same bytes and one digest."""
    steps = VECTOR["steps"]

    written, digests = play(steps)

    assert [step["changes"] for step in steps if "changes" in step] == written
    assert digests == [VECTOR["digest"]] * 2


@pytest.mark.parametrize("authors", list(permutations(AUTHORS)))
def test_the_golden_updates_read_back(authors: tuple[str, ...]) -> None:
    """In whatever order the devices' updates come, they mean the same records."""
    documents = shards(authors)
    nodes, edges = records(documents)

    assert {
        str(number): document.entries() for number, document in documents.items()
    } == VECTOR["entries"]
    assert msgspec.to_builtins(nodes) == VECTOR["nodes"]
    assert msgspec.to_builtins(edges) == VECTOR["edges"]


def test_places_follow_from_keys() -> None:
    """Shards and edge ids are those that the secret and the triple give."""
    assert SPACE_KEYS.shard_secret.hex() == VECTOR["shard_secret"]
    for key, shard in VECTOR["shards"].items():
        assert shard_of(SPACE_KEYS.shard_secret, NodeKey(key)) == shard
    for name, edge in VECTOR["edges"].items():
        assert edge_id(edge["source"], edge["type"], edge["target"]) == name
    for name, client in VECTOR["clients"].items():
        assert identity(AUTHORS[name]).client_id == client


def test_the_digest_is_the_sum_over_what_shows() -> None:
    """A node in the trash, and an edge to it, are not part of the digest."""
    nodes, edges = records(shards())
    key = bytes.fromhex(VECTOR["digest_key"])
    visible = {name for name, node in nodes.items() if node.deleted_ms is None}
    elements = [digest.node_element(key, nodes[name]) for name in visible]
    elements += [
        digest.edge_element(key, edge)
        for edge in edges.values()
        if {edge.source, edge.target} <= visible and not edge.is_deleted
    ]

    total = digest.combined(digest.EMPTY, sum(elements), 0)

    assert digest.format_digest(total) == VECTOR["digest"]


def test_energy_follows_from_landmarks() -> None:
    """The ATP of a node is that of its creation and of all accumulators."""
    nodes, _ = records(shards())
    spent = VECTOR["energy"]
    landmarks = [
        landmark
        for step in VECTOR["steps"]
        for change in step.get("changes", ())
        for key, landmark in change.get("accumulators", {}).items()
        if key == spent["node"]
    ]

    total = energy.total(nodes[spent["node"]].created_ms, landmarks)

    assert energy.atp(total, spent["now_ms"]) == pytest.approx(spent["atp"], rel=1e-12)
