"""Routes of edges, walks, energy, history, bodies and search."""

from itertools import pairwise
from typing import Any, Final

import pytest

from tests.support.daemons import Api, node_path

EDGE_FIELDS: Final = {
    "id",
    "from",
    "to",
    "type",
    "weight",
    "metadata",
    "created_at",
}


def chain(api: Api, *keys: str, **fields: Any) -> None:
    """Make nodes and an edge from each to the next."""
    for key in keys:
        assert api.put_node(key).status == 201
    for source, target in pairwise(keys):
        assert api.put_edge(source, target, **fields).status == 201


def test_an_edge_is_known_by_its_ends_and_type(api: Api) -> None:
    """The same triple is the same edge: 201, then 200 with what was replaced."""
    chain(api, "e/a", "e/b")

    made = api.put_edge("e/a", "e/b", type="cites", weight=0.5, metadata={"p": 3})
    same = api.put_edge("e/a", "e/b", type="cites")
    other = api.put_edge("e/b", "e/a", type="cites")

    assert (made.status, same.status, other.status) == (201, 200, 201)
    assert made.document.keys() == EDGE_FIELDS
    assert {**made.document, "id": 0, "created_at": 0} == {
        "id": 0,
        "from": "e/a",
        "to": "e/b",
        "type": "cites",
        "weight": 0.5,
        "metadata": {"p": 3},
        "created_at": 0,
    }
    assert same.document == {**made.document, "weight": 1.0, "metadata": {}}
    assert other.document["id"] != made.document["id"]


def test_an_edge_needs_both_ends(api: Api) -> None:
    """An edge to a node that is absent or in the trash answers 404."""
    chain(api, "end-a", "end-b")
    api.request("DELETE", node_path("end-b"))

    for target in ("end-b", "end-nowhere"):
        refused = api.put_edge("end-a", target)
        assert (refused.status, target in refused.document["detail"]) == (404, True)


