"""Labels made from a person's free text."""

from crdt.ids import MAX_LABEL_BYTES, has_control_characters


def label_of(text: str) -> str:
    """Return `text` as one line that a label may hold, cut at 4 KiB of UTF-8."""
    words = " ".join(text.split())
    if has_control_characters(words):
        words = "".join(c for c in words if not has_control_characters(c))
    return clipped(words, MAX_LABEL_BYTES).rstrip()


def clipped(text: str, limit_bytes: int) -> str:
    """Return the longest start of `text` that fits `limit_bytes` of UTF-8."""
    encoded = text.encode()
    if len(encoded) <= limit_bytes:
        return text
    return encoded[:limit_bytes].decode(errors="ignore")
