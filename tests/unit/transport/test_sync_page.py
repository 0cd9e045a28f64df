"""docs/protocol/sync.md says what the code does; its example is golden."""

import json
import re
from pathlib import Path
from typing import Final

from crdt.ids import DeviceId, SpaceId
from tests.support.sessions import DIGEST, ROSTER, of_kind
from transport import (
    frames,
    patience,
    rollback,
    stall,
    sync,
    sync_receiving,
    sync_sending,
)
from transport.frames import Condition, Farewell, Refusal, encode
from transport.session_names import SessionName
from transport.sync import SyncSession
from transport.sync_actions import Action, Holdings, Keep, Load, Send
from transport.sync_states import TRANSITIONS, Event

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "sync.md").read_text()
VECTOR: Final[list[list[str]]] = json.loads(
    (ROOT / "tests/vectors/sync.json").read_text()
)
LIMITS: Final = re.compile(r"(MAX|BURST|MANY|ASIDE)_\w+|\w+_(BYTES|MS)|BURST")


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_state_table_is_the_code() -> None:
    """The page lists the transitions that the code allows, no more, no less."""
    rows = re.findall(
        r"^\| (\w+) \| (\w+) \| (\w+) \|$",
        section("What may be said when"),
        re.MULTILINE,
    )

    assert sorted(row for row in rows if row[0] != "state") == sorted(
        (before.name, cue.name if isinstance(cue, Event) else cue.__name__, after.name)
        for (before, cue), after in TRANSITIONS.items()
    )


def test_the_limits_are_those_of_the_code() -> None:
    """The page lists each limit with its value, no more, no fewer."""
    modules = (frames, patience, rollback, stall, sync, sync_receiving, sync_sending)
    own = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if LIMITS.fullmatch(name) and isinstance(value, int)
    }
    elsewhere = {"MAX_ENVELOPE_BYTES", "MAX_STATEMENT_BYTES", "MAX_FRAME_BYTES"}

    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value.replace(",", "")) for name, value in rows} == {
        name: value
        for name, value in own.items()
        if name not in elsewhere | {"MAX_SEQUENCE", "MAX_KEY_BYTES"}
    }


def test_the_kinds_are_those_of_the_code() -> None:
    """Every frame stands in the grammar with its kind and as many elements."""
    grammar = section("Grammar")
    for kind in frames.Frame.__args__:
        tag = kind.__struct_config__.tag
        found = re.search(rf"{kind.__name__} +:= \[{tag}[,\]]", grammar)
        assert found, kind


def test_the_numbers_are_those_of_the_code() -> None:
    """Conditions, refusals and farewells have the numbers that the page tells."""
    grammar = section("Grammar")
    for kind in (Condition, Refusal, Farewell):
        rule = re.split(r"\n(?=\w|$)", grammar.split(f"\n{kind.__name__} ")[1])[0]
        told = re.findall(r"(\d+) ([a-z ]*[a-z])", rule)
        names = [(str(each.value), each.name.lower()) for each in kind]
        assert told == [(number, name.replace("_", " ")) for number, name in names]


class Side:
    """A session, and the store behind it, for the golden exchange."""

    def __init__(self, me: int, peer: int, envelopes: list[bytes]) -> None:
        self.me = DeviceId(bytes([me]) * 16)
        peer_id = DeviceId(bytes([peer]) * 16)
        self.envelopes = envelopes
        vector = {self.me: len(envelopes)} if envelopes else {}
        space = SpaceId(b"a golden space!!")
        self.session = SyncSession(
            SessionName(space, self.me, peer_id, bytes(8), me),
            Holdings(vector, DIGEST),
            ROSTER,
            Condition.READY,
            0,
        )

    def answer(self, actions: list[Action]) -> list[Send]:
        """Return what is sent, after the store has done what it is asked."""
        sent = [each for each in actions if isinstance(each, Send)]
        for load in of_kind(actions, Load):
            found = self.envelopes[load.after :]
            sent += self.answer(self.session.loaded(load.device, load.after, found, 0))
        for keep in of_kind(actions, Keep):
            author = DeviceId(bytes([1]) * 16)
            holdings = Holdings({author: len(keep.envelopes)}, DIGEST)
            count = len(keep.envelopes)
            sent += self.answer(self.session.stored(holdings, count, (), 0))
        return sent


def play() -> list[list[str]]:
    """Return what two sessions say to each other, in order."""
    sides = Side(1, 2, [b"first", b"second"]), Side(2, 1, [])
    waiting = [
        (index, each)
        for index, side in enumerate(sides)
        for each in side.answer(side.session.start(0, 1_800_000_000_000))
    ]
    said: list[list[str]] = []
    while waiting:
        sender, send = waiting.pop(0)
        said.append(["><"[sender], encode(send.frame).hex()])
        receiver = sides[1 - sender]
        answers = receiver.answer(receiver.session.receive(send.frame, 0))
        waiting += [(1 - sender, each) for each in answers]
    return said


def test_the_exchange_is_golden() -> None:
    """The same two devices say the same bytes."""
    assert play() == VECTOR


def test_the_golden_frames_read_back() -> None:
    """Each golden frame decodes and encodes to itself."""
    for _, encoded in VECTOR:
        frame = frames.decode(bytes.fromhex(encoded))
        assert frame is not None
        assert encode(frame).hex() == encoded


def test_the_example_is_golden() -> None:
    """The exchange that the page shows is that of the vector."""
    block = section("Example").split("```")[1]
    shown = re.findall(r"^([<>]) ([0-9a-f\n ]+?)(?=\n[<>#]|\n$)", block, re.MULTILINE)

    assert [[way, re.sub(r"\s", "", text)] for way, text in shown] == VECTOR
