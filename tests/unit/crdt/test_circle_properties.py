"""Laws of circles, tried on histories in which persons state anything at all."""

import random
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.circle_duties import DutyKind, duties
from crdt.circle_roster import invitations, present_members
from crdt.errors import ConflictError
from crdt.ids import AuthorKey
from crdt.keys import device_id
from crdt.roster import Roster
from crdt.roster_rules import CircleAnchor
from crdt.statement import Statement
from crdt.statement_kinds import Leave, Remove
from tests.support.circle_people import Circle
from tests.support.roster_model import Model

NAMES = ("ada", "bob", "cleo", "dan", "eve")
VERBS = (
    "invites",
    "invites",
    "removes",
    "removes",
    "leaves",
    "rotates",
    "grants",
    "vouches",
    "renames",
)


class Step(NamedTuple):
    """A person hears another, then states something; `is_forced` if they may or not."""

    who: str
    verb: str
    whom: str
    is_admin: bool
    hears: str
    is_forced: bool

    @property
    def rest(self) -> str:
        """The role to give, or the alias to take."""
        if self.verb == "invites":
            return "admin" if self.is_admin else "writer"
        return self.hears


names = st.sampled_from(NAMES)
steps = st.builds(
    Step, names, st.sampled_from(VERBS), names, st.booleans(), names, st.booleans()
)
histories = st.lists(steps, max_size=14)


def play(history: list[Step], *, is_honest: bool = False) -> Circle:
    """Return a circle after a history, of which nobody has heard everything.

    It begins with ada, an admin bob and a writer cleo.
    """
    circle = Circle()
    circle.say("ada", "invites", "bob", "admin")
    circle.say("ada", "invites", "cleo")
    for name in NAMES:
        circle.membership(name)
    circle.settle()
    circle.is_apart = True
    play_on(circle, history, is_honest=is_honest)
    return circle


def play_on(circle: Circle, history: list[Step], *, is_honest: bool = False) -> None:
    """Let persons state more."""
    for step in history:
        heard = circle.membership(step.hears).statements.values()
        circle.hear(step.who, [each.encoded for each in heard])
        if step.is_forced and not is_honest:
            circle.force(step.who, step.verb, step.whom, step.rest)
            continue
        with suppress(ConflictError):
            circle.say(step.who, step.verb, step.whom, step.rest)


def roster_of(circle: Circle, statements: list[Statement]) -> Roster:
    return Roster.about(CircleAnchor(circle.id, circle.founding.space), statements)


def named(circle: Circle, authors: tuple[AuthorKey, ...]) -> set[str]:
    return {name for name in NAMES if circle.key(name) in authors}


@settings(max_examples=40)
@given(histories, st.randoms(use_true_random=False))
def test_the_same_set_is_the_same_circle(
    history: list[Step], dice: random.Random
) -> None:
    """Order and repetition do not matter, nor does hearing it in two parts."""
    circle = play(history)
    statements = circle.everything()
    shuffled = statements + dice.choices(statements, k=5)
    dice.shuffle(shuffled)
    half = dice.randrange(len(shuffled))

    assert roster_of(circle, shuffled) == circle.roster()
    first = roster_of(circle, shuffled[:half]).statements
    parts = [*shuffled[half:], *first, *shuffled[:half]]
    assert roster_of(circle, parts) == circle.roster()


@settings(max_examples=40)
@given(histories)
def test_circles_follow_the_rules_as_they_are_written(history: list[Step]) -> None:
    """A plain reading of the rules comes to the same members and the same void ones."""
    circle = play(history)
    roster = circle.roster()
    model = Model(roster.anchor)

    accepted = model.accept(list(roster.statements))

    assert {each.hash for each in accepted} == roster.hashes
    assert dict(model.members(accepted)) == dict(roster.members)
    fallen = accepted - model.standing(accepted)
    assert {each.hash for each in fallen} == roster.void


@settings(max_examples=40)
@given(histories)
def test_inviters_lead_to_the_founder(history: list[Step]) -> None:
    """Nobody was invited by those whom they invited, directly or through others."""
    circle = play(history)
    invited = invitations(circle.roster())

    for author in invited:
        line = [author]
        while (inviter := invited[line[-1]].inviter) is not None:
            assert inviter not in line
            line.append(inviter)
        assert line[-1] == circle.key("ada")


