"""A circle as it is shown: values of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from consensus.rule import Preset
from crdt.ids import AuthorKey, CircleId
from daemon.circles.health import CircleHealth


@dataclass(frozen=True, slots=True)
class MemberView:
    """A person who is or was in the circle."""

    author: AuthorKey
    alias: str
    is_me: bool
    role: Literal["founder", "admin", "member"]
    inviter: AuthorKey | None
    is_vouched: bool
    state: Literal["member", "left", "removed"]
    links: int
    """Links with this person's devices."""
    devices: int
    contributions: int


@dataclass(frozen=True, slots=True)
class CircleView:
    """A circle as this device knows it."""

    id: CircleId
    name: str
    preset: Preset
    state: Literal["active", "left", "removed"]
    author: AuthorKey
    """The person's pseudonym in it."""
    members: Sequence[MemberView]
    contributions: int
    votes: int
    fingerprint: bytes
    result_hash: bytes | None
    links: int
    is_in_step: bool
    cause: str | None
    fix: str | None
    sync: CircleHealth = CircleHealth.ALONE
    """How the sets stand, in one word."""

    def member(self, author: AuthorKey) -> MemberView | None:
        """Return somebody who is or was a member."""
        return next((each for each in self.members if each.author == author), None)
