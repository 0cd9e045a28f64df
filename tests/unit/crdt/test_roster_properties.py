"""Laws of rosters, tried on histories in which devices state anything at all."""

import random
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.errors import ConflictError
from crdt.roster import Roster
from crdt.roster_rules import Anchor
from crdt.statement import Statement
from tests.support.roster_language import PERSON, SPACE, World, device
from tests.support.roster_model import Model

NAMES = ("ada", "phone", "desk", "book", "twin")
VERBS = ("enrols", "adds", "removes", "removes", "rotates", "grants", "extends")


class Step(NamedTuple):
    """A device hears another, then states something; `is_forced` if it may or not."""

    who: str
    verb: str
    whom: str
    number: int
    hears: str
    is_forced: bool

    @property
    def rest(self) -> str:
        """The role to give, or the number of an envelope."""
        if self.verb == "adds":
            return ("admin", "writer", "reader", "relay")[self.number % 4]
        return str(self.number)


names = st.sampled_from(NAMES)
steps = st.builds(
    Step, names, st.sampled_from(VERBS), names, st.integers(1, 9), names, st.booleans()
)
histories = st.lists(steps, max_size=14)


def play(history: list[Step], *, is_honest: bool = False) -> World:
    """Return the devices after a history, of which none has heard everything.

    It begins with three admins, so that most of what follows is possible.
    """
    world = World()
    world.state("ada", "founds", "")
    world.state("ada", "adds", "phone")
    world.state("phone", "adds", "desk")
    for name in NAMES:
        world.player(name)
    world.is_apart = True
    for step in history:
        author = world.player(step.who)
        author.hear(world.player(step.hears).heard.values())
        if step.is_forced and not is_honest:
            world.tell(step.who, world.force(step.who, step.verb, step.whom, step.rest))
            continue
        with suppress(ConflictError):
            world.state(step.who, step.verb, step.whom, step.rest)
    return world


def roster_of(statements: list[Statement]) -> Roster:
    return Roster.of(SPACE, PERSON, statements)


@given(histories, st.randoms(use_true_random=False))
def test_the_same_set_is_the_same_roster(
    history: list[Step], dice: random.Random
) -> None:
    """Order and repetition do not matter, nor does hearing it in two parts."""
    world = play(history)
    statements = world.everything()
    shuffled = statements + dice.choices(statements, k=5)
    dice.shuffle(shuffled)
    half = dice.randrange(len(shuffled))

    assert roster_of(shuffled) == world.roster()
    in_parts = roster_of(shuffled[:half]).statements
    assert roster_of([*shuffled[half:], *in_parts, *shuffled[:half]]) == world.roster()


@given(histories)
def test_rosters_follow_the_rules_as_they_are_written(history: list[Step]) -> None:
    """A plain reading of the rules comes to the same members and the same void ones."""
    roster = play(history).roster()
    model = Model(Anchor(SPACE, PERSON))

    everything = play(history).everything()
    in_order = [
        *roster.statements,
        *(e for e in everything if e.hash in roster.refused),
    ]
    accepted = model.accept(in_order)

    assert {each.hash for each in accepted} == roster.hashes
    assert dict(model.members(accepted)) == dict(roster.members)
    fallen = accepted - model.standing(accepted)
    assert {each.hash for each in fallen} == roster.void


@given(histories, st.randoms(use_true_random=False))
def test_what_hangs_in_the_air_waits(history: list[Step], dice: random.Random) -> None:
    """A part of a set means what its closed part means; the rest waits, named."""
    statements = play(history).everything()
    part = dice.sample(statements, dice.randrange(len(statements) + 1))
    roster = roster_of(part)
    closed = [each for each in part if each.hash not in roster.waiting]

    hashes = {each.hash for each in part}
    assert all(parent in hashes for each in closed for parent in each.parents)
    assert replace(roster, waiting=frozenset(), missing=frozenset()) == roster_of(
        closed
    )
    assert not roster.missing & hashes
    assert bool(roster.missing) == bool(roster.waiting)


@given(histories, histories)
def test_removal_is_final(history: list[Step], later: list[Step]) -> None:
    """Nothing that is stated by those who have heard of a removal undoes it."""
    world = play(history)
    before = world.roster()
    removed = {each for each, member in before.members.items() if member.is_removed}
    world.together()
    world.is_apart = True
    for step in later:
        world.player(step.who).hear(world.player(step.hears).heard.values())
        world.tell(step.who, world.force(step.who, step.verb, step.whom, step.rest))
    after = world.roster()

    assert {each for each in removed if after.members[each].is_removed} == removed


@given(histories)
def test_no_removed_device_reads_on(history: list[Step]) -> None:
    """Nobody but a reader opens the present epoch, or the roster asks for a new one.

    Who left, and has all that was ever stated, is no exception; and who is to read and
    needs no grant can read.
    """
    world = play(history, is_honest=True)
    roster = world.roster()
    able = set()
    for player in world.players.values():
        if player.keys is not None:
            keys = roster.unlock_epochs(player.identity, player.keys)
            if keys.epoch(roster.present_epoch) is not None:
                able.add(player.identity.device)

    reading = {each for each in roster.members if roster.may_read(each)}
    assert able <= reading or roster.needs_rotation
    assert reading - roster.ungranted <= able


@given(histories)
def test_one_rotation_and_grants_are_enough(history: list[Step]) -> None:
    """Whatever happened, the senior admin can set keys right with what it may state."""
    world = play(history, is_honest=True)
    world.together()
    roster = world.roster()
    admins = [each for each in roster.ranked if roster.members[each].may_admit]
    holders = roster.epochs[roster.present_epoch].holders
    able = [name for name in NAMES if device(name).device in set(admins) & holders]
    if not able:
        return
    if roster.needs_rotation:
        world.state(able[0], "rotates", "")
    for name in NAMES:
        if device(name).device in world.roster().ungranted:
            world.state(able[0], "grants", name)

    assert not world.roster().needs_rotation
    assert not world.roster().ungranted


@settings(max_examples=30)
@given(histories, names, st.sampled_from(VERBS), names)
def test_without_authority_nothing_changes(
    history: list[Step], who: str, verb: str, whom: str
) -> None:
    """What is refused leaves the roster as it is, and so does all that builds on it."""
    world = play(history)
    world.together()
    before = world.roster()
    if before.may_write(device(who).device):
        return
    forced = world.force(who, verb, whom, "relay" if verb == "adds" else "7")
    after = before.joined_with((forced,))

    if verb != "enrols" or before.member(device(who).device) is not None:
        assert forced.hash in after.refused
        assert (after.members, after.epochs) == (before.members, before.epochs)
        assert after.fingerprint == before.fingerprint
