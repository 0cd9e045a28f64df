"""Records that wait come back in order, and never without bound."""

import msgspec
import pytest

from crdt.errors import InvalidError
from daemon.interchange.held import Held

NUMBERS = msgspec.json.Decoder(list[int])


@pytest.mark.parametrize("count", [0, 1, 4096, 10_000])
def test_what_is_held_comes_back_in_order(count: int) -> None:
    """Draining yields what was added, compressed blocks and rest alike."""
    held: Held[int] = Held(NUMBERS)
    for number in range(count):
        held.add(number)

    assert list(range(count)) == list(held.drain())


def test_holding_has_a_limit() -> None:
    """Beyond its room the queue refuses instead of filling the memory."""
    held: Held[int] = Held(NUMBERS, limit_bytes=100)

    for number in range(4095):
        held.add(number)

    with pytest.raises(InvalidError, match="more edges than"):
        held.add(4095)
