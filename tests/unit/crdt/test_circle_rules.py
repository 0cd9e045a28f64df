"""Which statements about a circle are refused, by what their authors knew."""

import msgspec
import pytest

from crdt.circle_keys import founder_identity
from crdt.errors import ForgedError
from crdt.ids import CircleId, SpaceId
from crdt.keys import SEALED_KEY_BYTES, WRAPPED_KEY_BYTES
from crdt.roster import Fault, Roster
from crdt.roster_rules import CircleAnchor
from crdt.statement import apply_for, sign_statement
from crdt.statement_kinds import (
    Add,
    Body,
    Enrol,
    Epoch,
    ExtendCut,
    Found,
    Grant,
    Leave,
    Remove,
    Role,
    Rotate,
    Vouch,
)
from tests.support.circle_people import SPACE, Circle, person
from tests.support.roster_language import SPACE as ROSTER_SPACE
from tests.support.roster_language import World, device


def test_kinds_of_spaces_and_of_circles_do_not_mix() -> None:
    """Nobody is enrolled or cut in a circle, founds, vouches or leaves in a space."""
    circle = Circle.of("ada", "bob")
    ada, bob = circle.who("ada").author, circle.who("bob").author.device
    heads = circle.roster().heads
    enrolled = device("ada")
    assert enrolled.enrolment is not None
    for author, body in (
        (ada, ExtendCut(bob, 1, bytes(32))),
        (ada, Remove(bob, 1, bytes([1]) * 32, Epoch(bytes(16), (), ()))),
        (enrolled, Enrol(enrolled.enrolment, 1, "x", None)),
    ):
        statement = sign_statement(SPACE, author.signing_key(), heads, body)
        assert circle.roster().fault_of(statement) == Fault.FOREIGN_KIND

    world = World()
    world.state("ada", "founds", "")
    parents = world.roster().heads
    founds = Found("mill", 0, "Ada", bytes(32), Epoch(bytes(16), (), ()))
    for stated, known in ((founds, ()), (Vouch(bob), parents), (Leave(), parents)):
        statement = sign_statement(ROSTER_SPACE, enrolled.signing_key(), known, stated)
        assert world.roster().fault_of(statement) == Fault.FOREIGN_KIND


def fault_of(circle: Circle, body: Body, space: SpaceId = SPACE) -> Fault | None:
    """Return why it is refused that ada states this, knowing all."""
    author = circle.who("ada").author.signing_key()
    roster = circle.roster()
    return roster.fault_of(sign_statement(space, author, roster.heads, body))


def test_keys_are_granted_of_known_epochs_to_those_who_are_there() -> None:
    """Of no other epochs, and to nobody who is gone; nor is such a one vouched for."""
    circle = Circle.of("ada", "bob", "cleo")
    circle.say("cleo", "leaves")
    bob, cleo = (circle.who(name).author.device for name in ("bob", "cleo"))
    key = bytes(SEALED_KEY_BYTES)
    present = circle.roster().present_epoch

    assert fault_of(circle, Grant(bob, ((present, key),))) is None
    assert fault_of(circle, Grant(bob, ((b"?" * 16, key),))) == Fault.UNKNOWN_EPOCH
    assert fault_of(circle, Grant(cleo, ((present, key),))) == Fault.UNKNOWN_PERSON
    assert fault_of(circle, Vouch(cleo)) == Fault.UNKNOWN_PERSON


def test_a_new_epoch_is_for_all_who_are_there_and_for_nobody_else() -> None:
    """It is new, and leads back to none but known ones."""
    circle = Circle.of("ada", "bob")
    ada, bob, eve = (circle.who(name).author.device for name in ("ada", "bob", "eve"))
    sealed = {each: (each, bytes(SEALED_KEY_BYTES)) for each in (ada, bob, eve)}
    both = tuple(sorted((sealed[ada], sealed[bob])))
    way_back = ((b"?" * 16, bytes(WRAPPED_KEY_BYTES)),)

    for recipients in ((sealed[ada],), tuple(sorted(sealed.values()))):
        body = Rotate(Epoch(bytes(16), recipients, ()))
        assert fault_of(circle, body) == Fault.WRONG_RECIPIENTS
    assert fault_of(circle, Rotate(Epoch(bytes(16), both, ()))) is None
    known = Rotate(Epoch(circle.roster().present_epoch, both, ()))
    assert fault_of(circle, known) == Fault.KNOWN_EPOCH
    unknown = Rotate(Epoch(bytes(16), both, way_back))
    assert fault_of(circle, unknown) == Fault.UNKNOWN_EPOCH


def test_a_founder_founds_for_nobody_but_itself() -> None:
    """The first key is sealed to the founder alone, and leads back to none."""
    me = founder_identity(person("ada"), SPACE)
    own = (me.device, bytes(SEALED_KEY_BYTES))
    way_back = ((b"?" * 16, bytes(WRAPPED_KEY_BYTES)),)

    for epoch, fault in (
        (Epoch(bytes(16), (own,), ()), None),
        (Epoch(bytes(16), (), ()), Fault.WRONG_RECIPIENTS),
        (Epoch(bytes(16), ((bytes(16), own[1]), own), ()), Fault.WRONG_RECIPIENTS),
        (Epoch(bytes(16), (own,), way_back), Fault.UNKNOWN_EPOCH),
    ):
        body = Found("mill", 0, "ada", me.hpke_key, epoch)
        founded = sign_statement(SPACE, me.signing_key(), (), body)
        anchor = CircleAnchor(CircleId(founded.hash), SPACE)
        assert Roster.about(anchor, (founded,)).refused.get(founded.hash) == fault


def test_a_statement_says_of_which_circle_it_is() -> None:
    """Neither a statement nor a consent of another space serves for this circle."""
    circle = Circle.of("ada")
    other = SpaceId(bytes(16))
    bob = msgspec.structs.replace(circle.who("bob").author, client_id=7)
    applicant = apply_for(bob, SPACE)
    seven = Add(bob.public_key, bob.hpke_key, 7, "bob", Role.WRITER, applicant.consent)

    assert fault_of(circle, Leave(), other) == Fault.FOREIGN_CIRCLE
    assert fault_of(circle, seven) == Fault.FOREIGN_KIND
    with pytest.raises(ForgedError):
        fault_of(circle, msgspec.structs.replace(seven, client_id=1))
