"""Routes of nodes: what a client sends, and the names and statuses it gets."""

from typing import Any, Final

import pytest

from tests.support.daemons import Answer, Api, Daemon, node_path

NODE_FIELDS: Final = {
    "key",
    "label",
    "type",
    "metadata",
    "network",
    "energy",
    "created_at",
    "updated_at",
    "version",
    "sync",
    "consensus",
    "body",
}
AWKWARD_KEYS: Final = (
    "a/b/../c",
    "a//b/",
    ".",
    "..",
    "100%",
    "%2F",
    "%252F",
    "two words",
    "a+b",
    "?q=1#f&g",
    "{key}",
    "[x](y)",
    'say "hi"',
    "back\\slash",
    "\u00fc\u0301 日本 \U0001f600",
    "neighbours",
    "~" * 255,
    "\u20ac" * 85,
)


def fields(answer: Answer, *names: str) -> dict[str, Any]:
    """Return some fields of a document."""
    return {name: answer.document[name] for name in names}


def test_a_node_shows_what_was_put(api: Api) -> None:
    """A new node answers 201 with every field of the contract, and reads the same."""
    sent = {
        "label": "Ice",
        "type": "idea",
        "metadata": {"a": [1, None, {"b": "ü"}], "n": 2**53},
        "network": "work",
    }

    put = api.request("PUT", node_path("ice"), sent)
    got = api.request("GET", node_path("ice"))

    assert (put.status, got.status) == (201, 200)
    assert put.document.keys() == NODE_FIELDS
    assert got.document | {"energy": None} == put.document | {"energy": None}
    assert fields(put, *sent) == sent
    assert fields(put, "key", "version", "sync", "consensus", "body") == {
        "key": "ice",
        "version": 1,
        "sync": {"safe_on": 1, "pending": False},
        "consensus": [],
        "body": False,
    }
    assert put.document["energy"]["atp"] == pytest.approx(1.0, abs=1e-3)
    assert put.document["created_at"] == put.document["updated_at"]
    assert put.document["created_at"].endswith("Z")


def test_defaults_are_those_of_the_contract(api: Api) -> None:
    """Only the label must be given."""
    put = api.request("PUT", node_path("plain"), {"label": "Plain"})

    assert fields(put, "type", "metadata", "network") == {
        "type": "thought",
        "metadata": {},
        "network": "default",
    }


def test_put_replaces_all(api: Api) -> None:
    """A second PUT answers 200 and leaves nothing of the first but its creation."""
    first = api.put_node("whole", "One", metadata={"a": 1}, type="t")
    second = api.put_node("whole", "Two")

    assert (first.status, second.status) == (201, 200)
    assert fields(second, "label", "metadata", "type", "version", "created_at") == {
        "label": "Two",
        "metadata": {},
        "type": "thought",
        "version": 2,
        "created_at": first.document["created_at"],
    }


def test_patch_changes_only_what_is_given(api: Api) -> None:
    """PATCH merges metadata name by name; null removes a name; the rest stays."""
    api.put_node("patched", "Old", metadata={"a": 1, "b": {"c": 1}, "d": 2})

    patched = api.request(
        "PATCH",
        node_path("patched"),
        {"metadata": {"a": None, "b": {"e": None}, "f": 3, "absent": None}},
    )
    labelled = api.request("PATCH", node_path("patched"), {"label": "New"})

    assert (patched.status, labelled.status) == (200, 200)
    assert fields(labelled, "label", "metadata", "type") == {
        "label": "New",
        "metadata": {"b": {"e": None}, "d": 2, "f": 3},
        "type": "thought",
    }


