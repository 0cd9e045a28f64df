"""Tickets open one path for an hour, and nothing else."""

import hashlib
from collections.abc import Callable
from typing import Final

import pytest

from daemon.tickets import LIFE_MS, MAX_TICKETS, Tickets

PATH: Final = "/v1/bodies/mill"


def dice() -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats itself."""
    rolled = 0

    def roll(count: int) -> bytes:
        nonlocal rolled
        rolled += 1
        return hashlib.shake_256(b"%d" % rolled).digest(count)

    return roll


def test_a_ticket_opens_its_path_for_an_hour() -> None:
    """It is good as often as one likes, until its hour is over."""
    tickets = Tickets(dice())
    ticket = tickets.issue(PATH, 1000)

    assert ticket.expires_ms == 1000 + LIFE_MS
    for now_ms in (1000, 1000, 999 + LIFE_MS):
        assert tickets.admits(ticket.secret, PATH, now_ms)
    assert not tickets.admits(ticket.secret, PATH, 1000 + LIFE_MS)


@pytest.mark.parametrize(
    "path", ["/v1/bodies/mil", "/v1/bodies/mill/", "/v1/events", "", "/v1/bodies/%25"]
)
def test_a_ticket_opens_no_other_path(path: str) -> None:
    """A path is compared whole."""
    tickets = Tickets(dice())
    ticket = tickets.issue(PATH, 0)

    assert not tickets.admits(ticket.secret, path, 0)


def test_a_path_may_be_escaped_or_not() -> None:
    """The ticket of a key is good however its path was written."""
    tickets = Tickets(dice())
    ticket = tickets.issue("/v1/bodies/a b/Ä", 0)

    assert tickets.admits(ticket.secret, "/v1/bodies/a%20b%2F%C3%84", 0)


@pytest.mark.parametrize("secret", ["", "x", "A" * 43, "\ud800"])
def test_a_guess_opens_nothing(secret: str) -> None:
    """What was not issued is no ticket."""
    tickets = Tickets(dice())
    tickets.issue(PATH, 0)

    assert not tickets.admits(secret, PATH, 0)


def test_tickets_are_bounded() -> None:
    """The oldest of too many is good no more; the others are."""
    tickets = Tickets(dice())
    issued = [tickets.issue(PATH, 0) for _ in range(MAX_TICKETS + 1)]

    assert len({each.secret for each in issued}) == MAX_TICKETS + 1
    assert not tickets.admits(issued[0].secret, PATH, 0)
    assert tickets.admits(issued[1].secret, PATH, 0)
    assert tickets.admits(issued[-1].secret, PATH, 0)
