"""Routes of circles: founding, inviting, joining, members, leaving."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from consensus.rule import Preset
from crdt.errors import InvalidError
from crdt.ids import AuthorKey
from daemon.api import circle_shapes as shapes
from daemon.api.routing import Call, json_response
from daemon.circles.ports import JoinedCircle
from daemon.circles.view import CircleView, MemberView
from daemon.interchange.timestamps import format_time

_ONE = 10_000


async def post_circle(call: Call) -> web.Response:
    """Found a circle."""
    content: shapes.CircleContent = call.body
    preset = Preset[content.preset.upper()]
    circle = await call.service.circles.found(content.name, preset, content.alias)
    return json_response(await circle_document(call, circle), HTTPStatus.CREATED)


async def list_circles(call: Call) -> web.Response:
    """Answer every circle that this person is or was in."""
    found = await circle_documents(call)
    found.sort(key=lambda each: (each.state != "active", each.name, each.id))
    return json_response(shapes.CircleList(found))


async def get_circle(call: Call) -> web.Response:
    """Answer one circle."""
    return json_response(await circle_document(call, circle_of(call)))


async def leave_circle(call: Call) -> web.Response:
    """Leave a circle for good; what was published takes no part any more."""
    circle = circle_of(call)
    await circle.leave()
    return json_response(await circle_document(call, circle))


async def post_invite(call: Call) -> web.Response:
    """Invite into a circle."""
    content: shapes.InviteContent = call.body
    ticket, expires_ms = await circle_of(call).invite(
        content.uses, content.valid_seconds
    )
    document = shapes.InviteDocument(ticket, format_time(expires_ms), content.uses)
    return json_response(document, HTTPStatus.CREATED)


async def join_circle(call: Call) -> web.Response:
    """Join the circle that a ticket is for."""
    content: shapes.JoinCircleContent = call.body
    circle = await call.service.circles.join(content.ticket, content.alias)
    return json_response(await circle_document(call, circle), HTTPStatus.CREATED)


async def delete_member(call: Call) -> web.Response:
    """Remove somebody for good; named themselves, a person leaves."""
    circle = circle_of(call)
    person = _person(call)
    if person == circle.records.author:
        await circle.leave()
    else:
        await circle.remove(person)
    return json_response(await circle_document(call, circle))


async def post_vouch(call: Call) -> web.Response:
    """Vouch for a member, who begins a branch of their own from then on."""
    circle = circle_of(call)
    await circle.vouch(_person(call))
    return json_response(await circle_document(call, circle))


def circle_of(call: Call) -> JoinedCircle:
    """Return the circle that the path names, or raise `NotFoundError`."""
    return call.service.circles.circle(call.path["id"])


async def circle_documents(call: Call) -> list[shapes.CircleDocument]:
    """Return every circle that this person is or was in, as the API shows it."""
    return [await circle_document(call, each) for each in call.service.circles.all()]


async def circle_document(call: Call, circle: JoinedCircle) -> shapes.CircleDocument:
    """Return a circle as the API shows it."""
    view = circle.overview()
    me = view.member(view.author)
    live = await call.service.bridge.live(view.id, view.fingerprint)
    return shapes.CircleDocument(
        id=view.id.hex(),
        name=view.name,
        state=view.state,
        preset="strict" if view.preset is Preset.STRICT else "broad",
        mode="blind",
        threshold=view.preset.value.join / _ONE,
        me=view.author.hex(),
        alias="" if me is None else me.alias,
        is_admin=me is not None and me.role != "member" and me.state == "member",
        counts=_counts(call, view, live),
        fingerprint=view.fingerprint.hex(),
        result_hash=None if view.result_hash is None else view.result_hash.hex(),
        links=view.links,
        in_step=view.is_in_step,
        cause=view.cause,
        fix=view.fix,
        checks=_checks(call, view),
        members=[
            _member_document(each, live.get(each.author, 0))
            for each in sorted(
                view.members, key=lambda each: (each.state != "member", each.alias)
            )
        ],
    )


def _checks(call: Call, view: CircleView) -> shapes.ChecksDocument:
    checks = call.service.checks(view.id)
    return shapes.ChecksDocument(
        state=checks.state.value,
        unchecked=checks.unchecked,
        forged=checks.forged,
        cause=checks.cause,
    )


def _counts(
    call: Call, view: CircleView, live: Mapping[AuthorKey, int]
) -> shapes.CountsDocument:
    present = [each.author for each in view.members if each.state == "member"]
    known = call.service.bridge.known(view.id)
    return shapes.CountsDocument(
        members=len(present),
        contributions=sum(live.get(author, 0) for author in present),
        mine=live.get(view.author, 0),
        votes=view.votes,
        consensus=None if known is None else len(known),
    )


def _member_document(member: MemberView, contributions: int) -> shapes.MemberDocument:
    return shapes.MemberDocument(
        id=member.author.hex(),
        alias=member.alias,
        is_me=member.is_me,
        role=member.role,
        inviter=None if member.inviter is None else member.inviter.hex(),
        vouched=member.is_vouched,
        state=member.state,
        online=member.links > 0,
        devices=member.devices,
        contributions=contributions,
    )


def _person(call: Call) -> AuthorKey:
    """Return the member whom the path names by id."""
    text = call.path["person"]
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise InvalidError("person", "must be the 64 hex digits of a member's id")
    return AuthorKey(found)
