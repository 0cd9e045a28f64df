"""How strongly the voices of a node resonate now, in basis points.

Specification: docs/protocol/consensus.md. Rules of this file:

1. The clock is the set's own: the newest week that three authors have reached.
2. Weights times units go beyond 64 bits when squared: Python's integers do not end.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from consensus.exact import ONE, Floats, Numbers, squared
from consensus.half_life import HALF
from consensus.rule import LEAST

_UNIT_BITS: Final = 28
"""Of the square of a unit's length."""


def own_clock(newest_epochs: Numbers) -> int:
    """Return the third largest of the authors' newest epochs, 0 with fewer authors."""
    if len(newest_epochs) < LEAST:
        return 0
    return int(np.partition(newest_epochs, -LEAST)[-LEAST])


def score(units: Floats, epochs: Sequence[int], clock: int) -> int:
    """Return the resonance of representatives, given their units and epochs."""
    weights = [HALF[min(max(0, clock - each), len(HALF) - 1)] for each in epochs]
    rows = units.astype(np.int64)
    # Weights up to 2 ** 30 times units of 2 ** 14, for up to 2 ** 18 authors.
    together = squared((rows * np.array(weights)[:, None]).sum(axis=0))
    squares: list[int] = (rows * rows).sum(axis=1).tolist()
    apart = sum(
        weight * weight * each for weight, each in zip(weights, squares, strict=True)
    )
    square = sum(weights) ** 2 - sum(weight * weight for weight in weights)
    found = ONE * (together - apart) // (square << _UNIT_BITS)
    return min(max(found, 0), ONE)
