"""Routes of thoughts: said in one request, answered before anything is found out."""

import hashlib
import os
from http import HTTPStatus
from typing import Final

from aiohttp import web

from crdt.checks import check_label
from crdt.commands import AddNode, PutEdge
from crdt.errors import ConflictError, InvalidError
from crdt.ids import check_key
from crdt.records import DEFAULT_EDGE_TYPE
from daemon.api import thought_shapes as shapes
from daemon.api.nodes import document, write
from daemon.api.routing import Call, json_response
from daemon.circles.bridge import Wisdom
from daemon.circles.thinking import Consideration
from daemon.meaning.thoughts import Job
from daemon.new_keys import END_BYTES, new_key

_ONE: Final = 10_000


async def post_thought(call: Call) -> web.Response:
    """Make a node of a thought; what it resonates with follows as an event."""
    thought: shapes.ThoughtContent = call.body
    service = call.service
    if thought.publish and thought.circle is None:
        raise InvalidError("publish", "needs the circle to publish to")
    circle = None
    if thought.circle is not None:
        circle = service.circles.circle(thought.circle)
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
    consider = None
    if circle is not None:
        consider = Consideration(
            service.publishing,
            service.bridge,
            circle,
            service.reader.node(key),
            thought.publish,
        ).consider
    job = service.thoughts.follow(
        key, thought.text, None if circle is None else circle.id, consider
    )
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
    considered = job.considered
    wisdom: list[shapes.WisdomDocument] | None = [] if job.is_done else None
    if considered is not None:
        wisdom = [_wisdom_document(each) for each in considered.wisdom]
    return shapes.ThoughtDocument(
        node=document(call, call.service.reader.node(job.key)),
        resonance=job.resonance,
        wisdom=wisdom,
        job=name,
        nearest=job.nearest,
        done=job.is_done,
        cause=job.cause,
        circle=None if job.circle is None else job.circle.hex(),
        circle_resonance=None if considered is None else considered.resonance,
        published=_is_published(job),
        unpublished=None if considered is None else considered.unpublished,
    )


def _is_published(job: Job) -> bool | None:
    if job.considered is not None:
        return job.considered.out is not None
    return False if job.is_done or job.circle is None else None


def _wisdom_document(wisdom: Wisdom) -> shapes.WisdomDocument:
    standing = wisdom.standing
    return shapes.WisdomDocument(
        circle=wisdom.circle.hex(),
        key=standing.key.hex(),
        label=standing.label,
        status=standing.status,
        resonance=wisdom.resonance / _ONE,
        resonance_score=standing.score / _ONE,
        contributor_count=standing.contributor_count,
        member_count=standing.member_count,
        affirm=standing.affirm,
        dissent=standing.dissent,
    )


def _randomness(call: Call) -> bytes:
    """Return the random end of a key; a repeated request makes the same key."""
    named = call.request.headers.get("Idempotency-Key")
    if named is None:
        return os.urandom(END_BYTES)
    return hashlib.sha256(named.encode(errors="replace")).digest()[:END_BYTES]
