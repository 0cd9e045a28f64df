"""Words and numbers as a person reads them, and foreign text made safe to print.

Rule: whatever did not come from this program's own source goes through `safe_line`
or `safe_block` before it reaches a terminal: a label may hold escape sequences that
retitle the window, rewrite the screen or hide what stands beside them.
Rule: neither clock nor dice; the present moment is an argument.
"""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Final

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1: ESC and the 8-bit CSI among them
    "\u2028-\u202e\u2066-\u2069"  # separators, and reordering of what follows
    "\ud800-\udfff"  # lone surrogates, which no encoding can print
    "]"
)
_BLANKS: Final = re.compile(r"[\t\n\v\f\r\u0085\u2028\u2029]+")


def safe_line(text: object) -> str:
    """Return `text` on one line, every unsafe character as its escape."""
    return _UNSAFE.sub(_escape, _BLANKS.sub(" ", str(text)))


def safe_block(text: str) -> str:
    """Return `text` with its lines and tabs kept, all else as `safe_line` does."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(safe_line, line.split("\t"))) for line in lines)


def safe_json(text: str) -> str:
    """Return compact JSON with unsafe characters as escapes: the same value."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cut(text: str, columns: int) -> str:
    """Return as much of `text` as fits, with an ellipsis where it was cut."""
    if width(text) <= columns:
        return text
    short = text[: columns - 1]
    while width(short) > columns - 1:
        short = short[:-1]
    return short.rstrip() + "…"


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(0 if unicodedata.combining(each) else 1 + is_wide(each) for each in text)


def is_wide(character: str) -> bool:
    """Whether a terminal gives `character` two columns."""
    return unicodedata.east_asian_width(character) in "WF"


def many(count: int, noun: str) -> str:
    """Return `1 node`, `2,048 nodes`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float) -> str:
    """Return `value` with at most two decimals and no idle zeros."""
    if 0 < abs(value) < 0.005:
        return f"{value:.1g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def size(count: int) -> str:
    """Return a number of bytes: `512 bytes`, `1.5 MB`."""
    if count < 1000:
        return many(count, "byte")
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units: `3 h 12 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def ago(moment: str, now: datetime) -> str:
    """Return how long before `now` an RFC 3339 `moment` was; its date if long ago."""
    then = datetime.fromisoformat(moment)
    past = now - then
    if past < timedelta(minutes=1):
        return "just now" if past > timedelta(minutes=-1) else f"{then:%Y-%m-%d %H:%M}"
    if past < timedelta(hours=1):
        return f"{past // timedelta(minutes=1)} min ago"
    if past < timedelta(days=1):
        return f"{past // timedelta(hours=1)} h ago"
    if past < timedelta(days=14):
        return many(past.days, "day") + " ago"
    return f"{then:%Y-%m-%d}"
