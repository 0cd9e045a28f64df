"""What the documents say about the project is so."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from daemon.cli.root import cli

REPOSITORY: Final = Path(__file__).parents[2]
README: Final = REPOSITORY / "README.md"
PAGES: Final = sorted(
    chain(REPOSITORY.glob("*.md"), REPOSITORY.glob("docs/**/*.md")),
)
TOUR: Final = (REPOSITORY / "docs" / "architecture.md").read_text()
COMMAND: Final = re.compile(
    r"""(?:^\ *(?:\$\ )?|`|\$\()fractality           # at a prompt, quoted or in $( )
        (?:\ --(?:home\ \S+|json))*                  # options of all commands
        \ ([a-z][a-z-]*)(?:[\ `'")]|$)""",
    re.MULTILINE | re.VERBOSE,
)


def named(path: Path) -> str:
    """Return how a test on `path` is called."""
    return str(path.relative_to(REPOSITORY))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, heading or empty) of every link to a file of the repository."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            path, _, heading = target.partition("#")
            yield ((page.parent / path).resolve() if path else page), heading


def anchors(page: Path) -> set[str]:
    """Return what a link may add to a page behind `#`, as GitHub makes it."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository, and a heading of it."""
    for path, heading in links(page):
        assert path.exists(), path
        assert not heading or heading in anchors(path), (path, heading)


def test_every_page_is_linked() -> None:
    """From the README every page of docs/ can be reached."""
    reached: set[Path] = set()
    waiting = {README}
    while waiting:
        page = waiting.pop()
        reached.add(page)
        found = {path for path, _ in links(page) if path.suffix == ".md"}
        waiting |= found - reached

    assert {page for page in PAGES if "docs" in page.parts} <= reached


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_exist(page: Path) -> None:
    """Every `fractality X` that a page shows is a command."""
    assert set(COMMAND.findall(page.read_text())) <= set(cli.commands)


def test_the_readme_shows_commands() -> None:
    """The pattern by which commands are found finds those of the first example."""
    example = README.read_text().split("```console\n")[1].split("```")[0]

    found = Counter(COMMAND.findall(example))

    assert found.total() == example.count("$ fractality ")
    assert {"add", "link", "pulse", "neighbours", "path"} <= set(found)


def test_make_knows_what_is_asked_of_it() -> None:
    """Every `make X` that a page shows is a target of the Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    for page in PAGES:
        shown = re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text(), re.MULTILINE)
        assert set(shown) <= targets, page


@pytest.mark.parametrize("package", ["consensus", "crdt", "daemon", "transport"])
def test_the_tour_names_every_module(package: str) -> None:
    """architecture.md lists each module and sub-package once, and no absent one."""
    table = TOUR.split(f"\n### {package}\n")[1].split("\n#")[0]
    folder = REPOSITORY / package
    modules = [each.name for each in folder.glob("*.py") if each.stem != "__init__"]
    packages = [f"{each.parent.name}/" for each in folder.glob("*/__init__.py")]

    rows = re.findall(r"^\| `([\w./]+)` \|", table, re.MULTILINE)

    assert sorted(rows) == sorted([*modules, *packages])


def test_the_tour_names_files_that_exist() -> None:
    """Every file of the tour that has a folder before it is there."""
    for path in re.findall(
        r"`((?:consensus|crdt|daemon|transport|bench)/[\w/.]+)`", TOUR
    ):
        assert (REPOSITORY / path).exists(), path


def test_decisions_have_one_shape() -> None:
    """A decision tells its context, what was decided and measured, what follows."""
    for page in (REPOSITORY / "docs" / "decisions").glob("*.md"):
        titles = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert titles == ["Context", "Decision", "Measured", "Consequences"], page


def test_the_figures_are_those_of_the_bench() -> None:
    """Every row of the README's tables is a case that `make bench` measures."""
    cases = [
        re.escape(str(node.value)) if isinstance(node, ast.Constant) else _pattern(node)
        for file in (REPOSITORY / "bench").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]
    table = README.read_text().split("## How fast it is")[1]

    rows = re.findall(r"^\| (\w[^|]*\w) \|", table, re.MULTILINE)

    assert rows
    for row in rows:
        assert any(re.fullmatch(case, row) for case in cases), row


def _pattern(text: ast.JoinedStr) -> str:
    """Return what a string with figures in it may look like."""
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\d+"
        for part in text.values
    )
