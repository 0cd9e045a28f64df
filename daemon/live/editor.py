"""One connected Yjs client: what waits to be sent to it, and why it is to leave.

Rule: nothing here waits for the client. One that reads too slowly is let go; it comes
back, asks for what it lacks, and the daemon's memory was never its store.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_OUTGOING_BYTES: Final = 16 * 1024 * 1024
MAX_OUTGOING: Final = 4096


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: a close code of WebSocket and a sentence.

    Codes from 4400 to 4499 ask a y-websocket client not to come back by itself.
    """

    code: int
    reason: str
    """At most 123 bytes, for a close frame holds no more."""


LEFT: Final = Ending(1000, "")
STOPPING: Final = Ending(1001, "The daemon is stopping. Your text is kept; reconnect.")
NOT_BINARY: Final = Ending(1003, "Messages are binary in the y-websocket protocol.")
FAULT: Final = Ending(1011, "The daemon met a fault of its own. Reconnect.")
NOT_STORED: Final = Ending(1013, "The last edit could not be stored yet. Reconnect.")
SLOW: Final = Ending(1013, "Too much waits for this client to read. Reconnect.")
MALFORMED: Final = Ending(4400, "A message does not follow the y-websocket protocol.")
REFUSED: Final = Ending(
    4403, "An edit was refused; it stays with you. Copy and reload."
)
NO_NODE: Final = Ending(4404, "The node was deleted. Restore it to edit on.")


class Editor:
    """The daemon's end of a connection, without the connection."""

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self._outgoing: deque[bytes] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()

    def send(self, message: bytes) -> None:
        """Queue a message; a client for which too much waits ends instead."""
        if self.ending is not None:
            return
        self._outgoing.append(message)
        self._bytes += len(message)
        # One message is let through however large it is: the whole of a body.
        bound = MAX_OUTGOING if self._bytes <= MAX_OUTGOING_BYTES else 1
        if len(self._outgoing) > bound:
            self.end(SLOW)
        self._changed.set()

    def end(self, ending: Ending, *last: bytes) -> None:
        """Let the client go, for the first reason given; `last` is still sent."""
        if self.ending is None:
            self.ending = ending
            self._outgoing = deque(last)
            self._changed.set()
            self._ended.set()

    async def next_message(self) -> bytes | None:
        """Return the next message to send; None when there will be no more."""
        while not self._outgoing:
            if self.ending is not None:
                return None
            self._changed.clear()
            await self._changed.wait()
        message = self._outgoing.popleft()
        self._bytes -= len(message)
        return message

    async def wait_ended(self) -> Ending:
        """Return why the client is to leave, once that is so."""
        await self._ended.wait()
        return self.ending or LEFT
