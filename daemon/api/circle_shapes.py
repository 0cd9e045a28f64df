"""Circles and their members as documents."""

from typing import Annotated, Literal

import msgspec

from daemon.api.shapes import Request


class CircleContent(Request, frozen=True):
    """A circle to found."""

    name: str
    preset: Literal["strict", "broad"] = "strict"
    """How close is close enough, for good: `broad` lets looser groups resonate."""
    alias: str | None = None
    """What members call this person; by default made from the pseudonym."""


class InviteContent(Request, frozen=True):
    """For how many and how long an invitation holds."""

    uses: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    valid_seconds: Annotated[int, msgspec.Meta(ge=60, le=2_592_000)] = 604_800


class JoinCircleContent(Request, frozen=True):
    """A ticket that a member gave."""

    ticket: Annotated[str, msgspec.Meta(max_length=8192)]
    alias: str | None = None


class InviteDocument(msgspec.Struct, frozen=True):
    """An invitation, to be given to whom it is for and nobody else."""

    ticket: str
    expires_at: str
    uses: int


class MemberDocument(msgspec.Struct, frozen=True):
    """A person in a circle, under the pseudonym of that circle."""

    id: str
    alias: str
    is_me: bool
    role: Literal["founder", "admin", "member"]
    inviter: str | None
    """Who let this person in; null for the founder."""
    vouched: bool
    """Whether a founder vouched for this person, who so begins a branch."""
    state: Literal["member", "left", "removed"]
    online: bool
    """Whether a device of this person is linked with this one now."""
    devices: int
    """Devices of this person that told where they are."""
    contributions: int
    """Texts of this person that members can read."""


class CountsDocument(msgspec.Struct, frozen=True):
    """How much there is."""

    members: int
    contributions: int
    mine: int
    """Of the contributions, those of this person."""
    votes: int
    consensus: int | None
    """Consensus nodes when they were last worked out; null before."""


class ChecksDocument(msgspec.Struct, frozen=True):
    """Whether vectors are those of their texts, as far as this device knows."""

    state: Literal["off", "checking", "done"]
    """`off` while there is no model here that could tell."""
    unchecked: int
    """Contributions of which this device does not know, by other models for one."""
    forged: int
    """Contributions that it let go of since it was started."""
    cause: str | None


class CircleDocument(msgspec.Struct, frozen=True):
    """A circle as this device knows it."""

    id: str
    name: str
    state: Literal["active", "left", "removed"]
    """Whether this person takes part."""
    preset: Literal["strict", "broad"]
    mode: Literal["blind", "open"]
    """`blind`: no relay can read anything of it."""
    threshold: float
    """Resonance with others from which a thought is published if that was asked for."""
    me: str
    alias: str
    is_admin: bool
    """Whether this person may remove members and vouch for them."""
    counts: CountsDocument
    fingerprint: str
    """Of the set of contributions: equal on two devices that hold the same."""
    result_hash: str | None
    """Of the consensus when it was last worked out; null before."""
    links: int
    """Devices of the circle that this one is linked with."""
    in_step: bool
    """Whether all of these hold the same as this one."""
    cause: str | None
    fix: str | None
    checks: ChecksDocument
    members: list[MemberDocument]
    """Those who left or were removed come last."""


class CircleList(msgspec.Struct, frozen=True):
    """The circles of this person, those left last."""

    items: list[CircleDocument]
    next: None = None
