"""A circle of real persons: real daemons, real links, real stores.

One circle lives through all of these tests, in their order: each says what it finds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.circle_of_daemons import PROGRAM, VARIABLES
from tests.support.daemons import Daemon, environment, make_home, wait_until
from tests.support.device_groups import pair, start
from tests.support.replicas import scratch_folder

NAME: Final = "The old mill"
ROUTE: Final = "/v1/circles/The%20old%20mill"


@dataclass
class Town:
    """Some persons, the first of them with two devices."""

    folder: Path
    daemons: dict[str, Daemon]

    def start(self, name: str) -> Daemon:
        """Serve a home, on the same port for peers as before."""
        daemon = self.daemons.get(name)
        if daemon is None:
            daemon = Daemon(
                self.folder / name, variables=environment(**VARIABLES), program=PROGRAM
            )
            self.daemons[name] = daemon
        return start(daemon)

    def told(self, name: str) -> Any:
        """Return what somebody's daemon says of the circle."""
        return self.daemons[name].api.get(ROUTE)

    def texts(self, name: str) -> set[str]:
        """Return all that somebody can read in the circle."""
        query = {"mine": "false", "limit": 1000}
        listed = self.daemons[name].api.get(f"{ROUTE}/contributions", **query)
        return {each["text"] for each in listed["items"]}

    def ask(self, name: str, method: str, part: str, document: Any = None) -> Any:
        """Return what a route of the circle answers."""
        path = f"{ROUTE}/{part}" if part else ROUTE
        return self.daemons[name].api.request(method, path, document)

    def publish(self, name: str, text: str) -> None:
        """Let somebody put a thought and publish it."""
        key = text.replace(" ", "-")
        assert self.daemons[name].api.put_node(key, text).status in (200, 201)
        answer = self.ask(name, "PUT", f"contributions/{key}")
        assert answer.status == 201, answer

    def ticket(self, name: str, **wishes: object) -> str:
        """Return a ticket that somebody gives."""
        answer = self.ask(name, "POST", "invites", wishes)
        assert answer.status == 201, answer
        return str(answer.document["ticket"])

    def join(self, name: str, ticket: str) -> Any:
        """Let somebody join by a ticket; return the answer."""
        wish = {"ticket": ticket, "alias": name}
        return self.daemons[name].api.request("POST", "/v1/circles/join", wish)

    def wait_read(self, text: str, *names: str) -> None:
        """Return when all of these can read a text."""
        wait_until(lambda: all(text in self.texts(name) for name in names))

    def state(self, name: str, alias: str) -> str:
        """Return how a member stands, as somebody sees it."""
        members = self.told(name)["members"]
        return next(
            (str(each["state"]) for each in members if each["alias"] == alias), "none"
        )

    def is_online(self, name: str, alias: str) -> bool:
        """Whether a device is linked with one of a member."""
        members = self.told(name)["members"]
        return any(each["alias"] == alias and each["online"] for each in members)

    def member(self, name: str, alias: str) -> str:
        """Return the id of a member."""
        members = self.told(name)["members"]
        return next(str(each["id"]) for each in members if each["alias"] == alias)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """Ada founded a circle on her laptop; ben and cleo came in one after the other."""
    with scratch_folder() as folder:
        town = Town(folder, {})
        try:
            for name in ("ada", "ben", "cleo"):
                make_home(folder / name)
                town.start(name)
            wish = {"name": NAME, "alias": "ada"}
            founded = town.daemons["ada"].api.request("POST", "/v1/circles", wish)
            assert founded.status == 201, founded
            assert town.join("ben", town.ticket("ada")).status == 201
            assert town.join("cleo", town.ticket("ben")).status == 201
            pair(town.daemons["ada"], folder / "phone")
            town.start("phone")
            yield town
        finally:
            for daemon in town.daemons.values():
                if daemon.process is not None:
                    daemon.kill()


EVERYBODY: Final = ("ada", "phone", "ben", "cleo")


def test_one_text_reaches_all_devices(town: Town) -> None:
    """Those of who wrote it too; and all know who let whom in."""
    wait_until(lambda: "phone" in town.daemons and _has_circle(town.daemons["phone"]))

    town.publish("ben", "mills should grind again")

    town.wait_read("mills should grind again", *EVERYBODY)
    for name in EVERYBODY:
        members = {each["alias"]: each for each in town.told(name)["members"]}
        assert set(members) == {"ada", "ben", "cleo"}
        assert members["ada"]["inviter"] is None
        assert members["ben"]["inviter"] == members["ada"]["id"]
        assert members["cleo"]["inviter"] == members["ben"]["id"]
    wait_until(lambda: all(town.told(name)["in_step"] for name in EVERYBODY))
    assert len({town.told(name)["fingerprint"] for name in EVERYBODY}) == 1


