"""How a circle stands on this device, and why: one state, its cause, what to do.

Rule: what is told is what is known. Nobody answering is not the same as being in step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from transport.circle_actions import CircleEnd


class CircleHealth(StrEnum):
    """In one word."""

    SYNCED = "synced"
    """Every linked device holds the same."""
    SYNCING = "syncing"
    ALONE = "alone"
    """Nobody is linked."""
    PAUSED = "paused"
    STALLED = "stalled"
    LEFT = "left"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Talk:
    """What is going on with one linked device."""

    is_greeted: bool
    is_equal: bool
    is_paused_there: bool
    is_stalled: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides how a circle stands."""

    has_left: bool = False
    is_removed: bool = False
    is_paused: bool = False
    others: int = 0
    """Members beside this person."""
    devices: int = 0
    """Devices that this one would link with, those of this person too."""
    talks: Sequence[Talk] = ()
    lacks_key: bool = False
    is_disk_full: bool = False
    do_results_differ: bool = False
    last_end: CircleEnd | None = None
    """By what fault the last conversation ended, if nothing has moved since."""


@dataclass(frozen=True, slots=True)
class Health:
    """How it stands."""

    state: CircleHealth
    cause: str | None = None
    fix: str | None = None


_PASSING: Final = (
    CircleEnd.STOPPED,
    CircleEnd.PEER_LEFT,
    CircleEnd.REPLACED,
    CircleEnd.REMOVED,
)
"""Ends that are no faults."""


def health(facts: Facts) -> Health:
    """Return how a circle stands."""
    own = _of_this_person(facts)
    if own is not None:
        return own
    fault = _fault(facts)
    if fault is not None:
        return fault
    talks = [each for each in facts.talks if each.is_greeted]
    if not facts.talks:
        return _alone(facts)
    taking = [each for each in talks if not each.is_paused_there]
    if talks and not taking:
        return Health(
            CircleHealth.ALONE,
            "everybody who is linked is paused",
            "Nothing to do: it goes on when they do.",
        )
    if facts.lacks_key:
        return Health(
            CircleHealth.SYNCING,
            "the key of the present epoch has not arrived yet",
            "It comes from any member that has it, as soon as one is linked.",
        )
    is_equal = bool(taking) and all(each.is_equal for each in taking)
    return Health(CircleHealth.SYNCED if is_equal else CircleHealth.SYNCING)


def _of_this_person(facts: Facts) -> Health | None:
    if facts.has_left:
        return Health(
            CircleHealth.LEFT,
            "you left this circle",
            "What it held is still here; leaving is final under this pseudonym.",
        )
    if facts.is_removed:
        return Health(
            CircleHealth.REMOVED,
            "you were removed from this circle",
            "What you published is still yours here; others drop it. Removal is final.",
        )
    if facts.is_paused:
        return Health(
            CircleHealth.PAUSED,
            "paused on this device",
            "'fractality sync --resume' goes on.",
        )
    return None


def _fault(facts: Facts) -> Health | None:
    if facts.do_results_differ:
        return Health(
            CircleHealth.STALLED,
            "a member holds the same contributions and computed another consensus",
            (
                "Nothing is lost. The fault is ours: compare what 'fractality verify'"
                " says on both devices and report it."
            ),
        )
    if facts.is_disk_full:
        return Health(
            CircleHealth.STALLED,
            "disk full on this device",
            "Free some space here; the rest follows.",
        )
    if any(each.is_stalled for each in facts.talks):
        return Health(
            CircleHealth.STALLED,
            "a linked device owes an answer for more than a minute",
            "'fractality sync' links anew; 'fractality doctor' looks for faults.",
        )
    if facts.last_end is not None and facts.last_end not in _PASSING:
        return Health(
            CircleHealth.STALLED,
            f"exchanging broke off: {facts.last_end}",
            (
                "It is tried again by itself. If this stays, bring both devices to the"
                " newest version."
            ),
        )
    return None


def _alone(facts: Facts) -> Health:
    if not facts.others and not facts.devices:
        return Health(
            CircleHealth.ALONE,
            "nobody else is in this circle yet",
            "'fractality circle invite' makes a ticket for somebody.",
        )
    return Health(
        CircleHealth.ALONE,
        "no device of the circle answers",
        (
            "Nothing to do if they are off: they are tried again and again. Who was"
            " removed from a circle is not answered either."
        ),
    )
