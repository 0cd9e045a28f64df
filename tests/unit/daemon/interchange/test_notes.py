"""A person's own notes become nodes, links become edges, and nothing is lost."""

import pytest

from crdt.commands import PutBody, PutEdge, PutNode
from crdt.ids import MAX_BODY_BYTES, NodeKey
from daemon.interchange.formats import FORMATS
from daemon.interchange.markdown import reader, writer
from daemon.interchange.markdown.file_names import FileNames
from daemon.interchange.markdown.notes import MAX_FRONT_MATTER_BYTES
from daemon.interchange.records import Failure, IfAbsent, Imported
from daemon.interchange.tar import ArchivedFile
from tests.support.exported_graphs import MemoryGraph, graph_of, imported


def _commands(**notes: str) -> list[Imported]:
    files = [ArchivedFile(f"{name}.md", text.encode()) for name, text in notes.items()]
    return list(reader.commands(files))


def _link_targets(files: list[str], source: str, body: str) -> set[str]:
    """Return what the links in `body` mean, among notes at the paths `files`."""
    notes = [ArchivedFile(f"{path}.md", b"") for path in files if path != source]
    notes.append(ArchivedFile(f"{source}.md", body.encode()))
    return {item.target for item in reader.commands(notes) if isinstance(item, PutEdge)}


def test_a_note_becomes_a_node_with_its_body() -> None:
    """Key, label, metadata, body and tags of one note."""
    text = "---\ntags: [A, b]\ntag: c, D\ndate: 2024-01-02\n---\n\n# Tea *time*\n#b\n"

    assert [
        PutNode(
            key="x",
            label="Tea *time*",
            type="note",
            metadata={"tags": ["A", "b"], "tag": "c, D", "date": "2024-01-02"},
        ),
        PutBody(key="x", text="\n# Tea *time*\n#b\n"),
        IfAbsent(PutNode(key="tag:a", label="#a", type="tag")),
        IfAbsent(PutNode(key="tag:b", label="#b", type="tag")),
        IfAbsent(PutNode(key="tag:c", label="#c", type="tag")),
        IfAbsent(PutNode(key="tag:d", label="#d", type="tag")),
        *(PutEdge(source="x", target=f"tag:{t}", type="tagged") for t in "abcd"),
    ] == _commands(x=text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("---\ntitle: From field\n---\n# Heading", "From field"),
        ("---\ntitle: [1]\n---\n# Heading", "Heading"),
        ("---\ntitle: ' '\n---\ntext", "my note"),
        ("", "my note"),
    ],
)
def test_the_label_is_title_heading_or_file_name(text: str, label: str) -> None:
    """The first of them that says something."""
    (node, *_) = reader.commands([ArchivedFile("folder/my note.md", text.encode())])

    assert isinstance(node, PutNode)
    assert label == node.label


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ("[[todo]]", "todo"),
        ("[[TODO]]", "todo"),
        ("[[house/todo]]", "work/house/todo"),
        ("[[./todo]]", "work/todo"),
        ("[[../todo]]", "todo"),
        ("[[/todo]]", "todo"),
        ("[[plan]]", "work/plan"),
        ("[[list]]", "work/house/list"),
        ("[[far]]", "b/far"),
        ("[x](todo.md)", "work/todo"),
        ("[x](../todo.md)", "todo"),
        ("[x](plan.md#part)", "work/plan"),
        ("[x](../../todo.md)", "todo"),
        ("[x](top.md)", "top"),
        ("[x](a/plan.md)", "a/plan"),
        ("[[none]]", "none"),
        ("[[./none]]", "work/none"),
        ("[x](none.md)", "work/none"),
    ],
)
def test_which_note_a_link_means(body: str, target: str) -> None:
    """Exact path, beside, below, shortest path; else a placeholder's name."""
    files = ["todo", "work/todo", "work/house/todo", "a/plan", "work/plan"]
    files += ["a/list", "work/house/list", "aa/far", "b/far", "top"]

    assert {target} == _link_targets(files, "work/diary", body)


def test_the_note_beside_is_meant_among_any_number_of_namesakes() -> None:
    """Every folder may have its `index`."""
    files = [f"{number}/index" for number in range(300)]

    assert {"299/index"} == _link_targets(files, "299/diary", "[[index]]")


