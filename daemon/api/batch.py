"""The route of batches: a stream of commands in, a line per failure out."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from crdt.errors import FractalityError
from crdt.replica import Replica
from daemon.api.problems import Problem, ProblemError, problem_of
from daemon.api.routing import Call
from daemon.api.service import Service
from daemon.bulk import GROUP_BYTES, MAX_LINE_BYTES, Applied, apply_lines
from daemon.stalls import stalls_watched

NDJSON: Final = "application/x-ndjson"
_EARLY_BYTES: Final = 64 * 1024
"""Answered while the request still comes in; beyond it a client that reads only at
the end would make both sides wait for each other."""
_MAX_HELD: Final = 100_000


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


class Answer:
    """Lines of NDJSON that are sent when a client can be expected to read them."""

    def __init__(self, request: web.Request) -> None:
        """Send nothing yet."""
        self._request = request
        self._response = web.StreamResponse(headers={"Content-Type": NDJSON})
        self._early = 0
        self._held: list[bytes] = []

    async def start(self) -> None:
        """Send the head."""
        await self._response.prepare(self._request)

    async def add(self, document: Any) -> None:
        """Add a line."""
        line = msgspec.json.encode(document) + b"\n"
        if not self._held and self._early + len(line) <= _EARLY_BYTES:
            self._early += len(line)
            await self._response.write(line)
        elif len(self._held) < _MAX_HELD:
            self._held.append(line)

    async def end(self, done: Done) -> web.StreamResponse:
        """Send what is held and the last line."""
        for line in self._held:
            await self._response.write(line)
        await self._response.write(msgspec.json.encode(done) + b"\n")
        await self._response.write_eof()
        return self._response


async def post_batch(call: Call) -> web.StreamResponse:
    """Carry out commands in order; what is answered as applied is durable."""
    answer = Answer(call.request)
    await answer.start()
    applied = failed = 0
    line = 1
    try:
        async with stalls_watched(call.service.metrics):
            async for lines in _groups(call.request):
                result = await _apply(call.service, lines, line)
                line += len(lines)
                applied += result.count
                failed += len(result.refusals)
                for refusal in result.refusals:
                    problem = problem_of(refusal.error)
                    await answer.add(LineProblem(refusal.line, problem))
    except FractalityError as error:
        await answer.add(LineProblem(line, problem_of(error)))
        return await answer.end(Done(done=False, applied=applied, failed=failed + 1))
    return await answer.end(Done(done=True, applied=applied, failed=failed))


async def _apply(service: Service, lines: list[bytes], first: int) -> Applied:
    def apply(replica: Replica) -> Applied:
        applied = apply_lines(replica, lines, first, service.wall_ms())
        service.owner.tell(applied.committed)
        return applied

    return await service.owner.run(apply)


async def _groups(request: web.Request) -> AsyncIterator[list[bytes]]:
    """Yield whole lines in groups of about `GROUP_BYTES`."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        waiting.append(chunk)
        size += len(chunk)
        if size < GROUP_BYTES:
            continue
        *lines, rest = b"".join(waiting).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ProblemError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"A line of a batch has at most {MAX_LINE_BYTES} bytes.",
            )
        waiting, size = [rest], len(rest)
        if lines:
            yield lines
    last = b"".join(waiting)
    if last:
        yield last.split(b"\n")
