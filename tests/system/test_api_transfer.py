"""Import and export: what goes out comes in again, into another daemon, unchanged."""

import json
import shutil
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.daemons import Answer, Api, Daemon, make_home, node_path, serving

FORMATS: Final = ("jsonl", "graphml", "markdown")
KEYS: Final = (
    "a/b",
    "ü 日本 \U0001f600",
    "100%",
    "{x}",
    'q"uote',
    "line-up",
    ".hidden",
)
_numbers = count()


@pytest.fixture(scope="module")
def twins(folder: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Run two daemons of one and the same device, so that digests can be compared."""
    make_home(folder / "left")
    shutil.copytree(folder / "left", folder / "right")
    with serving(folder / "left") as left, serving(folder / "right") as right:
        fill(left.api)
        yield left, right


@pytest.fixture
def stranger(folder: Path) -> Iterator[Daemon]:
    """Run a daemon of another person."""
    with serving(folder / f"stranger{next(_numbers)}") as daemon:
        yield daemon


def fill(api: Api) -> None:
    """Make a graph that has lived."""
    for number, key in enumerate(KEYS):
        metadata = {"n": number, "deep": [1, {"ü": None}], "text": 'a\n"b"\t\\'}
        api.put_node(key, f"Label {key}\nline 2", metadata=metadata, type=f"t{number}")
        text = f"# Body of {key}\r\n\n日本 [[not a link]]\n" * (number + 1)
        api.request("PUT", node_path(key, "/body"), content=text.encode())
        api.request("POST", node_path(key, "/pulse"), {"energy": number})
    api.request("PATCH", node_path(KEYS[0]), {"label": "Second", "network": "work"})
    for source, target in pairwise(KEYS):
        api.put_edge(source, target, weight=0.1, metadata={"w": [1.5, "x"]})
        api.put_edge(source, target, type="other", weight=-3.0)
        api.put_edge(source, target, type="other", weight=3.5, metadata={"v": 2})
    api.put_node("dropped")
    api.put_edge("dropped", KEYS[0])
    api.request("DELETE", node_path("dropped"))
    api.request("PUT", node_path(KEYS[2], "/body"), content=b"")


def take_in(api: Api, name: str, content: bytes) -> Answer:
    """Import a file."""
    return api.request("POST", "/v1/import", query={"format": name}, content=content)


def shown(api: Api) -> tuple[dict[str, Any], list[Any], dict[str, str]]:
    """Return nodes without energy and version, edges without ids, and bodies."""
    nodes = {node["key"]: node for node in api.get("/v1/nodes", limit=1000)["items"]}
    bodies = {
        key: api.request("GET", node_path(key, "/body")).content.decode()
        for key in nodes
    }
    for node in nodes.values():
        del node["energy"], node["version"]
    edges = api.get("/v1/edges", limit=1000)["items"]
    return nodes, sorted(edges, key=lambda edge: str(edge["id"])), bodies


def test_jsonl_carries_everything(twins: tuple[Daemon, Daemon]) -> None:
    """A graph imported elsewhere has the same digest, energy and bodies."""
    left, right = (twin.api for twin in twins)
    exported = left.export()

    answer = take_in(right, "jsonl", exported)

    assert answer.lines[-1]["failed"] == 0, answer.lines
    assert shown(right) == shown(left)
    assert right.export() == exported
    assert right.space()["digest"] == left.space()["digest"]
    for key in KEYS:
        energy = [api.get(node_path(key))["energy"]["atp"] for api in (left, right)]
        assert energy[0] == pytest.approx(energy[1], rel=1e-4)


def test_a_stranger_reads_it_as_well(
    twins: tuple[Daemon, Daemon], stranger: Daemon
) -> None:
    """Another person's device exports again what it took in, byte for byte."""
    exported = twins[0].api.export()

    assert take_in(stranger.api, "jsonl", exported).lines[-1]["failed"] == 0
    assert stranger.api.export() == exported


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_back(
    twins: tuple[Daemon, Daemon], stranger: Daemon, name: str
) -> None:
    """Nodes, edges and, but for GraphML, bodies are those that were exported."""
    answer = take_in(stranger.api, name, twins[0].api.export(name))

    last = answer.lines[-1]
    assert (last["done"], last["failed"]) == (True, 0), answer.lines
    nodes, edges, bodies = shown(stranger.api)
    expected_nodes, expected_edges, expected_bodies = shown(twins[0].api)
    if name == "graphml":
        expected_bodies = dict.fromkeys(bodies, "")
        for node in expected_nodes.values():
            node["body"] = False
    assert nodes == expected_nodes
    assert edges == expected_edges
    assert bodies == expected_bodies


@pytest.mark.parametrize("name", FORMATS)
def test_importing_again_changes_nothing(
    twins: tuple[Daemon, Daemon], stranger: Daemon, name: str
) -> None:
    """The same file twice leaves the digest, the counts and the energy as they were."""
    content = twins[0].api.export(name)
    take_in(stranger.api, name, content)
    before = stranger.api.space(), stranger.api.export()

    again = take_in(stranger.api, name, content)

    assert again.lines[-1]["done"]
    assert (stranger.api.space(), stranger.api.export()) == before


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_names_its_format(twins: tuple[Daemon, Daemon], name: str) -> None:
    """Type and file name tell what an export is."""
    answer = twins[0].api.request("GET", "/v1/export", query={"format": name})

    kinds = {
        "jsonl": ("application/x-ndjson", "fractality.jsonl"),
        "graphml": ("application/graphml+xml", "fractality.graphml"),
        "markdown": ("application/x-tar", "fractality.tar"),
    }
    kind, file_name = kinds[name]
    assert answer.headers["content-type"] == kind
    assert f'filename="{file_name}"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("jsonl", b'{"key":"x","label":"X"}\n{"key":"y"'),
        ("jsonl", b'{"key":"x","label":"X"}\n[1]\n'),
        ("jsonl", b'{"fractality":"export","version":99}\n'),
        ("jsonl", b'{"key":"x","label":"\xff"}\n'),
        ("graphml", b""),
        ("graphml", b"<graphml>"),
        ("graphml", b"<!DOCTYPE x [<!ENTITY a 'b'>]><graphml/>"),
        ("markdown", b""),
        ("markdown", b"this is no archive" * 100),
    ],
)
def test_a_file_that_makes_no_sense_is_told(
    api: Api, name: str, content: bytes
) -> None:
    """The answer ends with `done` false, and with the problem before it."""
    problem, last = take_in(api, name, content).lines[-2:]

    assert last["done"] is False
    assert problem["problem"]["status"] == 422
    assert problem["problem"]["field"]


def test_parts_that_fail_are_listed(api: Api) -> None:
    """A part that cannot be taken is named with its problem; the rest is taken."""
    lines: list[dict[str, Any]] = [
        {"key": "good", "label": "Good"},
        {"key": "bad", "label": "x" * 5000},
        {"from": "good", "to": "nowhere"},
        {"key": "also good"},
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines)

    told = take_in(api, "jsonl", content).lines

    failures = {
        each["item"]: each["problem"]["status"] for each in told if "item" in each
    }
    assert failures == {"bad": 422, "edge from 'good' to 'nowhere'": 404}
    assert {"progress": {"applied": 2}} in told
    assert told[-1] == {"done": True, "applied": 2, "failed": 2}
