"""Circles by the API: three persons, real daemons, real links, a model that stands in.

Each test leaves the circle as others may find it; the last ones take it apart.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import pytest

from consensus.contribution import decode_contribution
from tests.support.circle_of_daemons import Circle, circle_of
from tests.support.daemons import Daemon, node_path, wait_until
from tests.support.device_groups import QUIET
from tests.support.replicas import scratch_folder

MILL: Final = "the old mill should become a place for everybody"
LONG: Final = "word " * 60


@pytest.fixture(scope="module")
def circle() -> Iterator[Circle]:
    """Three persons in one circle; nobody has said anything yet."""
    with scratch_folder() as folder, circle_of(folder, "ada", "ben", "cleo") as made:
        yield made


@pytest.fixture(scope="module")
def key(circle: Circle) -> str:
    """Return the key of the consensus node that all three make."""
    for number in range(3):
        circle.publish(number, f"mill{number}", f"{MILL} {number}")
    wait_until(lambda: all(len(circle.texts(each)) == 3 for each in range(3)))
    circle.wait_for_one_result()
    (node,) = circle.get(0, "consensus")["items"]
    return str(node["key"])


def test_everybody_sees_the_members(circle: Circle) -> None:
    """Three members, who let them in, and that nobody else reads it."""
    told = circle.get(2)

    assert (told["name"], told["preset"], told["mode"]) == (
        "The old mill",
        "strict",
        "blind",
    )
    assert told["counts"]["members"] == 3
    assert told["threshold"] == 0.65
    founder = circle.get(0)["me"]
    inviters = {each["id"]: each["inviter"] for each in told["members"]}
    assert inviters[founder] is None
    assert set(inviters.values()) == {None, founder}
    roles = [each["role"] for each in told["members"]]
    assert sorted(roles) == ["founder", "member", "member"]
    assert [each["id"] for each in told["members"] if each["is_me"]] == [told["me"]]
    assert told["alias"] == "cleo"


def test_circles_are_named(circle: Circle) -> None:
    """By id, by the beginning of one and by name; others are not found."""
    api = circle.members[0].api
    for name in (circle.id, circle.id[:6], "The%20old%20mill"):
        assert api.get(f"/v1/circles/{name}")["id"] == circle.id
    for name in ("nowhere", "00", circle.id[:3]):
        assert api.request("GET", f"/v1/circles/{name}").status == 404
    assert [each["id"] for each in api.get("/v1/circles")["items"]] == [circle.id]
    assert api.get("/v1/status")["circles"][0]["id"] == circle.id


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("/v1/circles", {"name": ""}, 422),
        ("/v1/circles", {"name": "x", "preset": "loose"}, 422),
        ("/v1/circles/join", {"ticket": "no ticket"}, 422),
        ("ROUTE/invites", {"uses": 0}, 422),
        ("ROUTE/invites", {"valid_seconds": 1}, 422),
        ("ROUTE/members/zz/vouch", None, 422),
        ("/v1/thoughts", {"text": "x", "circle": "nowhere"}, 404),
        ("/v1/thoughts", {"text": "x", "publish": True}, 422),
        ("ROUTE/consensus/00000000/vote", {"vote": "affirm"}, 404),
        ("ROUTE/consensus/00000000/integrate", {}, 404),
    ],
)
def test_what_is_refused(circle: Circle, path: str, document: Any, status: int) -> None:
    """Each mistake has its status and a text that says what is wrong."""
    wanted = path.replace("ROUTE", circle.route)

    answer = circle.members[0].api.request("POST", wanted, document)

    assert answer.status == status, answer
    assert len(answer.document["detail"]) > 10


def test_a_preview_is_what_goes_out(circle: Circle) -> None:
    """The bytes that are shown become the contribution; before, nothing has left."""
    api = circle.members[0].api
    api.put_node("weir", "the weir turns twelve kilowatts", metadata={"own": "secret"})
    before = circle.texts(0)

    shown = api.get(f"{circle.route}/preview/weir")

    record = decode_contribution(bytes.fromhex(shown["record"]))
    assert (record.text, shown["size"]) == (shown["text"], len(record.encoded))
    assert b"secret" not in record.encoded
    assert "keep it" in shown["notice"]
    assert "vector" in shown["notice"]
    assert not shown["already"]
    assert circle.texts(0) == before
    out = api.request("PUT", f"{circle.route}/contributions/weir")
    assert out.status == 201
    assert out.document["contribution"]["id"] == shown["id"]
    assert api.get(f"{circle.route}/preview/weir")["already"]
    assert api.request("PUT", f"{circle.route}/contributions/weir").status == 200
    gone = api.request("DELETE", f"{circle.route}/contributions/weir")
    assert "stay read" in gone.document["notice"]
    counts = circle.get(0)["counts"]
    assert (counts["contributions"], counts["mine"]) == (0, 0)
    assert api.request("DELETE", f"{circle.route}/contributions/weir").status == 404


def test_what_no_circle_takes(circle: Circle) -> None:
    """A label that is too long, or a node that is none, is told; nothing leaves."""
    api = circle.members[1].api
    api.put_node("long", LONG)

    for method, part in (("GET", "preview"), ("PUT", "contributions")):
        answer = api.request(method, f"{circle.route}/{part}/long")
        assert (answer.status, answer.document["field"]) == (422, "label")
        absent = api.request(method, f"{circle.route}/{part}/nobody")
        assert absent.status == 404


def test_all_see_the_same(circle: Circle, key: str) -> None:
    """One consensus node, with label, figures and members, alike on all devices."""
    nodes = [circle.get(each, "consensus")["items"] for each in range(3)]

    shared = ("key", "label", "resonance_score", "contributor_count", "keywords")
    seen = [[{name: node[name] for name in shared} for node in each] for each in nodes]
    assert seen[0] == seen[1] == seen[2]
    (node,) = nodes[0]
    assert (node["status"], node["contributor_count"]) == ("emerging", 3)
    assert 0.7 < node["resonance_score"] <= 1
    assert node["mine"]
    assert node["linked"] == ["mill0"]
    assert "mill" in node["keywords"]
    members = circle.get(1, f"consensus/{key[:8]}")["members"]
    assert {each["text"] for each in members} == {f"{MILL} {n}" for n in range(3)}
    assert [each["mine"] for each in members].count(True) == 1
    assert members[0]["text"] == node["label"]


def test_the_list_can_be_narrowed(circle: Circle, key: str) -> None:
    """By score, status and words."""
    api = circle.members[0].api

    def keys(**query: object) -> list[str]:
        listed = api.get(f"{circle.route}/consensus", **query)
        return [each["key"] for each in listed["items"]]

    assert keys(min_score=0.5) == keys(status="emerging") == keys(q="OLD mill") == [key]
    assert keys(min_score=1) == keys(status="consensus") == keys(q="cat") == []


def test_votes_are_counted_apart(circle: Circle, key: str) -> None:
    """Affirm and dissent reach everybody, change no score, and can be taken back."""
    path = f"{circle.route}/consensus/{key}/vote"
    score = circle.get(0, f"consensus/{key}")["resonance_score"]
    for number, vote in enumerate(("affirm", "affirm", "dissent")):
        answer = circle.members[number].api.request("POST", path, {"vote": vote})
        assert answer.document["vote"] == vote

    def counts(number: int) -> tuple[int, int]:
        node = circle.get(number, f"consensus/{key}")
        return node["affirm"], node["dissent"]

    wait_until(lambda: {counts(number) for number in range(3)} == {(2, 1)})
    assert circle.get(2, f"consensus/{key}")["resonance_score"] == score
    circle.members[1].api.request("POST", path, {"vote": None})
    wait_until(lambda: {counts(number) for number in range(3)} == {(1, 1)})


def test_the_ledger(circle: Circle, key: str) -> None:
    """It tells of which node, and in which consensus node it stands."""
    (out,) = circle.get(0, "contributions")["items"]

    assert (out["node"], out["consensus"], out["mine"]) == ("mill0", key, True)
    assert circle.members[0].api.get(node_path("mill0"))["consensus"] == [key]
    assert circle.texts(2) == {f"{MILL} {n}" for n in range(3)}


def test_history_and_patterns(circle: Circle, key: str) -> None:
    """What this device saw of a node is noted, and a new one rises."""
    points = circle.get(0, f"consensus/{key}/history")["points"]
    assert points[-1]["contributor_count"] == 3
    moved = circle.members[0].api.get("/v1/patterns")["consensus"]

    assert [(each["key"], each["pattern"]) for each in moved] == [(key, "rising")]
    assert moved[0]["linked"] == ["mill0"]


def test_integrating(circle: Circle, key: str) -> None:
    """A consensus node comes into the graph, and the tree begins at its links."""
    api = circle.members[1].api
    api.put_node("bakery", "A bakery could rent the ground floor")
    api.put_edge("mill1", "bakery")
    path = f"{circle.route}/consensus/{key}"

    made = api.request("POST", f"{path}/integrate", {})

    assert made.status == 201
    assert made.document["linked"] == ["mill1"]
    kept = made.document["node"]
    assert (kept["type"], kept["consensus"]) == ("consensus", [key])
    assert kept["metadata"]["resonance_score"] > 0.7
    tree = api.get(f"{path}/tree")["items"]
    assert [(each["node"]["key"], each["depth"]) for each in tree][:1] == [("mill1", 0)]
    by_key = {each["node"]["key"]: each for each in tree}
    assert by_key["bakery"]["resonance"] == 0.9
    assert by_key["bakery"]["parent"] == "mill1"
    assert len(api.get(f"{path}/tree", min_score=0.95)["items"]) == 1
    absent = api.request("POST", f"{path}/integrate", {"node": "nobody"})
    assert absent.status == 404


@contextmanager
def listening(daemon: Daemon) -> Iterator[Iterator[tuple[str, Any]]]:
    """Give (type, data) of the events of a daemon from now on."""
    with closing(daemon.api.connect()) as connection:
        headers = {"Authorization": f"Bearer {daemon.api.token}"}
        connection.request("GET", "/v1/events", headers=headers)
        with connection.getresponse() as response:
            assert response.readline() == b": listening\n"
            lines = (line.decode().rstrip() for line in response)
            yield (
                (kind.removeprefix("event: "), json.loads(next(lines)[len("data: ") :]))
                for kind in lines
                if kind.startswith("event: ")
            )


def test_thoughts_in_a_circle(circle: Circle, key: str) -> None:
    """A thought near others goes out if that was asked for, and gets wisdom back."""
    api = circle.members[2].api

    def thought(text: str, **fields: Any) -> Any:
        wanted = {"text": text, "circle": circle.id, **fields}
        said = api.request("POST", "/v1/thoughts", wanted)
        assert said.status == 201, said
        assert said.document["wisdom"] is None
        path = f"/v1/thoughts/{said.document['job']}"
        wait_until(lambda: api.get(path)["done"])
        return api.get(path)

    kept = thought(f"{MILL} again")
    assert (kept["published"], kept["circle"]) == (False, circle.id)
    assert kept["circle_resonance"] > 0.65
    (wisdom,) = kept["wisdom"]
    assert (wisdom["key"], wisdom["contributor_count"]) == (key, 3)
    far = thought("my cat sleeps", publish=True)
    assert not far["published"]
    assert "0.65" in far["unpublished"]
    near = thought(f"{MILL} once more", publish=True)
    assert near["published"]
    circle.wait_for_one_result()


def test_what_is_kept_follows_and_watchers_hear(circle: Circle, key: str) -> None:
    """As somebody says more, the kept node is brought up and an event tells of it."""
    watcher = circle.members[1]
    count = circle.get(1, f"consensus/{key}")["member_count"]
    with listening(watcher) as heard:
        circle.publish(0, "more", f"{MILL} indeed")

        told = next(data for kind, data in heard if kind == "consensus.changed")

    assert (told["circle"], told["key"]) == (circle.id, key)
    assert told["state"] == "emerging"
    kept = f"consensus-{key[:32]}"

    def follows() -> bool:
        node = watcher.api.get(node_path(kept))
        return bool(node["metadata"]["member_count"] == count + 1)

    wait_until(follows)


def test_a_start_recalls_what_was_seen(circle: Circle, key: str) -> None:
    """After a start nodes say where they stand though nobody asked; all goes on."""
    daemon = circle.members[1]
    assert daemon.stop() == 0
    daemon.start(*QUIET)

    wait_until(lambda: daemon.api.get(node_path("mill1"))["consensus"] == [key])

    wait_until(lambda: bool(circle.get(1)["links"]))
    circle.wait_for_one_result()
    assert "Traceback" not in daemon.log


def test_only_founders_remove_and_vouch(circle: Circle) -> None:
    """Who may not is told so, and nothing has changed; the founder vouches."""
    person = circle.get(2)["me"]
    path = f"{circle.route}/members/{person}"

    for method, part in (("DELETE", ""), ("POST", "/vouch")):
        answer = circle.members[1].api.request(method, path + part)
        assert answer.status == 409, answer

    done = circle.members[0].api.request("POST", f"{path}/vouch")
    (member,) = (each for each in done.document["members"] if each["id"] == person)
    assert member["vouched"]


def test_leaving(circle: Circle) -> None:
    """Who leaves takes no part any more, on their own device and on all others."""
    leaver = circle.members[2]
    person = circle.get(2)["me"]

    left = leaver.api.request("DELETE", circle.route)

    assert left.document["state"] == "left"

    def state() -> str:
        members = circle.get(0)["members"]
        (member,) = (each for each in members if each["id"] == person)
        return str(member["state"])

    wait_until(lambda: state() == "left")
    late = leaver.api.request("PUT", f"{circle.route}/contributions/mill2")
    assert late.status == 409
    assert leaver.api.request("GET", f"{circle.route}/consensus").status in (200, 409)
    assert leaver.api.get("/v1/status")["circles"][0]["state"] == "left"
    assert leaver.api.get("/v1/patterns")["consensus"] == []
    assert circle.get(0)["counts"]["members"] == 2
