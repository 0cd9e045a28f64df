"""What happens in the demonstration, from the first person to the last hash."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import zip_longest
from typing import Final

from daemon.client import Document, ProblemError
from daemon.demo.looking import circle_of, consensus, is_in_step, look
from daemon.demo.sight import Sight, Stage
from daemon.demo.statements import AGAINST, CONTESTED, SAID_APART, SAID_TOGETHER
from daemon.demo.town import Device, Plan, Town, wait_for

LAPTOP: Final = "laptop"
PHONE: Final = "phone"
PERSONS: Final = tuple(SAID_TOGETHER)
OWNERS_OF_TWO: Final = ("Ada", "Chloe")
CUT_OFF: Final = ("Chloe", "Dario")
CIRCLE: Final = "The old mill"
PAUSE_SECONDS: Final = 0.15
"""Between two statements, so that they can be read."""
_LOOK_SECONDS: Final = 0.4
_STARTS_AT_ONCE: Final = 2
_YET_TO_COME: Final = frozenset({404, 409, 503})
"""What a device answers that has not got a thought or its meaning yet."""


class Story:
    """One run, told to a stage as it happens."""

    def __init__(
        self, town: Town, stage: Stage, *, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        """Start nothing yet."""
        self._town = town
        self._stage = stage
        self._pause_seconds = pause_seconds
        self._main: dict[str, Device] = {}
        self._phones: dict[str, Device] = {}
        self._circle: str | None = None
        self._said = 0
        self._looked = 0.0

    def run(self) -> Sight:
        """Tell all of it; return how all stand at the end.

        Raises `StuckError` if something does not happen.
        """
        self._begin()
        self._found()
        self._stage.chapter("Thoughts enter; each device computes what resonates")
        self._say(SAID_TOGETHER)
        self._wait_for_one_result()
        self._vote()
        self._part()
        return self._heal()

    def _begin(self) -> None:
        self._stage.chapter("Four persons start six devices; two of them have two")
        laptops = [
            partial(self._town.found_person, Plan(person, LAPTOP, embeds=True))
            for person in PERSONS
        ]
        self._start(laptops, self._main)
        phones = [
            partial(
                self._town.add_device,
                Plan(person, PHONE, embeds=False),
                self._main[person],
            )
            for person in OWNERS_OF_TWO
        ]
        self._start(phones, self._phones)
        self._wait(self._are_pairs_in_step, "the devices of a person to be in step")

    def _start(
        self, starts: Iterable[Callable[[], Device]], kept: dict[str, Device]
    ) -> None:
        """Start devices, two at a time, and keep each under its person's name."""
        threads = ThreadPoolExecutor(_STARTS_AT_ONCE)
        try:
            for started in [threads.submit(start) for start in starts]:
                device = started.result()
                kept[device.plan.person] = device
                self._stage.tell(f"{device.title} serves at port {device.client.port}")
                self._look(at_once=True)
        finally:
            threads.shutdown(cancel_futures=True)

    def _found(self) -> None:
        founder, *others = PERSONS
        self._stage.chapter(f"{founder} founds the circle '{CIRCLE}' and invites")
        client = self._main[founder].client
        made = client.call("POST", "/v1/circles", {"name": CIRCLE, "alias": founder})
        circle = self._circle = str(made["id"])
        for person in others:
            invite = client.call("POST", f"/v1/circles/{circle}/invites", {})
            joining = self._main[person].client
            ticket = {"ticket": invite["ticket"], "alias": person}
            joining.call("POST", "/v1/circles/join", ticket)
            self._stage.tell(f"{person} joined with a ticket")
            self._look(at_once=True)
        self._wait(self._know_all_members, "every device to know all members")

    def _say(self, said: Mapping[str, Sequence[str]]) -> None:
        """Let the persons speak by turns."""
        for turn in zip_longest(*said.values()):
            for person, text in zip(said, turn, strict=True):
                if text is not None:
                    self._publish(person, text)
                    self._look()
                    time.sleep(self._pause_seconds)

    def _publish(self, person: str, text: str) -> None:
        """Think it on the phone, if there is one at hand, and publish on the laptop."""
        laptop = self._main[person].client
        phone = self._phones.get(person)
        self._said += 1
        if phone is None or phone.is_paused or self._said % 2:
            thought = {"text": text, "circle": self._circle, "publish": "always"}
            laptop.call("POST", "/v1/thoughts", thought)
            self._stage.tell(f"{self._main[person].title}: {text}")
            return
        key = phone.client.call("POST", "/v1/thoughts", {"text": text})["node"]["key"]
        self._stage.tell(f"{phone.title}: {text}")
        route = f"/v1/circles/{self._circle}/contributions/{key}"

        def published() -> bool:
            try:
                laptop.call("PUT", route)
            except ProblemError as problem:
                if problem.status not in _YET_TO_COME:
                    raise
                return False
            return True

        self._wait(published, f"a thought on {phone.title} to be published")

    def _vote(self) -> None:
        self._stage.chapter(
            "Resonance is not agreement: they vote on what divides them"
        )
        circle = str(self._circle)
        contested = self._contested(self._main[PERSONS[0]])
        for person, device in self._main.items():
            vote = "dissent" if person in AGAINST else "affirm"
            route = f"/v1/circles/{circle}/consensus/{contested['key']}/vote"
            device.client.call("POST", route, {"vote": vote})
            self._stage.tell(f"{person}: {vote} '{contested['label']}'")
        wanted = (len(PERSONS) - len(AGAINST), len(AGAINST))

        def counted() -> bool:
            seen = map(self._contested, self._town.devices)
            return all((each["affirm"], each["dissent"]) == wanted for each in seen)

        self._wait(counted, "all votes to be counted on every device")

    def _part(self) -> None:
        self._stage.chapter(f"{' and '.join(CUT_OFF)} are cut off; all go on talking")
        before = self._now()
        self._pause(is_paused=True)
        self._say(SAID_APART)
        self._wait(self._are_parted, "the two sides to differ")
        self._stage.tell(
            f"Now {self._now().results} results stand side by side, where there was"
            f" {before.results}."
        )

    def _heal(self) -> Sight:
        self._stage.chapter("They are linked again; all devices compute the same")
        self._pause(is_paused=False)
        self._wait_for_one_result()
        self._wait(self._are_pairs_in_step, "the devices of a person to be in step")
        sight = self._now()
        self._stage.show(sight)
        result = sight.devices[0].result
        self._stage.tell(f"{len(sight.devices)} devices, one result: {result}")
        return sight

    def _pause(self, *, is_paused: bool) -> None:
        for device in self._town.devices:
            if device.plan.person in CUT_OFF:
                device.client.call("POST", "/v1/sync", {"paused": is_paused})
                device.is_paused = is_paused

    def _contested(self, device: Device) -> Document:
        """Return the node of the thought on which they do not agree."""
        found = consensus(device.client, str(self._circle))
        return next(
            node
            for node in found
            if any(word in node["label"].lower() for word in CONTESTED)
        )

    def _wait_for_one_result(self) -> None:
        said = self._said

        def is_one() -> bool:
            sight = self._now()
            return sight.is_one and sight.devices[0].contributions == said

        self._wait(is_one, "all devices to hold the same and compute the same")

    def _are_parted(self) -> bool:
        """Whether all that each said counts on the own side, and on no other."""
        sight = self._now()
        mine = {device.title: device.contributions for device in sight.devices}
        linked = [d for d in self._town.devices if not d.is_paused]
        apart = {p: len(said) for p, said in SAID_APART.items()}
        together = self._said - sum(apart.values())
        here = together + sum(n for p, n in apart.items() if p not in CUT_OFF)
        return all(mine[d.title] == here for d in linked) and all(
            mine[self._main[p].title] == together + apart[p] for p in CUT_OFF
        )

    def _are_pairs_in_step(self) -> bool:
        return all(
            is_in_step(self._main[person]) and is_in_step(self._phones[person])
            for person in self._phones
        )

    def _know_all_members(self) -> bool:
        circle = str(self._circle)
        told = [circle_of(device.client, circle) for device in self._town.devices]
        return all(len(each.get("members", ())) == len(PERSONS) for each in told)

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds, and let it be seen."""

        def seen() -> bool:
            self._look()
            return holds()

        wait_for(seen, what)
        self._look(at_once=True)

    def _look(self, *, at_once: bool = False) -> None:
        """Show how all stand, unless that was shown a moment ago."""
        now = time.monotonic()
        if at_once or now >= self._looked + _LOOK_SECONDS:
            self._stage.show(self._now())
            self._looked = time.monotonic()

    def _now(self) -> Sight:
        devices = sorted(self._town.devices, key=_in_order)
        return look(devices, self._circle, self._main[PERSONS[0]])


def _in_order(device: Device) -> tuple[int, str]:
    """Sort devices by their persons, a laptop before the phone."""
    return PERSONS.index(device.plan.person), device.plan.name
