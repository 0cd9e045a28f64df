"""A circle as it is shown: who is in it, what it holds, how it stands and why."""

from typing import Final, Literal

from consensus.rule import Preset
from crdt.circle_items import ItemKind
from crdt.circle_roster import circle_name, circle_preset, founding_of, person
from crdt.ids import AuthorKey
from crdt.roster_rules import Member
from daemon.circles.health import CircleHealth, Facts, Health, health
from daemon.circles.records import CircleRecords
from daemon.circles.taking_part import TakingPart
from daemon.circles.view import CircleView, MemberView
from transport.circle_actions import CircleEnd

PRESETS: Final = {preset.value.byte: preset for preset in Preset}


def circle_view(
    records: CircleRecords,
    part: TakingPart,
    result_hash: bytes | None,
    *,
    is_left: bool,
) -> CircleView:
    """Return a circle as this device knows it; `is_left` by this person's own word."""
    found = circle_health(records, part, is_left=is_left)
    roster = records.roster
    founder = founding_of(roster).author_key
    own = person(roster, records.author)
    is_removed = own is not None and own.is_removed
    return CircleView(
        id=records.circle,
        name=circle_name(roster),
        preset=PRESETS[circle_preset(roster)],
        state="left" if is_left else "removed" if is_removed else "active",
        author=records.author,
        members=[
            _member_view(records, part, member, founder)
            for member in roster.members.values()
        ],
        contributions=records.count(ItemKind.CONTRIBUTION),
        votes=records.count(ItemKind.VOTE),
        fingerprint=records.fingerprint(ItemKind.CONTRIBUTION),
        result_hash=result_hash,
        links=len(part.talking.peers),
        is_in_step=found.state is CircleHealth.SYNCED,
        cause=found.cause,
        fix=found.fix,
        sync=found.state,
    )


def circle_health(records: CircleRecords, part: TakingPart, *, is_left: bool) -> Health:
    """Return how a circle stands, and why."""
    own = person(records.roster, records.author)
    return health(
        Facts(
            has_left=is_left,
            is_removed=own is not None and own.is_removed,
            is_paused=part.is_paused,
            others=len(records.members - {records.author}),
            devices=len(part.known.keys() - {records.identity.device.device}),
            talks=part.talking.talks,
            lacks_key=records.membership.present_epoch is None,
            do_results_differ=part.do_results_differ,
            is_disk_full=part.talking.last_end is CircleEnd.DISK_FULL,
            last_end=part.talking.last_end,
        )
    )


def _member_view(
    records: CircleRecords, part: TakingPart, member: Member, founder: bytes
) -> MemberView:
    author = AuthorKey(member.public_key)
    inviter = None if member.inviter is None else records.roster.member(member.inviter)
    devices = [each.device for each in part.known.values() if each.author == author]
    is_founder, is_admin = author == founder, member.may_admit
    return MemberView(
        author=author,
        alias=member.name,
        is_me=author == records.author,
        role="founder" if is_founder else "admin" if is_admin else "member",
        inviter=None if inviter is None else AuthorKey(inviter.public_key),
        is_vouched=member.is_vouched,
        state=_state(member),
        links=sum(device in part.talking.peers for device in devices),
        devices=len(devices),
        contributions=records.count_of(author),
    )


def _state(member: Member) -> Literal["member", "left", "removed"]:
    if not member.is_removed:
        return "member"
    return "left" if member.has_left else "removed"
