"""Persons in one circle: real daemons that embed by the stand-in for the model.

Run as a program, this is `fractality` with that stand-in.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consensus.embedder import Embedder
from daemon.cli import main
from daemon.meaning import opening
from tests.support.daemons import Daemon, environment, make_home, wait_until
from tests.support.device_groups import QUIET
from tests.support.stand_in_model import COMMAND

PROGRAM: Final = (sys.executable, "-m", "tests.support.circle_of_daemons")
VARIABLES: Final = {
    "FRACTALITY_EMBEDDINGS": "true",
    "FRACTALITY_MODEL": "/nowhere/model",
    "PYTHONPATH": str(Path(__file__).parents[2]),
}
"""Settings with which a daemon embeds by the stand-in."""


@dataclass
class Circle:
    """A circle of some persons, the first of whom founded it."""

    id: str
    members: list[Daemon]

    @property
    def route(self) -> str:
        """Path of the circle in the API."""
        return f"/v1/circles/{self.id}"

    def get(self, number: int, part: str = "", **query: object) -> Any:
        """Return what a person's daemon answers on a part of the circle."""
        path = f"{self.route}/{part}" if part else self.route
        return self.members[number].api.get(path, **query)

    def publish(self, number: int, key: str, text: str) -> Any:
        """Let a person put a thought and publish it; return the answer."""
        api = self.members[number].api
        assert api.put_node(key, text).status in (200, 201)
        answer = api.request("PUT", f"{self.route}/contributions/{key}")
        assert answer.status == 201, answer
        return answer.document

    def texts(self, number: int) -> set[str]:
        """Return all that a person can read."""
        listed = self.get(number, "contributions", mine="false", limit=1000)
        return {each["text"] for each in listed["items"]}

    def wait_for_one_result(self) -> None:
        """Return when all hold the same and have worked out the same."""

        def is_one() -> bool:
            numbers = range(len(self.members))
            results = {self.get(each, "consensus")["result_hash"] for each in numbers}
            sets = {self.get(each)["fingerprint"] for each in numbers}
            return len(results) == len(sets) == 1

        wait_until(is_one)


@contextmanager
def circle_of(folder: Path, *aliases: str) -> Iterator[Circle]:
    """Run a daemon for each person, all in one circle, until the block ends."""
    daemons: list[Daemon] = []
    try:
        for alias in aliases:
            home = folder / alias
            make_home(home)
            variables = environment(**VARIABLES)
            daemon = Daemon(home, variables=variables, program=PROGRAM)
            daemons.append(daemon)
            daemon.start(*QUIET)
        founder = {"name": "The old mill", "alias": aliases[0]}
        founded = daemons[0].api.request("POST", "/v1/circles", founder)
        assert founded.status == 201, founded
        circle = Circle(founded.document["id"], daemons)
        uses = {"uses": len(aliases)}
        invited = daemons[0].api.request("POST", f"{circle.route}/invites", uses)
        assert invited.status == 201, invited
        for alias, daemon in zip(aliases[1:], daemons[1:], strict=True):
            wanted = {"ticket": invited.document["ticket"], "alias": alias}
            joined = daemon.api.request("POST", "/v1/circles/join", wanted)
            assert joined.status == 201, joined
        yield circle
    finally:
        for daemon in daemons:
            if daemon.process is not None:
                daemon.kill()


if __name__ == "__main__":
    vars(opening)["Embedder"] = functools.partial(Embedder, command=COMMAND)
    main()
