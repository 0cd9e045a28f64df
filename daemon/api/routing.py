"""A route as a value, and what happens to a request before and after its handler.

The order for every request: Host and Origin, address, token, query, body, handler;
each step refuses with a problem document before the next one does any work.
"""

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from crdt.errors import FractalityError
from daemon.api.problems import ProblemError, problem_response
from daemon.api.service import Service
from daemon.faults import decoding_fault, places

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 256 * 1024
"""Of a JSON body: label, metadata and names at their limits, and room for escapes."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_BROKEN_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked and decoded as its route says."""

    service: Service
    request: web.Request
    path: Mapping[str, str]
    query: Any
    """Instance of the route's query struct."""
    body: Any
    """Instance of the route's body struct, or None."""


_Handle: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    summary: str
    handler: Handler
    query: type[msgspec.Struct]
    answers: Mapping[int, Any]
    """Struct or media type by status."""
    body: type[msgspec.Struct] | str | None = None
    """Struct of a JSON body, or the media type of a stream that the handler reads."""
    needs_token: bool = True
    takes_ticket: bool = False
    """Whether `?ticket=` may stand for the token."""


def json_response(document: Any, status: int = HTTPStatus.OK) -> web.Response:
    """Return a response with a struct as JSON."""
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        content_type="application/json",
    )


async def read_limited(request: web.Request, limit: int) -> bytes:
    """Return the body, or refuse it as soon as it is known to be too large."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def aiohttp_handler(service: Service, route: Route) -> _Handle:
    """Return a route as aiohttp calls it."""
    decode = (
        msgspec.json.Decoder(route.body).decode
        if isinstance(route.body, type)
        else None
    )

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.needs_token:
            _check_access(request, service, takes_ticket=route.takes_ticket)
        query = _decoded_query(request, route.query)
        _check_space(service, query)
        body = None
        if decode is not None:
            body = _decoded_body(await read_limited(request, MAX_BODY_BYTES), decode)
        return await route.handler(
            Call(service, request, request.match_info, query, body)
        )

    return handle


def guard(service: Service) -> Middleware:
    """Return what stands around every handler: it counts, and answers errors."""

    @web.middleware
    async def guarded(request: web.Request, handler: _Handle) -> web.StreamResponse:
        response = await _answered(request, handler)
        resource = request.match_info.route.resource
        pattern = "none" if resource is None else resource.canonical
        service.metrics.requests[request.method, pattern, response.status] += 1
        return response

    return guarded


async def _answered(request: web.Request, handler: _Handle) -> web.StreamResponse:
    """Keep other web pages out and turn every error into its problem document."""
    try:
        _check_host(request)
        _check_address(request)
        return await handler(request)
    except web.HTTPException as refusal:
        return problem_response(_refused(refusal))
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001  # a bug in one request ends only that
        if not isinstance(error, FractalityError):
            fault = places(error)
            logger.error("a request failed by %s", fault)  # noqa: TRY400  # see there
        if request.writer.output_size:
            # An answer that has begun cannot be taken back, but can be seen to end.
            message = "an answer broke off"
            raise ConnectionError(message) from None
        return problem_response(error)


def _check_host(request: web.Request) -> None:
    """Refuse what a page elsewhere makes a browser send (DNS rebinding, CSRF)."""
    host = request.headers.get(hdrs.HOST, "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK:
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "The API answers on this machine's own names only."
        )
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "Pages of another origin may not use the API."
        )


def _check_address(request: web.Request) -> None:
    """Refuse what does not decode: left as it is, it would name another key."""
    try:
        unquote_to_bytes(request.raw_path).decode()
        is_broken = _BROKEN_ESCAPE.search(request.raw_path) is not None
    except UnicodeError:
        is_broken = True
    if is_broken:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "The address is not UTF-8, percent-encoded."
        )


def _check_access(
    request: web.Request, service: Service, *, takes_ticket: bool
) -> None:
    ticket = request.query.get("ticket") if takes_ticket else None
    if ticket is None or hdrs.AUTHORIZATION in request.headers:
        _check_token(request, service.token)
    elif not service.tickets.admits(
        ticket, request.rel_url.raw_path, service.wall_ms()
    ):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "The ticket is not for this path, or its hour is over; ask for a new one"
            " with POST /v1/tickets.",
            headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
        )


def _check_token(request: web.Request, token: str) -> None:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    expected = token.encode()
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(errors="replace"), expected
    ):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "Send the token as 'Authorization: Bearer TOKEN';"
            " 'fractality token' prints it.",
            headers={hdrs.WWW_AUTHENTICATE: "Bearer"},
        )


def _check_space(service: Service, query: Any) -> None:
    space = getattr(query, "space", None)
    if space is not None and space != service.space:
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "This device is not part of such a space."
        )


def _decoded_query(request: web.Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    given = request.query
    if len(given) != len(set(given)):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "A query parameter is given more than once."
        )
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        raise decoding_fault(error) from None


def _decoded_body(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise decoding_fault(error) from None


def _too_large(limit: int) -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than the {limit} bytes that are allowed here.",
        headers={hdrs.CONNECTION: "close"},
    )


def _refused(refusal: web.HTTPException) -> ProblemError:
    """Return aiohttp's own refusals (no route, wrong method) as ours."""
    status = HTTPStatus(refusal.status)
    details = {
        HTTPStatus.NOT_FOUND: "There is no such route.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This route does not take this method.",
    }
    headers = {
        name: value for name, value in refusal.headers.items() if name == hdrs.ALLOW
    }
    return ProblemError(
        status, details.get(status, status.description), headers=headers
    )
