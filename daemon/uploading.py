"""Sending the chunks of a request body while its answer is being read.

An import answers while it is still being fed. Were nobody to read then, both sides
would wait for the other's buffer for ever; so the body is sent by a thread.
"""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

_PATIENCE_SECONDS: Final = 1.0


class Upload:
    """One request body in chunked coding (RFC 9112, 7.1) on its way out.

    Leaving the context ends the sending: at its own end if the answer came, else by
    closing the connection's write side, which the daemon sees as a body cut short.
    """

    def __init__(self, sock: socket.socket, chunks: Iterable[bytes]) -> None:
        self._sock = sock
        self._chunks = chunks
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE_SECONDS)

    @contextlib.contextmanager
    def blamed(self) -> Iterator[None]:
        """Raise what the chunks raised instead of what followed from it."""
        try:
            yield
        finally:
            if self._failure is not None:
                raise self._failure

    def _send(self) -> None:
        try:
            for chunk in self._chunks:
                if chunk and not self._sent(b"%x\r\n%b\r\n" % (len(chunk), chunk)):
                    return
            self._sent(b"0\r\n\r\n")
        except BaseException as failure:  # noqa: BLE001  # raised again by `blamed`
            self._failure = failure
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _sent(self, frame: bytes) -> bool:
        """Send `frame`; False if the daemon listens no more (its answer says why)."""
        try:
            self._sock.sendall(frame)
        except OSError:
            return False
        return True
