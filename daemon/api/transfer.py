"""Routes that carry whole graphs: import, export, backup."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from crdt.checks import format_accumulator
from crdt.errors import FractalityError
from crdt.graph_snapshot import GraphSnapshot
from crdt.ids import NodeKey
from crdt.records import Edge
from daemon.api.batch import Answer, Done, encode_line
from daemon.api.problems import Problem, problem_of
from daemon.api.routing import Call
from daemon.importing import Taken, import_stream
from daemon.interchange.formats import FORMATS
from daemon.interchange.records import ExportedNode
from daemon.stalls import stalls_watched

if TYPE_CHECKING:
    from daemon.api import shapes

_BACKUP_NAME: Final = "backup.unfinished"
_CHUNK_BYTES: Final = 256 * 1024


class Count(msgspec.Struct, frozen=True):
    """How much of an import is durable."""

    applied: int


class ProgressLine(msgspec.Struct, frozen=True):
    """How far an import is."""

    progress: Count


class ItemProblem(msgspec.Struct, frozen=True):
    """A part of an import that was not taken in."""

    item: str
    problem: Problem


class _Exported:
    """A snapshot as the formats want it."""

    def __init__(self, snapshot: GraphSnapshot) -> None:
        self._snapshot = snapshot

    def nodes(self, *, with_bodies: bool) -> Iterator[ExportedNode]:
        """Yield every node."""
        for node, landmarks in self._snapshot.nodes():
            accumulators = {
                format_accumulator(*place): value for place, value in landmarks.items()
            }
            has_body = with_bodies and node.has_body
            body = self._snapshot.body(node.key) if has_body else None
            yield ExportedNode(node, accumulators, body)

    def edges(self) -> Iterator[Edge]:
        """Yield every edge."""
        return self._snapshot.edges()

    def edges_from(self, key: NodeKey) -> Iterator[Edge]:
        """Yield the edges whose source is `key`."""
        return self._snapshot.edges_from(key)


async def post_import(call: Call) -> web.StreamResponse:
    """Take in a file; answers a line per failure and per progress, then a last one."""
    query: shapes.FormatQuery = call.query
    service = call.service
    answer = Answer(call.request)
    await answer.start()
    applied = failed = 0

    async def report(taken: Taken) -> None:
        nonlocal applied, failed
        applied += taken.applied
        failed += len(taken.refusals)
        for refusal in taken.refusals:
            problem = problem_of(refusal.error)
            await answer.add(encode_line(ItemProblem(refusal.item, problem)))
        await answer.add(encode_line(ProgressLine(Count(applied))))

    try:
        with stalls_watched(service.metrics):
            await import_stream(
                service.owner,
                FORMATS[query.format],
                call.request.content.iter_any(),
                service.wall_ms,
                report,
            )
    except FractalityError as error:
        await answer.add(encode_line(ItemProblem("the rest", problem_of(error))))
        return await answer.end(Done(done=False, applied=applied, failed=failed + 1))
    return await answer.end(Done(done=True, applied=applied, failed=failed))


async def get_export(call: Call) -> web.StreamResponse:
    """Answer the whole graph, as it is now, in a file format."""
    query: shapes.FormatQuery = call.query
    service = call.service
    file_format = FORMATS[query.format]
    response = web.StreamResponse(
        headers={
            "Content-Type": file_format.media_type,
            "Content-Disposition": "attachment;"
            f' filename="fractality{file_format.suffix}"',
        }
    )
    snapshot = service.snapshot()
    with snapshot:
        chunks = file_format.write(_Exported(snapshot))
        # One thread at a time uses the snapshot: each chunk is awaited.
        chunk = await asyncio.to_thread(next, chunks, None)
        await response.prepare(call.request)
        while chunk is not None:
            await response.write(chunk)
            chunk = await asyncio.to_thread(next, chunks, None)
    await response.write_eof()
    return response


async def get_backup(call: Call) -> web.StreamResponse:
    """Answer a verified backup that the person's 24 words open."""
    service = call.service
    path = service.home / _BACKUP_NAME
    async with service.backing_up:
        try:
            await service.owner.run(
                lambda replica: replica.back_up(path, service.wall_ms())
            )
            response = web.StreamResponse(
                status=HTTPStatus.OK,
                headers={"Content-Type": "application/octet-stream"},
            )
            response.content_length = path.stat().st_size
            await response.prepare(call.request)
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    await response.write(chunk)
            await response.write_eof()
            return response
        finally:
            path.unlink(missing_ok=True)
