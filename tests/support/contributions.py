"""Contributions for tests: small circles in which some thoughts are near each other.

Vectors have a handful of directions with little noise; few different values make ties
of similarity and density frequent, which is where orders could show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import cos, radians, sin
from random import Random

from hypothesis import strategies as st

from consensus.contribution import Contribution, contribute, retract
from consensus.invitations import Invitation, InviteTree
from consensus.model_tag import DIMENSION

CIRCLE = sha256(b"a circle").digest()
MODELS = (b"model  1", b"model  2")


def author(name: object) -> bytes:
    """Return a key for an author; nothing here is signed."""
    return sha256(f"author {name}".encode()).digest()


def reference(name: object) -> bytes:
    """Return a reference."""
    return sha256(f"reference {name}".encode()).digest()[:16]


def vector(direction: int, noise: Sequence[int] = ()) -> bytes:
    """Return a vector near one of some directions, `noise` away from it.

    Numbers of `noise` stand where no direction has any.
    """
    numbers = [0] * DIMENSION
    for place in range(4):
        numbers[direction * 4 + place] = 127 if place == 0 else 90
    for place, number in enumerate(noise):
        numbers[300 + place] = number
    return bytes(number % 256 for number in numbers)


def between(first: int, second: int, share: int) -> bytes:
    """Return a vector between two directions: `share` of 127 of the second."""
    numbers = [0] * DIMENSION
    for place in range(4):
        full = 127 if place == 0 else 90
        numbers[first * 4 + place] = full
        numbers[second * 4 + place] = full * share // 127
    return bytes(number % 256 for number in numbers)


def turned(degrees: int) -> bytes:
    """Return a vector in one plane: near all that are turned 45 degrees from it."""
    numbers = [0.0] * DIMENSION
    numbers[200], numbers[201] = cos(radians(degrees)), sin(radians(degrees))
    largest = max(map(abs, numbers))
    return bytes(round(number * 127 / largest) % 256 for number in numbers)


def scattered(dice: Random, degrees: int, noise: float) -> bytes:
    """Return a vector scattered about a direction, which only a mean shows."""
    parts = cos(radians(degrees)), sin(radians(degrees))
    numbers = [
        parts[place * 2 // DIMENSION] + noise * dice.gauss(0, 1)
        for place in range(DIMENSION)
    ]
    largest = max(map(abs, numbers))
    return bytes(round(number * 127 / largest) % 256 for number in numbers)


def say(
    who: object,
    what: object,
    meaning: bytes,
    *,
    sequence: int = 1,
    epoch: int = 2900,
    model: bytes = MODELS[0],
    circle: bytes = CIRCLE,
) -> Contribution:
    """Return a contribution by somebody."""
    return contribute(
        circle,
        author(who),
        reference(what),
        sequence,
        text=f"thought {what}",
        model=model,
        vector=meaning,
        epoch=epoch,
    )


def unsay(who: object, what: object, *, sequence: int = 2) -> Contribution:
    """Return the retraction of what somebody said."""
    return retract(
        CIRCLE,
        author(who),
        reference(what),
        sequence,
        model=MODELS[0],
        epoch=2900,
    )


@dataclass(frozen=True)
class Crowd:
    """Who says how much about what."""

    authors: int = 8
    directions: int = 3
    references: int = 4


def random_record(dice: Random, crowd: Crowd) -> Contribution:
    """Return something that somebody does."""
    who = dice.randrange(crowd.authors)
    what = dice.randrange(crowd.references)
    sequence = dice.randrange(1, 4)
    if dice.random() < 0.15:
        return unsay(who, what, sequence=sequence)
    first = dice.randrange(crowd.directions)
    kind = dice.random()
    if kind < 0.4:
        meaning = scattered(dice, dice.choice([0, 30, 60]), 0.45)
    elif kind < 0.6:
        meaning = turned(10 * dice.randrange(18))
    elif kind < 0.8:
        second = first + 1
        meaning = between(first, second, dice.choice([30, 64, 100, 127]))
    else:
        noise = [dice.choice([-60, 0, 0, 60, 100]) for _ in range(4)]
        meaning = vector(first, noise)
    return say(
        who,
        what,
        meaning,
        sequence=sequence,
        epoch=dice.randrange(2880, 2900),
        model=dice.choice([MODELS[0]] * 4 + [MODELS[1]]),
    )


def random_records(seed: int, count: int, crowd: Crowd) -> list[Contribution]:
    """Return what happens in a circle, the same for the same seed."""
    dice = Random(seed)
    return [random_record(dice, crowd) for _ in range(count)]


def random_members(seed: int, crowd: Crowd) -> dict[bytes, tuple[bytes | None, bool]]:
    """Return who invited whom, and whether a founder vouched; some are left out."""
    dice = Random(seed)
    members: dict[bytes, tuple[bytes | None, bool]] = {}
    for who in range(crowd.authors):
        if who < 2 or dice.random() < 0.2:
            if dice.random() < 0.5:
                members[author(who)] = None, False
        else:
            inviter = author(dice.randrange(who))
            members[author(who)] = inviter, dice.random() < 0.2
    return members


crowds = st.builds(
    Crowd,
    authors=st.integers(1, 10),
    directions=st.integers(1, 5),
    references=st.integers(1, 8),
)


def tree_of(members: Mapping[bytes, tuple[bytes | None, bool]]) -> InviteTree:
    """Return members as the rule wants them."""
    return InviteTree(
        {
            member: Invitation(inviter, is_vouched=vouched)
            for member, (inviter, vouched) in members.items()
        }
    )


def everybody(directions: int, authors: Sequence[object]) -> list[Contribution]:
    """Return a contribution of each author to each of some directions."""
    return [
        say(who, direction, vector(direction, [number * 3]))
        for direction in range(directions)
        for number, who in enumerate(authors)
    ]
