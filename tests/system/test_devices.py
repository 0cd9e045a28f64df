"""Two and more devices of a person: real daemons, real links, real stores."""

import json
import shutil
import threading
from collections.abc import Iterator

import pytest

from tests.support.daemons import Daemon, make_home, node_path, wait_until
from tests.support.device_groups import (
    are_in_step,
    devices,
    peer_port,
    restore,
    standing,
    start,
    wait_in_step,
)
from tests.support.replicas import scratch_folder


@pytest.fixture
def two() -> Iterator[tuple[Daemon, Daemon]]:
    """Run a laptop and a phone of one person."""
    with scratch_folder() as folder, devices(folder, "laptop", "phone") as (a, b):
        yield a, b


def label(daemon: Daemon, key: str) -> str | None:
    """Return the label of a node, None if a daemon does not show it."""
    answer = daemon.api.request("GET", node_path(key))
    return str(answer.document["label"]) if answer.status == 200 else None


def test_what_is_written_on_one_is_read_on_the_other(
    two: tuple[Daemon, Daemon],
) -> None:
    """Nodes, edges, bodies, energy and deletions go both ways, and both say so."""
    laptop, phone = two
    laptop.api.put_node("mill", "The old mill", metadata={"year": 1830})
    phone.api.put_node("weir", "The weir")
    wait_until(lambda: label(laptop, "weir") is not None)
    laptop.api.put_edge("mill", "weir", type="feeds")
    laptop.api.request("PUT", node_path("mill", "/body"), content=b"Four floors.")
    phone.api.request("POST", node_path("weir", "/pulse"), {"energy": 2})
    laptop.api.put_node("gone")
    laptop.api.request("DELETE", node_path("gone"))

    wait_in_step(laptop, phone)

    assert phone.api.get(node_path("mill"))["metadata"] == {"year": 1830}
    body = phone.api.request("GET", node_path("mill", "/body"))
    assert body.content == b"Four floors."
    assert phone.api.get("/v1/edges", **{"from": "mill"})["items"][0]["to"] == "weir"
    assert label(phone, "gone") is None
    energies = [each.api.get(node_path("weir"))["energy"]["atp"] for each in two]
    assert energies[0] == pytest.approx(energies[1], abs=0.01)
    node = laptop.api.get(node_path("mill"))
    assert node["sync"] == {"safe_on": 2, "pending": False}
    for here, there in ((laptop, phone), (phone, laptop)):
        told = standing(here, there)
        assert told["safe"]
        assert told["digest_equal"]
        assert told["link"] == "webrtc"
        assert told["cause"] is None


def test_events_name_the_device_they_come_from(two: tuple[Daemon, Daemon]) -> None:
    """Whoever watches one device is told of a change on the other, and whose it is."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    after = phone.api.get("/v1/status")
    laptop.api.put_node("mill")
    wait_until(lambda: label(phone, "mill") is not None)
    wait_in_step(laptop, phone)

    connection = phone.api.connect()
    headers = {
        "Authorization": f"Bearer {phone.api.token}",
        "Last-Event-ID": "0",
    }
    connection.request("GET", "/v1/events", headers=headers)
    with connection.getresponse() as response:
        origins = set()
        for line in response:
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                if event.get("key") == "mill":
                    origins.add(event["origin"])
                    break
    connection.close()

    assert origins == {standing(phone, laptop)["id"]}
    assert after["device"]["name"] == "phone"


def test_offline_edits_come_together(two: tuple[Daemon, Daemon]) -> None:
    """What both wrote while they were apart is on both afterwards."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    for daemon in two:
        assert daemon.api.request("POST", "/v1/sync", {"paused": True}).status == 200
    laptop.api.put_node("both", "from the laptop")
    phone.api.put_node("both", "from the phone", metadata={"seen": True})
    laptop.api.put_node("only-laptop")
    phone.api.put_node("only-phone")
    assert standing(laptop, phone)["cause"] == "paused on this device"

    for daemon in two:
        daemon.api.request("POST", "/v1/sync", {"paused": False})
    wait_in_step(laptop, phone)

    assert label(laptop, "both") == label(phone, "both")
    assert {label(laptop, "only-phone"), label(phone, "only-laptop")} == {
        "only-phone",
        "only-laptop",
    }


def test_a_killed_device_comes_back(two: tuple[Daemon, Daemon]) -> None:
    """After kill -9 of one side both come into step again, and nothing is missing."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    phone.kill()
    laptop.api.put_node("while-away")
    assert not are_in_step([laptop])

    start(phone)

    wait_in_step(laptop, phone)
    assert label(phone, "while-away") == "while-away"


def test_a_killed_giver_and_taker_lose_nothing(two: tuple[Daemon, Daemon]) -> None:
    """Both sides are killed in mid transfer; afterwards both have all of it."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    commands = [
        {"op": "put_node", "key": f"n{number}", "label": "x" * 500}
        for number in range(3_000)
    ]
    sender = threading.Thread(target=lambda: laptop.api.batch(commands))
    sender.start()
    wait_until(lambda: phone.api.space()["nodes"] > 0)
    sender.join()
    for daemon in (phone, laptop):
        daemon.kill()

    start(laptop)
    start(phone)

    wait_in_step(laptop, phone)
    assert phone.api.space()["nodes"] == 3_000


