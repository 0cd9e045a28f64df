"""Where peers reach this device by address, and how it reaches theirs.

Specification: docs/protocol/signalling.md. Every address of the machine is served, so
all who ask are strangers until a handler has opened what they brought: time, size,
rate and number are bounded first, and whatever is wrong gets the same silence. (An HTTP
server made for browsers waits for heads without end, and answers mistakes with pages.)
"""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Final, Self, TypeAlias

from crdt.errors import FractalityError, MalformedError
from transport.addresses import Address
from transport.limits import Buckets, network_of
from transport.requests import (
    END_OF_HEAD,
    MAX_HEAD_BYTES,
    format_request,
    format_response,
    parse_request,
    parse_response,
)

DEFAULT_PORT: Final = 7374
MAX_CONNECTIONS: Final = 64
MAX_CONNECTIONS_OF_ONE: Final = 8
BURST: Final = 20
PER_SECOND: Final = 2
READ_SECONDS: Final = 5
HANDLE_SECONDS: Final = 20
CONNECT_SECONDS: Final = 3
ANSWER_SECONDS: Final = 15

Handler: TypeAlias = Callable[[bytes, str], Awaitable[bytes | None]]
"""Takes a body and the address it came from; returns the answer, None for silence."""


class PortInUseError(FractalityError):
    """Another program listens on the port for peers."""


class PostFailure(StrEnum):
    """Why a request got no answer."""

    UNREACHABLE = "nothing listens at this address, or the network does not lead there"
    SILENT = "whoever listens at this address did not answer"


class PostError(FractalityError):
    """A request to a peer's endpoint got no answer."""

    def __init__(self, failure: PostFailure) -> None:
        super().__init__(f"No answer: {failure}.")
        self.failure = failure
        """Why."""


class Endpoint:
    """Serves peers on all addresses of this machine, from entering to leaving."""

    def __init__(
        self,
        port: int,
        handlers: Mapping[str, Handler],
        *,
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """Take the port (0 for any), what is done by name, and who hears of faults.

        A fault of ours in a handler is silence to the stranger who found it.
        """
        self._asked_port = port
        self._handlers = handlers
        self._failed = failed
        self._buckets = Buckets(burst=BURST, per_second=PER_SECOND)
        self._serving: dict[asyncio.Task[None], str] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Bind the port, or raise `PortInUseError`."""
        sockets = _bind(self._asked_port)
        self.port = int(sockets[0].getsockname()[1])
        await self._tasks.__aenter__()
        for listening in sockets:
            server = await asyncio.start_server(
                self._accept, sock=listening, limit=MAX_HEAD_BYTES
            )
            self._servers.append(server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take no more requests and cut off those that are open."""
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        # Told of an error of the body, the group would wrap it.
        await self._tasks.__aexit__(None, None, None)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = str((writer.get_extra_info("peername") or ("",))[0])
        network = network_of(address)
        of_one = sum(each == network for each in self._serving.values())
        if len(self._serving) >= MAX_CONNECTIONS or of_one >= MAX_CONNECTIONS_OF_ONE:
            writer.transport.abort()
            return
        task = self._tasks.create_task(self._serve(reader, writer, address))
        self._serving[task] = network
        task.add_done_callback(self._serving.pop)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                request = parse_request(await reader.readuntil(END_OF_HEAD))
                body = await reader.readexactly(request.length)
            answer = await self._ask(request.name, body, address)
            await _finish(writer, format_response(answer))
        except (MalformedError, asyncio.LimitOverrunError):
            await _finish(writer, format_response(None))
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _ask(self, name: str, body: bytes, address: str) -> bytes | None:
        handler = self._handlers.get(name)
        if handler is None or not self._buckets.take(address, time.monotonic()):
            return None
        try:
            async with asyncio.timeout(HANDLE_SECONDS):
                return await handler(body, address)
        except TimeoutError:
            return None
        except Exception as error:  # noqa: BLE001 - a stranger's bytes end no service
            self._failed(error)
            return None


async def post(address: Address, name: str, body: bytes) -> bytes:
    """Return what the endpoint at `address` answers to `name`.

    Raises `PostError`. Nothing here is secret or trusted: bodies are sealed.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                address.host,
                address.port,
                limit=MAX_HEAD_BYTES,
                happy_eyeballs_delay=0.25,
            )
    except (OSError, UnicodeError):  # a timeout is an OSError, a name may be none
        raise PostError(PostFailure.UNREACHABLE) from None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            writer.write(format_request(str(address), name, body))
            length = parse_response(await reader.readuntil(END_OF_HEAD))
            if length is not None:
                return await reader.readexactly(length)
    except (OSError, MalformedError, asyncio.LimitOverrunError, EOFError):
        pass
    finally:
        writer.transport.abort()
    raise PostError(PostFailure.SILENT)


async def _finish(writer: asyncio.StreamWriter, response: bytes) -> None:
    """Send a response and see it off."""
    with suppress(OSError):
        async with asyncio.timeout(READ_SECONDS):
            writer.write(response)
            writer.close()
            await writer.wait_closed()


def _bind(port: int) -> list[socket.socket]:
    """Return sockets for IPv4 and, where there is IPv6, for that, on one port."""
    sockets: list[socket.socket] = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - peers come from anywhere
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue  # the machine lacks this kind of network
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((address, port))
        except OSError as error:
            listening.close()
            if error.errno == errno.EADDRINUSE:
                for other in sockets:
                    other.close()
                raise PortInUseError(_port_in_use(port)) from error
            continue
        sockets.append(listening)
        port = port or int(listening.getsockname()[1])
    if not sockets:
        message = "This machine has no network to listen on, not even to itself."
        raise PortInUseError(message)
    return sockets


def _port_in_use(port: int) -> str:
    return (
        f"Port {port}, on which peers reach this device, is taken by another program."
        " Set 'peer_port' in config.toml to another one, or to 0 for any free one."
    )
