"""Graphs of any size from a seed: the same bytes on every machine."""

import json
import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

_WORDS: Final = 20_000
_LABEL_WORDS: Final = 7
_LINES_A_CHUNK: Final = 500


def key(number: int) -> str:
    """Return the key of node `number`: 16 characters in no useful order."""
    return f"{(number * 0x9E3779B97F4A7C15 + 0x1234567) % 2**64:016x}"


class Vocabulary:
    """Made-up words, a few of them frequent and most of them rare (Zipf)."""

    def __init__(self, seed: int) -> None:
        """Make the words."""
        dice = random.Random(f"words {seed}")
        syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
        self.words = [
            "".join(dice.choices(syllables, k=dice.randint(2, 4)))
            for _ in range(_WORDS)
        ]
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(_WORDS)))

    def sentence(self, dice: random.Random, count: int = _LABEL_WORDS) -> str:
        """Return some words."""
        return " ".join(dice.choices(self.words, cum_weights=self._weights, k=count))


def batch_lines(nodes: int, seed: int) -> Iterator[bytes]:
    """Yield chunks of `POST /v1/batch` lines: nodes, then two edges for each."""
    dice = random.Random(f"graph {seed}")
    vocabulary = Vocabulary(seed)
    chunk: list[str] = []
    for line in _lines(nodes, dice, vocabulary):
        chunk.append(line)
        if len(chunk) == _LINES_A_CHUNK:
            yield "".join(chunk).encode()
            chunk = []
    yield "".join(chunk).encode()


def _lines(nodes: int, dice: random.Random, vocabulary: Vocabulary) -> Iterator[str]:
    for number in range(nodes):
        fields: dict[str, object] = {
            "op": "put_node",
            "key": key(number),
            "label": vocabulary.sentence(dice),
        }
        if number % 3 == 0:
            fields["metadata"] = {"source": "bench", "rank": number % 100}
        yield json.dumps(fields) + "\n"
    for number in range(nodes):
        for kind in ("child", "related"):
            target = key(dice.randrange(nodes))
            yield (
                f'{{"op":"put_edge","from":"{key(number)}","to":"{target}",'
                f'"type":"{kind}"}}\n'
            )
