"""The process that embeds with the real model."""

import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from consensus.embedder import Embedder
from consensus.errors import NoModelError
from consensus.model_folder import TOKENIZER, WEIGHTS, file_digest, find_model
from consensus.model_tag import model_tag
from crdt.closeness import DIMENSION, from_bytes, resonances

ODD_TEXTS = [
    "",
    "x",
    "🙂🙂🙂",
    "日本語 y español и русский",
    "word " * 800,
    "\u202e\u0000",
]


def model() -> Path:
    """Return the folder of the packaged model."""
    found = find_model(None, {})
    assert found is not None
    return found


@asynccontextmanager
async def embedding(folder: Path) -> AsyncIterator[Embedder]:
    async with Embedder(folder, lambda: time.monotonic_ns() // 1_000_000) as embedder:
        yield embedder


async def test_the_model_knows_what_texts_mean() -> None:
    """Texts of one meaning are nearer than others, and odd ones have vectors, too."""
    texts = [
        "The bus stop should have a roof",
        "Build a shelter where people wait for the bus",
        "My cat sleeps all day",
    ]
    async with embedding(model()) as embedder:
        vectors = await embedder.embed(texts)
        odd = await embedder.embed(ODD_TEXTS)
        alone = [(await embedder.embed([text]))[0] for text in texts]
        tag = embedder.life.tag

    near, far = resonances(from_bytes(b"".join(vectors[1:])), vectors[0])
    assert near > 0.6 > 0.3 > far
    assert all(len(vector) == DIMENSION for vector in odd)
    assert max(map(abs, np.frombuffer(odd[2], np.int8).astype(int))) == 127
    for vector, other in zip(vectors, alone, strict=True):
        assert resonances(from_bytes(vector), other)[0] > 0.999
    digests = file_digest(model() / WEIGHTS), file_digest(model() / TOKENIZER)
    assert tag == model_tag(*digests)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [("absent", "lacks"), ("weights", "cannot be loaded"), ("pooling", "average")],
)
async def test_a_broken_folder_is_told(damage: str, cause: str, tmp_path: Path) -> None:
    """What is wrong with a folder is said in words, and nothing crashes."""
    folder = tmp_path / "model"
    if damage != "absent":
        shutil.copytree(model(), folder)
    if damage == "weights":
        (folder / WEIGHTS).write_bytes(b"not weights")
    if damage == "pooling":
        modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))

    async with embedding(folder) as embedder:
        with pytest.raises(NoModelError, match=cause):
            await embedder.embed(["bread"])


async def test_a_model_of_another_dimension_is_told(tmp_path: Path) -> None:
    """A model whose vectors are of another length is refused with both lengths."""
    folder = tmp_path / "model"
    shutil.copytree(model(), folder)
    (folder / "2_Dense").mkdir()
    shrinking = {
        "in_features": 384,
        "out_features": 128,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "2_Dense" / "config.json").write_text(json.dumps(shrinking))
    (folder / "2_Dense" / WEIGHTS).write_bytes(dense_weights(128, 384))
    modules = json.loads((folder / "modules.json").read_text())
    modules[2] = {
        "idx": 2,
        "name": "2",
        "path": "2_Dense",
        "type": "sentence_transformers.models.Dense",
    }
    (folder / "modules.json").write_text(json.dumps(modules))

    async with embedding(folder) as embedder:
        with pytest.raises(NoModelError, match=r"128 numbers.*384"):
            await embedder.embed(["bread"])


def dense_weights(rows: int, columns: int) -> bytes:
    """Return a file of weights (safetensors) with one matrix of zeros."""
    size = rows * columns * 4
    header = json.dumps(
        {
            "linear.weight": {
                "dtype": "F32",
                "shape": [rows, columns],
                "data_offsets": [0, size],
            }
        }
    ).encode()
    return len(header).to_bytes(8, "little") + header + bytes(size)
