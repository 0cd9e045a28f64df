"""Figures about the running daemon in the text format of Prometheus.

Rule: names and sizes only; no label of a metric holds a key, a path or a text.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4"


@dataclass(slots=True)
class Metrics:
    """Counters of one run, owned by the event loop."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """By (method, route pattern, status)."""
    commits: int = 0
    events: int = 0
    longest_stall_seconds: float = 0.0
    """Longest time for which the event loop was late, see `daemon.stalls`."""
    started: float = field(default_factory=time.monotonic)


def exposition(
    metrics: Metrics, gauges: Mapping[str, float], circle_refusals: Mapping[str, int]
) -> str:
    """Return all figures; `gauges` are those measured at this moment.

    `circle_refusals` counts by reason what circles did not take.
    """
    return "".join(_lines(metrics, gauges, circle_refusals))


def _lines(
    metrics: Metrics, gauges: Mapping[str, float], circle_refusals: Mapping[str, int]
) -> Iterator[str]:
    yield "# HELP fractality_requests_total Requests answered, by route and status.\n"
    yield "# TYPE fractality_requests_total counter\n"
    for (method, route, status), count in sorted(metrics.requests.items()):
        yield (
            f'fractality_requests_total{{method="{method}",route="{route}",'
            f'status="{status}"}} {count}\n'
        )
    if circle_refusals:
        name = "fractality_circle_refused_total"
        yield f"# HELP {name} Records of circles that were not taken, by reason.\n"
        yield f"# TYPE {name} counter\n"
        for reason, count in sorted(circle_refusals.items()):
            yield f'{name}{{reason="{reason}"}} {count}\n'
    counters = {"commits": metrics.commits, "events": metrics.events}
    for name, count in counters.items():
        yield f"# TYPE fractality_{name}_total counter\n"
        yield f"fractality_{name}_total {count}\n"
    measured: dict[str, float] = {
        "event_loop_longest_stall_seconds": metrics.longest_stall_seconds,
        "uptime_seconds": time.monotonic() - metrics.started,
        **gauges,
    }
    for name, value in measured.items():
        yield f"# TYPE fractality_{name} gauge\n"
        yield f"fractality_{name} {value}\n"
