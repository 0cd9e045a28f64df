"""Keys that a roster hands over, and those that somebody only pretends to."""

import msgspec

from crdt.roster_epochs import seal_epoch_key, wrap_epoch_key
from crdt.roster_writing import grant
from crdt.space_keys import EpochKey, SpaceKeys, epoch_key
from crdt.statement import decode_statement, sign_statement
from crdt.statement_kinds import Epoch, Grant, Rotate
from tests.support.roster_language import KEYS, SPACE, World, device, tell

TWO = """
    ada founds
    ada adds phone
"""


def held_by(world: World, name: str) -> SpaceKeys:
    """Return the keys of a device that has heard everything."""
    keys = world.player(name).keys
    assert keys is not None
    return keys


def rotation_by_hand(world: World, false: EpochKey) -> EpochKey:
    """Let ada begin an epoch of which phone is given `false` in place of its key."""
    new = epoch_key(world.secret())
    author = world.player("ada")
    sealed = {
        each: msgspec.structs.replace(false, id=new.id) if each == "phone" else new
        for each in ("ada", "phone")
    }
    rows = sorted(
        (device(name).device, seal_epoch_key(SPACE, key, device(name).hpke_key))
        for name, key in sealed.items()
    )
    previous = ((KEYS.present_epoch.id, wrap_epoch_key(new, epoch_key(bytes(32)))),)
    body = Rotate(Epoch(new.id, tuple(rows), previous))
    signing = author.identity.signing_key()
    world.tell("ada", sign_statement(SPACE, signing, author.roster.heads, body))
    return new


def test_a_key_that_does_not_fit_its_id_is_none() -> None:
    """Who is sealed rubbish lacks the epoch, and is helped by a grant of anybody."""
    world = tell(TWO + "phone adds desk\n ada removes desk")
    new = rotation_by_hand(world, epoch_key(b"\1" * 32))
    present = world.roster().present_epoch

    assert (new.id, present) == (present, new.id)
    assert held_by(world, "phone").epoch(new.id) is None
    assert held_by(world, "ada").present_epoch == new
    world.state("ada", "grants", "phone")
    assert held_by(world, "phone").present_epoch == new


def test_what_opens_to_another_key_is_not_taken_on_the_way_back() -> None:
    """A wrapped key that does not fit its id is passed over."""
    world = tell(TWO)
    new = rotation_by_hand(world, epoch_key(b"\1" * 32))
    only_new = msgspec.structs.replace(KEYS, epochs=(new,))

    unlocked = world.roster().unlock_epochs(device("desk"), only_new)

    assert unlocked.epochs == (new,)


def test_one_key_leads_to_all_before() -> None:
    """A device that is granted the present key alone opens all epochs, in order."""
    world = tell(TWO + "ada rotates\n ada removes phone\n desk enrols\n ada rotates")
    ada = held_by(world, "ada")
    roster = world.roster()
    granted = decode_statement(grant(roster, device("ada"), ada, device("desk").device))
    body = granted.body

    assert isinstance(body, Grant)
    assert [key_id for key_id, _ in body.keys] == [roster.present_epoch]
    first = msgspec.structs.replace(KEYS, epochs=ada.epochs[-1:])
    unlocked = roster.unlock_epochs(device("desk"), first)
    assert {each.id for each in unlocked.epochs} == set(roster.epochs)
    assert unlocked.epochs == ada.epochs
    assert unlocked.present_epoch.id == roster.present_epoch


def test_epochs_of_statements_that_fell_are_opened_too() -> None:
    """Envelopes may be sealed under them; they are handed on with the present one."""
    world = tell(
        TWO
        + """
        ada adds desk
        apart
        ada removes phone
        phone removes desk
        together
        """
    )
    roster = world.roster()

    assert len(roster.epochs) == 3
    assert len(held_by(world, "ada").epochs) == 3
    assert held_by(world, "ada").present_epoch.id == roster.present_epoch
    statement = grant(
        roster, device("ada"), held_by(world, "ada"), device("desk").device
    )
    body = decode_statement(statement).body
    assert isinstance(body, Grant)
    assert len(body.keys) == 2
