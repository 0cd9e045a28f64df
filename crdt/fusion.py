"""Two rankings become one by the reciprocals of their ranks.

Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods", SIGIR 2009. Scores of different kinds are never added: only
places count.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

RANK_OFFSET: Final = 60
"""k of the paper: how little the very first places weigh more than the next ones."""


def fused(
    rankings: Sequence[Sequence[str]], energy: Callable[[str], float]
) -> list[tuple[str, float]]:
    """Return (key, score) of everything ranked, best first; 1 is first everywhere.

    Of equal scores the more alive comes first, then the smaller key.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] += 1 / (RANK_OFFSET + rank)
    best = len(rankings) / (RANK_OFFSET + 1)
    found = [(key, score / best) for key, score in scores.items()]
    return sorted(found, key=lambda item: (-item[1], -energy(item[0]), item[0]))
