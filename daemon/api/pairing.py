"""Pairing: inviting a device, and joining with this one while it holds nothing."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web

from crdt.identity import check_name
from crdt.ids import format_id
from daemon.api.problems import ProblemError
from daemon.api.routing import Call, json_response
from daemon.api.shapes import Request
from daemon.api.state import NamedId
from daemon.interchange.timestamps import format_time
from daemon.joining import PairingLostError
from daemon.pairing import Standing
from daemon.qr_code import svg
from transport.addresses import parse_address
from transport.pairing_code import parse_link

MAX_WAIT_SECONDS: Final = 30


class Opened(msgspec.Struct, frozen=True):
    """An invitation that was just opened."""

    code: str
    """To be read out or typed on the new device."""
    qr: str
    """The same with all addresses, as an SVG picture."""
    link: str
    """What the picture says."""
    expires_at: str
    endpoint: str | None
    """Where the new device finds this one if it does not by itself."""


class PairingStanding(msgspec.Struct, frozen=True):
    """How the last invitation stands."""

    state: str
    """`none`, `open`, `joining`, `joined` or `ended`."""
    cause: str | None
    """Why it ended, or the last device that came did not join."""
    detail: str
    tries_left: int
    device: NamedId | None
    """The device that joined or is joining."""
    revision: int


class StandingQuery(Request, frozen=True):
    """Until when to wait with the answer."""

    after: int | None = None
    """Wait until the revision is another one."""
    wait: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT_SECONDS)] = 0.0
    """Seconds to wait at most."""
    space: str | None = None


class JoinContent(Request, frozen=True):
    """By which code to join."""

    code: str
    """As it was typed, or the link of the QR code."""
    endpoint: str | None = None
    """HOST:PORT of the inviter; looked for if it is not given."""
    name: str | None = None
    """Of this device from then on; it keeps its name if none is given."""


class JoinedDocument(msgspec.Struct, frozen=True):
    """What this device is from now on; it is served in a moment."""

    person: NamedId
    device: NamedId
    """The inviter."""
    joined_as: NamedId
    """The new id and the name of this device."""


async def post_pairing(call: Call) -> web.Response:
    """Open an invitation, in place of one that is open."""
    opened = await call.service.peering.pairing.open()
    return json_response(
        Opened(
            code=opened.code,
            qr=svg(opened.link),
            link=opened.link,
            expires_at=format_time(call.service.wall_ms() + opened.lifetime_ms),
            endpoint=opened.endpoint,
        ),
        HTTPStatus.CREATED,
    )


async def get_pairing(call: Call) -> web.Response:
    """Answer how the invitation stands, at once or when it changes."""
    query: StandingQuery = call.query
    pairing = call.service.peering.pairing
    if query.after is None:
        return json_response(_document(pairing.standing()))
    standing = await pairing.wait_changed(query.after, query.wait)
    return json_response(_document(standing))


async def delete_pairing(call: Call) -> web.Response:
    """Take the invitation back."""
    await call.service.peering.pairing.cancel()
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def post_join(call: Call) -> web.Response:
    """Make this device one of the inviter's person."""
    content: JoinContent = call.body
    link = parse_link(content.code)
    given = content.endpoint
    address = None if given is None else parse_address(given, "endpoint")
    name = call.service.identity.device_name if content.name is None else content.name
    check_name(name, "name")
    try:
        joined = await call.service.peering.joiner.join(link, address, name)
    except PairingLostError as error:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    identity = joined.identity
    return json_response(
        JoinedDocument(
            person=NamedId(format_id(identity.person), identity.person_name),
            device=NamedId(format_id(joined.inviter), joined.inviter_name),
            joined_as=NamedId(format_id(identity.device), identity.device_name),
        )
    )


def _document(standing: Standing) -> PairingStanding:
    return PairingStanding(
        state=standing.state,
        cause=standing.cause,
        detail=standing.told,
        tries_left=standing.tries_left,
        device=None if standing.device is None else NamedId(*standing.device),
        revision=standing.revision,
    )
