"""Networks and what is alive in them, over HTTP and by the command line."""

from typing import Any

import pytest

from tests.support.daemons import Api, node_path


def keys(found: list[Any]) -> set[str]:
    return {each.get("node", each)["key"] for each in found}


@pytest.fixture(name="work")
def a_network(api: Api) -> str:
    """Give the daemon some nodes of a network beside those of the default one."""
    for key, network in (("wa", "work"), ("wb", "work"), ("home", "default")):
        document = {"label": f"heron {key}", "network": network}
        answer = api.request("PUT", node_path(key), document)
        assert answer.status in (200, 201)
    for source, target in (("wa", "home"), ("home", "wb"), ("wa", "wb")):
        api.put_edge(source, target)
    return "work"


def test_questions_are_asked_of_one_network(api: Api, work: str) -> None:
    """Lists, searches, neighbours and paths leave the nodes of others out."""
    api.request("POST", node_path("home", "/pulse"), {"energy": 15})
    listed = api.get("/v1/nodes", network=work)["items"]
    searched = api.get("/v1/search", q="heron", network=work, mode="text")
    near = api.get(node_path("wa", "/neighbours"), network=work, depth=2)["items"]
    around = api.get("/v1/path", **{"from": "wa", "to": "wb"})["nodes"]
    within = api.get("/v1/path", **{"from": "wa", "to": "wb"}, network=work)["nodes"]

    assert keys(listed) == keys(searched) == {"wa", "wb"}
    assert keys(near) == {"wb"}
    assert [node["key"] for node in around] == ["wa", "home", "wb"]
    assert [node["key"] for node in within] == ["wa", "wb"]
    assert "wa" not in keys(
        api.get("/v1/nodes", network="default", limit=1000)["items"]
    )
    assert api.get("/v1/nodes", network="absent")["items"] == []


def test_networks_have_energy_and_settings(api: Api, work: str) -> None:
    """The default one comes first; a half-life that is set is told and holds."""
    answer = api.request("PUT", "/v1/networks/work", {"half_life_hours": 1})
    again = api.request("PUT", "/v1/networks/work", {"half_life_hours": 2})
    found = api.get("/v1/networks")["items"]
    (set_now,) = [each for each in found if each["name"] == work]
    back = api.request("PUT", "/v1/networks/work", {"half_life_hours": None})

    assert (answer.status, again.status, back.status) == (200, 200, 200)
    assert found[0]["name"] == "default"
    assert set_now["half_life_hours"] == 2
    assert set_now["nodes"] == 3  # its settings are a node of it
    assert 2 < set_now["energy"]["atp"] <= 3
    assert back.document["half_life_hours"] == 168
    assert (
        api.request("PUT", f"/v1/networks/{'n' * 65}", {"half_life_hours": 1}).status
        == 422
    )


def test_a_network_has_a_history(api: Api, work: str) -> None:
    """By days: pulses of its nodes are counted, those of others are not."""
    for key in ("wa", "wb", "home"):
        api.request("POST", node_path(key, "/pulse"), {"energy": 1})
    points = api.get(f"/v1/networks/{work}/stream")["points"]

    assert sum(point["count"] for point in points) >= 2
    assert all(0 < point["attention"] < 1 for point in points)
    assert api.request("GET", "/v1/networks/absent/stream").status == 404
    assert api.get(f"/v1/networks/{work}/stream", until="1990-01-01T00:00:00Z") == {
        "points": []
    }


def test_neighbours_come_by_energy(api: Api, work: str) -> None:
    """The most energetic first; the answer says whether it is all."""
    api.request("POST", node_path("wb", "/pulse"), {"energy": 100})
    answer = api.get(node_path("home", "/neighbours"), order="energy", depth=2)
    first = answer["items"][0]

    assert answer["complete"] is True
    assert first["node"]["key"] == "wb"
    assert first["score"] == pytest.approx(first["node"]["energy"]["atp"], rel=1e-3)
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert work
