"""The route of batches: a stream of commands in, a line per failure out."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from itertools import takewhile
from typing import Any, Final

import msgspec
from aiohttp import web

from crdt.errors import FractalityError
from crdt.replica import Replica
from daemon.api.problems import Problem, ProblemError, problem_of
from daemon.api.routing import Call
from daemon.api.service import Service
from daemon.bulk import (
    GROUP_BYTES,
    LONE_GROUP_BYTES,
    MAX_LINE_BYTES,
    Applied,
    apply_lines,
)
from daemon.owner import Owner
from daemon.stalls import stalls_watched

NDJSON: Final = "application/x-ndjson"
_EARLY_BYTES: Final = 64 * 1024
"""Answered while the request still comes in; beyond it a client that reads only at
the end would make both sides wait for each other."""
_PAUSE_SECONDS: Final = 0.1
_BLOCK_BYTES: Final = 64 * 1024
_FASTEST: Final = 1


class LineProblem(msgspec.Struct, frozen=True):
    """A line that was not carried out."""

    line: int
    problem: Problem


class Done(msgspec.Struct, frozen=True):
    """The end of an answer; without it the connection broke off."""

    done: bool
    """False if the daemon had to stop early; the line before says why."""
    applied: int
    failed: int


def encode_line(document: Any) -> bytes:
    """Return a document as a line of NDJSON."""
    return msgspec.json.encode(document) + b"\n"


class Answer:
    """Lines of NDJSON that are sent when a client can be expected to read them.

    Those that must wait are held compressed: lines of failures are much alike, and
    every line of a large batch may fail.
    """

    def __init__(self, request: web.Request) -> None:
        """Send nothing yet."""
        self._request = request
        self._response = web.StreamResponse(headers={"Content-Type": NDJSON})
        self._early_room = _EARLY_BYTES
        self._waiting = bytearray()
        self._blocks: list[bytes] = []

    async def start(self) -> None:
        """Send the head."""
        await self._response.prepare(self._request)

    async def add(self, lines: bytes) -> None:
        """Add whole lines."""
        self._early_room -= len(lines)
        if self._early_room >= 0:
            await self._response.write(lines)
            return
        self._waiting += lines
        if len(self._waiting) >= _BLOCK_BYTES:
            self._blocks.append(zlib.compress(self._waiting, _FASTEST))
            self._waiting.clear()

    async def end(self, done: Done) -> web.StreamResponse:
        """Send what is held and the last line."""
        for block in self._blocks:
            await self._response.write(zlib.decompress(block))
        await self._response.write(bytes(self._waiting))
        await self._response.write(encode_line(done))
        await self._response.write_eof()
        return self._response


async def post_batch(call: Call) -> web.StreamResponse:
    """Carry out commands in order; what is answered as applied is durable."""
    answer = Answer(call.request)
    await answer.start()
    applied = failed = 0
    line = 1
    try:
        with stalls_watched(call.service.metrics):
            async for lines in _groups(call.request, call.service.owner):
                result, problems = await _apply(call.service, lines, line)
                line += len(lines)
                applied += result.count
                failed += len(result.refusals)
                await answer.add(problems)
    except FractalityError as error:
        await answer.add(encode_line(LineProblem(line, problem_of(error))))
        return await answer.end(Done(done=False, applied=applied, failed=failed + 1))
    return await answer.end(Done(done=True, applied=applied, failed=failed))


async def _apply(
    service: Service, lines: list[bytes], first: int
) -> tuple[Applied, bytes]:
    """Carry out lines; return what became of them, and the lines that tell it."""

    def apply(replica: Replica) -> tuple[Applied, bytes]:
        applied = apply_lines(replica, lines, first, service.wall_ms())
        service.owner.tell(applied.committed)
        # Here, for there may be more of them than the loop has time for.
        problems = b"".join(
            encode_line(LineProblem(refusal.line, problem_of(refusal.error)))
            for refusal in applied.refusals
        )
        return applied, problems

    return await service.owner.run(apply)


async def _groups(request: web.Request, owner: Owner) -> AsyncIterator[list[bytes]]:
    """Yield whole lines in groups of the size that suits everybody who writes.

    A client that pauses gets done what it has sent. Raises `ProblemError` behind the
    last line before one that is too long.
    """
    waiting: list[bytes] = []
    size = 0
    async for chunk in _chunks(request):
        waiting.append(chunk)
        size += len(chunk)
        limit = GROUP_BYTES if owner.is_shared() else LONE_GROUP_BYTES
        if chunk and size < limit:
            continue
        *lines, rest = b"".join(waiting).split(b"\n")
        fitting = _fitting(lines)
        if fitting:
            yield fitting
        if len(fitting) < len(lines) or len(rest) > MAX_LINE_BYTES:
            raise _too_long()
        waiting, size = [rest], len(rest)
    lines = b"".join(waiting).split(b"\n")
    fitting = _fitting(lines)
    if any(fitting):
        yield fitting
    if len(fitting) < len(lines):
        raise _too_long()


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes; once empty bytes for each pause within it."""
    pause: float | None = None
    while True:
        try:
            async with asyncio.timeout(pause):
                chunk = await request.content.readany()
        except TimeoutError:
            pause = None
            yield b""
            continue
        if not chunk:
            return
        pause = _PAUSE_SECONDS
        yield chunk


def _fitting(lines: list[bytes]) -> list[bytes]:
    """Return the lines before the first that is too long."""
    if max(map(len, lines), default=0) <= MAX_LINE_BYTES:
        return lines
    return list(takewhile(lambda line: len(line) <= MAX_LINE_BYTES, lines))


def _too_long() -> ProblemError:
    return ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"A line of a batch has at most {MAX_LINE_BYTES} bytes.",
    )
