"""Keys sealed to devices and under other keys."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import ForgedError
from crdt.keys import (
    SEALED_KEY_BYTES,
    WRAPPED_KEY_BYTES,
    hpke_public_key,
    open_sealed,
    seal_to,
    unwrap_key,
    wrap_key,
)

ROOT = Path(__file__).parents[3]
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/vectors/keys.json").read_text())
HPKE_SEED = bytes.fromhex(VECTORS["device"]["randomness"])[32:64]
secrets = st.binary(min_size=32, max_size=32)


@given(secrets, st.binary(max_size=20), st.binary(max_size=60))
def test_what_is_sealed_to_a_device_opens_there_only(
    seed: bytes, info: bytes, plain: bytes
) -> None:
    """Another seed, another purpose or a changed byte opens nothing."""
    sealed = seal_to(hpke_public_key(seed), info, plain)
    other = hashlib.sha256(seed).digest()

    assert open_sealed(seed, info, sealed) == plain
    for key, purpose, text in (
        (other, info, sealed),
        (seed, info + b"\0", sealed),
        (seed, info, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (seed, info, sealed[:40]),
        (seed, info, b""),
    ):
        with pytest.raises(ForgedError):
            open_sealed(key, purpose, text)


def test_nothing_is_sealed_to_what_is_no_key() -> None:
    """A device that offers a weak or short key gets an error, not a secret."""
    for public_key in (bytes(32), bytes(31)):
        with pytest.raises(ForgedError):
            seal_to(public_key, b"", b"secret")


def test_the_golden_sealed_key_opens() -> None:
    """A key sealed by HPKE and one wrapped under another, as once written."""
    golden = {name: bytes.fromhex(text) for name, text in VECTORS["sealing"].items()}
    secret, info = golden["secret"], golden["info"]

    assert open_sealed(HPKE_SEED, info, golden["sealed"]) == secret
    assert len(golden["sealed"]) == SEALED_KEY_BYTES
    wrapped = wrap_key(golden["outer"], "some label", info, secret)
    assert wrapped == golden["wrapped"]
    assert len(wrapped) == WRAPPED_KEY_BYTES
    assert unwrap_key(golden["outer"], "some label", info, wrapped) == secret
    for outer, label, context in (
        (secret, "some label", info),
        (golden["outer"], "label", info),
        (golden["outer"], "some label", b""),
    ):
        with pytest.raises(ForgedError):
            unwrap_key(outer, label, context, wrapped)
