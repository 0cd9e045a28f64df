"""Which offers are answered: none twice, none too often, one of two that cross.

Specification: docs/protocol/signalling.md.
"""

from collections import OrderedDict, deque
from typing import Final

from crdt.errors import PeerError
from crdt.ids import DeviceId
from transport.signalling import MAX_SKEW_MS, Offer

REMEMBERED_MS: Final = 2 * MAX_SKEW_MS
"""An offer is fresh for so long at most, counted from its first arrival."""
OFFERS_PER_MINUTE: Final = 30
"""Of one peer; each costs sockets and about 10 ms of computing."""
MAX_PEERS: Final = 256


class ReplayedError(PeerError):
    """An offer came a second time."""


class TooManyError(PeerError):
    """A peer makes more offers than there can be a reason for."""


class Admission:
    """The memory of offers that arrived; bounded whatever arrives."""

    def __init__(self) -> None:
        self._sessions: dict[DeviceId, OrderedDict[bytes, int]] = {}
        self._times: dict[DeviceId, deque[int]] = {}

    def admit(self, offer: Offer, now_ms: int) -> None:
        """Note a verified offer; raises `ReplayedError` or `TooManyError`.

        `now_ms` is of a clock that never goes back.
        """
        peer = offer.sender.device
        if peer not in self._sessions and len(self._sessions) >= MAX_PEERS:
            self._forget(now_ms)
        sessions = self._sessions.setdefault(peer, OrderedDict())
        times = self._times.setdefault(peer, deque())
        while sessions and next(iter(sessions.values())) < now_ms - REMEMBERED_MS:
            sessions.popitem(last=False)
        while times and times[0] <= now_ms - 60_000:
            times.popleft()
        if offer.session in sessions:
            detail = "An offer came twice; the second was dropped."
            raise ReplayedError(detail)
        if len(times) >= OFFERS_PER_MINUTE:
            detail = "A device asks for links faster than allowed; it has to wait."
            raise TooManyError(detail)
        sessions[offer.session] = now_ms
        times.append(now_ms)

    def _forget(self, now_ms: int) -> None:
        """Make room: forget peers whose offers all are old, else refuse a new peer."""
        for peer, sessions in list(self._sessions.items()):
            if all(arrived < now_ms - REMEMBERED_MS for arrived in sessions.values()):
                del self._sessions[peer], self._times[peer]
        if len(self._sessions) >= MAX_PEERS:
            detail = "More devices ask for links than can be remembered."
            raise TooManyError(detail)


def stands(me: DeviceId, peer: DeviceId) -> bool:
    """Whether, of two offers that cross, ours is the one to be answered."""
    return me < peer
