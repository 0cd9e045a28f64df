"""Commands about circles and what resonates in them."""

import json
from typing import Any

import pytest

from tests.support.circle_documents import (
    BOB,
    CIRCLE,
    CIRCLE_ID,
    KEY,
    NODE,
    PREVIEW,
)
from tests.support.command_line import CommandLine
from tests.support.fake_daemon import STATUS, FakeDaemon, ok, problem

PATH = f"/v1/circles/{CIRCLE_ID}"


@pytest.fixture
def circle(daemon: FakeDaemon) -> FakeDaemon:
    """Give the fake daemon a circle with one consensus node."""
    daemon.answers["GET", "/v1/circles"] = ok({"items": [CIRCLE], "next": None})
    daemon.answers["GET", PATH] = ok(CIRCLE)
    daemon.answers["GET", f"{PATH}/preview/mill"] = ok(PREVIEW)
    daemon.answers["PUT", f"{PATH}/contributions/mill"] = ok({"notice": ""})
    listed = {"items": [NODE], "next": None, "result_hash": "00"}
    daemon.answers["GET", f"{PATH}/consensus"] = ok(listed)
    return daemon


def sent(daemon: FakeDaemon) -> Any:
    """Return the last document that was sent, with its method and path."""
    last = daemon.requests[-1]
    return last.method, last.path, last.document if last.content else None


