"""Hostile updates against the parser and, for those it lets through, against pycrdt.

    python -m tests.fuzz.updates --cases 100000 --seed 1

prints one line and exits with 0, or names the first case that broke a law and exits
with 1. `--first N --cases 1` runs case N alone.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pycrdt import Doc, Map, Text

from crdt.errors import MalformedError
from crdt.yjs_profile import SHARD, Profile
from crdt.yjs_update import ParsedUpdate, decode_state_vector, parse
from tests.support.hostile_updates import HostileUpdate, hostile_update, victim


class BrokenLawError(AssertionError):
    """A hostile update did what none may do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a document shows to its owner."""

    content: object
    characters: object
    """The content with the order of its characters left out."""
    state: dict[int, int]
    update: bytes


def attack(case: HostileUpdate, *, with_pycrdt: bool) -> str:
    """Return how the case ended, or raise `BrokenLawError`.

    The laws: `parse` raises `MalformedError` and nothing else. What it accepts, the
    document applies without an error, and can then be read, edited and saved. If it
    also fits and splits no surrogate pair, the document saved is the document read.
    """
    try:
        parsed = parse(case.data, case.profile)
    except MalformedError:
        return "refused"
    except Exception as error:
        message = f"the parser raised {type(error).__name__}"
        raise BrokenLawError(message) from error
    return _apply(case, parsed) if with_pycrdt else "accepted"


def _apply(case: HostileUpdate, parsed: ParsedUpdate) -> str:
    state = victim(case.profile).state
    scratch = _load(state)
    before = _read(scratch, case.profile)
    try:
        scratch.apply_update(case.data)
        after = _read(scratch, case.profile)
        saved = _read(_load(after.update), case.profile)
        _edit(scratch, case.profile)
        _read(scratch, case.profile)
    except BaseException as error:
        # A panic of the Rust library derives from BaseException and has no type that
        # could be imported.
        if isinstance(error, KeyboardInterrupt):
            raise
        message = f"the document raised {type(error).__name__} after the parser passed"
        raise BrokenLawError(message) from error
    if not parsed.fits(before.state):
        return "waiting"
    if parsed.splits_pair(parse(state, case.profile).pair_halves, before.state):
        return "splitting"
    _check_saved(case, after, saved)
    return "applied"


def _check_saved(case: HostileUpdate, after: Reading, saved: Reading) -> None:
    """Check that the document comes back from its bytes as it was.

    A text's order is left out: an item that names its right neighbour as its left
    one has no true place, and where it lands depends on how the runs are cut.
    """
    if case.profile is SHARD and saved.content != after.content:
        raise BrokenLawError("the shard saved is not the shard read")
    if saved.characters != after.characters or saved.state != after.state:
        raise BrokenLawError("the document saved is not the document read")
    parsed = parse(after.update, case.profile)
    if {client: end for client, (_, end) in parsed.clients.items()} != after.state:
        raise BrokenLawError("the document saved holds other clocks")


def _load(update: bytes) -> Doc[Any]:
    document: Doc[Any] = Doc(client_id=1)
    document.apply_update(update)
    return document


def _read(document: Doc[Any], profile: Profile) -> Reading:
    content: object
    characters: object
    if profile is SHARD:
        content = [document.get(root, type=Map).to_py() for root in ("n", "e")]
        characters = content
    else:
        text: Text = document.get("t", type=Text)
        content = text.diff()
        characters = sorted(str(text))
    state = decode_state_vector(document.get_state())
    return Reading(content, characters, state, document.get_update())


def _edit(document: Doc[Any], profile: Profile) -> None:
    if profile is SHARD:
        document.get("n", type=Map)["node-0\x1flabel"] = '"edited"'
    else:
        document.get("t", type=Text).insert(0, "edited")


def run(seed: int, cases: int, *, first: int = 0, with_pycrdt: bool = True) -> str:
    """Return a summary of one line, or raise `BrokenLawError` naming seed and case."""
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    for number in range(first, first + cases):
        case = hostile_update(seed, number)
        try:
            outcomes[attack(case, with_pycrdt=with_pycrdt)] += 1
        except BrokenLawError as error:
            message = f"{error}: --seed {seed} --first {number} --cases 1 ({case.kind})"
            raise BrokenLawError(message) from error
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    seconds = time.monotonic() - started
    return f"{cases} hostile updates, seed {seed}: {counts}; {seconds:.1f} s"


def main() -> int:
    """Run the cases that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.updates")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    try:
        summary = run(arguments.seed, arguments.cases, first=arguments.first)
    except BrokenLawError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{summary}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
