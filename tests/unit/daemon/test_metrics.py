"""Figures in the text format of Prometheus."""

import re

from daemon.metrics import Metrics, exposition

LINE = re.compile(
    r'(# (TYPE|HELP) \w+ .+|\w+(\{\w+="[^"\\]*"(,\w+="[^"\\]*")*\})? [-+0-9.e]+)'
)


def test_figures_are_written_as_prometheus_reads_them() -> None:
    """Each figure stands below its type; requests are counted by route and status."""
    metrics = Metrics(commits=3, events=7, longest_stall_seconds=0.25)
    metrics.requests["GET", "/v1/nodes/{key}", 200] += 2
    metrics.requests["PUT", "/v1/nodes/{key}", 201] += 1

    text = exposition(metrics, {"nodes": 5}, {"rate": 4, "author": 1})

    lines = text.splitlines()
    assert text.endswith("\n")
    assert all(LINE.fullmatch(line) for line in lines)
    counted = 'fractality_requests_total{method="%s",route="/v1/nodes/{key}"'
    assert {
        counted % "GET" + ',status="200"} 2',
        counted % "PUT" + ',status="201"} 1',
        'fractality_circle_refused_total{reason="author"} 1',
        'fractality_circle_refused_total{reason="rate"} 4',
        "fractality_commits_total 3",
        "fractality_events_total 7",
        "fractality_event_loop_longest_stall_seconds 0.25",
        "fractality_nodes 5",
    } <= set(lines)
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    named = {re.split(r"[ {]", line)[0] for line in lines if line[0] != "#"}
    assert sorted(typed) == sorted(named)
