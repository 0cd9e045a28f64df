"""Commands that read the graph."""

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_daemon import MOMENT, FakeDaemon, ok, problem


def test_show_prints_a_card(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A card tells the node, its metadata, its neighbours and how its body begins."""
    daemon.bodies["garden"] = b"".join(b"line %d\n" % n for n in range(1, 15))
    daemon.put("garden", "The garden", metadata={"by": "Ada", "tags": ["a"]})
    daemon.put("bees", "Bees")
    daemon.put("home", "Home")
    daemon.link("garden", "bees")
    daemon.link("home", "garden", type="about")

    shown = command_line.run("show", "garden").stdout

    assert shown.startswith(
        "The garden\n"
        "key      garden\n"
        "type     thought in default\n"
        "energy   1 ATP\n"
        "created  2024-05-01\n"
        "changed  2024-05-01, version 1\n"
        "\n"
        "Metadata\n"
        "  by    Ada\n"
        '  tags  ["a"]\n'
        "\n"
        "Neighbours\n"
        "  → child  bees  Bees\n"
        "  ← about  home  Home\n"
        "\n"
        "Body\n"
        "  line 1\n"
    )
    assert shown.endswith("  line 12\n  … 2 more lines\n")


def test_show_leaves_out_what_is_not_there(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A node without metadata, edges and body is told in six lines."""
    daemon.put("bees", "Bees")

    assert len(command_line.run("show", "bees").stdout.splitlines()) == 6


@pytest.mark.parametrize(
    "command",
    [
        ("show", "k"),
        ("list",),
        ("search", "evil"),
        ("path", "k", "k"),
        ("neighbours", "other"),
        ("--json", "show", "k"),
        ("--json", "list", "--all"),
    ],
)
def test_nothing_of_a_node_commands_the_terminal(
    daemon: FakeDaemon, command_line: CommandLine, command: tuple[str, ...]
) -> None:
    """Escape sequences in labels, metadata and bodies are shown, never sent."""
    evil = "evil\x1b]0;t\x07\x9b1m\u202e"
    daemon.bodies["k"] = evil.encode()
    daemon.put("k", evil, type=evil, network=evil, metadata={evil: evil})
    daemon.put("other", "Other")
    daemon.link("k", "other", type=evil)

    result = command_line.run(*command)

    assert result.exit_code == 0
    assert "evil" in result.stdout
    assert not set("\x1b\x07\x9b\u202e") & set(result.output)


def test_list_aligns_its_columns(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Away from a terminal a table is aligned text, wide characters counted."""
    daemon.put("日本", "Two")
    daemon.put("a", "One\nline", energy={"atp": 0.333})

    assert command_line.run("list").stdout == (
        "KEY   LABEL     TYPE     ENERGY  CHANGED\n"
        "a     One line  thought    0.33  2024-05-01\n"
        "日本  Two       thought       1  2024-05-01\n"
    )


def test_list_passes_its_filters_on(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Type, network, prefix, trash and limit are the daemon's to apply."""
    filters = ("--type", "t", "--network", "n", "--prefix", "p")
    command_line.run("list", *filters, "--trash", "--limit", "7")

    (request,) = daemon.requests
    given = {"type": "t", "network": "n", "prefix": "p"}
    assert request.query == {**given, "trash": "true", "limit": "7"}


def test_list_says_that_there_are_more(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """One page is shown, and how to see the rest is a remark on stderr."""
    for n in range(3):
        daemon.put(f"k{n}", "Label")

    result = command_line.run("list", "--limit", "2")

    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "There are more: --all lists every one.\n"


def test_list_all_follows_the_pages(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """--all prints every node once, with one header, and as JSON one document."""
    keys = [f"k{n:04}" for n in range(2001)]
    for key in keys:
        daemon.put(key, "Label")

    lines = command_line.run("list", "--all").stdout.splitlines()
    document = command_line.json("list", "--all")

    assert [line.split()[0] for line in lines] == ["KEY", *keys]
    assert [node["key"] for node in document["items"]] == keys
    assert document["next"] is None


def test_an_empty_list_is_told(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Nothing to list leaves stdout empty, and JSON a list without items."""
    assert command_line.run("list").output == "There are no such nodes.\n"
    assert command_line.run("list", "--trash").stderr == "The trash is empty.\n"
    assert command_line.json("list", "--all") == {"items": [], "next": None}


def test_search_joins_its_words(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Several words are one query; a match outside the label has its own line."""
    daemon.put("bees", "Of bees and gardens")
    hit = {"node": daemon.put("wasps", "Wasps"), "highlight": "in <mark>bees</mark>"}

    result = command_line.run("search", "bees", "and", "--limit", "3")

    assert result.stdout == "bees  Of bees and gardens\n"
    assert daemon.requests[0].query == {"q": "bees and", "limit": "3"}
    assert command_line.run("search", "hornets").output == "Nothing found.\n"
    daemon.answers["GET", "/v1/search"] = ok([hit])
    assert command_line.run("search", "bees").stdout == "wasps  Wasps\n    in bees\n"


def test_search_takes_a_mode(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """By words, by meaning or both is the daemon's to do."""
    daemon.put("bees", "Of bees")

    assert command_line.run("search", "bees", "--mode", "vector").exit_code == 0
    assert daemon.requests[0].query["mode"] == "vector"
    assert command_line.run("search", "bees", "--mode", "magic").exit_code == 2


def test_resonant_tells_how_near(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """Each node that means nearly the same has its resonance before it."""
    near = [{"node": daemon.put("wasps", "Wasps"), "resonance": 0.8765}]
    daemon.answers["GET", "/v1/nodes/bees/resonant"] = ok(near)

    result = command_line.run("resonant", "bees", "--threshold", "0.7")

    assert result.stdout.splitlines()[1].split()[:3] == ["0.88", "wasps", "Wasps"]
    assert daemon.requests[0].query == {"threshold": "0.7", "limit": "20"}
    daemon.answers["GET", "/v1/nodes/bees/resonant"] = ok([])
    assert "Nothing resonates" in command_line.run("resonant", "bees").stderr


def test_neighbours_tells_the_steps(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """Depth, direction and type go to the daemon; each node has its distance."""
    daemon.put("a", "A")
    daemon.put("b", "B")
    daemon.link("a", "b")

    way = ("--depth", "2", "--direction", "out", "--order", "energy")
    result = command_line.run("neighbours", "a", *way)

    assert result.stdout.splitlines()[1].split()[:3] == ["1", "b", "B"]
    assert daemon.requests[0].query["depth"] == "2"
    assert daemon.requests[0].query["direction"] == "out"
    assert daemon.requests[0].query["order"] == "energy"
    assert command_line.run("neighbours", "a", "--depth", "0").exit_code == 2


def test_path_numbers_its_steps(daemon: FakeDaemon, command_line: CommandLine) -> None:
    """A way is told node by node with its cost; none is status 5."""
    daemon.put("a", "A")
    daemon.put("b", "B")

    assert command_line.run("path", "a", "b").stdout == (
        "  0  a  A\n  1  b  B\n1 step, cost 1.5\n"
    )
    daemon.answers["GET", "/v1/path"] = problem(404, "There is no way from a to b.")
    assert command_line.run("path", "a", "b").exit_code == 5
    daemon.answers["GET", "/v1/path"] = problem(503, "The search budget is used up.")
    assert command_line.run("path", "a", "b").exit_code == 1


def test_hits_and_neighbours_may_come_wrapped_and_in_pages(
    daemon: FakeDaemon, command_line: CommandLine
) -> None:
    """A list is read alike whether it comes whole or as a page of items."""
    node = daemon.put("a", "A", updated_at=MOMENT)
    page = {"items": [{"node": node, "distance": 3, "highlight": None}], "next": None}
    daemon.answers["GET", "/v1/nodes/x/neighbours"] = ok(page)
    daemon.answers["GET", "/v1/search"] = ok(page)

    assert command_line.run("search", "a").stdout == "a  A\n"
    assert "    3  a    A" in command_line.run("neighbours", "x").stdout
