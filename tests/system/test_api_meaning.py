"""Search by meaning through a real daemon and the real model."""

from collections.abc import Iterator

import pytest

from tests.support.daemons import (
    Api,
    Daemon,
    environment,
    make_home,
    serving,
    wait_until,
)

LOAD_SECONDS = 240.0
"""For loading the model on a busy machine."""
LABELS = {
    "shelter": "Build a shelter where people wait for the bus",
    "roof": "The bus stop should have a roof",
    "cat": "My cat sleeps all day",
    "dog": "Dogs need a meadow to run",
    "bread": "Bake bread together on Sundays",
    "emoji": "🙂🎉🚀",
    "mixed": "bread 面包 хлеб",
    "dot": ".",
    "long": "the council minutes " * 200,
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return the API of a daemon that has embedded `LABELS`."""
    home = tmp_path_factory.mktemp("meaning") / "home"
    make_home(home)
    daemon = Daemon(home, variables=environment(FRACTALITY_EMBEDDINGS="true"))
    try:
        api = daemon.start("--peer-port", "0", "--no-discovery").api
        for key, label in LABELS.items():
            assert api.put_node(key, label).status == 201
        wait_until(
            lambda: api.get("/v1/status")["embeddings"]["queued"] == 0, LOAD_SECONDS
        )
        yield api
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
    finally:
        if daemon.process is not None:
            daemon.kill()


def keys(hits: list[dict[str, dict[str, str]]]) -> list[str]:
    return [hit["node"]["key"] for hit in hits]


def test_status_tells_that_it_works(api: Api) -> None:
    """The state, the model's tag and what waits are told."""
    embeddings = api.get("/v1/status")["embeddings"]

    assert embeddings["state"] == "ready"
    assert len(embeddings["model"]) == 16
    assert (embeddings["queued"], embeddings["cause"]) == (0, None)


def test_vector_search_finds_meaning_without_words(api: Api) -> None:
    """A text that shares no word is found, nearest first, with its resonance."""
    hits = api.get("/v1/search", q="kittens nap", mode="vector", limit=3)

    assert keys(hits)[0] == "cat"
    assert hits[0]["resonance"] == hits[0]["score"] > 0.4
    assert [hit["resonance"] for hit in hits] == sorted(
        (hit["resonance"] for hit in hits), reverse=True
    )


def test_hybrid_search_has_words_and_meaning(api: Api) -> None:
    """What fits by both comes first; what only words found has a resonance, too."""
    hits = api.get("/v1/search", q="bread")
    by_key = {hit["node"]["key"]: hit for hit in hits}

    assert set(keys(hits)[:2]) == {"bread", "mixed"}
    assert "<mark>" in by_key["bread"]["highlight"]
    assert all(0 <= hit["resonance"] <= 1 for hit in hits)
    assert api.get("/v1/search", q="bread", mode="text")[0]["resonance"] is None


def test_resonant_nodes(api: Api) -> None:
    """Who is near a node, above a threshold, itself left out."""
    near = api.get("/v1/nodes/roof/resonant", threshold=0.3)

    assert keys(near) == ["shelter"]
    assert api.get("/v1/nodes/roof/resonant", threshold=0.99) == []
    assert api.request("GET", "/v1/nodes/nobody/resonant").status == 404
    answer = api.request("GET", "/v1/nodes/roof/resonant", query={"threshold": 2})
    assert answer.status in {400, 422}


def test_odd_texts_are_embedded(api: Api) -> None:
    """Emoji, one character, several languages and 4 KiB have vectors like others."""
    for key in ("emoji", "mixed", "dot", "long"):
        assert len(api.get(f"/v1/nodes/{key}/resonant", threshold=0)) > 0


def test_a_thought_is_answered_at_once(api: Api) -> None:
    """The node is there before anything is found out; resonance follows."""
    thought = {"text": "A roof over the tram stop", "parent": "roof"}
    answer = api.request("POST", "/v1/thoughts", thought)
    assert answer.status == 201
    said = answer.document
    assert said["resonance"] is None
    assert said["node"]["key"].startswith("a-roof-over-the-tram-")
    path = f"/v1/thoughts/{said['job']}"

    wait_until(lambda: api.get(path)["done"])

    known = api.get(path)
    assert known["nearest"] == "roof"
    assert known["resonance"] > 0.5
    assert known["wisdom"] == []
    assert [edge["to"] for edge in api.get("/v1/edges", **{"from": "roof"})["items"]]


def test_thoughts_are_refused_with_reasons(api: Api) -> None:
    """A taken key, an absent parent or circle, and publishing to none are told."""

    def said(**fields: object) -> int:
        return api.request("POST", "/v1/thoughts", {"text": "x", **fields}).status

    assert said(key="roof") == 409
    assert said(parent="nobody") == 404
    assert said(circle="garden") == 404
    assert said(publish=True) == 422
    assert api.request("GET", "/v1/thoughts/nothing").status == 404


def test_regions_have_every_node_once(api: Api) -> None:
    """Each embedded node is in one region, which is called by its central ones."""
    regions = api.get("/v1/regions")["items"]

    found = [key for region in regions for key in region["nodes"]]
    assert len(found) == len(set(found))
    assert set(LABELS) <= set(found)
    for region in regions:
        assert region["key"] == region["nodes"][0]
        assert region["size"] == len(region["nodes"])
        assert 1 <= len(region["labels"]) <= 3
    assert api.get("/v1/regions")["items"] == regions


def test_patterns_of_a_quiet_graph(api: Api) -> None:
    """Some pulses are no pattern; a window that is none is refused."""
    for _ in range(5):
        api.request("POST", "/v1/nodes/cat/pulse", {"energy": 1})

    answer = api.get("/v1/patterns", window="7d")

    assert answer["items"] == []
    assert (answer["window"], answer["asked"]) == ("7d", 1)
    for window in ("0d", "7", "1000d", "week"):
        refused = api.request("GET", "/v1/patterns", query={"window": window})
        assert refused.status in {400, 422}


def test_without_embeddings_all_else_works(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Off, status says so; vector search is 503, hybrid goes by words."""
    with serving(
        tmp_path_factory.mktemp("off") / "home", "--peer-port", "0", "--no-discovery"
    ) as daemon:
        api = daemon.api
        api.put_node("cat", LABELS["cat"])

        assert api.get("/v1/status")["embeddings"]["state"] == "off"
        answer = api.request("GET", "/v1/search", query={"q": "cat", "mode": "vector"})
        assert answer.status == 503
        assert "turned off" in answer.document["detail"]
        assert keys(api.get("/v1/search", q="cat")) == ["cat"]
        assert api.request("GET", "/v1/nodes/cat/resonant").status == 503
        assert api.request("GET", "/v1/regions").status == 503
        job = api.request("POST", "/v1/thoughts", {"text": "dogs"}).document["job"]
        wait_until(lambda: api.get(f"/v1/thoughts/{job}")["done"])
        assert "turned off" in api.get(f"/v1/thoughts/{job}")["cause"]
