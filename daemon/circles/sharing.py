"""Work that many ask for and that is done once."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any


class Shared:
    """Runs one coroutine at a time; whoever asks meanwhile waits for that one."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether somebody asked and it is not done."""
        return self._task is not None

    async def __call__(self) -> None:
        """Wait until the work is done, by whoever asked for it first.

        Raises what it raises, and is cancelled when `end` ends it. Who is cancelled
        alone leaves the work to the others.
        """
        # A task that is done may stand here until the loop comes to `_ended`; waiting
        # for it would not wait, and who asks in a loop would stop everything.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
            self._task.add_done_callback(self._ended)
        await asyncio.shield(self._task)

    async def end(self) -> None:
        """Cancel what is running."""
        task = self._task
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.exception()  # told to whoever waits, if somebody still does
