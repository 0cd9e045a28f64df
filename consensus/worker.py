"""The process that embeds: `python -m consensus.worker`, questions in, answers out.

All of sentence-transformers is here. It costs seconds and hundreds of megabytes, which
are given back when the process ends. It reads its questions from standard input and
ends when that does; whatever a library prints goes nowhere.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from consensus.model_folder import folder_tag
from consensus.model_tag import DIMENSION, POOLING
from consensus.worker_messages import (
    LENGTH,
    Answer,
    Embed,
    Embedded,
    Failed,
    Open,
    Opened,
    Question,
    Unusable,
    content_length,
    decode_question,
    frame,
)
from crdt.closeness import quantise
from crdt.errors import MalformedError

Encode: TypeAlias = Callable[[Sequence[str]], bytes]
_POOLING_FILE: Final = Path("1_Pooling") / "config.json"
_NICENESS: Final = 5
_AT_ONCE: Final = 16
"""Texts of about one length that go through the model together."""


def main() -> int:
    """Answer questions until there are no more; return the exit status."""
    answers = _own_output()
    with suppress(OSError):
        os.nice(_NICENESS)  # nobody's typing waits for a queue of texts
    try:
        first = _read(sys.stdin.buffer)
        if not isinstance(first, Open):
            return 2
        opened, encode = _open(first)
        _write(answers, opened)
        if encode is None:
            return 1
        while (question := _read(sys.stdin.buffer)) is not None:
            if not isinstance(question, Embed):
                return 2
            _write(answers, _embedded(question, encode))
    except (MalformedError, BrokenPipeError):
        return 2
    return 0


def _own_output() -> BinaryIO:
    """Return the pipe for answers, and let everything printed go nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _read(pipe: BinaryIO) -> Question | None:
    prefix = pipe.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    return decode_question(pipe.read(content_length(prefix)))


def _write(pipe: BinaryIO, answer: Answer) -> None:
    pipe.write(frame(answer))
    pipe.flush()


def _open(question: Open) -> tuple[Opened | Unusable, Encode | None]:
    """Load a model; return what to answer, and how to embed if it is usable."""
    folder = Path(question.folder)
    tag = folder_tag(folder)
    if tag is None:
        return Unusable("files"), None
    if not _pools_by_mean(folder):
        return Unusable("pooling"), None
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ[name] = "1"
    try:
        import torch  # seconds that only this process has to pay
        from sentence_transformers import SentenceTransformer
    except (ImportError, OSError):
        return Unusable("libraries"), None
    torch.set_num_threads(question.threads)
    try:
        model = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, trust_remote_code=False
        )
        probe = model.encode(["probe"], show_progress_bar=False)
    except Exception:  # noqa: BLE001  # a broken folder breaks the library anywhere
        return Unusable("model"), None
    if probe.shape[1] != DIMENSION:
        return Unusable("dimension", int(probe.shape[1])), None

    def encode(texts: Sequence[str]) -> bytes:
        return quantise(
            model.encode(
                list(texts),
                batch_size=_AT_ONCE,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        ).tobytes()

    return Opened(tag), encode


def _pools_by_mean(folder: Path) -> bool:
    """Whether a model averages its words, as the tag says of every one."""
    try:
        pooling = json.loads((folder / _POOLING_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    if not isinstance(pooling, dict):
        return False
    modes = [name for name, is_on in pooling.items() if is_on is True]
    return modes == ["pooling_mode_mean_tokens"] or pooling.get("pooling_mode") == (
        POOLING
    )


def _embedded(question: Embed, encode: Encode) -> Embedded | Failed:
    try:
        return Embedded(question.number, encode(question.texts))
    except Exception:  # noqa: BLE001  # told to who asked; the next texts may do
        return Failed(question.number)


if __name__ == "__main__":
    sys.exit(main())