def test_edges_are_listed_by_page_and_removed_by_id(api: Api) -> None:
    """Filters narrow, pages join without loss, DELETE answers 204 and then 404."""
    chain(api, "hub")
    for number in range(9):
        api.put_node(f"spoke{number}")
        api.put_edge("hub", f"spoke{number}", type="odd" if number % 2 else "even")

    found: list[dict[str, Any]] = []
    query: dict[str, object] = {"from": "hub", "limit": 2}
    while True:
        page = api.get("/v1/edges", **query)
        found += page["items"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    odd = api.get("/v1/edges", **{"from": "hub", "type": "odd"})["items"]
    one = api.get("/v1/edges", to="spoke3")["items"]
    statuses = [
        api.request("DELETE", f"/v1/edges/{one[0]['id']}").status for _ in range(2)
    ]

    assert sorted(edge["to"] for edge in found) == [f"spoke{n}" for n in range(9)]
    assert [edge["to"] for edge in odd] == ["spoke1", "spoke3", "spoke5", "spoke7"]
    assert statuses == [204, 404]
    assert api.get("/v1/edges", to="spoke3")["items"] == []


def test_neighbours_go_as_far_and_as_directed(api: Api) -> None:
    """`depth`, `direction` and `type` bound the walk; the nearest come first."""
    chain(api, "w0", "w1", "w2", "w3")
    chain(api, "w4")
    api.put_edge("w4", "w1", type="other")

    def walk(**query: object) -> list[tuple[str, int]]:
        items = api.get(node_path("w1", "/neighbours"), **query)["items"]
        return [(item["node"]["key"], item["distance"]) for item in items]

    assert set(walk()) == {("w0", 1), ("w2", 1), ("w4", 1)}
    assert walk(direction="out", depth=2) == [("w2", 1), ("w3", 2)]
    assert set(walk(direction="in")) == {("w0", 1), ("w4", 1)}
    assert walk(type="other") == [("w4", 1)]
    assert [distance for _, distance in walk(depth=6)] == [1, 1, 1, 2]
    assert len(walk(depth=6, limit=2)) == 2


def test_a_path_is_the_cheapest(api: Api) -> None:
    """The way leads over energetic nodes, either way along edges; cost is told."""
    chain(api, "p0", "p1", "p2")
    chain(api, "lively")
    api.put_edge("p2", "lively")
    api.put_edge("lively", "p0")
    api.request("POST", node_path("lively", "/pulse"), {"energy": 9})

    found = api.get("/v1/path", **{"from": "p0", "to": "p2"})

    assert found.keys() == {"nodes", "cost"}
    assert [node["key"] for node in found["nodes"]] == ["p0", "lively", "p2"]
    assert found["cost"] == pytest.approx(2 / 10, rel=0.01)
    same = api.get("/v1/path", **{"from": "p0", "to": "p0"})
    assert ([node["key"] for node in same["nodes"]], same["cost"]) == (["p0"], 0)


def test_no_path_answers_404(api: Api) -> None:
    """Apart, too costly or absent: each is told by a problem."""
    chain(api, "q0", "q1")
    chain(api, "q-alone")

    for query in (
        {"from": "q0", "to": "q-alone"},
        {"from": "q0", "to": "q1", "max_cost": 0.5},
        {"from": "q0", "to": "nowhere"},
    ):
        answer = api.request("GET", "/v1/path", query=query)
        assert (answer.status, answer.document["status"]) == (404, 404)


def test_a_search_beyond_its_budget_answers_503(api: Api) -> None:
    """A way that would take too long to find is refused with when to try again."""
    commands: list[dict[str, Any]] = []
    for star in ("north", "south"):
        rays = [f"{star}{number}" for number in range(20_002)]
        commands += [{"op": "put_node", "key": key, "label": "x"} for key in rays]
        commands += [{"op": "put_edge", "from": star + "0", "to": key} for key in rays]
    assert api.batch(commands).lines[-1]["failed"] == 0

    answer = api.request("GET", "/v1/path", query={"from": "north1", "to": "south1"})

    assert (answer.status, answer.document["status"]) == (503, 503)
    assert int(answer.headers["retry-after"]) > 0


def test_a_pulse_adds_energy(api: Api) -> None:
    """A pulse answers the energy, shows in the node and stands in its stream."""
    api.put_node("alive")
    path = node_path("alive", "/pulse")

    answers = [api.request("POST", path, {"energy": 2.5}) for _ in range(2)]
    given = api.request("POST", path, {})
    points = api.get(node_path("alive", "/stream"))["points"]

    assert [answer.status for answer in [*answers, given]] == [200] * 3
    assert answers[1].document == {"atp": pytest.approx(6.0, abs=0.01)}
    assert given.document["atp"] == pytest.approx(7.0, abs=0.01)
    assert api.get(node_path("alive"))["energy"]["atp"] == pytest.approx(7, abs=0.01)
    shown = {"time", "atp", "attention", "type", "count"}
    assert all(point.keys() == shown for point in points)
    assert points[-1]["atp"] == pytest.approx(7.0, abs=0.01)
    assert 0 < points[-1]["attention"] < 1


def test_a_stream_is_cut_and_gathered(api: Api) -> None:
    """`since` and `until` bound the history; buckets gather it by hour and day."""
    api.put_node("river")
    for _ in range(3):
        api.request("POST", node_path("river", "/pulse"), {"energy": 1})

    def points(**query: object) -> list[Any]:
        found: list[Any] = api.get(node_path("river", "/stream"), **query)["points"]
        return found

    raw = points()
    assert points(since="9000-01-01T00:00:00Z") == []
    assert points(until="1990-01-01T00:00:00Z") == []
    assert points(since=raw[0]["time"]) == raw
    assert [len(points(bucket=bucket)) for bucket in ("hour", "day")] == [1, 1]
    assert len(points(limit=1)) == 1


def test_a_body_is_plain_text(api: Api) -> None:
    """PUT answers 204, GET gives the same text, an empty one takes it away."""
    text = "Zeile 1\r\nZeile 2 日本 \U0001f600\n" * 1000
    path = node_path("long", "/body")
    api.put_node("long")

    assert api.request("GET", path).content == b""
    assert api.request("PUT", path, content=text.encode()).status == 204
    got = api.request("GET", path)
    shown = api.get(node_path("long"))["body"]
    assert api.request("PUT", path, content=b"").status == 204

    assert (got.status, got.content.decode()) == (200, text)
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert (shown, api.get(node_path("long"))["body"]) == (True, False)
    assert api.request("GET", node_path("absent", "/body")).status == 404


def test_a_body_may_be_as_large_as_the_contract_says(api: Api) -> None:
    """4 MiB is taken, one byte more is refused."""
    api.put_node("largest")
    path = node_path("largest", "/body")

    taken = api.request("PUT", path, content=b"x" * (4 << 20))
    refused = api.request("PUT", path, content=b"y" * ((4 << 20) + 1))

    assert (taken.status, refused.status) == (204, 413)
    assert api.request("GET", path).content == b"x" * (4 << 20)


def test_search_finds_labels_and_bodies(api: Api) -> None:
    """Words are found in labels and bodies, told with score and highlight."""
    api.put_node("s1", "Glacier melting <fast>")
    api.put_node("s2", "Something else", type="note")
    api.request("PUT", node_path("s2", "/body"), content=b"about a glacier")

    hits = api.get("/v1/search", q="glacier")
    notes = api.get("/v1/search", q="glacier", type="note", mode="text", limit=1)

    assert [hit["node"]["key"] for hit in hits] == ["s1", "s2"]
    assert all(
        hit.keys() == {"node", "score", "resonance", "highlight"} for hit in hits
    )
    assert hits[0]["score"] >= hits[1]["score"]
    assert (hits[0]["resonance"], "<mark>" in hits[0]["highlight"]) == (None, True)
    assert "<fast>" not in hits[0]["highlight"]
    assert [hit["node"]["key"] for hit in notes] == ["s2"]
    assert api.get("/v1/search", q="unfindable") == []


def test_search_by_meaning_says_that_it_is_off(api: Api) -> None:
    """What this device cannot do answers 503 and when to try again."""
    answer = api.request("GET", "/v1/search", query={"q": "x", "mode": "vector"})

    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
