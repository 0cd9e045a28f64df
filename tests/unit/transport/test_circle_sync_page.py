"""docs/protocol/circle-sync.md says what the code does; its examples are golden."""

import hashlib
import json
import re
from pathlib import Path
from typing import Final

from crdt.circle_items import ItemKind, ItemName
from crdt.ids import CircleId, DeviceId
from tests.support.name_set import NameSet
from tests.support.reconciling import reconcile
from transport import (
    circle_comparing,
    circle_frames,
    circle_giving,
    circle_hearsay,
    circle_patience,
    circle_session,
    circle_standing,
    circle_taking,
    reconciliation,
)
from transport.circle_actions import (
    CircleAction,
    CircleSessionName,
    Keep,
    Load,
    Send,
    TakeNames,
)
from transport.circle_frames import CircleFarewell, CircleState, encode
from transport.circle_session import CircleSession

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "protocol" / "circle-sync.md").read_text()
VECTORS: Final = json.loads((ROOT / "tests/vectors/circle-sync.json").read_text())
CIRCLE: Final = CircleId(b"a golden circle, of 32 bytes now")
NAME: Final = ItemName(2951, hashlib.sha256(b"first").digest())
LIMITS: Final = re.compile(
    r"(MAX|LEAST|BURST|COMPARISONS)_?\w*|\w+_(BYTES|MS)|LOAD_NAMES"
)
ELSEWHERE: Final = {
    "MAX_COUNT",
    "ID_BYTES",
    "KEY_BYTES",
    "SHORT_ID_BYTES",
    "FINGERPRINT_BYTES",
    "COMPARISONS_PER_SECOND",
    "STALL_MS",
    "GIVE_UP_MS",
    "_NEVER_MS",
    "_RANGE_BYTES",
}


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_limits_are_those_of_the_code() -> None:
    """The page lists each limit with its value, no more, no fewer."""
    modules = (
        circle_comparing,
        circle_frames,
        circle_giving,
        circle_hearsay,
        circle_patience,
        circle_session,
        circle_standing,
        circle_taking,
        reconciliation,
    )
    own = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if LIMITS.fullmatch(name) and isinstance(value, int) and name not in ELSEWHERE
    }
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value.replace(",", "")) for name, value in rows} == own


def test_the_kinds_are_those_of_the_code() -> None:
    """Every frame and range stands in the grammar with its kind."""
    grammar = section("Grammar")
    for kind in (*circle_frames.CircleFrame.__args__, *circle_frames.Range.__args__):
        tag = kind.__struct_config__.tag
        found = re.search(rf"{kind.__name__} +:= \[{tag}[,\]]", grammar)
        assert found, kind


def test_the_numbers_are_those_of_the_code() -> None:
    """Kinds of items and farewells have the numbers that the page tells."""
    grammar = section("Grammar")
    for kind in (ItemKind, CircleFarewell):
        rule = re.split(r"\n(?=\w|`)", grammar.split(f"\n{kind.__name__} :=")[1])[0]
        told = re.findall(r"(\d+) ([a-z ]*[a-z])", rule)
        names = [(str(each.value), each.name.lower()) for each in kind]
        assert told == [(number, name.replace("_", " ")) for number, name in names]


class Side:
    """A session, and the records behind it, for the golden exchange."""

    def __init__(self, me: int, peer: int, names: list[ItemName]) -> None:
        self.names = NameSet(names)
        here, there = (DeviceId(bytes([each]) * 16) for each in (me, peer))
        name = CircleSessionName(CIRCLE, here, there, bytes(8), me)
        self.session = CircleSession(name, "rc1", self.state, 0)

    @property
    def state(self) -> CircleState:
        """How this side stands."""
        empty = NameSet().summary
        sets = (empty, empty, self.names.summary, empty)
        return CircleState(sets, None, is_paused=False)

    def answer(self, actions: list[CircleAction]) -> list[Send]:
        """Return what is sent, after the records have done what they are asked."""
        sent: list[Send] = []
        session = self.session
        for action in actions:
            match action:
                case Send():
                    sent.append(action)
                case TakeNames():
                    taken = self.names.sorted_names()
                    sent += self.answer(session.names_taken(taken, 0))
                case Load():
                    sent += self.answer(session.loaded(b"sealed", (), 0))
                case Keep(kind, payload):
                    self.names.add(NAME)
                    size = len(payload)
                    found = session.kept(
                        self.state, kind, size, [NAME], 1000, new=1, refused=0
                    )
                    sent += self.answer(found)
                case _:
                    pass
        return sent


def play() -> list[list[str]]:
    """Return what two sessions say to each other, in order."""
    sides = Side(1, 2, [NAME]), Side(2, 1, [])
    waiting = [
        (index, each)
        for index, side in enumerate(sides)
        for each in side.answer(side.session.start())
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
    """Two sessions say what the vectors and the page have."""
    page = section("Example").split("```")[1]
    shown = [
        (line[0], line[1:].replace("\n", "").replace(" ", ""))
        for line in re.split(r"\n(?=[<>#])", page.strip())
        if line[0] in "<>"
    ]

    assert play() == VECTORS["exchange"]
    assert shown == [tuple(each) for each in VECTORS["exchange"]]


def numbered(numbers: range) -> list[bytes]:
    """Return keys that anybody can make: hashes of numbers, in three epochs."""
    return [
        (each % 3).to_bytes(4) + hashlib.sha256(str(each).encode()).digest()
        for each in numbers
    ]


def test_the_comparison_is_golden() -> None:
    """Numbers 0 to 999 and 5 to 1,004 are compared with the frames of the vectors."""
    outcome = reconcile(numbered(range(1000)), numbered(range(5, 1005)))

    assert [each.hex() for each in outcome.frames] == VECTORS["comparison"]
    assert set(outcome.gifts[0]) == set(numbered(range(5)))
    assert set(outcome.gifts[1]) == set(numbered(range(1000, 1005)))
