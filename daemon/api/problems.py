"""Errors as RFC 9457 problem documents.

Rule: a problem tells what happened and what to do, never a secret, a body or a trace.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from consensus.errors import EmbeddingError
from crdt.errors import (
    ConflictError,
    DiskFullError,
    FractalityError,
    InvalidError,
    NotFoundError,
    SearchBudgetError,
    StoreError,
)
from daemon.faults import NotJsonError

CONTENT_TYPE: Final = "application/problem+json"
_RETRY_SECONDS: Final = 5


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    """Name of the field at fault, if one is."""


class ProblemError(FractalityError):
    """A request that ends with a problem document."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = problem(status, detail, field)
        self.headers = headers or {}


def problem(status: HTTPStatus, detail: str, field: str | None = None) -> Problem:
    """Return a problem document for a status."""
    name = status.phrase.lower().replace(" ", "-")
    return Problem(
        f"urn:fractality:problem:{name}", status.phrase, status, detail, field
    )


def problem_of(error: Exception) -> Problem:
    """Return the problem document of an error of ours, or of a bug."""
    match error:
        case ProblemError():
            return error.problem
        case InvalidError():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail, error.field)
        case NotJsonError():
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        case NotFoundError():
            return problem(HTTPStatus.NOT_FOUND, str(error))
        case ConflictError():
            return problem(HTTPStatus.CONFLICT, str(error))
        case SearchBudgetError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case DiskFullError():
            return problem(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        case EmbeddingError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case StoreError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case _:
            detail = (
                "The daemon met a fault of its own; nothing was changed by this"
                " request. Its log names the place."
            )
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def problem_response(error: Exception) -> web.Response:
    """Return the response that carries the problem document of an error."""
    document = problem_of(error)
    headers = dict(error.headers) if isinstance(error, ProblemError) else {}
    if document.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(_RETRY_SECONDS))
    return web.Response(
        body=msgspec.json.encode(document),
        status=document.status,
        content_type=CONTENT_TYPE,
        headers=headers,
    )
