"""Many persons in one circle: real daemons, of one device each.

Their model is the stand-in that knows the statements of the demonstration.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from daemon.demo.statements import SAID_APART, SAID_TOGETHER
from tests.support.daemons import Daemon, environment, make_home, wait_until
from tests.support.device_groups import QUIET
from tests.support.stand_in_program import PROGRAM, VARIABLES

STATEMENTS: Final = tuple(
    text
    for part in (SAID_TOGETHER, SAID_APART)
    for texts in part.values()
    for text in texts
)
_PATIENCE_SECONDS: Final = 180
_AT_ONCE: Final = 3
"""Daemons that start beside each other."""


@contextmanager
def townspeople(folder: Path, count: int) -> Iterator[list[Daemon]]:
    """Run the daemons of so many persons, until the block ends."""

    def started(number: int) -> Daemon:
        home = folder / f"person{number}"
        make_home(home)
        daemon = daemons[number] = Daemon(
            home, variables=environment(**VARIABLES), program=PROGRAM
        )
        return daemon.start(*QUIET)

    daemons: dict[int, Daemon] = {}
    try:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            yield list(threads.map(started, range(count)))
    finally:
        for daemon in daemons.values():
            if daemon.process is not None:
                daemon.kill()


@dataclass
class Gathering:
    """A circle and those who are in it."""

    circle: str
    members: list[Daemon]
    said: int = 0
    """How many statements stand in all."""

    @property
    def route(self) -> str:
        """Path of the circle in the API."""
        return f"/v1/circles/{self.circle}"

    def invite(self, daemon: Daemon) -> None:
        """Let the first member invite another."""
        inviting = self.members[0].api.request("POST", f"{self.route}/invites", {})
        assert inviting.status in (200, 201), inviting
        ticket = {"ticket": inviting.document["ticket"]}
        joined = daemon.api.request("POST", "/v1/circles/join", ticket)
        assert joined.status in (200, 201), joined
        self.members.append(daemon)

    def say(self, daemon: Daemon, texts: Iterable[str]) -> None:
        """Publish what a member says."""
        for text in texts:
            thought = {"text": text, "circle": self.circle, "publish": "always"}
            answer = daemon.api.request("POST", "/v1/thoughts", thought)
            assert answer.status == 201, answer
            self.said += 1

    def wait_for_one_result(self) -> str:
        """Return the hash that all members have worked out from all that was said."""

        def is_one() -> bool:
            told = [self.told(daemon) for daemon in self.members]
            return (
                all(each["counts"]["contributions"] == self.said for each in told)
                and len({each["fingerprint"] for each in told}) == 1
                and len(self.results(self.members)) == 1
            )

        wait_until(is_one, _PATIENCE_SECONDS)
        (result,) = self.results(self.members)
        return result

    def told(self, daemon: Daemon) -> Any:
        """Return what a member's daemon says of the circle."""
        return daemon.api.get(self.route)

    def consensus(self, daemon: Daemon) -> Any:
        """Return the consensus as a member's daemon works it out."""
        return daemon.api.get(f"{self.route}/consensus")

    def results(self, daemons: Sequence[Daemon]) -> set[str]:
        """Return the hashes that daemons work out."""
        return {self.consensus(daemon)["result_hash"] for daemon in daemons}

    def texts(self, daemon: Daemon) -> set[str]:
        """Return all that a member can read."""
        listed = daemon.api.get(f"{self.route}/contributions", mine="false", limit=1000)
        return {each["text"] for each in listed["items"]}


def gather(daemons: Sequence[Daemon]) -> Gathering:
    """Let the first person found a circle and invite the others."""
    founder, *others = daemons
    founded = founder.api.request("POST", "/v1/circles", {"name": "The old mill"})
    assert founded.status == 201, founded
    gathering = Gathering(founded.document["id"], [founder])
    for daemon in others:
        gathering.invite(daemon)
    return gathering


def pause(daemons: Iterable[Daemon], *, is_paused: bool) -> None:
    """Let daemons link with nobody, or with all again."""
    for daemon in daemons:
        answer = daemon.api.request("POST", "/v1/sync", {"paused": is_paused})
        assert answer.status == 200, answer
