"""The HTTP server of the API: routes on a loopback socket."""

import logging
import socket
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from crdt.errors import FractalityError
from daemon.api.routes import ROUTES
from daemon.api.routing import aiohttp_handler, guard
from daemon.api.service import Service
from daemon.faults import places

LOOPBACK: Final = "127.0.0.1"
_GRACE_SECONDS: Final = 1.0
"""How long open requests may go on when the daemon stops."""
_MAX_ADDRESS_BYTES: Final = 64 * 1024
"""Of path and query: the longest search, percent-encoded, several times over."""


class PortInUseError(FractalityError):
    """The port of the API is taken by another program."""


class ApiServer:
    """Serves the API from entering to leaving."""

    def __init__(self, service: Service, port: int) -> None:
        """Bind nothing yet; port 0 takes any free one."""
        application = web.Application(middlewares=[guard(service)], client_max_size=0)
        for route in ROUTES:
            # By itself aiohttp keeps braces out of what stands for a name.
            pattern = route.path.replace("}", ":[^/]+}")
            application.router.add_route(
                route.method, pattern, aiohttp_handler(service, route)
            )
        application.on_response_prepare.append(_harden)
        application.on_shutdown.append(self._end_live_editing)
        self._service = service
        self._asked_port = port
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_http_logger(),
            shutdown_timeout=_GRACE_SECONDS,
            max_line_size=_MAX_ADDRESS_BYTES,
        )

    async def __aenter__(self) -> Self:
        """Bind the port, or raise `PortInUseError`."""
        listening = _bind(self._asked_port)
        self.port = int(listening.getsockname()[1])
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take no more requests and let the open ones end."""
        self._service.is_serving = False
        await self._runner.cleanup()

    async def _end_live_editing(self, _: web.Application) -> None:
        self._service.live_bodies.stop()


def _http_logger() -> logging.Logger:
    """Return where aiohttp logs, without what it quotes of a request."""
    logger = logging.getLogger(f"{__name__}.http")

    def keep_places_only(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg, record.args = "a request failed by %s", (places(error),)
            record.exc_info = None
        # A client that goes away before its answer is no fault.
        return not isinstance(error, ConnectionError)

    logger.addFilter(keep_places_only)
    return logger


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep answers from being used in another way."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")


def _bind(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        listening.close()
        message = (
            f"Port {port} of this machine is taken by another program. Start with"
            " '--port 0' for any free one, or set 'port' in config.toml."
        )
        raise PortInUseError(message) from error
    return listening
