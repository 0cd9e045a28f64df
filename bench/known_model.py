"""The program with a model that knows its texts: `python -m bench.known_model run`.

Where many daemons run on one machine, embedding the same texts in each would measure
little else. The vectors are those of the real model, worked out once beforehand: a
file, named by the environment, that holds tag, texts and vectors.
"""

import functools
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from consensus.embedder import Embedder
from consensus.worker_messages import (
    LENGTH,
    Embed,
    Embedded,
    Failed,
    Open,
    Opened,
    content_length,
    decode_question,
    frame,
)
from daemon.cli import main
from daemon.meaning import opening

PROGRAM: Final = (sys.executable, "-m", "bench.known_model")
VECTORS: Final = "BENCH_VECTORS"
"""Variable of the environment that names the file."""
_WORKER: Final = "answer-questions"


class Known(msgspec.Struct):
    """What a model knows."""

    tag: bytes
    vectors: dict[str, bytes]


def write_known(path: Path, known: Known) -> None:
    """Write what a model is to know."""
    path.write_bytes(msgspec.msgpack.encode(known))


def _answer_questions() -> None:
    """Do what `consensus.worker` does, by looking up."""
    known = msgspec.msgpack.decode(Path(os.environ[VECTORS]).read_bytes(), type=Known)
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while prefix := questions.read(LENGTH.size):
        question = decode_question(questions.read(content_length(prefix)))
        answers.write(frame(_answer(question, known)))
        answers.flush()


def _answer(question: Open | Embed, known: Known) -> Opened | Embedded | Failed:
    if isinstance(question, Open):
        return Opened(known.tag)
    try:
        found = [known.vectors[text] for text in question.texts]
    except KeyError:
        return Failed(question.number)
    return Embedded(question.number, b"".join(found))


if __name__ == "__main__":
    if sys.argv[1:] == [_WORKER]:
        _answer_questions()
    else:
        vars(opening)["Embedder"] = functools.partial(
            Embedder, command=(*PROGRAM, _WORKER)
        )
        main()
