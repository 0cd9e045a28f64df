"""A text points at what a reader of it would follow, and at nothing in code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.interchange.markdown.links import Link, find, normal_tags


def _wiki(body: str) -> dict[str, int]:
    found = find(body).links
    return {link.target: found[link] for link in found if not link.is_relative}


def _relative(body: str) -> list[str]:
    return [link.target for link in find(body).links if link.is_relative]


@pytest.mark.parametrize(
    ("body", "links"),
    [
        ("[[a]] and [[a|other]] and ![[a#part]]", {"a": 3}),
        ("[[a b]] [[folder/c.md]] [[ d ]]", {"a b": 1, "folder/c": 1, "d": 1}),
        ("| [[a\\|alias]] |", {"a": 1}),
        ("[[e\u0301]]", {"\u00e9": 1}),
        ("[[#here]] [[]] [[|x]]", {}),
        ("\\[[a]] [a] [[a\nb]]", {}),
        ("`[[a]]` ``[[a]] ` `` [[b]]", {"b": 1}),
        ("a ` b [[c]]", {"c": 1}),
        ("` one\n\n[[c]] `", {"c": 1}),
        ("` one\n[[c]] `", {}),
        ("```\n[[a]]\n```\n[[b]]", {"b": 1}),
        ("````\n```\n[[a]]\n````\n[[b]]", {"b": 1}),
        ("~~~ js\n[[a]]\n```\n[[b]]", {}),
        ("- ```\n  [[a]]\n  ```\n- [[b]]", {"b": 1}),
        ("``` not ` a fence\n[[a]]", {"a": 1}),
    ],
)
def test_wiki_links(body: str, links: dict[str, int]) -> None:
    """Alias, section and embedding name the same note; code names none."""
    assert links == _wiki(body)


@pytest.mark.parametrize(
    ("body", "links"),
    [
        ("[x](a.md) ![y](b.MD#part) [z](<c d.md>)", ["a", "b", "c d"]),
        ('[x](a%20b.md "title") [y](../up.md)', ["a b", "../up"]),
        ("[x](http://a/b.md) [y](mailto:a.md) [z](//a/b.md)", []),
        ("[x](a.png) [x](.md) [y](folder/) [z](#part) `[q](a.md)`", []),
    ],
)
def test_markdown_links(body: str, links: list[str]) -> None:
    """Relative links to notes count; links to the web and to other files do not."""
    assert links == _relative(body)


@pytest.mark.parametrize(
    ("body", "tags"),
    [
        ("#one two #Two/three, #one", ["one", "Two/three"]),
        ("# Heading #no\n#yes.", ["yes"]),
        ("a#no [[x #no]] [x](#no) `#no` \\#no", []),
        ("#नमस्ते #a_b-c", ["नमस्ते", "a_b-c"]),
    ],
)
def test_tags(body: str, tags: list[str]) -> None:
    """Tags stand alone in running text; not in headings, links or code."""
    assert tags == find(body).tags


def test_tags_as_names() -> None:
    """Case and marks do not make another tag, and a number alone makes none."""
    assert list(normal_tags(["#A", "b/C/", "2024", " ", "e\u0301"])) == [
        "a",
        "b/c",
        "\u00e9",
    ]


@pytest.mark.parametrize(
    ("body", "heading"),
    [
        ("text\n## The `code` word ##\n# Later", "The `code` word"),
        ("```\n# no\n```\n#no\n#\n# Yes\r", "Yes"),
        ("none", None),
    ],
)
def test_the_first_heading(body: str, heading: str | None) -> None:
    """The first heading outside code, without its marks."""
    assert heading == find(body).heading


_pieces = ("`", "``", "```", "[[", "]]", "a", "|", "#", "](", "b.md)", "\n", " ", "~~~")


@given(st.lists(st.sampled_from(_pieces), max_size=40).map("".join))
def test_any_text_can_be_searched(body: str) -> None:
    """Whatever is found has a name without the marks around it."""
    for link, count in find(body).links.items():
        assert count > 0
        assert link.target
        assert not {"#", "\n"} & set(link.target)
        assert link.is_relative or not {"|", "["} & set(link.target)


def test_links_are_told_apart_by_how_they_name() -> None:
    """A path from the note's place is not a name anywhere in the vault."""
    assert {Link("a", is_relative=False): 1, Link("a", is_relative=True): 1} == find(
        "[[a]] [x](a.md)"
    ).links
