"""Routes that tell how the daemon is: health, status, figures, events."""

import asyncio
from collections import Counter
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from crdt.database import CIPHER
from crdt.digest import format_digest
from crdt.errors import InvalidError
from crdt.ids import format_id
from daemon import metrics
from daemon.api.circle_shapes import CircleDocument
from daemon.api.circles import circle_documents
from daemon.api.devices import DeviceDocument, device_document
from daemon.api.problems import ProblemError
from daemon.api.routing import Call, json_response
from daemon.event_log import Lost
from daemon.memory import resident_bytes

_LAST_EVENT_ID: Final = "Last-Event-ID"
_KEEP_ALIVE_SECONDS: Final = 60.0
VERSION: Final = version("fractality")


class AtRest(msgspec.Struct, frozen=True):
    """How the store is protected on this disk."""

    cipher: str
    key_source: str


class SpaceStatus(msgspec.Struct, frozen=True):
    """What a space holds and on how many devices."""

    id: str
    name: str
    nodes: int
    edges: int
    digest: str
    state: str
    """`synced`, `syncing`, `behind`, `alone` or `stalled`."""
    devices: list[DeviceDocument]


class EmbeddingStatus(msgspec.Struct, frozen=True):
    """Whether search by meaning works."""

    state: str
    model: str | None
    queued: int
    cause: str | None


class NamedId(msgspec.Struct, frozen=True):
    """A person or device."""

    id: str
    name: str


class Status(msgspec.Struct, frozen=True):
    """Everything a person may want to know of the daemon at a glance."""

    person: NamedId
    device: NamedId
    version: str
    uptime_seconds: float
    at_rest: AtRest
    spaces: list[SpaceStatus]
    embeddings: EmbeddingStatus
    circles: list[CircleDocument]
    relay: dict[str, Any]


class Health(msgspec.Struct, frozen=True):
    """Whether the daemon serves."""

    status: str


async def get_health(call: Call) -> web.Response:
    """Answer 200 while the daemon serves."""
    if not call.service.is_serving:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, "The daemon is starting or stopping."
        )
    return json_response(Health("serving"))


async def get_status(call: Call) -> web.Response:
    """Answer how the daemon is."""
    service = call.service
    totals = service.owner.replica.totals
    identity = service.identity
    embedding = await service.meaning.standing()
    return json_response(
        Status(
            person=NamedId(format_id(identity.person), identity.person_name),
            device=NamedId(format_id(identity.device), identity.device_name),
            version=VERSION,
            uptime_seconds=(service.wall_ms() - service.started_ms) / 1000,
            at_rest=AtRest(CIPHER, service.key_source),
            spaces=[
                SpaceStatus(
                    id=service.space,
                    name=identity.person_name,
                    nodes=totals.nodes,
                    edges=totals.edges,
                    digest=format_digest(int.from_bytes(totals.digest)),
                    state=service.devices.state(),
                    devices=[
                        device_document(each) for each in service.devices.others()
                    ],
                )
            ],
            embeddings=EmbeddingStatus(
                embedding.state, embedding.model, embedding.queued, embedding.cause
            ),
            circles=await circle_documents(call),
            relay={"state": "off"},
        )
    )


async def get_metrics(call: Call) -> web.Response:
    """Answer the figures of this run."""
    service = call.service
    totals = service.owner.replica.totals
    gauges = {
        "nodes": totals.nodes,
        "edges": totals.edges,
        "resident_bytes": resident_bytes(),
        "store_bytes": service.store_bytes(),
        "links": len(service.mesh.links.linked),
        "sync_pending_envelopes": service.devices.pending(),
        "sync_stalls": service.mesh.view.stalls,
    }
    refusals = Counter[str]()
    for circle in service.circles.all():
        refusals.update(circle.refusals)
    return web.Response(
        text=metrics.exposition(service.metrics, gauges, refusals),
        headers={"Content-Type": metrics.CONTENT_TYPE},
    )


async def get_events(call: Call) -> web.StreamResponse:
    """Answer events as they happen, for as long as the client listens."""
    request, log = call.request, call.service.events
    after = log.last
    given = request.headers.get(_LAST_EVENT_ID)
    if given is not None:
        if not given.isascii() or not given.isdigit() or len(given) > 18:
            raise InvalidError(_LAST_EVENT_ID, "must be the id of an event")
        after = int(given)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    # So that a client knows at once that it listens, and from where.
    await response.write(b": listening\n\n")
    stream = aiter(log.follow(after))
    upcoming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            done, _ = await asyncio.wait((upcoming,), timeout=_KEEP_ALIVE_SECONDS)
            if not done:
                await response.write(b": still here\n\n")
                continue
            numbered = upcoming.result()
            await response.write(_event(call, numbered.number, numbered.event))
            upcoming = asyncio.ensure_future(anext(stream))
    finally:
        upcoming.cancel()


def _event(call: Call, number: int, event: Any) -> bytes:
    if isinstance(event, Lost):
        data = msgspec.json.encode(event)
        return b"event: lost\ndata: " + data + b"\n\n"
    kind = event.type.encode()
    named = {
        "space": call.service.space,
        "origin": event.origin,
        **msgspec.to_builtins(event),
    }
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        number,
        kind,
        msgspec.json.encode(named),
    )
