"""`fractality verify`: consensus worked out again, from a file alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.contributions import author, everybody, say, vector

OTHER = say(0, 0, vector(0), circle=bytes(32))
GOOD = everybody(1, range(3))[0].encoded.hex()


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    """The command line on a home that is not there."""
    return CommandLine(tmp_path / "none")


def written(tmp_path: Path, *lines: Any) -> str:
    """Return a file of lines; texts are written as they are."""
    file = tmp_path / "circle.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("\n".join(texts))
    return str(file)


def records(people: int) -> list[dict[str, str]]:
    """Return what so many people say about one thing."""
    return [{"record": each.encoded.hex()} for each in everybody(1, range(people))]


def test_it_prints_nodes_and_hash(command_line: CommandLine, tmp_path: Path) -> None:
    """Without home, daemon or model, as JSON, with --json or not."""
    file = written(tmp_path, *records(4), "", records(1)[0])

    found = json.loads(command_line.run("verify", file).stdout)

    assert found == command_line.json("verify", file)
    assert len(found["result_hash"]) == 64
    (node,) = found["nodes"]
    assert node["status"] == "consensus"
    assert (node["counted_authors"], node["contributor_count"]) == (4, 4)
    assert node["label_id"] in node["members"]
    assert node["members"] == sorted(node["members"])
    assert node["label"].startswith("thought")
    assert 0 < node["score"] <= 10000
    assert not command_line.home.exists()


def test_members_and_preset_count(command_line: CommandLine, tmp_path: Path) -> None:
    """Invitations reduce voices; another preset is another result."""
    puppets = [
        {"member": author(1).hex(), "inviter": author(0).hex(), "vouched": False},
        {"member": author(2).hex(), "inviter": author(1).hex(), "vouched": False},
        {"member": author(3).hex(), "inviter": author(1).hex(), "vouched": False},
        {"member": author(0).hex(), "inviter": None, "vouched": False},
    ]
    file = written(tmp_path, *records(4), *puppets)

    strict = command_line.json("verify", file)
    broad = command_line.json("verify", "--preset", "broad", file)

    assert [node["status"] for node in strict["nodes"]] == ["emerging"]
    assert strict["nodes"][0]["contributor_count"] == 4
    assert strict["nodes"][0]["key"] != broad["nodes"][0]["key"]


def test_it_reads_the_standard_input(command_line: CommandLine) -> None:
    """A file of nothing has no nodes, and the hash of nothing."""
    found = json.loads(command_line.run("verify", "-", input="\n").stdout)

    assert found["nodes"] == []
    assert found["result_hash"].startswith("e3b0c44298fc1c14")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "neither"),
        ("[]", "neither"),
        ({}, "neither"),
        ({"record": GOOD, "member": author(0).hex()}, "neither"),
        ({"record": 7}, "neither"),
        ({"record": GOOD, "more": 1}, "neither"),
        ({"record": "xyz"}, "hexadecimal"),
        ({"record": GOOD[:-2]}, "format"),
        ({"record": GOOD + "00" * 2000}, "neither"),
        ({"record": OTHER.encoded.hex()}, "another circle"),
        ({"member": "00"}, "32 bytes"),
        ({"member": author(0).hex(), "inviter": author(1).hex()}, "contradicts"),
    ],
)
def test_a_wrong_line_is_named(
    command_line: CommandLine, tmp_path: Path, line: object, told: str
) -> None:
    """What cannot be taken ends it with the line's number, and no hash is printed."""
    member = {"member": author(0).hex(), "inviter": None, "vouched": False}
    file = written(tmp_path, records(1)[0], member, line)

    ended = command_line.run("verify", file)

    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert "line 3: " in ended.stderr
    assert told in ended.stderr


def test_circular_invitations_are_told(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """Members who invited each other are refused, for they come from nowhere."""
    pair = [author(1).hex(), author(2).hex()]
    file = written(
        tmp_path,
        {"member": pair[0], "inviter": pair[1], "vouched": False},
        {"member": pair[1], "inviter": pair[0], "vouched": False},
    )

    ended = command_line.run("verify", file)

    assert ended.exit_code == 2
    assert "inviter" in ended.stderr


def test_an_absent_file_is_told(command_line: CommandLine, tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    ended = command_line.run("verify", str(tmp_path / "absent"))

    assert ended.exit_code == 2
    assert "absent" in ended.stderr
