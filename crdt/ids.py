"""Names of things, their text forms and the hashes that place them.

Rule: an id that exists is valid; whoever makes one from foreign input goes through
the `check_` or `parse_` function of its kind.
"""

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import Final, NewType

from crdt.errors import InvalidError

NodeKey = NewType("NodeKey", str)
"""Name of a node within its space, chosen by whoever creates it."""
EdgeId = NewType("EdgeId", str)
"""Identity of (source, type, target): 24 characters of URL-safe base64.

It begins with the hash of the source, so that the edge can be found by its id alone
without an index of ids.
"""
DeviceId = NewType("DeviceId", bytes)
"""First 16 bytes of SHA-256 over the device's Ed25519 public key."""
SpaceId = NewType("SpaceId", bytes)
"""16 random bytes made with the space."""
PersonId = NewType("PersonId", bytes)
"""First 16 bytes of SHA-256 over the person's Ed25519 public key."""
CircleId = NewType("CircleId", bytes)
"""SHA-256 of the statement that founded the circle."""
AuthorKey = NewType("AuthorKey", bytes)
"""Ed25519 public key of a person in one circle: the pseudonym under which others of the
circle know that person."""
ShardNumber = NewType("ShardNumber", int)
"""0 to 4095: which Yjs document of the space holds a node."""

SHARD_COUNT: Final = 4096
MAX_KEY_BYTES: Final = 255
KEY_END: Final = "\U0010ffff" * (MAX_KEY_BYTES // 4 + 1)
"""Behind every key, for none has room for so many of the last character."""
MAX_LABEL_BYTES: Final = 4 * 1024
MAX_TYPE_BYTES: Final = 64
MAX_METADATA_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
_EDGE_ID_BYTES: Final = 18
_SOURCE_HASH_BYTES: Final = 8
_SHA256_BLOCK_BYTES: Final = 64
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def has_control_characters(text: str) -> bool:
    """Whether `text` holds a C0 or C1 control character or a line separator."""
    return not text.isprintable() and any(
        character < " "
        or "\x7f" <= character <= "\x9f"
        or character in "\u2028\u2029"
        or "\ud800" <= character <= "\udfff"
        for character in text
    )


def check_key(text: str, field: str = "key") -> NodeKey:
    """Return `text` as a node key.

    Raises `InvalidError` if it is empty, longer than 255 bytes of UTF-8 or holds
    control characters.
    """
    if not text:
        raise InvalidError(field, "must not be empty")
    if has_control_characters(text):
        raise InvalidError(field, "must not contain control characters")
    if len(text) * 4 > MAX_KEY_BYTES and len(text.encode()) > MAX_KEY_BYTES:
        raise InvalidError(field, f"must be at most {MAX_KEY_BYTES} bytes of UTF-8")
    return NodeKey(text)


@lru_cache(maxsize=4096)  # the edges of a node mostly come together
def shard_of(shard_secret: bytes, key: NodeKey) -> ShardNumber:
    """Return the shard of a node: 12 bits that only holders of the secret can tell."""
    inner, outer = (half.copy() for half in _hmac_halves(shard_secret))
    inner.update(key.encode())
    outer.update(inner.digest())
    digest = outer.digest()
    return ShardNumber(digest[0] << 4 | digest[1] >> 4)


def edge_id(source: NodeKey, edge_type: str, target: NodeKey) -> EdgeId:
    """Return the identity of an edge: equal on every device for the same triple.

    Keys and types hold no control characters, so the separator keeps fields apart.
    """
    digest = hashlib.sha256(f"{source}\x1f{edge_type}\x1f{target}".encode()).digest()
    identity = key_hash(source).to_bytes(_SOURCE_HASH_BYTES) + digest
    encoded = binascii.b2a_base64(identity[:_EDGE_ID_BYTES], newline=False)
    return EdgeId(encoded.translate(_URL_SAFE).decode())


@lru_cache(maxsize=16)
def _hmac_halves(secret: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """Return the two hashes of HMAC-SHA256 (RFC 2104) that have taken in the key.

    `hmac.digest` lets go of the interpreter at every call. An import calls it a
    hundred thousand times a second, and the event loop, woken each time and each time
    too late, then hardly ever runs.
    """
    block = secret.ljust(_SHA256_BLOCK_BYTES, b"\0")
    return (
        hashlib.sha256(bytes(byte ^ 0x36 for byte in block)),
        hashlib.sha256(bytes(byte ^ 0x5C for byte in block)),
    )


def key_hash(key: str) -> int:
    """Return the 64-bit hash by which a node key is looked up.

    Text that is no valid Unicode has one too: it is looked up and not found.
    """
    encoded = key.encode(errors="surrogatepass")
    digest = hashlib.blake2b(encoded, digest_size=_SOURCE_HASH_BYTES).digest()
    return int.from_bytes(digest)


def source_hash(identity: EdgeId) -> int:
    """Return the `key_hash` of the node that an edge starts at."""
    return int.from_bytes(base64.urlsafe_b64decode(identity)[:_SOURCE_HASH_BYTES])


def is_edge_id(text: str) -> bool:
    """Whether `text` has the form of an edge id."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    return len(decoded) == _EDGE_ID_BYTES


def parse_edge_id(text: str) -> EdgeId:
    """Return `text` as an edge id, or raise `InvalidError`."""
    if not is_edge_id(text):
        raise InvalidError("id", "must be the 24 characters of an edge id")
    return EdgeId(text)


def format_id(identity: bytes) -> str:
    """Return the text form of a device, person or space id: lower-case base32."""
    return base64.b32encode(identity).decode().rstrip("=").lower()


def parse_id(text: str) -> bytes:
    """Return the 16 bytes of a device, person or space id, or raise `InvalidError`."""
    try:
        decoded = base64.b32decode(text.upper() + "======")
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != 16 or text != text.lower():
        raise InvalidError("id", "must be the 26 characters of an id")
    return decoded