@settings(max_examples=40)
@given(histories, st.randoms(use_true_random=False))
def test_a_crowded_circle_is_the_same_in_any_order(
    history: list[Step], dice: random.Random
) -> None:
    """With room for three there are never more, and all see the same three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crdt.roster_history.MAX_PERSONS", 3)
        patch.setattr("crdt.circle_rules.MAX_PERSONS", 3)
        circle = play(history)
        shuffled = circle.everything()
        dice.shuffle(shuffled)
        roster = circle.roster()

        assert roster_of(circle, shuffled) == roster
        assert len(roster.ranked) <= 3
        circle.together()
        for name in NAMES:
            heard = circle.membership(name).roster
            assert heard.fingerprint == roster.fingerprint
            assert (heard.members, heard.void) == (roster.members, roster.void)


@settings(max_examples=40)
@given(histories, histories)
def test_who_is_gone_never_comes_back(history: list[Step], later: list[Step]) -> None:
    """Nothing that is stated by those who have heard that somebody went undoes it."""
    circle = play(history)
    circle.together()
    before = circle.roster()
    gone = {each for each, member in before.members.items() if member.is_removed}

    play_on(circle, later)

    after = circle.roster()
    assert gone <= {each for each, member in after.members.items() if member.is_removed}


@settings(max_examples=40)
@given(histories)
def test_only_admins_remove_and_vouch(history: list[Step]) -> None:
    """Whoever is removed was so by an admin, or left; whoever is vouched for, too."""
    circle = play(history)
    roster = circle.roster()
    standing = [each for each in roster.statements if each.hash not in roster.void]
    removed = {
        each.body.device: each.author
        for each in standing
        if isinstance(each.body, Remove)
    }

    for member in roster.members.values():
        if member.is_removed and not member.has_left:
            assert roster.members[removed[member.device]].role == "admin"
        assert not member.has_left or member.is_removed


@settings(max_examples=40)
@given(histories)
def test_duties_give_the_key_to_those_who_are_there_and_nobody_else(
    history: list[Step],
) -> None:
    """After all did what they should, who is in the circle opens its key, others not.

    It takes at most a new epoch and a grant for each. Where nobody is left there is
    nobody to do it.
    """
    circle = play(history, is_honest=True)

    said = circle.settle()

    roster = circle.roster()
    there = named(circle, present_members(roster))
    assert not there or not roster.needs_rotation
    assert not roster.ungranted
    assert {name for name in NAMES if circle.opens(name)} == there
    assert said <= 1 + len(there)


@settings(max_examples=40)
@given(histories)
def test_one_who_is_there_goes_first(history: list[Step]) -> None:
    """Of those who know the same, each duty has exactly one who is to do it now."""
    circle = play(history, is_honest=True)
    circle.together()
    there = named(circle, present_members(circle.roster()))

    first = [
        (duty.kind, duty.member)
        for name in NAMES
        for duty in duties(circle.membership(name))
        if duty.turn == 0
    ]

    roster = circle.roster()
    holders = {name for name in there if circle.opens(name)}
    if roster.needs_rotation:
        assert first == ([(DutyKind.ROTATE, None)] if there else [])
    elif holders:
        granted = [(DutyKind.GRANT, each) for each in roster.ungranted]
        assert sorted(first, key=str) == sorted(granted, key=str)


@settings(max_examples=20)
@given(histories)
def test_leaving_is_final(history: list[Step]) -> None:
    """Nobody is in a circle by whom it holds a word that they leave."""
    roster = play(history).roster()

    for each in roster.statements:
        if isinstance(each.body, Leave) and each.author in roster.members:
            assert roster.members[each.author].is_removed


@settings(max_examples=20)
@given(histories)
def test_everybody_has_one_person_in_a_circle(history: list[Step]) -> None:
    """The members are the persons who were invited, each under one key."""
    circle = play(history)

    for device, member in circle.roster().members.items():
        assert device == device_id(member.public_key)
        assert member.public_key in {circle.key(name) for name in NAMES}
