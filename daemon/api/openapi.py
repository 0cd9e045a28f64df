"""The OpenAPI 3.1 document, made from the route table and the typed structs."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from daemon.api.problems import CONTENT_TYPE, Problem
from daemon.api.routing import Call, Route

_REFERENCE: Final = "#/components/schemas/{name}"
_PATH_NAME: Final = re.compile(r"\{(\w+)\}")
_SAFE: Final = frozenset({"GET"})
WITHOUT_RECEIPT: Final = frozenset(
    {
        "/v1/batch",
        "/v1/circles",
        "/v1/circles/join",
        "/v1/circles/{id}",
        "/v1/circles/{id}/consensus/{key}/integrate",
        "/v1/circles/{id}/consensus/{key}/vote",
        "/v1/circles/{id}/contributions/{key}",
        "/v1/circles/{id}/invites",
        "/v1/circles/{id}/members/{person}",
        "/v1/circles/{id}/members/{person}/vouch",
        "/v1/devices/{id}",
        "/v1/import",
        "/v1/networks/{name}",
        "/v1/pairing",
        "/v1/pairing/join",
        "/v1/peers",
        "/v1/sync",
        "/v1/tickets",
    }
)
"""Carried out part by part, or new each time: no receipt stands for the whole."""


async def get_openapi(call: Call) -> web.Response:
    """Answer the document."""
    return web.Response(body=call.service.openapi, content_type="application/json")


def openapi_document(routes: Sequence[Route], version: str) -> bytes:
    """Return the OpenAPI document of these routes as JSON."""
    kinds = [
        kind
        for route in routes
        for kind in (route.query, route.body, *route.answers.values())
        if kind is not None and not isinstance(kind, str)
    ]
    _, schemas = msgspec.json.schema_components(
        (*kinds, Problem), ref_template=_REFERENCE
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schemas
        )
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Fractality local API",
                "version": version,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "http://127.0.0.1:7373"}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer"},
                    "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
                },
            },
        }
    )


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "security": _security(route),
        "parameters": [
            *_path_parameters(route),
            *_query_parameters(schemas[route.query.__name__]),
            *_header_parameters(route),
        ],
        "responses": {
            **{
                str(status): _answer(status, kind)
                for status, kind in route.answers.items()
            },
            "default": {
                "description": "What went wrong (RFC 9457)",
                "content": {CONTENT_TYPE: {"schema": _schema(Problem)}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_NAME.findall(route.path)
    ]


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in schema["properties"].items()
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    if route.method in _SAFE or route.path in WITHOUT_RECEIPT:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
    ]


def _security(route: Route) -> list[dict[str, Any]]:
    if not route.needs_token:
        return []
    return [{"token": []}, *([{"ticket": []}] if route.takes_ticket else [])]


def _answer(status: int, kind: Any) -> dict[str, Any]:
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        # OpenAPI has no words for what follows; docs/protocol has a page on it.
        return {"description": "A WebSocket is open"}
    if kind is None:
        return {"description": "Done"}
    return {"description": "Done", "content": _content(kind)}


def _content(kind: Any) -> dict[str, Any]:
    if isinstance(kind, str):
        return {kind: {}}
    return {"application/json": {"schema": _schema(kind)}}


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components((kind,), ref_template=_REFERENCE)
    return schema
