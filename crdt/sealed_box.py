"""Sealing one message under a key that seals nothing else.

Rule: the key is derived for this one message (see `crdt.keys.derive`), so the nonce
is twelve zero bytes. To seal two different messages under one key would give both away.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crdt.errors import ForgedError

_NONCE: Final = bytes(12)


def seal_once(key: bytes, plain: bytes) -> bytes:
    """Return `plain` under AES-256-GCM, with the tag at its end."""
    return AESGCM(key).encrypt(_NONCE, plain, None)


def open_once(key: bytes, sealed: bytes) -> bytes:
    """Return what was sealed, or raise `ForgedError`."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        detail = "A sealed message does not open; it was dropped."
        raise ForgedError(detail) from None
