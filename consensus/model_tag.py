"""The tag by which vectors say which model made them: docs/protocol/embedding.md.

Rule: vectors of different tags are never compared, so a tag covers all that makes one
model's vectors differ from another's, and nothing else, above all no place or name.
"""

import hashlib
from typing import Final

import msgspec

TAG_BYTES: Final = 8
DIMENSION: Final = 384
"""Of every vector that this program keeps or exchanges."""
POOLING: Final = "mean"
NORMALISATION: Final = "l2"


def model_tag(
    weights_digest: bytes,
    tokenizer_digest: bytes,
    pooling: str = POOLING,
    normalisation: str = NORMALISATION,
) -> bytes:
    """Return the tag of a model; digests are SHA-256 of its files."""
    parts = (weights_digest, tokenizer_digest, pooling, normalisation)
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()[:TAG_BYTES]
