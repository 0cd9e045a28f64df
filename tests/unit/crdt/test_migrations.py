"""Stores of every version that was ever released open in this one."""

import json
import shutil
from importlib import resources
from pathlib import Path

from crdt.commands import PutNode
from crdt.graph_reader import GraphReader
from tests.support.replicas import START_MS, Device, scratch_folder

VECTORS = Path(__file__).parents[2] / "vectors"


def newest_version() -> int:
    """Return how many steps the schema has."""
    folder = resources.files("crdt") / "migrations"
    return sum(entry.name.endswith(".sql") for entry in folder.iterdir())


def test_a_store_of_version_1_opens_with_all_it_held() -> None:
    """A store that version 1 wrote is migrated, read, searched and written to."""
    frozen = VECTORS / "store-v1"
    expected = json.loads((frozen / "expected.json").read_text())
    with scratch_folder() as folder:
        device = Device(shutil.copytree(frozen, folder / "home"), now_ms=START_MS)
        with device.running() as replica:
            version = device.database.writer.pragma("user_version")
            with GraphReader(device.database, replica.index) as reader:
                found = reader.search("reading room", limit=5, now_ms=START_MS)
                ideas = reader.nodes(limit=5, node_type="idea")
                trash = reader.nodes(limit=5, in_trash=True)
                body = reader.body("bakery")
            counted = {
                "digest": replica.digest,
                "nodes": replica.totals.nodes,
                "edges": replica.totals.edges,
            }
            replica.apply([PutNode(key="new", label="New")], START_MS)

            assert newest_version() == version
            assert expected == counted
            assert ["mill/3"] == [hit.node.key for hit in found]
            assert ["bakery"] == [node.key for node in ideas]
            assert ["gone"] == [node.key for node in trash]
            assert body.startswith("Bread, rolls")
            assert expected["nodes"] + 1 == replica.totals.nodes
