"""Who may state what about whom, and what stands when statements cross."""

import pytest

from tests.support.roster_language import tell

HOUSEHOLD = """
    ada founds
    ada adds phone
    phone adds desk as writer
    ada adds book as reader
    ada adds nas as relay
"""


@pytest.mark.parametrize(
    "lines",
    [
        # Every admin may add and remove.
        """
        in: ada phone desk book nas
        phone removes ada
        out: ada
        phone, desk, book can read
        ada, nas cannot read
        no rotation needed
        """,
        # Writers and readers may not, relays least of all.
        """
        desk adds eve, refused: its author may not state this
        book removes desk, refused: its author may not state this
        nas rotates, refused: its author may not state this
        desk grants book, refused: its author may not state this
        nas renames ada to mine, refused: its author may not state this
        """,
        # Each device chooses its own name, and admins choose all.
        """
        nas renames nas to attic
        phone renames desk to table
        in: ada phone table book attic
        ada renames eve to adam, refused: no such device belongs to this space
        """,
        # Strangers may nothing, not even with a person's word: it is another person's.
        """
        eve adds mallory, refused: its author is no device of this space
        eve renames ada to mine, refused: its author is no device of this space
        eve enrols, refused: another person vouches for the device
        """,
        # Who was removed may nothing, and never comes back.
        """
        ada removes phone
        phone adds tablet, refused: its author was removed
        phone renames phone to me, refused: its author was removed
        ada adds phone, refused: the device is or was in the roster, and none comes back
        phone enrols, refused: the device is or was in the roster, and none comes back
        ada adds desk, refused: the device is or was in the roster, and none comes back
        """,
        # Nobody removes themselves, strangers or the removed.
        """
        ada removes ada, refused: a device cannot remove itself; use another one
        ada removes eve, refused: no such device belongs to this space
        ada removes phone
        ada removes phone, refused: no such device belongs to this space
        """,
        # A relay is never given a key.
        """
        ada rotates
        nas cannot read
        ada grants nas, refused: no such device belongs to this space
        """,
        # A device that comes back by its person's word is given the keys it lacks.
        """
        ada rotates
        tablet enrols
        tablet cannot read
        phone grants tablet
        tablet can read
        tablet removes phone
        out: phone
        no rotation needed
        """,
        # No two devices write under one client id, not even one after the other.
        """
        ada adds twin, refused: its client id is or was another device's
        twin enrols, refused: its client id is or was another device's
        ada removes book
        ada adds twin, refused: its client id is or was another device's
        """,
        # A writer that holds more of a removed device's envelopes says so.
        """
        ada removes phone at 3
        envelopes of phone through 3
        desk extends phone to 5
        envelopes of phone through 5
        ada extends phone to 5, refused: as much of the device is accepted already
        ada extends desk to 5, refused: the device was not removed
        ada extends eve to 5, refused: no such device belongs to this space
        book extends phone to 9, refused: its author may not state this
        nas extends phone to 9, refused: its author may not state this
        phone extends phone to 9, refused: its author was removed
        """,
    ],
)
def test_authority(lines: str) -> None:
    """Each may state what the role allows, and what others state is refused."""
    tell(HOUSEHOLD + lines)


@pytest.mark.parametrize(
    "lines",
    [
        # What a device states while others remove it has no effect.
        """
        apart
        ada removes phone
        phone adds tablet
        phone removes desk
        together
        in: ada desk book nas
        out: phone tablet
        void: 2
        """,
        # Nor has what those state whom it added.
        """
        apart
        phone adds tablet
        tablet adds watch
        watch removes desk
        ada removes phone
        together
        in: ada desk book nas
        out: phone tablet watch
        void: 3
        """,
        # What it stated before others removed it stands.
        """
        phone adds tablet
        ada removes phone
        in: ada desk book nas tablet
        void: 0
        """,
        # Of two who remove each other the senior stays.
        """
        apart
        ada removes phone
        phone removes ada
        together
        in: ada desk book nas
        out: phone
        void: 1
        phone cannot read
        no rotation needed
        """,
        # Whoever knew of the removal and goes on has no effect either.
        """
        apart
        phone removes ada
        phone renames desk to table
        ada removes phone
        ada renames book to page
        together
        in: ada desk page nas
        void: 2
        """,
        # Concurrent removals of others both stand; their keys are then known to one
        # who left, until somebody begins a new epoch.
        """
        ada adds tablet
        apart
        ada removes desk
        phone removes book
        together
        out: desk book
        void: 0
        rotation needed
        tablet rotates
        no rotation needed
        ada, phone, tablet can read
        desk, book cannot read
        """,
        # A new epoch is the present one though somebody still has to be given it.
        """
        apart
        phone adds tablet
        ada rotates
        together
        tablet cannot read
        ada grants tablet
        tablet can read
        """,
        # An epoch that who left can open loses to one that they cannot, even if others
        # have to be given that one first.
        """
        apart
        ada removes desk
        phone adds tablet
        phone rotates
        together
        no rotation needed
        desk, tablet cannot read
        ada grants tablet
        tablet can read
        """,
        # Two removals of one device agree; the more generous cut counts.
        """
        apart
        ada removes desk at 4
        phone removes desk at 6
        together
        out: desk
        envelopes of desk through 6
        no rotation needed
        ada, phone, book can read
        """,
        # Who removed somebody while being removed did not: it may have been a thief.
        """
        ada adds tablet
        apart
        tablet removes phone
        ada removes tablet
        together
        in: ada phone desk book nas
        out: tablet
        """,
        # In a ring of three the removal by the most junior falls, and the rest follows.
        """
        phone adds tablet
        apart
        ada removes phone
        phone removes tablet
        tablet removes ada
        together
        in: ada desk book nas tablet
        out: phone
        void: 2
        """,
        # A device that was added while the key changed gets it when that is heard.
        """
        apart
        phone adds tablet
        ada removes desk
        together
        tablet cannot read
        desk cannot read
        phone grants tablet
        tablet can read
        no rotation needed
        """,
        # What a device wrote that only a removed one had added can still be accepted.
        """
        apart
        phone adds tablet as writer
        desk hears phone
        ada removes phone
        together
        out: phone tablet
        envelopes of tablet through 0
        desk extends tablet to 4
        envelopes of tablet through 4
        """,
        # An extension by one who is removed meanwhile has no effect.
        """
        ada removes phone at 3
        apart
        desk extends phone to 8
        ada removes desk
        together
        envelopes of phone through 3
        """,
        # No device makes itself more senior by founding the roster once more.
        """
        ada renames phone to handy
        tablet enrols
        apart
        tablet founds
        tablet removes phone
        phone removes tablet
        together
        in: ada handy desk book nas
        out: tablet
        """,
        # Two devices found one space: from one old backup, say. They are one roster.
        """
        tablet founds
        in: ada phone desk book nas tablet
        ada removes tablet
        out: tablet
        """,
    ],
)
def test_statements_that_cross(lines: str) -> None:
    """Whatever order they come in, the same statements stand on every device."""
    tell(HOUSEHOLD + lines)


def test_of_two_with_one_client_id_the_first_stays() -> None:
    """Added at once by two devices, the one with fewer statements before it is in.

    If that one falls for another reason, the other is in.
    """
    clash = """
        ada founds
        ada adds phone
        apart
        phone adds book
        ada renames ada to desk
        ada adds twin
    """
    tell(
        clash
        + """
        together
        in: desk phone book
        out: twin
        void: 1
        rotation needed
    """
    )
    tell(
        clash
        + """
        ada removes phone
        together
        in: desk twin
        out: phone book
        no rotation needed
    """
    )
