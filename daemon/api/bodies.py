"""The route on which Yjs clients edit a body live, by WebSocket."""

import asyncio
from http import HTTPStatus
from typing import Final

from aiohttp import WSMsgType, hdrs, web

from daemon.api.problems import ProblemError
from daemon.api.routing import Call
from daemon.live.editor import LEFT, NOT_BINARY, Editor
from daemon.live.room import Room
from daemon.live.y_protocol import MAX_MESSAGE_BYTES

_HEARTBEAT_SECONDS: Final = 20.0
_GRACE_SECONDS: Final = 1.0
"""For a client that is let go: to take what is left, and to answer the end."""


async def edit_body(call: Call) -> web.WebSocketResponse:
    """Speak the y-websocket protocol for a visible node's body."""
    service = call.service
    key = service.reader.node(call.path["key"]).key
    response = web.WebSocketResponse(
        timeout=_GRACE_SECONDS,
        heartbeat=_HEARTBEAT_SECONDS,
        compress=False,
        max_msg_size=MAX_MESSAGE_BYTES + 1,
    )
    if not response.can_prepare(call.request):
        raise ProblemError(
            HTTPStatus.UPGRADE_REQUIRED,
            "This route speaks WebSocket: connect a y-websocket client to it.",
            headers={hdrs.UPGRADE: "websocket"},
        )
    room, editor = service.live_bodies.join(key)
    try:
        await response.prepare(call.request)
        await _converse(call.request, response, room, editor)
    finally:
        service.live_bodies.leave(room, editor)
    return response


async def _converse(
    request: web.Request, response: web.WebSocketResponse, room: Room, editor: Editor
) -> None:
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(_read(response, room, editor))
        writing = tasks.create_task(_write(response, editor))
        ending = await editor.wait_ended()
        reading.cancel()
        await asyncio.wait((writing,), timeout=_GRACE_SECONDS)
        writing.cancel()
    try:
        async with asyncio.timeout(2 * _GRACE_SECONDS):
            await response.close(code=ending.code, message=ending.reason.encode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


async def _read(response: web.WebSocketResponse, room: Room, editor: Editor) -> None:
    async for message in response:
        if message.type is WSMsgType.BINARY:
            await room.receive(editor, message.data)
        else:
            editor.end(NOT_BINARY)
    editor.end(LEFT)


async def _write(response: web.WebSocketResponse, editor: Editor) -> None:
    try:
        while (message := await editor.next_message()) is not None:
            await response.send_bytes(message)
    except ConnectionError:
        editor.end(LEFT)
