"""A session of a circle: two devices of members come to hold the same items.

Specification: docs/protocol/circle-sync.md.
"""

from transport.circle_actions import CircleSessionName
from transport.circle_frames import CircleState


class CircleSession:
    """One side of a session; `me` and `peer` have proved who they are."""

    def __init__(
        self, name: CircleSessionName, rule: str, state: CircleState, now_ms: int
    ) -> None:
        self.name = name
        self.rule = rule
        self.state = state
        self.started_ms = now_ms
