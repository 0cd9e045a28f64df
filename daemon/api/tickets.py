"""The route that gives tickets to clients which cannot send the token."""

import re
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web

from crdt.errors import InvalidError
from daemon.api.routing import Call, json_response
from daemon.api.shapes import Request
from daemon.interchange.timestamps import format_time

_PATH: Final = re.compile(r"/v1/(?:events|bodies/[^/?#]+)")


class TicketContent(Request, frozen=True):
    """What a ticket is to open."""

    path: Annotated[str, msgspec.Meta(max_length=4096)]
    """`/v1/events` or `/v1/bodies/KEY`."""


class TicketDocument(msgspec.Struct, frozen=True):
    """A ticket, to be sent as `?ticket=` on its path until it expires."""

    ticket: str
    expires_at: str


async def post_ticket(call: Call) -> web.Response:
    """Answer a new ticket for one path."""
    content: TicketContent = call.body
    if _PATH.fullmatch(content.path) is None:
        raise InvalidError("path", "must be /v1/events or /v1/bodies/KEY")
    service = call.service
    ticket = service.tickets.issue(content.path, service.wall_ms())
    document = TicketDocument(ticket.secret, format_time(ticket.expires_ms))
    return json_response(document, HTTPStatus.CREATED)
