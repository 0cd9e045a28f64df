"""The demonstration as a person sees it: one screen, or lines where there is none."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from daemon.cli.text import cut, safe_line, width
from daemon.demo.sight import DeviceSight, NodeSight, Sight, Stage

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

_HASH_CHARACTERS: Final = 8
_LINES: Final = 8
"""How many of the last things that happened are on the screen, if they fit."""
_FIGURES_WIDTH: Final = 48
"""What a line of consensus takes beside its label."""
_LABEL_WIDTH: Final = 72
_COLOURS: Final = ("green", "yellow", "magenta", "cyan", "blue", "red")
_DEVICE_TITLES: Final = ("device", "thoughts", "graph", "published", "set", "result")
_NODE_TITLES: Final = ("what resonates", "persons", "resonance", "affirm", "dissent")


class PlainStage:
    """Writes a line for all that happens, and tables when a part is over."""

    def __init__(self) -> None:
        """Begin the clock."""
        self._started = time.monotonic()
        self._sight: Sight | None = None

    def chapter(self, title: str) -> None:
        """See `Stage`."""
        self.close()
        elapsed = time.monotonic() - self._started
        click.echo(f"\n[{elapsed:3.0f} s] {title}")

    def tell(self, text: str) -> None:
        """See `Stage`."""
        click.echo(f"  {safe_line(text)}")

    def show(self, sight: Sight) -> None:
        """See `Stage`."""
        self._sight = sight

    def close(self) -> None:
        """Write how all stood at last."""
        sight, self._sight = self._sight, None
        if sight is None:
            return
        _lines(_DEVICE_TITLES, [_device_cells(each) for each in sight.devices])
        if sight.nodes:
            click.echo(f"  Computed by {sight.seen_by}:")
            _lines(
                _NODE_TITLES, [_node_cells(each, _LABEL_WIDTH) for each in sight.nodes]
            )


class LiveStage:
    """Draws the same screen again and again."""

    def __init__(self, live: "Live") -> None:
        """Begin the clock."""
        self._live = live
        self._started = time.monotonic()
        self._title = ""
        self._told: deque[str] = deque(maxlen=_LINES)
        self._sight = Sight(())

    def chapter(self, title: str) -> None:
        """See `Stage`."""
        self._title = title
        self._draw()

    def tell(self, text: str) -> None:
        """See `Stage`."""
        self._told.append(safe_line(text))
        self._draw()

    def show(self, sight: Sight) -> None:
        """See `Stage`."""
        self._sight = sight
        self._draw()

    def _draw(self) -> None:
        from rich.console import Group
        from rich.text import Text

        elapsed = time.monotonic() - self._started
        room = self._live.console.size
        devices, nodes = self._sight.devices, self._sight.nodes
        parts: list[RenderableType] = [
            Text(f"{self._title}   {elapsed:.0f} s", "bold", no_wrap=True),
            _device_table(devices),
        ]
        taken = 5 + len(devices)
        if nodes:
            parts.append(_node_table(nodes, max(20, room.width - _FIGURES_WIDTH)))
            taken += 4 + len(nodes)
        told = list(self._told)[-max(1, room.height - taken) :]
        parts += [Text(each, "dim", no_wrap=True) for each in told]
        self._live.update(Group(*parts), refresh=True)


@contextmanager
def stage(*, is_watched: bool) -> Iterator[Stage]:
    """Show the story on a screen if one is watched, else as lines."""
    if not is_watched:
        plain = PlainStage()
        try:
            yield plain
        finally:
            plain.close()
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        yield LiveStage(live)


def _device_table(devices: Sequence[DeviceSight]) -> "Table":
    """Return the devices; what is equal on several has one colour."""
    from rich.text import Text

    table = _table(_DEVICE_TITLES)
    colours: dict[str, str] = {}
    for device in devices:
        title, *cells = _device_cells(device)
        shown = [Text(title, "dim" if device.is_paused else "")]
        for name, cell in zip(_DEVICE_TITLES[1:], cells, strict=True):
            known = f"{name} {cell}"
            colour = colours.setdefault(known, _COLOURS[_count(colours, name)])
            shown.append(Text(cell, "" if cell.isdecimal() else colour))
        table.add_row(*shown)
    return table


def _count(colours: Mapping[str, str], name: str) -> int:
    """Return which colour the next new value of a column has."""
    return sum(known.startswith(f"{name} ") for known in colours) % len(_COLOURS)


def _node_table(nodes: Sequence[NodeSight], label_width: int) -> "Table":
    table = _table(_NODE_TITLES)
    for node in nodes:
        style = "" if node.status == "consensus" else "dim"
        table.add_row(*_node_cells(node, label_width), style=style)
    return table


def _table(titles: Sequence[str]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    return table


def _device_cells(device: DeviceSight) -> tuple[str, ...]:
    return (
        safe_line(device.title) + (" (cut off)" if device.is_paused else ""),
        str(device.thoughts),
        safe_line(device.digest[:_HASH_CHARACTERS]),
        str(device.contributions),
        safe_line(device.fingerprint[:_HASH_CHARACTERS]),
        safe_line(device.result[:_HASH_CHARACTERS]),
    )


def _node_cells(node: NodeSight, label_width: int) -> tuple[str, ...]:
    return (
        cut(safe_line(node.label), label_width),
        str(node.authors) + ("" if node.status == "consensus" else " (emerging)"),
        f"{node.resonance:.2f}",
        str(node.affirm or ""),
        str(node.dissent or ""),
    )


def _lines(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table as lines, the first column to the left."""
    room = [max(map(width, cells)) for cells in zip(titles, *rows, strict=True)]
    for row in (titles, *rows):
        first, *others = zip(row, room, strict=True)
        cells = [cell + " " * (space - width(cell)) for cell, space in (first,)]
        cells += [" " * (space - width(cell)) + cell for cell, space in others]
        click.echo("    " + "  ".join(cells).rstrip())
