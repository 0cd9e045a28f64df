"""What either side of a circle's session tells the other at its end.

Specification: docs/protocol/circle-sync.md.
"""

from typing import Final

from transport.circle_actions import CircleEnd
from transport.circle_frames import CircleFarewell

FAREWELLS: Final = {
    CircleEnd.STOPPED: CircleFarewell.CLOSING,
    CircleEnd.REPLACED: CircleFarewell.REPLACED,
    CircleEnd.REMOVED: CircleFarewell.REMOVED,
    CircleEnd.FOREIGN_CIRCLE: CircleFarewell.FOREIGN_CIRCLE,
    CircleEnd.VERSION: CircleFarewell.VERSION,
    CircleEnd.DISK_FULL: CircleFarewell.DISK_FULL,
    CircleEnd.STALLED: CircleFarewell.STALLED,
}
"""What the peer is told; of every other cause, that it broke the rules."""

MEANINGS: Final = {
    CircleFarewell.REPLACED: CircleEnd.REPLACED,
    CircleFarewell.REMOVED: CircleEnd.REMOVED_HERE,
    CircleFarewell.BROKEN_RULES: CircleEnd.REJECTED,
    CircleFarewell.DISK_FULL: CircleEnd.DISK_FULL_THERE,
    CircleFarewell.STALLED: CircleEnd.STALLED,
    CircleFarewell.VERSION: CircleEnd.VERSION,
    CircleFarewell.FOREIGN_CIRCLE: CircleEnd.FOREIGN_CIRCLE,
}
"""What a farewell means to who is told it; every other, that the peer left."""