def test_founding(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A circle is founded with a name, a preset and, if wanted, an alias."""
    daemon.answers["POST", "/v1/circles"] = ok(CIRCLE, 201)

    shown = command_line.run("circle", "found", "Mill town", "--as", "ada")

    assert shown.stdout == "Founded Mill town. You are member-a1a1 in it.\n"
    wanted = {"name": "Mill town", "preset": "strict", "alias": "ada"}
    assert sent(daemon) == ("POST", "/v1/circles", wanted)


def test_inviting(circle: FakeDaemon, command_line: CommandLine) -> None:
    """The ticket alone is on the standard output; how it is meant stands beside it."""
    ticket = {"ticket": "fractality-circle-abc", "expires_at": "2026-01-02T03:04:05Z"}
    circle.answers["POST", f"{PATH}/invites"] = ok(ticket | {"uses": 2}, 201)

    shown = command_line.run("circle", "invite", "--uses", "2", "--valid", "12h")

    assert shown.stdout == "fractality-circle-abc\n"
    assert "2 people" in shown.stderr
    assert "2026-01-02 03:04" in shown.stderr
    wanted = {"uses": 2, "valid_seconds": 43_200}
    assert sent(circle) == ("POST", f"{PATH}/invites", wanted)


@pytest.mark.parametrize("length", ["0h", "7", "d", "1 d", "-1d", "9999999d"])
def test_lengths_of_time(
    circle: FakeDaemon, command_line: CommandLine, length: str
) -> None:
    """What is no length of time is wrong usage."""
    shown = command_line.run("circle", "invite", "--valid", length)

    assert shown.exit_code == 2


def test_joining_from_the_standard_input(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A ticket need not stand among the arguments, where others could see it."""
    daemon.answers["POST", "/v1/circles/join"] = ok(CIRCLE, 201)

    shown = command_line.run("circle", "join", "-", input="fractality-circle-x\n")

    assert shown.stdout == "Joined Mill town. You are member-a1a1 in it.\n"
    wanted = {"ticket": "fractality-circle-x", "alias": None}
    assert sent(daemon) == ("POST", "/v1/circles/join", wanted)


def test_a_ticket_that_is_refused(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Why somebody is not let in is told, with the status of a refusal."""
    refusal = problem(409, "The ticket has been used.")
    daemon.answers["POST", "/v1/circles/join"] = refusal

    shown = command_line.run("circle", "join", "fractality-circle-x")

    assert shown.exit_code == 4
    assert "The ticket has been used." in shown.stderr


def test_lists(circle: FakeDaemon, command_line: CommandLine) -> None:
    """Circles are a table; one circle has its members with who let them in."""
    head, row = command_line.run("circle", "list").stdout.splitlines()
    assert head.split()[:4] == ["NAME", "ID", "ME", "MEMBERS"]
    assert row.split()[2:8] == ["5eed5eed", "member-a1a1", "2", "5", "3", "1"]
    assert row.startswith("Mill town ")
    assert row.endswith(" in step")

    shown = command_line.run("circle", "show", "Mill town").stdout
    assert "strict, no relay reads it" in shown
    assert "5 thoughts of 2 members, 3 yours" in shown
    assert "member-a1a1 (you)" in shown
    assert "member-a1a1, vouched for" in shown
    assert command_line.json("circle", "show", "5eed") == CIRCLE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "left"}, "you have left"),
        ({"state": "removed"}, "you were removed"),
        ({"cause": "no route"}, "no route"),
        ({"links": 0}, "not linked"),
        ({"in_step": False}, "being brought into step"),
    ],
)
def test_how_a_circle_stands(
    daemon: FakeDaemon,
    command_line: CommandLine,
    changes: dict[str, Any],
    expected: str,
) -> None:
    """Each state is told in a few words."""
    listed = {"items": [CIRCLE | changes], "next": None}
    daemon.answers["GET", "/v1/circles"] = ok(listed)

    assert command_line.run("circle", "list").stdout.rstrip().endswith(expected)


def test_status_and_why(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A circle in trouble shows in the status; why tells cause and remedy."""
    cause = "two members hold the same and see another result"
    troubled = CIRCLE | {"cause": cause, "fix": "Report it.", "in_step": False}
    daemon.answers["GET", "/v1/status"] = ok(STATUS | {"circles": [troubled]})
    daemon.answers["GET", "/v1/devices"] = ok({"items": [], "next": None})

    shown = command_line.run("status")
    assert cause in shown.stdout
    assert "fractality why" in shown.stderr
    told = command_line.run("why").stdout
    assert "circle Mill town" in told
    assert cause in told
    assert "Report it." in told


def test_which_circle(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Without any, with several or with an unknown one, it says what to do."""
    daemon.answers["GET", "/v1/circles"] = ok({"items": [], "next": None})
    none = command_line.run("consensus")
    assert none.exit_code == 5
    assert "circle found" in none.stderr

    former = CIRCLE | {"state": "removed"}
    daemon.answers["GET", "/v1/circles"] = ok({"items": [former], "next": None})
    gone = command_line.run("consensus")
    assert gone.exit_code == 5
    assert "removed from" in gone.stderr

    other = CIRCLE | {"id": "ab" * 32, "name": "Other"}
    daemon.answers["GET", "/v1/circles"] = ok({"items": [CIRCLE, other]})
    several = command_line.run("consensus")
    assert several.exit_code == 4
    assert "--circle" in several.stderr
    assert command_line.run("consensus", "--circle", "Third").exit_code == 5

    left = {"items": [CIRCLE, other | {"state": "left"}], "next": None}
    daemon.answers["GET", "/v1/circles"] = ok(left)
    nothing: dict[str, Any] = {"items": [], "next": None, "result_hash": ""}
    daemon.answers["GET", f"{PATH}/consensus"] = ok(nothing)
    assert "three people" in command_line.run("consensus").stdout


def test_publishing_shows_what_leaves(
    circle: FakeDaemon, command_line: CommandLine
) -> None:
    """Text, size, pseudonym and what it means are shown before anything is sent."""
    declined = command_line.run("publish", "mill", "--bytes", input="n\n")

    for told in ("The old mill", "512 bytes", "member-a1a1", "9a01c4", "keep it."):
        assert told in declined.stderr
    assert declined.exit_code == 1
    assert "Nothing has left" in declined.stderr
    assert {each.method for each in circle.requests} == {"GET"}

    done = command_line.run("publish", "mill", input="y\n")
    assert done.stdout == "Published mill to Mill town.\n"
    assert sent(circle) == ("PUT", f"{PATH}/contributions/mill", None)


def test_publishing_without_asking(
    circle: FakeDaemon, command_line: CommandLine
) -> None:
    """Who says yes at once is shown what left all the same; programs get JSON alone."""
    shown = command_line.run("publish", "mill", "--yes")
    assert "The old mill" in shown.stderr

    assert command_line.json("publish", "mill", "--yes") == {"notice": ""}


def test_withdrawing(circle: FakeDaemon, command_line: CommandLine) -> None:
    """It says what withdrawing cannot do."""
    gone = {"node": "mill", "text": "x", "notice": "Copies already read stay read."}
    circle.answers["DELETE", f"{PATH}/contributions/mill"] = ok(gone)

    shown = command_line.run("withdraw", "mill")

    assert shown.stdout == "Withdrew mill from Mill town.\n"
    assert "stay read" in shown.stderr


def test_consensus(circle: FakeDaemon, command_line: CommandLine) -> None:
    """The list has score, people and votes; one node its members and words."""
    head, row = command_line.run("consensus").stdout.splitlines()
    assert head.split() == [
        "KEY",
        "RESONANCE",
        "PEOPLE",
        "AFFIRM",
        "DISSENT",
        "STATUS",
        "LABEL",
    ]
    assert row.split()[:6] == ["c0ffee000000", "0.74", "3", "2", "1", "emerging"]
    assert row.endswith("(yours too)")

    text = {
        "id": "1d",
        "author": BOB,
        "alias": "bob",
        "mine": False,
        "text": "So it is",
    }
    detail = ok(NODE | {"members": [text | {"epoch": 2900}]})
    circle.answers["GET", f"{PATH}/consensus/c0ffee"] = detail
    shown = command_line.run("consensus", "c0ffee").stdout
    for told in ("4 thoughts of 3 contributors", "2 affirm, 1 dissent (you: affirm)"):
        assert told in shown
    assert "So it is  bob" in shown


def test_history_and_tree(circle: FakeDaemon, command_line: CommandLine) -> None:
    """A node over time is a table; the own nodes around it a tree that fades."""
    point = {
        "time": "2026-01-02T03:04:05Z",
        "resonance_score": 0.7,
        "contributor_count": 3,
        "counted_authors": 3,
        "member_count": 3,
    }
    circle.answers["GET", f"{PATH}/consensus/c0/history"] = ok(
        {"key": KEY, "points": [point]}
    )
    mill, weir = circle.put("mill", "The old mill"), circle.put("weir", "The weir")
    branches = [
        {"node": mill, "parent": None, "edge": None, "depth": 0, "resonance": 1},
        {"node": weir, "parent": "mill", "edge": "x", "depth": 1, "resonance": 0.9},
    ]
    circle.answers["GET", f"{PATH}/consensus/c0/tree"] = ok(
        {"key": KEY, "label": "The mill", "items": branches}
    )

    history = command_line.run("consensus", "c0", "--history").stdout.splitlines()
    tree = command_line.run("consensus", "c0", "--tree").stdout.splitlines()

    assert history[1].split() == ["2026-01-02", "03:04", "0.70", "3", "3"]
    assert tree == [
        "The mill",
        "  mill  The old mill  1",
        "    weir  The weir  0.9",
    ]
    assert command_line.run("consensus", "--tree").exit_code == 2


@pytest.mark.parametrize(
    ("choice", "document"),
    [("affirm", "affirm"), ("dissent", "dissent"), ("withdraw", None)],
)
def test_voting(
    circle: FakeDaemon, command_line: CommandLine, choice: str, document: str | None
) -> None:
    """What is said goes to the circle, and the counts come back."""
    circle.answers["POST", f"{PATH}/consensus/c0ffee/vote"] = ok(NODE)

    shown = command_line.run("vote", "c0ffee", choice)

    assert sent(circle)[2] == {"vote": document}
    assert shown.stdout.endswith("2 affirm, 1 dissent.\n")
    assert command_line.run("vote", "c0ffee", "like").exit_code == 2


def test_integrating(circle: FakeDaemon, command_line: CommandLine) -> None:
    """What is kept is named, with the nodes that it is linked with."""
    kept = circle.put("consensus-c0ffee", "The mill", type="consensus")
    answer = ok({"node": kept, "linked": ["mill"]}, 201)
    circle.answers["POST", f"{PATH}/consensus/c0ffee/integrate"] = answer

    shown = command_line.run("integrate", "c0ffee", "mill")

    assert shown.stdout == "Kept as consensus-c0ffee, linked with mill.\n"
    assert sent(circle)[2] == {"node": "mill"}


def test_members_are_removed_and_vouched_for(
    circle: FakeDaemon, command_line: CommandLine
) -> None:
    """A member is named by alias or id; removing asks first."""
    circle.answers["DELETE", f"{PATH}/members/{BOB}"] = ok(CIRCLE)
    circle.answers["POST", f"{PATH}/members/{BOB}/vouch"] = ok(CIRCLE)

    assert command_line.run("circle", "remove", "bob", input="n\n").exit_code == 1
    assert sent(circle)[0] == "GET"
    removed = command_line.run("circle", "remove", "b2b2", "--yes")
    assert removed.stdout.startswith("Removed bob.")
    assert command_line.run("circle", "vouch", "bob").stdout == "You vouch for bob.\n"
    assert command_line.run("circle", "vouch", "eve").exit_code == 5


def test_leaving_asks_first(circle: FakeDaemon, command_line: CommandLine) -> None:
    """Leaving is for good, so it is asked for; then it is done."""
    circle.answers["DELETE", PATH] = ok(CIRCLE | {"state": "left"})

    assert command_line.run("circle", "leave", input="n\n").exit_code == 1
    done = command_line.run("circle", "leave", "--yes")

    assert done.stdout.startswith("You have left Mill town.")
    assert json.loads(command_line.run("--json", "circle", "list").stdout)["items"]
