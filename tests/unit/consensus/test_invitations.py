"""Whoever invites others gains no voices beyond two of a branch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.invitations import Invitation, InviteTree
from crdt.errors import InvalidError
from tests.support.contributions import author


def tree(*said: tuple[int, int | None, bool]) -> InviteTree:
    """Return a tree of (member, inviter, vouched for)."""
    return InviteTree(
        {
            author(member): Invitation(
                None if inviter is None else author(inviter), is_vouched=vouched
            )
            for member, inviter, vouched in said
        }
    )


@pytest.mark.parametrize(
    ("said", "authors", "counted"),
    [
        ([], [0, 1, 2, 3], 4),
        ([(0, None, False), (1, None, False)], [0, 1], 2),
        ([(1, 0, False)], [0, 1], 2),
        ([(1, 0, False), (2, 0, False), (3, 0, False)], [1, 2, 3], 3),
        ([(1, 0, False), (2, 1, False), (3, 1, False)], [1, 2, 3], 2),
        ([(1, 0, False), (2, 1, False), (3, 2, False)], [0, 1, 2, 3], 3),
        ([(1, 0, False), (2, 1, False), (3, 2, True)], [1, 2, 3], 3),
        ([(3, 2, True), (2, 1, False), (1, 0, False), (4, 3, False)], [1, 2, 3, 4], 4),
        ([(1, 0, True), (0, None, True)], [0, 1], 2),
    ],
)
def test_authors_count_by_their_branches(
    said: list[tuple[int, int | None, bool]], authors: list[int], counted: int
) -> None:
    """Founders count one each, each branch two at most, a vouched one is a branch."""
    assert tree(*said).counted(map(author, authors)) == counted


@given(st.data())
def test_no_branch_counts_more_than_two(data: st.DataObject) -> None:
    """However deep and wide, all below one member are two voices at most."""
    count = data.draw(st.integers(1, 40))
    inviters = [data.draw(st.integers(1, member)) for member in range(1, count)]
    puppets = tree(
        (1, 0, False),
        *((member + 1, inviter, False) for member, inviter in enumerate(inviters, 1)),
    )

    counted = puppets.counted(map(author, range(1, count + 1)))

    assert counted == min(2, count)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_nobody_invites_themselves(length: int) -> None:
    """Members that have invited each other come from nowhere."""
    with pytest.raises(InvalidError):
        tree(*((each, (each + 1) % length, False) for each in range(length)))
