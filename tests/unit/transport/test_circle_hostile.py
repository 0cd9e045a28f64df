"""A session of a circle leaves peers that break the rules, and stays bounded."""

from typing import Final

import msgspec
import pytest

from crdt.circle_items import ItemKind
from crdt.ids import CircleId
from tests.support.circle_sides import (
    CIRCLE,
    HIGH,
    Side,
    claimed,
    of,
    payload_of,
    said,
    with_votes,
)
from tests.support.sim_circle_records import SimRecords
from transport.circle_actions import (
    CircleEnd,
    Progress,
    Report,
    Stalled,
)
from transport.circle_comparing import MAX_ROUNDS, MAX_WITHHELD
from transport.circle_frames import (
    MAX_PAYLOAD_BYTES,
    Acknowledge,
    Ask,
    Bye,
    CircleFarewell,
    CircleFrame,
    Compare,
    Give,
    Hello,
    Listed,
    Split,
    Stand,
)
from transport.circle_giving import WINDOW_BYTES
from transport.circle_patience import BURST, COMPARISONS_BURST, LEAST_APPETITE
from transport.circle_session import HELLO_MS
from transport.circle_taking import MAX_USELESS_BYTES
from transport.stall import GIVE_UP_MS, STALL_MS

HELLO: Final = Hello((1, 1), CIRCLE, bytes(8), 1, "rc1", SimRecords(9).state())


@pytest.mark.parametrize(
    ("frames", "cause"),
    [
        ([Acknowledge(0, 0)], CircleEnd.OUT_OF_PLACE),
        ([HELLO, HELLO], CircleEnd.OUT_OF_PLACE),
        ([Bye(CircleFarewell.REMOVED)], CircleEnd.REMOVED_HERE),
        ([Bye(CircleFarewell.CLOSING)], CircleEnd.PEER_LEFT),
        (
            [msgspec.structs.replace(HELLO, circle=CircleId(bytes(32)))],
            CircleEnd.FOREIGN_CIRCLE,
        ),
        ([msgspec.structs.replace(HELLO, versions=(2, 3))], CircleEnd.VERSION),
        ([HELLO, Acknowledge(1, 0)], CircleEnd.OVERACKNOWLEDGED),
        ([HELLO, Compare(ItemKind.VOTE, 1, ())], CircleEnd.OUT_OF_PLACE),
        ([HELLO, Compare(ItemKind.VOTE, 0, ())], CircleEnd.OUT_OF_PLACE),
        (
            [HELLO, Compare(ItemKind.VOTE, 1, (Split(b"", b"\0", b""),))],
            CircleEnd.MALFORMED,
        ),
        ([HELLO, *[Stand(HELLO.state)] * (BURST + 1)], CircleEnd.FLOODED),
        (
            [
                HELLO,
                *(
                    Compare(ItemKind.VOTE, 1 + each, (Listed(b"", b"", 8, b""),))
                    for each in range(COMPARISONS_BURST + 1)
                ),
            ],
            CircleEnd.FLOODED,
        ),
    ],
)
def test_who_breaks_the_rules_is_left(
    frames: list[CircleFrame], cause: CircleEnd
) -> None:
    """Each breach ends the session with its cause."""
    side = Side(HIGH)
    side.hear(*frames)

    assert side.cause is cause
    assert side.hear(HELLO) == []


def test_who_never_says_hello_is_left() -> None:
    """A peer that says nothing is waited for a while."""
    side = Side()
    side.pass_time(HELLO_MS - 1000)
    assert side.cause is None
    side.pass_time(2000)

    assert side.cause is CircleEnd.STALLED


def test_who_gives_beyond_its_credit_is_left() -> None:
    """No more waits for the store than was agreed."""
    side = Side(HIGH, keeps=False)
    side.greet()
    payload = bytes(MAX_PAYLOAD_BYTES)
    for _ in range(WINDOW_BYTES // len(payload)):
        side.hear(Give(ItemKind.VOTE, payload))
    assert side.cause is None

    side.hear(Give(ItemKind.VOTE, payload))
    assert side.cause is CircleEnd.FLOODED


def test_what_is_on_its_way_is_bounded() -> None:
    """A peer that does not acknowledge is given no more than its credit."""
    side = Side()
    side.greet()
    for _ in range(40):
        side.make(ItemKind.VOTE, 60_000)
    sent = sum(len(each.payload) for each in said(side.actions, Give))

    assert WINDOW_BYTES - 2 * MAX_PAYLOAD_BYTES <= sent <= WINDOW_BYTES
    assert any(
        isinstance(each.news, Stalled)
        for each in of(side.pass_time(STALL_MS + 2000), Report)
    )
    side.pass_time(GIVE_UP_MS)
    assert side.cause is CircleEnd.STALLED


def test_who_compares_without_end_is_left() -> None:
    """A comparison takes no more turns than sets of that size may need."""
    side = Side(records=with_votes(100))
    side.greet(claimed(1000))
    ranges = (Split(b"", b"\0\0", bytes(16)),)
    turns = 0
    while side.cause is None and turns <= MAX_ROUNDS:
        turns += 1
        side.hear(Compare(ItemKind.VOTE, 1, ranges))

    assert side.cause is CircleEnd.ENDLESS


def test_who_asks_for_everything_again_and_again_is_left() -> None:
    """A peer may be given everything some times, and then in time."""
    side = Side(HIGH)
    side.greet()
    keys = tuple(each.to_bytes(36) for each in range(1000))
    asked = 0
    while side.cause is None and asked < 100 * LEAST_APPETITE:
        side.hear(Ask(ItemKind.VOTE, keys))
        asked += len(keys)

    assert side.cause is CircleEnd.GREEDY
    assert asked <= 5 * LEAST_APPETITE


def test_who_gives_only_what_is_held_is_left() -> None:
    """Payloads without anything new are taken up to a limit."""
    side = Side(HIGH)
    side.greet()
    payload, _ = payload_of(2, ItemKind.VOTE, [60_000])
    taken = 0
    while side.cause is None and taken < 2 * MAX_USELESS_BYTES:
        side.hear(Give(ItemKind.VOTE, payload))
        taken += len(payload)

    assert side.cause is CircleEnd.USELESS


def test_who_never_gives_what_it_names_is_left() -> None:
    """Names that are listed each time and never delivered end the session in time."""
    side = Side()
    side.greet(claimed(3))
    turns = 0
    while side.cause is None and turns < 20:
        turns += 1
        last = side.wait_compared()
        listed = Listed(b"", b"", 8, bytes(8))
        side.hear(Compare(ItemKind.VOTE, last.number, (listed,)))
        side.answered += 1
        side.hear(Compare(ItemKind.VOTE, last.number, ()))
        if turns == 1:
            news = of(side.pass_time(1000), Report)[-1].news
            assert isinstance(news, Progress)
            assert news.sets[ItemKind.VOTE].lacking_here > 0

    assert side.cause is CircleEnd.WITHHELD
    assert turns <= MAX_WITHHELD + 2
