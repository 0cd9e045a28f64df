"""The HTTP server of the API: routes on a loopback socket."""

import socket
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from crdt.errors import FractalityError
from daemon.api.routes import ROUTES
from daemon.api.routing import aiohttp_handler, guard
from daemon.api.service import Service

LOOPBACK: Final = "127.0.0.1"
_GRACE_SECONDS: Final = 1.0
"""How long open requests may go on when the daemon stops."""


class PortInUseError(FractalityError):
    """The port of the API is taken by another program."""


class ApiServer:
    """Serves the API from entering to leaving."""

    def __init__(self, service: Service, port: int) -> None:
        """Bind nothing yet; port 0 takes any free one."""
        application = web.Application(middlewares=[guard(service)], client_max_size=0)
        for route in ROUTES:
            application.router.add_route(
                route.method, route.path, aiohttp_handler(service, route)
            )
        application.on_response_prepare.append(_harden)
        self._service = service
        self._asked_port = port
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_GRACE_SECONDS
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
