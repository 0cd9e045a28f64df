"""Figures as JSON lines and as a table."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured case at one size."""

    case: str
    nodes: int
    unit: str
    value: float
    """Median, or the only measurement."""
    p99: float | None = None
    count: int = 1

    def line(self) -> str:
        """Return the figure as a JSON line."""
        fields: dict[str, object] = {
            "case": self.case,
            "nodes": self.nodes,
            "unit": self.unit,
            "value": round(self.value, 3),
            "count": self.count,
        }
        if self.p99 is not None:
            fields["p99"] = round(self.p99, 3)
        return json.dumps(fields)


def spread(case: str, nodes: int, unit: str, values: Sequence[float]) -> Figure:
    """Return the median and the 99th percentile of many measurements."""
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Figure(case, nodes, unit, median(ordered), p99, len(ordered))


def machine() -> str:
    """Return one JSON line that says what was measured on."""
    return json.dumps(
        {
            "machine": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "fractality": version("fractality"),
        }
    )


def print_table(figures: Sequence[Figure]) -> None:
    """Print all figures, a row per case and a column per size."""
    sizes = sorted({figure.nodes for figure in figures})
    cases = dict.fromkeys((figure.case, figure.unit) for figure in figures)
    cells = {(f.case, f.unit, f.nodes): f for f in figures}
    lines = [
        ["case", "unit", *(f"{size:,} nodes" for size in sizes)],
        *(
            [case, unit, *(_cell(cells.get((case, unit, size))) for size in sizes)]
            for case, unit in cases
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cell_texts = (
            text.ljust(width) for text, width in zip(line, widths, strict=True)
        )
        sys.stdout.write("  ".join(cell_texts).rstrip() + "\n")


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    tail = "" if figure.p99 is None else f" (p99 {figure.p99:.3g})"
    return f"{figure.value:.4g}{tail}"
