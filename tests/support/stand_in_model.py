"""A process that speaks as `consensus.worker` does, without a model.

Its vectors follow from the words of a text, so that texts with common words are near;
by the folder `MILL` it knows those that the real model has for the demonstration.
Some texts make it misbehave; that is how the rest of the program learns to live with
a model that does.
"""

import base64
import functools
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from consensus.model_folder import folder_tag
from consensus.worker_messages import (
    LENGTH,
    Embed,
    Embedded,
    Failed,
    Fault,
    Open,
    Opened,
    Unusable,
    content_length,
    decode_question,
    frame,
)
from crdt.closeness import DIMENSION, quantise

COMMAND: Final = (sys.executable, "-m", "tests.support.stand_in_model")
BROKEN_FOLDER: Final = "broken"
ABSENT_FOLDER: Final = "absent"
MILL: Final = "mill"
_KNOWN: Final = Path(__file__).parents[1] / "vectors" / "mill.json"
FAULTS: Final[dict[str, Fault]] = {BROKEN_FOLDER: "model", ABSENT_FOLDER: "files"}
DIES: Final = "please die"
HANGS: Final = "please hang"
LIES: Final = "please lie"
FAILS: Final = "please fail"


def tag_of(folder: str) -> bytes:
    """Return the tag of the stand-in for a folder without files."""
    return hashlib.sha256(folder.encode()).digest()[:8]


def vector(text: str, folder: str = "model") -> bytes:
    """Return the vector of a text: a known one, or the sum of those of its words."""
    if folder == MILL and text in known_vectors():
        return known_vectors()[text]
    total = np.zeros((1, DIMENSION), np.float32)
    for word in text.lower().split():
        seed = hashlib.sha256(f"{folder} {word}".encode()).digest()
        dice = np.random.default_rng(int.from_bytes(seed[:8]))
        total += dice.standard_normal((1, DIMENSION), np.float32)
    return quantise(total).tobytes()


@functools.cache
def known_vectors() -> dict[str, bytes]:
    """Return what the real model makes of the statements of the demonstration."""
    encoded: dict[str, str] = json.loads(_KNOWN.read_text())["vectors"]
    return {text: base64.b64decode(each) for text, each in encoded.items()}


def _answer(question: Embed, folder: str) -> bytes:
    texts = question.texts
    if DIES in texts:
        os._exit(1)
    if HANGS in texts:
        time.sleep(3600)
    if LIES in texts:
        return frame(Embedded(question.number + 1, b""))
    if FAILS in texts:
        return frame(Failed(question.number))
    vectors = b"".join(vector(text, folder) for text in texts)
    return frame(Embedded(question.number, vectors))


def _serve() -> None:
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    folder = ""
    while prefix := questions.read(LENGTH.size):
        question = decode_question(questions.read(content_length(prefix)))
        if isinstance(question, Open):
            folder = os.path.basename(question.folder)
            tag = folder_tag(Path(question.folder)) or tag_of(folder)
            fault = FAULTS.get(folder)
            answers.write(frame(Unusable(fault) if fault else Opened(tag)))
        else:
            answers.write(_answer(question, folder))
        answers.flush()


if __name__ == "__main__":
    _serve()