def test_links_are_counted_and_no_note_links_itself() -> None:
    """One edge for each target, its weight the number of links."""
    edges = [i for i in _commands(a="[[b]] [[B|x]] [[a]] [x](b.md)", b="") if
             isinstance(i, PutEdge)]  # fmt: skip

    assert [PutEdge(source="a", target="b", type="link", weight=3.0)] == edges


def test_a_placeholder_is_made_once_and_only_if_absent() -> None:
    """Links to no note, in any case of letters, share one node."""
    made = [i for i in _commands(a="[[Nowhere]]", b="[[nowhere]]")
            if isinstance(i, IfAbsent)]  # fmt: skip

    node = PutNode(key="Nowhere", label="Nowhere", type="placeholder")
    assert [IfAbsent(node)] == made


def test_a_broken_front_matter_stays_in_the_body() -> None:
    """What cannot be read as fields is kept as text, down to the byte."""
    text = "---\na: [\n---\r\nbody"

    assert [
        PutNode(key="x", label="x", type="note"),
        PutBody(key="x", text=text),
    ] == _commands(x=text)


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        ("x.md", b"\xff", "not UTF-8"),
        ("x.md", b"x" * (MAX_BODY_BYTES + 1), "body: must be at most"),
        ("x.md", b"---\na: " + b"x" * MAX_FRONT_MATTER_BYTES + b"\n---\n", "too large"),
        ("x.md", b"---\na: " + b"x" * 70_000 + b"\n---\n", "65536 bytes of JSON"),
        ("x.md", b'---\n"a\\u0001": 1\n---\n', "control characters"),
        ("x" * 300 + ".md", b"", "key: must be at most 255"),
        ("e\u0301.md", b"", "another note has this key"),
        ("x.md", b"---\nfractality: {key: a}\n---\n", "fractality: Object missing"),
    ],
)
def test_a_note_that_cannot_be_taken_is_told(
    name: str, content: bytes, detail: str
) -> None:
    """It is a failure with its name and reason; the others are imported."""
    files = [ArchivedFile("\u00e9.md", b"fine"), ArchivedFile(name, content)]

    _, body, failure = reader.commands(files)

    assert PutBody(key="\u00e9", text="fine") == body
    assert isinstance(failure, Failure)
    assert name == failure.place
    assert detail in failure.detail


def test_a_link_no_node_can_have_is_told_and_the_next_one_kept() -> None:
    """A name too long for a key is a failure of its own."""
    long = "x" * 300

    *_, failure, made, edge = _commands(a=f"[[{long}]] [[b]]")

    assert isinstance(failure, Failure)
    assert failure.place == "a.md"
    assert isinstance(made, IfAbsent)
    assert PutEdge(source="a", target="b", type="link") == edge


@pytest.mark.parametrize(
    ("keys", "paths"),
    [
        (["user/Some note"], ["user/Some note.md"]),
        (["Foo", "foo"], ["Foo.md", "foo~2c26b46b68ffc68f.md"]),
        (["tag:x", "a?b"], ["tag_x.md", "a_b.md"]),
        (["CON", "nul.x/a", "com1.b"], ["_CON.md", "_nul.x/a.md", "_com1.b.md"]),
        (["..", "a//b", "/a", ".git/x"], ["__.md", "a/_/b.md", "_/a.md", "_git/x.md"]),
        (["a", "a.md/b"], ["a.md", "a.md_/b.md"]),
        (["é" * 100], ["é" * 50 + ".md"]),
        ([" a", "b "], ["_a.md", "b_.md"]),
    ],
)
def test_keys_as_paths(keys: list[str], paths: list[str]) -> None:
    """A path that any system holds, as close to the key as can be."""
    names = FileNames()

    assert paths == [names.path_for(NodeKey(key)) for key in keys]


def test_a_vault_is_the_same_after_export_and_import() -> None:
    """Bodies byte for byte; placeholders and tags as the nodes they became."""
    first = imported(_commands(a="---\nx: 1\n---\r\n[[b]] #t [[gone]]\r\n", b="\n\n "))
    graph = graph_of(first)

    second = imported(reader.read(writer.write(graph)))

    assert first.bodies == second.bodies
    assert first.nodes == second.nodes
    assert first.edges == second.edges


def test_every_format_of_the_api_is_there() -> None:
    """Each writes an empty graph that it can read."""
    assert {"jsonl", "graphml", "markdown"} == FORMATS.keys()
    for form in FORMATS.values():
        assert list(form.read(form.write(MemoryGraph()))) == []
