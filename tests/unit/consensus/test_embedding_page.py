"""The bytes of vectors, tags and messages, as docs/protocol/embedding.md fixes them."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from consensus.model_tag import DIMENSION, model_tag
from consensus.worker_messages import (
    MAX_FRAME_BYTES,
    MAX_TEXT_CHARACTERS,
    MAX_TEXTS,
    Answer,
    Embed,
    Embedded,
    Failed,
    Open,
    Opened,
    Question,
    Unusable,
    frame,
)
from crdt.closeness import quantise

ROOT: Final = Path(__file__).parents[3]
GOLDEN: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests" / "vectors" / "embedding.json").read_text()
)
MESSAGES: Final[dict[str, Question | Answer]] = {
    "open": Open("/models/a", 2),
    "embed": Embed(1, ["bread", "🙂"]),
    "opened": Opened(bytes(range(8))),
    "unusable": Unusable("dimension", 768),
    "embedded": Embedded(1, bytes(4)),
    "failed": Failed(2),
}


def test_tags_are_the_golden_ones() -> None:
    """A tag follows from two digests, in these bytes."""
    for case in GOLDEN["tags"]:
        digests = bytes.fromhex(case["weights"]), bytes.fromhex(case["tokenizer"])
        assert model_tag(*digests).hex() == case["tag"]


def test_vectors_are_the_golden_ones() -> None:
    """Floats become small integers in these bytes."""
    for case in GOLDEN["vectors"]:
        floats = np.array([case["floats"]], np.float32)
        assert quantise(floats).tobytes().hex() == case["bytes"]


@pytest.mark.parametrize("name", MESSAGES)
def test_frames_are_the_golden_ones(name: str) -> None:
    """Each message goes through the pipe in these bytes."""
    assert frame(MESSAGES[name]).hex() == GOLDEN["frames"][name]


def test_the_page_tells_the_limits() -> None:
    """The page has the numbers and names of the code."""
    page = (ROOT / "docs" / "protocol" / "embedding.md").read_text()

    assert f"Vector := {DIMENSION} bytes" in page
    assert f"at most {MAX_FRAME_BYTES // 1024**2} MiB" in page
    assert f"1 to {MAX_TEXTS} texts" in page
    assert f"{MAX_TEXT_CHARACTERS:,} characters" in page
    for name in MESSAGES:
        assert f'["{name}"' in page
