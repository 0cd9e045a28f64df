"""Who invited whom, and so how many voices a set of authors has.

Specification: docs/protocol/consensus.md.

Rule: founders count one each; all whom one branch brought in count two at most. A
branch is a member whom a founder invited or vouched for, with all whom that member
invited, directly or through others, up to the next one whom a founder vouched for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from consensus.contribution import Author
from consensus.rule import OF_A_BRANCH
from crdt.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Invitation:
    """How one member came in."""

    inviter: Author | None
    """None for a founder."""
    is_vouched: bool = False
    """Whether a founder vouched for this member, whoever invited them."""


class InviteTree:
    """The members of a circle; an author of whom nothing is known is a founder."""

    def __init__(self, invitations: Mapping[Author, Invitation]) -> None:
        """Raise `InvalidError` if members are said to have invited each other."""
        self._branches = _branches(invitations)

    def counted(self, authors: Iterable[Author]) -> int:
        """Return how many authors count, of these different ones."""
        branches = Counter(self._branches.get(author) for author in authors)
        founders = branches.pop(None, 0)
        return founders + sum(min(OF_A_BRANCH, size) for size in branches.values())


def _branches(invitations: Mapping[Author, Invitation]) -> dict[Author, Author]:
    """Return the first member of the branch of each member who is no founder."""
    found: dict[Author, Author] = {}
    for author in invitations:
        path: dict[Author, None] = {}
        here = author
        head: Author | None = None
        while head is None:
            if here in path:
                raise InvalidError("inviter", "members cannot have invited each other")
            invitation = invitations.get(here, _FOUNDER)
            if invitation.inviter is None:
                break
            path[here] = None
            head = here if invitation.is_vouched else found.get(here)
            here = invitation.inviter
        if path:
            # Without a branch up to a founder: whom the founder invited begins one.
            found.update(dict.fromkeys(path, head or next(reversed(path))))
    return found


_FOUNDER: Final = Invitation(inviter=None)