def test_two_devices_have_one_voice(town: Town) -> None:
    """What a person's second device publishes is that person's."""
    town.publish("phone", "a mill is for everybody")

    town.wait_read("a mill is for everybody", *EVERYBODY)

    assert town.told("phone")["me"] == town.told("ada")["me"]
    listed = town.daemons["ben"].api.get(f"{ROUTE}/contributions", mine="false")
    authors = {each["text"]: each["alias"] for each in listed["items"]}
    assert authors["a mill is for everybody"] == "ada"


def test_who_is_never_there_together_hears_through_others(town: Town) -> None:
    """Ben is away while cleo writes, and cleo when ben comes back."""
    assert town.daemons["ben"].stop() == 0
    town.publish("cleo", "the weir needs work first")
    town.wait_read("the weir needs work first", "ada", "phone")
    assert town.daemons["cleo"].stop() == 0

    town.start("ben")

    town.wait_read("the weir needs work first", "ben")
    town.start("cleo")


def test_a_power_cut_loses_nothing(town: Town) -> None:
    """What was published is there after a kill, and goes to who was away meanwhile."""
    town.publish("ada", "keep the wheel")
    town.daemons["ada"].kill()
    town.start("ada")
    assert "keep the wheel" in town.texts("ada")

    town.wait_read("keep the wheel", *EVERYBODY)


def test_a_paused_device_stays_by_itself(town: Town) -> None:
    """And says so; it gets what it missed when it goes on."""
    sync = town.daemons["ben"].api
    assert sync.request("POST", "/v1/sync", {"paused": True}).status == 200
    town.publish("ada", "sell it to nobody")
    town.wait_read("sell it to nobody", "phone", "cleo")
    assert "sell it to nobody" not in town.texts("ben")
    assert town.told("ben")["cause"] == "paused on this device"

    sync.request("POST", "/v1/sync", {"paused": False})

    town.wait_read("sell it to nobody", "ben")


def test_a_ticket_is_good_as_often_as_it_says(town: Town) -> None:
    """Who comes in by it gets all that stands; the next one is told that it is used."""
    for name in ("dan", "eve"):
        make_home(town.folder / name)
        town.start(name)
    ticket = town.ticket("cleo")

    assert town.join("dan", ticket).status == 201
    refused = town.join("eve", ticket)

    town.wait_read("mills should grind again", "dan")
    wait_until(
        lambda: town.told("dan")["fingerprint"] == town.told("ada")["fingerprint"]
    )
    assert refused.status == 409
    assert "used as often as it may be" in refused.document["detail"]
    assert not _has_circle(town.daemons["eve"])
    assert town.daemons["eve"].stop() == 0


def test_who_is_removed_gets_nothing_more(town: Town) -> None:
    """It learns that it was removed; the others go on under a new key."""
    wait_until(lambda: town.is_online("ada", "cleo"))
    answer = town.ask("ada", "DELETE", f"members/{town.member('ada', 'cleo')}")
    assert answer.status == 200, answer
    wait_until(lambda: town.told("cleo")["state"] == "removed")
    wait_until(lambda: town.state("ben", "cleo") == "removed")

    town.publish("ben", "without cleo")

    town.wait_read("without cleo", "ada", "phone", "dan")
    assert "without cleo" not in town.texts("cleo")
    assert "removed" in town.told("cleo")["cause"]
    assert "the weir needs work first" not in town.texts("ada")
    assert town.ask("cleo", "POST", "invites", {}).status == 409


def test_who_was_off_when_removed_learns_of_it(town: Town) -> None:
    """Nobody links with it, but it is told why; nothing of what came after."""
    town.start("eve")
    assert town.join("eve", town.ticket("dan")).status == 201
    town.wait_read("without cleo", "eve")
    wait_until(lambda: town.state("ada", "eve") == "member")
    assert town.daemons["eve"].stop() == 0
    answer = town.ask("ada", "DELETE", f"members/{town.member('ada', 'eve')}")
    assert answer.status == 200, answer
    town.publish("dan", "without eve")
    for name in ("ben", "dan"):
        wait_until(lambda name=name: town.state(name, "eve") == "removed")  # type: ignore[misc]  # bound at once

    town.start("eve")

    wait_until(lambda: town.told("eve")["state"] == "removed")
    assert "without eve" not in town.texts("eve")


def test_who_leaves_is_gone_for_all(town: Town) -> None:
    """And the others go on."""
    assert town.ask("ben", "DELETE", "").status == 200
    assert town.told("ben")["state"] == "left"
    for name in ("ada", "phone", "dan"):
        wait_until(lambda name=name: town.state(name, "ben") == "left")  # type: ignore[misc]  # bound at once

    town.publish("dan", "after ben")

    town.wait_read("after ben", "ada", "phone")
    assert "after ben" not in town.texts("ben")
    assert "mills should grind again" not in town.texts("ada")
    town.daemons["ben"].restart()
    assert town.told("ben")["state"] == "left"

    assert town.ask("phone", "DELETE", "").status == 200

    wait_until(lambda: town.told("ada")["state"] == "left")
    wait_until(lambda: town.state("dan", "ada") == "left")


def _has_circle(daemon: Daemon) -> bool:
    return bool(daemon.api.get("/v1/circles")["items"])