def test_the_trash_gives_back(api: Api) -> None:
    """A deleted node answers 404 and stands in the trash until it is restored."""
    api.put_node("trash-a", "Kept", metadata={"k": 1})
    api.put_node("trash-b")
    edge = api.put_edge("trash-a", "trash-b").document["id"]

    deleted = api.request("DELETE", node_path("trash-a"))
    gone = api.request("GET", node_path("trash-a"))
    again = api.request("DELETE", node_path("trash-a"))
    in_trash = api.get("/v1/nodes", trash="true", prefix="trash-")["items"]
    edges_then = api.get("/v1/edges", to="trash-b")["items"]
    restored = api.request("POST", node_path("trash-a", "/restore"))
    edges_now = api.get("/v1/edges", to="trash-b")["items"]

    assert (deleted.status, deleted.content, gone.status) == (204, b"", 404)
    assert (again.status, restored.status) == (404, 200)
    assert [node["key"] for node in in_trash] == ["trash-a"]
    assert in_trash[0]["deleted_at"].endswith("Z")
    assert fields(restored, "label", "metadata") == {
        "label": "Kept",
        "metadata": {"k": 1},
    }
    assert "deleted_at" not in restored.document
    assert (edges_then, [each["id"] for each in edges_now]) == ([], [edge])
    assert api.request("POST", node_path("trash-a", "/restore")).status == 404


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=ascii)
def test_any_key_has_an_address(api: Api, key: str) -> None:
    """Whatever a key is made of, every route of a node finds it percent-encoded."""
    put = api.put_node(key, "Awkward")
    body = api.request("PUT", node_path(key, "/body"), content="höhe".encode())
    found = {
        rest: api.request("GET", node_path(key, rest)).status
        for rest in ("", "/body", "/stream", "/neighbours")
    }
    pulsed = api.request("POST", node_path(key, "/pulse"), {"energy": 1})
    patched = api.request("PATCH", node_path(key), {"type": "odd"})
    listed = api.get("/v1/nodes", prefix=key, limit=1)["items"]
    deleted = api.request("DELETE", node_path(key))
    restored = api.request("POST", node_path(key, "/restore"))

    assert (put.status, put.document["key"], body.status) == (201, key, 204)
    assert found == dict.fromkeys(found, 200)
    assert (pulsed.status, patched.status, deleted.status) == (200, 200, 204)
    assert (restored.status, restored.document["key"]) == (200, key)
    assert [node["key"] for node in listed] == [key]


def test_pages_lose_and_repeat_nothing(api: Api) -> None:
    """Pages of any size join to the whole list in key order, while nodes are added."""
    keys = sorted(f"page-{number:02}/ü {number % 7}" for number in range(23))
    for key in reversed(keys):
        api.put_node(key)

    for limit in (1, 7, 23, 1000):
        found: list[str] = []
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = api.get("/v1/nodes", prefix="page-", limit=limit, **more)
            found += [node["key"] for node in page["items"]]
            api.put_node("page+ before every page")
            cursor = page["next"]
            if cursor is None:
                break
        assert found == keys


def test_lists_can_be_narrowed(api: Api) -> None:
    """`type`, `prefix` and `updated_since` each leave out what does not fit."""
    for key, kind in (("nar-a", "x"), ("nar-b", "y"), ("nar-c", "x")):
        api.put_node(key, type=kind)
    since = api.request("PATCH", node_path("nar-c"), {"label": "later"}).document[
        "updated_at"
    ]

    def keys(**query: object) -> list[str]:
        items = api.get("/v1/nodes", **query)["items"]
        return [node["key"] for node in items]

    assert keys(prefix="nar-", type="x") == ["nar-a", "nar-c"]
    assert keys(prefix="nar-b") == ["nar-b"]
    assert "nar-c" in keys(updated_since=since, prefix="nar-")
    assert keys(updated_since="9000-01-01T00:00:00Z") == []


def test_a_request_is_carried_out_once(daemon: Daemon) -> None:
    """With one idempotency key a request counts once, also after a restart."""
    daemon.api.put_node("once")

    def pulse(energy: float) -> Answer:
        return daemon.api.request(
            "POST",
            node_path("once", "/pulse"),
            {"energy": energy},
            headers={"Idempotency-Key": "the same"},
        )

    before = pulse(3)
    again = pulse(3)
    daemon.restart()
    after = pulse(3)
    other = pulse(4)

    assert [before.status, again.status, after.status] == [200, 200, 200]
    assert after.document["atp"] == pytest.approx(4.0, abs=0.01)
    assert (other.status, other.document["status"]) == (409, 409)


def test_a_repeated_creation_answers_as_the_first(api: Api) -> None:
    """Who repeats a PUT because the answer was lost learns that it created the node."""
    headers = {"Idempotency-Key": "create / ü".encode().decode("latin-1")}

    answers = [
        api.request("PUT", node_path("again"), {"label": "A"}, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status for answer in answers] == [201, 201]
    assert answers[1].document["version"] == 1


def test_a_space_is_named(api: Api) -> None:
    """The own space may be named in the query; another one is not found."""
    space = api.space()["id"]
    api.put_node("spaced")

    assert api.request("GET", node_path("spaced"), query={"space": space}).status == 200
    other = api.request("GET", node_path("spaced"), query={"space": "a" * 26})
    assert (other.status, other.document["status"]) == (404, 404)
