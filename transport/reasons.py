"""Why there is no link to a device, as values, and as sentences for a person.

Rule: a reason tells what was observed. Where only the network could know more, the
sentence says what to look at, not what must be wrong.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60 * _SECOND_MS
_HOUR_MS: Final = 60 * _MINUTE_MS


class FailureCause(StrEnum):
    """How a dial ended without a link."""

    UNREACHABLE = "nothing answered at any address"
    UNANSWERED = "something answered, but not the device"
    BLOCKED = "the devices agreed on a link, and then no packet came through"
    CLOCK = "the clocks differ too much"
    REFUSED = "the device refused"
    TIMED_OUT = "it took too long"
    NO_ADDRESS = "there was no address to try"
    CUT_SHORT = "the link ended as soon as it was made"


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a dial without a link."""

    cause: FailureCause
    skew_ms: int | None = None
    """How far the device's clock is ahead of this one's, if that is known."""


@dataclass(frozen=True, slots=True)
class Linked:
    """There is a link."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Doubtful:
    """There is a link, the device is silent on it, and another is being prepared."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class Dialling:
    """A link is being made at this moment."""

    routes: int
    for_ms: int


@dataclass(frozen=True, slots=True)
class Awaited:
    """The first try is about to be made."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A person told this device to stay by itself."""


@dataclass(frozen=True, slots=True)
class NotWanted:
    """The device is no member of the space, or no longer."""


@dataclass(frozen=True, slots=True)
class NeverSeen:
    """No link was ever made in this run, and no address is known."""


@dataclass(frozen=True, slots=True)
class NoAddress:
    """There was a link, and nothing is known of where the device is now."""

    seen_ago_ms: int


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Every known address was tried in vain."""

    tried: int
    ago_ms: int
    next_in_ms: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The last try came further than an address, and failed."""

    cause: FailureCause
    ago_ms: int
    next_in_ms: int


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """The clocks differ by more than signalling allows."""

    skew_ms: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The device does not accept this one."""

    ago_ms: int


Reason: TypeAlias = (
    Linked
    | Doubtful
    | Dialling
    | Awaited
    | Paused
    | NotWanted
    | NeverSeen
    | NoAddress
    | NoRoute
    | Failed
    | ClockSkew
    | Refused
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A reason for a person."""

    text: str
    """What is so, without a full stop."""
    fix: str | None
    """What to do, as a sentence; None if there is nothing to do."""


def explained(reason: Reason) -> Explanation:
    """Return a reason as a person reads it."""
    match reason:
        case Linked() | Doubtful() | Dialling() | Awaited():
            return Explanation(_progress(reason), None)
        case Paused():
            return Explanation("paused", "Resume syncing when you are ready.")
        case NotWanted():
            return Explanation(
                "not a device of this space", "Pair it if it should be one."
            )
        case NeverSeen():
            return Explanation("not seen yet: no address is known", _START_IT)
        case NoAddress(ago):
            text = f"out of sight for {_span(ago)}: no address is known"
            return Explanation(text, _START_IT)
        case NoRoute(tried, _, next_in):
            addresses = "1 address" if tried == 1 else f"{tried} addresses"
            return Explanation(
                f"no route: {addresses} tried, {_again(next_in)}",
                "Check that the device is on, runs Fractality, and is in a network"
                " that this one reaches.",
            )
        case ClockSkew(skew):
            return Explanation(
                _skew(skew), "Set the clock of the device that is wrong."
            )
        case Refused():
            return Explanation(
                "refused: the device does not accept this one",
                "Look at the list of devices there: this one may have been removed."
                " If it should belong to it, pair it again.",
            )
        case Failed(cause, _, next_in):
            return Explanation(f"{cause}, {_again(next_in)}", _FIXES.get(cause))
        case _:
            assert_never(reason)


def _progress(reason: Linked | Doubtful | Dialling | Awaited) -> str:
    match reason:
        case Linked(age):
            return f"linked for {_span(age)}"
        case Doubtful():
            return "linked, but silent: another link is being prepared"
        case Dialling(routes):
            ways = "1 way" if routes == 1 else f"{routes} ways"
            return f"connecting, {ways} to try"
        case Awaited():
            return "about to connect"


def _skew(skew_ms: int | None) -> str:
    if skew_ms is None:
        return "the clocks differ too much"
    direction = "ahead of" if skew_ms > 0 else "behind"
    return f"its clock is {_span(abs(skew_ms))} {direction} this one"


def _again(in_ms: int) -> str:
    return f"again in {_span(in_ms)}" if in_ms >= _SECOND_MS else "trying again now"


def _span(milliseconds: int) -> str:
    """Return a duration as a person says it."""
    if milliseconds < 2 * _MINUTE_MS:
        return f"{max(milliseconds, 0) // _SECOND_MS} s"
    if milliseconds < 2 * _HOUR_MS:
        return f"{milliseconds // _MINUTE_MS} min"
    if milliseconds < 48 * _HOUR_MS:
        return f"{milliseconds // _HOUR_MS} h"
    return f"{milliseconds // (24 * _HOUR_MS)} days"


_START_IT: Final = (
    "Start Fractality on that device in the same network, or give its address:"
    " 'fractality peers --add HOST:PORT'."
)
_FIXES: Final = {
    FailureCause.UNANSWERED: (
        "Check that the device runs Fractality and that both clocks are right: a"
        " device keeps silent to whom it does not know and to stale messages."
    ),
    FailureCause.BLOCKED: (
        "A firewall drops UDP between the devices. Allow it, or configure a TURN"
        " server."
    ),
}
