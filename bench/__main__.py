"""The command `python -m bench`."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cases import measure
from bench.circle_sets import measure_circle_sets
from bench.circles import measure_circle
from bench.contributions import measure_contributions
from bench.devices import measure_devices
from bench.report import Figure, machine, print_table
from bench.vectors import measure_vectors


def main() -> None:
    """Measure graphs of the sizes asked for and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--sizes",
        default="10000,100000,1000000",
        help="numbers of nodes, each with two edges [default: %(default)s]",
    )
    parser.add_argument(
        "--devices",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also measure several devices of one person",
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures: list[Figure] = []
    sys.stdout.write(f"{machine()}\n")
    for figure in _measured(arguments):
        figures.append(figure)
        sys.stdout.write(figure.line() + "\n")
        sys.stdout.flush()
    print_table(figures)


def _measured(arguments: argparse.Namespace) -> Iterator[Figure]:
    for size in map(int, filter(None, arguments.sizes.split(","))):
        with TemporaryDirectory(prefix="fractality-bench-") as folder:
            home = Path(folder) / "home"
            yield from measure(home, size, arguments.seed)
            yield from measure_vectors(home, size, arguments.seed)
        yield from measure_contributions(size, arguments.seed)
        yield from measure_circle(size, arguments.seed)
        yield from measure_circle_sets(size, arguments.seed)
    if arguments.devices:
        yield from measure_devices(arguments.seed)


main()
