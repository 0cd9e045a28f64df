"""Signalling that other devices carry: to whom it goes, and that it stays bounded."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from transport.forwarding import (
    ASKED_PER_MINUTE,
    MAX_HOPS,
    MAX_PAYLOAD_BYTES,
    MAX_REMEMBERED,
    REMEMBERED_MS,
    Action,
    Answer,
    Ask,
    Deliver,
    Forwarder,
    Message,
    Pass,
    Question,
    decode_message,
    encode_message,
)

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "forwarding.md").read_text()
VECTORS: Final = json.loads((ROOT / "tests/vectors/forwarding.json").read_text())
QUESTION_ID: Final = b"q" * 16


def device(number: int) -> DeviceId:
    """Return one of the devices of these tests."""
    return DeviceId(bytes([number]) * 16)


ME, NEAR, FAR, OTHER = (device(number) for number in (1, 2, 3, 4))
EVERYBODY: Final = frozenset({ME, NEAR, FAR, OTHER})


class Mesh:
    """Devices that carry for each other; what is on its way arrives in any order."""

    def __init__(
        self, links: frozenset[tuple[int, int]], size: int, chance: random.Random
    ) -> None:
        """Link `size` devices, by their numbers."""
        self._chance = chance
        self.linked: dict[DeviceId, frozenset[DeviceId]] = {
            device(each): frozenset(
                device(a + b - each) for a, b in links if each in (a, b)
            )
            for each in range(1, size + 1)
        }
        self.forwarders = {each: Forwarder(each) for each in self.linked}
        self.delivered: list[tuple[DeviceId, bytes]] = []
        self.asked: list[DeviceId] = []
        self.carried = 0
        self._waiting: list[tuple[DeviceId, DeviceId, Message]] = []

    def ask(self, asker: DeviceId, target: DeviceId) -> None:
        """Let a device look for another, until nothing is on its way any more."""
        asking = self.forwarders[asker]
        linked = self.linked[asker]
        self._perform(asker, asking.ask(QUESTION_ID, target, b"offer", linked, 0))
        while self._waiting:
            place = self._chance.randrange(len(self._waiting))
            sender, receiver, message = self._waiting.pop(place)
            self.carried += 1
            known = decode_message(encode_message(message))
            actions = self.forwarders[receiver].receive(
                sender, known, self.linked[receiver], frozenset(self.linked), 0
            )
            self._perform(receiver, actions)

    def _perform(self, acting: DeviceId, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Pass(to, message):
                    assert to in self.linked[acting]
                    self._waiting.append((acting, to, message))
                case Ask(identity, payload):
                    assert payload == b"offer"
                    self.asked.append(acting)
                    answered = self.forwarders[acting].answered(identity, b"answer")
                    self._perform(acting, answered)
                case Deliver(_, payload):
                    self.delivered.append((acting, payload))

    def distance(self, start: DeviceId, end: DeviceId) -> int | None:
        """Return over how many links two devices reach each other."""
        seen, ring, steps = {start}, {start}, 0
        while ring:
            if end in ring:
                return steps
            ring = {each for at in ring for each in self.linked[at]} - seen
            seen |= ring
            steps += 1
        return None


def meshes() -> Iterator[Mesh]:
    """Yield meshes at random, from a tree with few links to nearly all of them."""
    chance = random.Random(20_261_125)
    for _ in range(300):
        size = chance.randint(3, 8)
        # Who is linked to the one it looks for has no need to ask.
        pairs = [(a, b) for a in range(1, size + 1) for b in range(1, a)]
        pairs.remove((size, 1))
        share = chance.random()
        chosen = frozenset(each for each in pairs if chance.random() < share)
        yield Mesh(chosen, size, chance)


def test_a_device_within_reach_is_asked_once_and_answers_once() -> None:
    """Who is three links away or less is found, whatever is slow; nobody further is."""
    reached = 0
    for mesh in meshes():
        target = max(mesh.linked)
        mesh.ask(ME, target)
        distance = mesh.distance(ME, target)
        found = distance is not None and distance <= MAX_HOPS
        assert mesh.asked == ([target] if found else [])
        assert mesh.delivered == ([(ME, b"answer")] if found else [])
        assert mesh.carried <= MAX_HOPS * len(mesh.linked) ** 2
        reached += found
    assert 50 < reached < 300


def test_who_is_linked_to_the_target_tells_nobody_else() -> None:
    """A question goes straight on where the target is known."""
    forwarder = Forwarder(NEAR)
    question = Question(QUESTION_ID, FAR, 3, b"offer")

    actions = forwarder.receive(ME, question, {ME, FAR, OTHER}, EVERYBODY, 0)

    assert actions == [Pass(FAR, Question(QUESTION_ID, FAR, 2, b"offer"))]


@pytest.mark.parametrize(
    ("target", "hops", "members"),
    [(FAR, 1, EVERYBODY), (FAR, 3, frozenset({ME, OTHER}))],
    ids=["no hops left", "not a member"],
)
def test_a_question_is_not_passed_on(
    target: DeviceId, hops: int, members: frozenset[DeviceId]
) -> None:
    """Neither further than it may go, nor for whom is not of this person."""
    question = Question(QUESTION_ID, target, hops, b"offer")

    assert not Forwarder(NEAR).receive(ME, question, EVERYBODY, members, 0)


def test_a_question_that_comes_again_by_a_shorter_way_goes_further() -> None:
    """What a slow link brings late is passed on if it may still go further, once."""
    forwarder = Forwarder(NEAR)

    def passed(peer: DeviceId, hops: int) -> list[Action]:
        question = Question(QUESTION_ID, FAR, hops, b"offer")
        return forwarder.receive(peer, question, {ME, OTHER}, EVERYBODY, 0)

    assert passed(OTHER, 2) == [Pass(ME, Question(QUESTION_ID, FAR, 1, b"offer"))]
    assert passed(ME, 3) == [Pass(OTHER, Question(QUESTION_ID, FAR, 2, b"offer"))]
    assert passed(ME, 3) == []
    assert passed(OTHER, 2) == []
    answer = Answer(QUESTION_ID, b"answer")
    assert forwarder.receive(FAR, answer, EVERYBODY, EVERYBODY, 0) == [
        Pass(OTHER, answer)
    ]
    assert passed(ME, 3) == []


def test_an_answer_to_nothing_and_a_second_one_are_dropped() -> None:
    """Only the first answer to a question that was carried goes back."""
    forwarder = Forwarder(NEAR)
    answer = Answer(QUESTION_ID, b"answer")
    assert forwarder.receive(FAR, answer, EVERYBODY, EVERYBODY, 0) == []

    question = Question(QUESTION_ID, FAR, 3, b"offer")
    forwarder.receive(ME, question, EVERYBODY, EVERYBODY, 0)

    assert forwarder.receive(FAR, answer, EVERYBODY, EVERYBODY, 0) == [Pass(ME, answer)]
    assert forwarder.receive(FAR, answer, EVERYBODY, EVERYBODY, 0) == []
    assert forwarder.receive(OTHER, question, EVERYBODY, EVERYBODY, 0) == []


def test_a_way_back_is_forgotten_in_time() -> None:
    """After twenty seconds nobody waits, and the same question counts anew."""
    forwarder = Forwarder(NEAR)
    question = Question(QUESTION_ID, FAR, 3, b"offer")
    answer = Answer(QUESTION_ID, b"answer")
    forwarder.receive(ME, question, {FAR}, EVERYBODY, 0)

    forwarder.forget(REMEMBERED_MS)

    assert forwarder.receive(FAR, answer, {FAR}, EVERYBODY, REMEMBERED_MS) == []
    assert forwarder.receive(ME, question, {FAR}, EVERYBODY, REMEMBERED_MS)


def test_a_peer_that_asks_too_much_is_not_heard() -> None:
    """What is more than the ration is dropped, for that peer and that minute only."""
    forwarder = Forwarder(NEAR)

    def passed(peer: DeviceId, number: int, now_ms: int) -> bool:
        question = Question(number.to_bytes(16), FAR, 3, b"offer")
        return bool(forwarder.receive(peer, question, {FAR}, EVERYBODY, now_ms))

    assert all(passed(ME, number, 0) for number in range(ASKED_PER_MINUTE))
    assert not passed(ME, 1_000, 59_999)
    assert passed(OTHER, 1_001, 59_999)
    assert passed(ME, 1_002, 60_000)


def test_only_so_many_ways_back_are_remembered() -> None:
    """The oldest is forgotten first: a flood costs attempts, never memory."""
    forwarder = Forwarder(NEAR)
    for number in range(MAX_REMEMBERED + 1):
        forwarder.ask(number.to_bytes(16), FAR, b"offer", {OTHER}, 0)

    def answered(number: int) -> bool:
        answer = Answer(number.to_bytes(16), b"answer")
        return bool(forwarder.receive(OTHER, answer, {OTHER}, EVERYBODY, 0))

    assert not answered(0)
    assert answered(1)
    assert answered(MAX_REMEMBERED)


@given(
    st.binary(max_size=64)
    | st.builds(
        lambda *fields: msgspec.msgpack.encode(fields),
        st.integers(-1, 3),
        st.binary(min_size=14, max_size=18),
        st.binary(min_size=14, max_size=18) | st.integers(-9, 9),
        st.integers(-1, 5),
        st.binary(max_size=8),
    )
)
def test_what_is_malformed_is_refused_and_the_rest_comes_back(content: bytes) -> None:
    """Any bytes are a message that says the same again, or a `MalformedError`."""
    try:
        message = decode_message(content)
    except MalformedError:
        return
    assert decode_message(encode_message(message)) == message
    assert len(message.id) == 16
    assert 0 < len(message.payload) <= MAX_PAYLOAD_BYTES
    assert not isinstance(message, Question) or 1 <= message.hops <= MAX_HOPS


def test_the_format_is_golden() -> None:
    """Both messages have the bytes that were laid down."""
    for name in ("question", "answer"):
        held = VECTORS[name]
        fields = {key: held[key] for key in held.keys() - {"encoded"}}
        message = decode_message(bytes.fromhex(held["encoded"]))
        told = {
            key: value.hex() if isinstance(value, bytes) else value
            for key, value in msgspec.structs.asdict(message).items()
        }
        assert told == fields
        assert encode_message(message).hex() == held["encoded"]


def test_the_page_says_what_the_code_does() -> None:
    """The page has the golden example, and each limit as it is in force."""
    limits = {
        "MAX_HOPS": MAX_HOPS,
        "MAX_PAYLOAD_BYTES": MAX_PAYLOAD_BYTES,
        "MAX_REMEMBERED": MAX_REMEMBERED,
        "REMEMBERED_MS": REMEMBERED_MS,
        "ASKED_PER_MINUTE": ASKED_PER_MINUTE,
    }
    for name, value in limits.items():
        assert f"| `{name}` | {value:,} |" in PAGE
    for name in ("question", "answer"):
        assert VECTORS[name]["encoded"] in PAGE
