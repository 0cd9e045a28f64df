"""Routes of thoughts: said in one request, answered before anything is found out."""

import hashlib
import os
from http import HTTPStatus

from aiohttp import web

from crdt.checks import check_label
from crdt.commands import AddNode, PutEdge
from crdt.errors import ConflictError, InvalidError, NotFoundError
from crdt.ids import check_key
from crdt.records import DEFAULT_EDGE_TYPE
from daemon.api import shapes
from daemon.api.nodes import document, write
from daemon.api.routing import Call, json_response
from daemon.new_keys import END_BYTES, new_key


async def post_thought(call: Call) -> web.Response:
    """Make a node of a thought; what it resonates with follows as an event."""
    thought: shapes.ThoughtContent = call.body
    service = call.service
    if thought.circle is not None:
        message = "This device is in no circle of that name."
        raise NotFoundError(message)
    if thought.publish:
        raise InvalidError("publish", "needs the circle to publish to")
    if thought.parent is not None:
        service.reader.node(thought.parent)
    _check_text(thought.text)
    key = thought.key
    if key is None:
        key = new_key(thought.text, _randomness(call))
    key = check_key(key)
    outcome = await write(call, AddNode(key, thought.text))
    if not outcome.is_created:
        message = f"There is a node '{key}' already; it was left as it is."
        raise ConflictError(message)
    if thought.parent is not None:
        await service.owner.write(PutEdge(thought.parent, key, DEFAULT_EDGE_TYPE))
    job = service.thoughts.follow(key, thought.text)
    return json_response(_document(call, job), HTTPStatus.CREATED)


async def get_thought(call: Call) -> web.Response:
    """Answer what is known of a thought by now."""
    return json_response(_document(call, call.path["job"]))


def _check_text(text: str) -> None:
    """Raise what is wrong with a text, by the name that it has here."""
    try:
        check_label(text)
    except InvalidError as error:
        raise InvalidError("text", error.detail) from None


def _document(call: Call, name: str) -> shapes.ThoughtDocument:
    job = call.service.thoughts.job(name)
    return shapes.ThoughtDocument(
        node=document(call, call.service.reader.node(job.key)),
        resonance=job.resonance,
        wisdom=[] if job.is_done else None,
        job=name,
        nearest=job.nearest,
        done=job.is_done,
        cause=job.cause,
    )


def _randomness(call: Call) -> bytes:
    """Return the random end of a key; a repeated request makes the same key."""
    named = call.request.headers.get("Idempotency-Key")
    if named is None:
        return os.urandom(END_BYTES)
    return hashlib.sha256(named.encode(errors="replace")).digest()[:END_BYTES]
