"""How often strangers may ask: a bucket of tokens for each address.

Rule: memory is bounded whoever asks; who would be forgotten first is who has not asked
for longest.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

MAX_ADDRESSES: Final = 4096


class Buckets:
    """Tokens of every address: `burst` at once, then `per_second`."""

    def __init__(self, *, burst: float, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now_seconds: float) -> bool:
        """Whether the address had a token left, which is taken."""
        key = network_of(address)
        level, since = self._levels.pop(key, (self._burst, now_seconds))
        level = min(self._burst, level + (now_seconds - since) * self._per_second)
        may = level >= 1
        self._levels[key] = (level - 1 if may else level, now_seconds)
        if len(self._levels) > MAX_ADDRESSES:
            self._levels.popitem(last=False)
        return may


def network_of(address: str) -> str:
    """Return what stands for an address: one person has a whole /64 of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return parsed.packed[:8].hex()
    return str(parsed)
