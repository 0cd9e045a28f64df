"""Many commands from one stream: decoded and applied in the owner's thread.

The event loop only passes bytes on: decoding there would keep it from its other work,
and would make the two threads fight for the interpreter at every row that is written.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from crdt.commands import AnyCommand
from crdt.committed import Committed
from crdt.errors import RefusedError
from crdt.replica import Replica
from daemon.faults import decoding_fault
from daemon.memory import uncollected

MAX_LINE_BYTES: Final = 1024 * 1024
GROUP_BYTES: Final = 256 * 1024
"""Lines that are made durable together while others write too: they wait for it."""
LONE_GROUP_BYTES: Final = 2 * 1024 * 1024
"""The same while nobody else writes; larger groups cost less per line."""

_decode = msgspec.json.Decoder(AnyCommand).decode


class Refusal(msgspec.Struct, frozen=True):
    """A line that was not carried out."""

    line: int
    error: RefusedError


class Applied(msgspec.Struct, frozen=True):
    """What became of some lines."""

    count: int
    refusals: Sequence[Refusal]
    committed: Committed


def apply_lines(
    replica: Replica, lines: Sequence[bytes], first_line: int, now_ms: int
) -> Applied:
    """Carry out lines of `POST /v1/batch` in order, as one durable group."""
    commands: list[AnyCommand] = []
    places: list[int] = []
    refusals: list[Refusal] = []
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        try:
            commands.append(_decode(line))
            places.append(number)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            refusals.append(Refusal(number, decoding_fault(error)))
    with uncollected():
        committed = replica.apply(commands, now_ms)
    refusals += (
        Refusal(place, outcome)
        for place, outcome in zip(places, committed.outcomes, strict=True)
        if isinstance(outcome, RefusedError)
    )
    refusals.sort(key=lambda refusal: refusal.line)
    done = len(commands) - sum(
        isinstance(outcome, RefusedError) for outcome in committed.outcomes
    )
    return Applied(done, refusals, committed)