def test_a_revoked_device_gets_nothing_more(two: tuple[Daemon, Daemon]) -> None:
    """Removal ends the links; new changes stay with those who remain."""
    laptop, phone = two
    laptop.api.put_node("before")
    wait_in_step(laptop, phone)
    phone_id = standing(laptop, phone)["id"]

    answer = laptop.api.request("DELETE", f"/v1/devices/{phone_id}")

    assert answer.status == 200
    assert answer.document["is_removed"]
    wait_until(lambda: not standing(laptop, phone)["online"])
    laptop.api.put_node("after")
    assert laptop.api.space()["state"] == "alone"
    wait_until(
        lambda: (
            standing(phone, laptop)["cause"] == "this device was removed from the space"
        )
    )
    assert label(phone, "before") == "before"
    assert label(phone, "after") is None


def test_a_restored_device_comes_back_into_step() -> None:
    """From an old backup and the words; the lost device is not needed."""
    with scratch_folder() as folder:
        words = make_home(folder / "laptop").words
        with devices(folder, "laptop", "phone") as group:
            laptop, phone = group
            laptop.api.put_node("before")
            wait_in_step(laptop, phone)
            backup = folder / "kept.backup"
            backup.write_bytes(laptop.api.request("GET", "/v1/backup").content)
            laptop.api.put_node("after")
            wait_in_step(laptop, phone)
            laptop.kill()

            restore(folder / "new", backup, words)
            new = start(Daemon(folder / "new"))
            group.append(new)
            new.api.put_node("from-new")
            new.api.request(
                "POST", "/v1/peers", {"address": f"127.0.0.1:{peer_port(phone)}"}
            )

            wait_until(lambda: label(new, "after") is not None)
            wait_until(lambda: label(phone, "from-new") is not None)
            wait_until(lambda: standing(phone, new)["safe"])
            assert new.api.space()["digest"] == phone.api.space()["digest"]


def test_a_third_device_is_reached_through_the_second() -> None:
    """Devices that know no address of each other get each other's changes."""
    with (
        scratch_folder() as folder,
        devices(folder, "laptop", "phone", "tablet") as daemons,
    ):
        laptop, phone, tablet = daemons
        phone.api.put_node("from-phone")
        tablet.api.put_node("from-tablet")

        wait_in_step(*daemons)

        assert label(tablet, "from-phone") == "from-phone"
        assert label(phone, "from-tablet") == "from-tablet"
        wait_until(lambda: standing(phone, tablet)["online"])
        laptop.kill()
        phone.api.put_node("without-laptop")
        wait_until(lambda: label(tablet, "without-laptop") is not None)


def test_names_of_devices_can_be_changed(two: tuple[Daemon, Daemon]) -> None:
    """A new name is on every device."""
    laptop, phone = two
    wait_in_step(laptop, phone)
    phone_id = standing(laptop, phone)["id"]

    laptop.api.request("PATCH", f"/v1/devices/{phone_id}", {"name": "pocket"})

    wait_until(
        lambda: (
            "pocket" in {each["name"] for each in phone.api.get("/v1/devices")["items"]}
        )
    )


def test_an_address_can_be_given(two: tuple[Daemon, Daemon]) -> None:
    """An address is taken in its one form, and nonsense is refused by field."""
    laptop, phone = two
    answer = laptop.api.request(
        "POST", "/v1/peers", {"address": f"127.0.0.1:{peer_port(phone)}"}
    )
    wrong = laptop.api.request("POST", "/v1/peers", {"address": "nowhere"})

    assert answer.status == 202
    assert (wrong.status, wrong.document["field"]) == (422, "address")


def test_a_copied_home_is_named() -> None:
    """Two daemons on copies of one home are told apart, named, and lose nothing."""
    with scratch_folder() as folder, devices(folder, "laptop", "phone") as daemons:
        laptop, phone = daemons
        wait_in_step(laptop, phone)
        assert phone.stop() == 0
        copied = folder / "copy"
        shutil.copytree(phone.home, copied)
        start(phone)
        phone.api.put_node("original")
        wait_in_step(laptop, phone)
        assert phone.stop() == 0
        copy = Daemon(copied)
        daemons.append(copy)
        copy.start("--peer-port", "0", "--no-discovery")
        copy.api.put_node("copied")

        wait_until(lambda: "copied" in str(standing(laptop, phone)["cause"]))
        wait_until(lambda: "copied" in str(standing(copy, laptop)["cause"]))
        assert label(laptop, "original") == "original"
