"""Commands that change the graph."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import STATUS, FakeDaemon, ndjson, ok, problem


def test_add_makes_a_key_from_the_text(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Without --key the key is readable, and its random end keeps it apart."""
    first, second = (command_line.run("add", "Bees need a garden") for _ in range(2))

    assert [first.exit_code, second.exit_code] == [0, 0]
    assert re.fullmatch(r"Added bees-need-a-garden-\w{5}\.\n", first.stdout)
    assert first.stdout != second.stdout
    assert [node["label"] for node in daemon.nodes.values()] == [
        "Bees need a garden"
    ] * 2


def test_add_tells_of_a_near_duplicate(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """While embeddings are at hand, a node that says nearly the same is named."""
    near = [
        {"node": daemon.put("garden", "A garden for bees"), "resonance": 0.93},
        {"node": daemon.put("wasps", "Wasps"), "resonance": 0.5},
    ]
    daemon.answers["GET", "/v1/search"] = ok(near)

    assert command_line.run("add", "Bees need a garden").stderr == ""
    daemon.answers["GET", "/v1/status"] = ok(
        STATUS | {"embeddings": {"state": "ready"}}
    )
    told = command_line.run("add", "Bees need a garden")

    assert told.stderr == "Nearly the same: garden  A garden for bees\n"
    assert told.exit_code == 0
    daemon.answers["GET", "/v1/search"] = problem(503, "The model is gone.")
    assert command_line.run("add", "Bees need a garden").exit_code == 0


def test_add_never_replaces_a_node(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A key that is taken is refused and its node stays as it was."""
    daemon.put("bees", "Bees")

    result = command_line.run("add", "Wasps", "--key", "bees")

    assert result.exit_code == 4
    assert "There is a node bees already" in result.stderr
    assert daemon.nodes["bees"]["label"] == "Bees"


def test_add_under_a_parent_is_one_batch(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """The node and the edge from its parent are sent together."""
    daemon.put("garden", "The garden")

    answer = command_line.json(
        "add", "Bees", "--key", "bees", "--parent", "garden", "--type", "insect"
    )

    assert [r.path for r in daemon.requests if r.method == "POST"] == ["/v1/batch"]
    assert (answer["key"], answer["type"]) == ("bees", "insect")
    assert [(e["from"], e["type"], e["to"]) for e in daemon.edges] == [
        ("garden", "child", "bees")
    ]


def test_add_under_an_absent_parent_makes_nothing(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A parent that is not there is told before anything is made."""
    result = command_line.run("add", "Bees", "--parent", "garden")

    assert result.exit_code == 5
    assert result.stderr == "Error: There is no node garden.\n"
    assert daemon.nodes == {}


def test_add_tells_when_only_half_was_done(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Where the edge alone fails, the person learns that the node is there."""
    daemon.put("garden", "The garden")
    failure = {
        "line": 2,
        "problem": {"title": "Gone", "status": 404, "detail": "Gone."},
    }
    daemon.answers["POST", "/v1/batch"] = ndjson(
        failure, {"done": True, "applied": 1, "failed": 1}
    )

    result = command_line.run("add", "Bees", "--key", "bees", "--parent", "garden")

    assert result.exit_code == 5
    assert result.stderr == (
        "bees was added, but not under its parent:\nError: Gone.\n"
    )


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("1", 1),
        ("[1, true]", [1, True]),
        ("null", None),
        ("plain text", "plain text"),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_set_reads_json_and_else_text(
    daemon: FakeDaemon, command_line: CommandLine, value: str, meant: Any
) -> None:
    """A metadata value is JSON if it is JSON, otherwise the text itself."""
    daemon.put("bees", "Bees")

    assert command_line.run("edit", "bees", "--set", f"x={value}").exit_code == 0

    patches = [r.document for r in daemon.requests if r.method == "PATCH"]
    assert patches == [{"metadata": {"x": meant}}]


def test_edit_sends_only_what_is_given(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Fields that are not named are not sent; --unset sends a null."""
    daemon.put("bees", "Bees")

    result = command_line.run("edit", "bees", "--label", "", "--unset", "old")

    assert result.exit_code == 0
    patches = [r.document for r in daemon.requests if r.method == "PATCH"]
    assert patches == [{"label": "", "metadata": {"old": None}}]


def test_edit_takes_a_body_from_a_file_or_the_input(
    daemon: FakeDaemon, command_line: CommandLine, tmp_path: Path
) -> None:
    """The long text is sent byte for byte."""
    daemon.put("bees", "Bees")
    file = tmp_path / "body.md"
    file.write_bytes("für alle\r\n".encode())

    assert command_line.run("edit", "bees", "--body-file", str(file)).exit_code == 0
    assert daemon.bodies["bees"] == "für alle\r\n".encode()
    assert (
        command_line.run("edit", "bees", "--body-file", "-", input="typed").exit_code
        == 0
    )
    assert daemon.bodies["bees"] == b"typed"
    assert not [request for request in daemon.requests if request.method == "PATCH"]


@pytest.mark.parametrize("wrong", [[], ["--set", "novalue"], ["--set", "=1"]])
def test_edit_refuses_what_changes_nothing(
    daemon: FakeDaemon, command_line: CommandLine, wrong: list[str]
) -> None:
    """Arguments that make no change are wrong usage, and nothing is asked."""
    assert command_line.run("edit", "bees", *wrong).exit_code == 2
    assert daemon.requests == []


def test_a_node_goes_to_the_trash_and_comes_back(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """`rm` says how to undo itself, and that undoes it."""
    daemon.put("bees", "Bees")

    removed = command_line.run("rm", "bees")
    assert (removed.exit_code, list(daemon.nodes)) == (0, [])
    assert removed.stderr == "To bring it back: fractality restore-node bees\n"
    assert command_line.run("restore-node", "bees").stdout == "bees is back.\n"
    assert list(daemon.nodes) == ["bees"]


def test_an_empty_answer_prints_nothing_as_json(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """With --json a deletion prints what the API answered: nothing."""
    daemon.put("bees", "Bees")

    assert command_line.run("--json", "rm", "bees").output == ""


def test_link_leaves_defaults_to_the_daemon(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Type and weight are sent only when given."""
    daemon.put("a", "A")
    daemon.put("b", "B")

    assert command_line.run("link", "a", "b").stdout == "Linked a → b (child).\n"
    command_line.run("link", "a", "b", "--type", "about", "--weight", "0.5")

    assert [request.document for request in daemon.requests] == [
        {"from": "a", "to": "b"},
        {"from": "a", "to": "b", "type": "about", "weight": 0.5},
    ]


def test_pulse_tells_the_energy(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """One unit unless told otherwise; a negative one is wrong usage."""
    daemon.put("bees", "Bees")

    assert command_line.run("pulse", "bees").stdout == "bees now has 2 ATP.\n"
    assert command_line.json("pulse", "bees", "0.25") == {"atp": 1.25}
    assert command_line.run("pulse", "bees", "--", "-1").exit_code == 2


def test_keys_are_quoted_in_routes(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A key may hold what means something in a URL."""
    key = "a/b?c#d%20 ü"
    daemon.put(key, "Odd")

    assert command_line.json("show", key)["key"] == key


def test_a_field_at_fault_is_named(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A problem with a field is wrong usage and says which field."""
    daemon.put("bees", "Bees")
    refusal = problem(422, "must be at most 4096 bytes", field="label")
    daemon.answers["PATCH", "/v1/nodes/bees"] = refusal

    result = command_line.run("edit", "bees", "--label", "long")
    as_json = command_line.run("--json", "edit", "bees", "--label", "long")

    assert result.stderr == "Error: label: must be at most 4096 bytes\n"
    assert (result.exit_code, as_json.exit_code) == (2, 2)
    assert json.loads(as_json.stdout) == json.loads(refusal.content)
    assert as_json.stderr == ""
