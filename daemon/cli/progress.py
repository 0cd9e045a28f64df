"""Progress of long work, on stderr and only where a person is watching."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from daemon.cli.text import many


class Progress(Protocol):
    """What long work tells while it goes on. Any thread may call it."""

    def moved(self, count: int) -> None:
        """Tell that `count` more bytes went through."""

    def done(self, items: int) -> None:
        """Tell how many items are done by now."""


class _Unseen:
    """Progress that nobody watches."""

    def moved(self, count: int) -> None:
        """See `Progress`."""

    def done(self, items: int) -> None:
        """See `Progress`."""


class _Bar:
    """Progress as a bar of rich."""

    def __init__(
        self, advance: Callable[[int], None], describe: Callable[[str], None]
    ) -> None:
        self._advance = advance
        self._describe = describe

    def moved(self, count: int) -> None:
        """See `Progress`."""
        self._advance(count)

    def done(self, items: int) -> None:
        """See `Progress`."""
        self._describe(many(items, "item"))


@contextlib.contextmanager
def progress(title: str, total_bytes: int | None) -> Iterator[Progress]:
    """Show a bar while the context lasts; `total_bytes` is None if unknown."""
    if not sys.stderr.isatty():
        yield _Unseen()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[items]}", markup=False),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with RichProgress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(title, total=total_bytes, items="")
        yield _Bar(
            lambda count: bars.advance(task, count),
            lambda items: bars.update(task, items=items),
        )


def counted(chunks: Iterable[bytes], shown: Progress) -> Iterator[bytes]:
    """Yield `chunks`, telling `shown` of each."""
    for chunk in chunks:
        yield chunk
        shown.moved(len(chunk))
