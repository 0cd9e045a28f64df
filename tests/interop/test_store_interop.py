"""JavaScript Yjs reads what a real store holds, once it is decrypted."""

from collections import defaultdict
from pathlib import Path
from typing import Final

from crdt.commands import AnyCommand, DeleteNode, PatchNode, PutBody, PutEdge, PutNode
from crdt.payload import BodyChange, ShardChange
from crdt.read_model import read_node
from crdt.schema import Entries, fold_edge, fold_node
from crdt.shard_content import split_key
from crdt.yjs_profile import EDGES, NODES
from tests.interop.conftest import Ask
from tests.support.replicas import START_MS, Device, opened

BODY: Final = "Räder, Wasser 💧 und Mehl.\nNoch eine Zeile."
COMMANDS: Final[tuple[AnyCommand, ...]] = (
    *(
        PutNode(key=f"mill {n} ⚙️", label=f"Idea {n}", metadata={"n": n, "deep": [{}]})
        for n in range(30)
    ),
    *(
        PutEdge(source=f"mill {n} ⚙️", target=f"mill {n * 7 % 30} ⚙️", weight=n / 2)
        for n in range(30)
    ),
    PatchNode(key="mill 3 ⚙️", label="A reading room", metadata={"n": None, "x": "y"}),
    DeleteNode(key="mill 4 ⚙️"),
    PutBody(key="mill 5 ⚙️", text="Räder und Mehl."),
    PutBody(key="mill 5 ⚙️", text=BODY),
)


def test_javascript_reads_the_envelopes_of_a_store(
    tmp_path: Path, javascript: Ask
) -> None:
    """From the envelopes alone JavaScript comes to the same nodes, edges and body."""
    device = Device(tmp_path / "home")
    shards: defaultdict[int, list[bytes]] = defaultdict(list)
    bodies: defaultdict[str, list[bytes]] = defaultdict(list)
    with device.running() as replica:
        for command in COMMANDS:
            replica.apply([command], START_MS)
        replica.seal()
        for envelope in device.envelopes():
            for change in opened(envelope, device.identity):
                match change:
                    case ShardChange():
                        shards[change.shard].append(change.update)
                    case BodyChange():
                        bodies[change.node].append(change.update)
                    case _:
                        pass

        seen = 0
        for updates in shards.values():
            answer = javascript(updates)
            seen += len(answer[NODES]) + len(answer[EDGES])
            _check_nodes(device, answer[NODES])
            _check_edges(device, answer[EDGES])

    overlays = 4  # label, n and x of the patched node, and one tombstone
    assert seen == 30 + 30 + overlays
    assert {"mill 5 ⚙️": BODY} == {
        key: javascript(updates)["text"] for key, updates in bodies.items()
    }


def _check_nodes(device: Device, entries: Entries) -> None:
    by_key: defaultdict[str, Entries] = defaultdict(dict)
    for map_key, value in entries.items():
        place = split_key(NODES, map_key)
        assert place is not None
        by_key[place[0]][place[2]] = value
    for key, own in by_key.items():
        number = device.replica.index.keys.number(key)
        held = read_node(device.database.writer, number)
        assert held is not None
        folded = fold_node(held.key, own)
        assert folded is not None
        assert (held.label, held.metadata, held.deleted_ms, held.version) == (
            folded.label,
            folded.metadata,
            folded.deleted_ms,
            folded.version,
        )


def _check_edges(device: Device, entries: Entries) -> None:
    index = device.replica.index
    for map_key, value in entries.items():
        place = split_key(EDGES, map_key)
        assert place is not None
        source, identity, suffix = place
        assert identity is not None
        assert suffix == ""
        edge = fold_edge(source, identity, {"": value})
        assert edge is not None
        assert index.edge_number(edge.id)
