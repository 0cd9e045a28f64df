"""What a session gives to its peer: in order, fairly, and within the agreed credit.

Specification: docs/protocol/sync.md. Rules of this file:

1. Of one device, number n+1 is never sent before number n.
2. Of one device, all that is not acknowledged is on one channel: the two channels of a
   link overtake each other. Bulk waits until the peer is known to have our Hello.
3. What is sent and not acknowledged is at most `WINDOW_BYTES`, or one larger envelope.
4. Envelopes of others wait a moment before they are passed on: mostly their author has
   given them to the peer itself, and its acknowledgement is already on the way.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crdt.ids import DeviceId
from transport.frames import (
    MAX_DEVICES,
    MAX_ENVELOPES,
    MAX_PART_BYTES,
    Acknowledge,
    CheckpointOffer,
    Envelopes,
    PartialCheckpoint,
    Refusal,
)
from transport.sync_actions import (
    Action,
    Checkpoint,
    EndCause,
    Load,
    Send,
    WriteCheckpoint,
)
from transport.sync_checkpoint import Outgoing
from transport.vectors import advances, devices_from, lacks

WINDOW_BYTES: Final = 4 * 1024 * 1024
LOAD_BYTES: Final = 256 * 1024
SMALL_BYTES: Final = 16 * 1024
FORWARD_DELAY_MS: Final = 30
MANY_ENVELOPES: Final = 256
"""A peer that has nothing of others and lacks more gets a checkpoint first."""
MAX_REWINDS: Final = 8
MAX_CHECKPOINTS: Final = 3


@dataclass(slots=True)
class _Batch:
    """Envelopes that were loaded and do not all fit yet."""

    device: DeviceId
    first: int
    envelopes: deque[bytes]


class Outflow:
    """The giving half of a session."""

    def __init__(
        self, me: DeviceId, peer: DeviceId, held: Mapping[DeviceId, int]
    ) -> None:
        self._me = me
        self._peer = peer
        self.held = dict(held)
        """What this device holds durably."""
        self.there: dict[DeviceId, int] = {}
        """What the peer holds durably, as far as it has told."""
        self.partial: PartialCheckpoint | None = None
        """What the peer has kept of a checkpoint."""
        self.may_give = False
        """Whether the peer may be given anything at present."""
        self.has_bulk = False
        """Whether the peer has our Hello, so that bulk cannot overtake it."""
        self.blocked: dict[DeviceId, Refusal] = {}
        """Devices of which the peer takes nothing for now, and why."""
        self.sent_bytes = 0
        self.acknowledged_bytes = 0
        self._sent: dict[DeviceId, int] = {}
        self._is_on_bulk: dict[DeviceId, bool] = {}
        self._unrefused = 0
        self._rewinds: dict[DeviceId, int] = {}
        self._not_before_ms: dict[DeviceId, int] = {}
        self._batch: _Batch | None = None
        self._loading: DeviceId | None = None
        self._last: DeviceId | None = None
        self._heads: deque[DeviceId] = deque()
        """Devices of which the newest envelope is sent although the peer has one."""
        self._is_loading_head = False
        self._outgoing: Outgoing | None = None
        self._checkpoints = 0

    @property
    def in_flight_bytes(self) -> int:
        """What was sent and is not acknowledged."""
        return self.sent_bytes - self.acknowledged_bytes

    @property
    def is_loading(self) -> bool:
        """Whether this device's own store owes an answer."""
        outgoing = self._outgoing
        is_loading = outgoing is not None and outgoing.is_loading
        return is_loading or self._loading is not None

    @property
    def is_offering(self) -> bool:
        """Whether the peer has yet to wish for a checkpoint that it needs."""
        return self._outgoing is not None and not self._outgoing.is_wished

    @property
    def lacking(self) -> int:
        """How many of our envelopes the peer has not acknowledged."""
        return lacks(self.there, self.held)

    @property
    def due_ms(self) -> int | None:
        """When the next envelope of another device may be passed on."""
        return min(self._not_before_ms.values(), default=None)

    def advanced(
        self, device: DeviceId, sequence: int, envelope: bytes, now_ms: int
    ) -> list[Action]:
        """Take note of a new envelope here, and give it on at once if it is our own."""
        is_next = self._through(device) == sequence - 1
        self.held[device] = max(self.held.get(device, 0), sequence)
        if device != self._me:
            if is_next:
                self._not_before_ms.setdefault(device, now_ms + FORWARD_DELAY_MS)
            return []
        is_free = self._batch is None and self._outgoing is None
        if not (is_next and is_free and self._is_open_for(device)):
            return []
        batch = _Batch(device, sequence, deque([envelope]))
        return self._send_of(batch)

    def hold(self, vector: Mapping[DeviceId, int]) -> None:
        """Take note of what this device holds by now."""
        self.held.update(advances(self.held, vector))

    def pump(self, now_ms: int) -> list[Action]:
        """Return what can be sent or loaded now."""
        for device, not_before_ms in list(self._not_before_ms.items()):
            if not_before_ms <= now_ms:
                del self._not_before_ms[device]
        if not self.may_give:
            return []
        if self._outgoing is None and self._is_far_behind():
            return self._offer(None)
        if self._outgoing is not None and self._is_needed(self._outgoing):
            is_free = self.has_bulk and self._has_room(MAX_PART_BYTES)
            return self._outgoing.next_load() if is_free else []
        self._outgoing = None
        actions: list[Action] = []
        if self._batch is not None:
            actions = self._send_of(self._batch)
            self._batch = self._batch if self._batch.envelopes else None
        if self._batch is None and self._loading is None and self._has_room(1):
            if self._heads:
                self._is_loading_head = True
                self._loading = self._heads.popleft()
                return [*actions, Load(self._loading, self.held[self._loading] - 1, 1)]
            chosen = self._next_device()
            if chosen is not None:
                self._last = self._loading = chosen
                actions.append(Load(chosen, self._through(chosen), LOAD_BYTES))
        return actions

    def loaded(
        self, device: DeviceId, after: int, envelopes: Sequence[bytes]
    ) -> list[Action]:
        """Take what the store had; nothing means that it was pruned."""
        self._loading = None
        if self._is_loading_head:
            self._is_loading_head = False
            return self._send_head(envelopes[0]) if envelopes else []
        through = self._through(device)
        if envelopes:
            if after <= through:
                rest = deque(envelopes[through - after :])
                self._batch = _Batch(device, through + 1, rest) if rest else None
            return []
        if through > after or not self.may_give:
            return []
        if self._checkpoints == MAX_CHECKPOINTS:
            self._rewinds[device] = MAX_REWINDS + 1
            self.blocked[device] = Refusal.GAP
            return []
        return self._offer((device, through))

    def show_heads(self) -> None:
        """Send the newest envelope of each device, for the peer to compare.

        If both hold as many and show different graphs, two contents may bear one
        number; the replica that sees both keeps the proof.
        """
        self._heads.extend(each for each in sorted(self.held) if self.held[each])

    def acknowledged(self, frame: Acknowledge) -> EndCause | None:
        """Take what the peer holds; return what is wrong with that."""
        if not self.acknowledged_bytes <= frame.received <= self.sent_bytes:
            return EndCause.OVERACKNOWLEDGED
        if any(
            count < self.there.get(device, 0) for device, count in frame.vector.items()
        ):
            return EndCause.RETREATED
        self.acknowledged_bytes = frame.received
        return self.learned(frame.vector)

    def learned(self, vector: Mapping[DeviceId, int]) -> EndCause | None:
        """Take note of what the peer holds."""
        for device in advances(self.there, vector):
            self._rewinds.pop(device, None)
            self.blocked.pop(device, None)
        self.there.update(advances(self.there, vector))
        for device in list(self._not_before_ms):
            if self.there.get(device, 0) >= self.held.get(device, 0):
                del self._not_before_ms[device]
        return EndCause.TOO_MANY_DEVICES if len(self.there) > MAX_DEVICES else None

    def finished_parts(self) -> list[Action]:
        """Report the parts of a checkpoint that became durable; go on after the last.

        What the peer holds then is in its acknowledgement of the last part.
        """
        if self._outgoing is None:
            return []
        actions = self._outgoing.acknowledged(self.acknowledged_bytes)
        if self._outgoing.is_over:
            self._outgoing = None
        return actions

    def refused(
        self, device: DeviceId, sequence: int, refusal: Refusal
    ) -> EndCause | None:
        """Go back to what the peer holds of a device; return what is wrong."""
        if not self._unrefused:
            return EndCause.OVERACKNOWLEDGED
        self._unrefused -= 1
        if sequence > self._sent.get(device, 0):
            return None  # what was sent after the first refused one, and is taken back
        self._sent.pop(device, None)
        if self._batch is not None and self._batch.device == device:
            self._batch = None
        rewinds = self._rewinds[device] = self._rewinds.get(device, 0) + 1
        if refusal is not Refusal.GAP or rewinds > MAX_REWINDS:
            self.blocked[device] = refusal
        return None

    def unblock(self) -> None:
        """Try again what was refused: the roster of one of both has changed."""
        self.blocked = {
            device: refusal
            for device, refusal in self.blocked.items()
            if refusal is Refusal.FORK or self._rewinds.get(device, 0) > MAX_REWINDS
        }

    def wished(self) -> list[Action]:
        """Begin the checkpoint that was offered.

        A wish that comes when the offer is void is granted as well, as the peer keeps
        a place for it; but not without end.
        """
        if not self.is_offering and self._outgoing is not None:
            return []
        if self._checkpoints == MAX_CHECKPOINTS:
            return []
        self._checkpoints += 1
        self._outgoing = self._outgoing or Outgoing(None)
        self._outgoing.is_wished = True
        return [WriteCheckpoint(self.partial)]

    def checkpoint_written(self, checkpoint: Checkpoint) -> None:
        """Take note that a checkpoint can be read."""
        if self._outgoing is not None:
            self._outgoing.written(checkpoint)

    def checkpoint_part_loaded(self, index: int, part: bytes) -> list[Action]:
        """Send a part."""
        if self._outgoing is None:
            return []
        self.sent_bytes += len(part)
        return self._outgoing.loaded(index, part, self.sent_bytes)

    def _is_far_behind(self) -> bool:
        holds_of_others = any(
            self.there.get(device) for device in self.held if device != self._peer
        )
        return (
            self._checkpoints == 0
            and self.in_flight_bytes == 0
            and not holds_of_others
            and self.lacking > MANY_ENVELOPES
        )

    def _offer(self, pruned: tuple[DeviceId, int] | None) -> list[Action]:
        self._outgoing = Outgoing(pruned)
        return [Send(CheckpointOffer())]

    def _is_needed(self, outgoing: Outgoing) -> bool:
        """Whether an offer still stands: others may have given what was lacking."""
        if outgoing.is_wished:
            return True
        if outgoing.pruned is None:
            return self._is_far_behind()
        device, through = outgoing.pruned
        return self._through(device) == through

    def _next_device(self) -> DeviceId | None:
        """Return whose envelopes are loaded next: each device in its turn."""
        for device, count in devices_from(self.held, self._last):
            is_due = device not in self._not_before_ms and self._is_open_for(device)
            if is_due and self._through(device) < count:
                return device
        return None

    def _is_open_for(self, device: DeviceId) -> bool:
        return self.may_give and device not in self.blocked

    def _through(self, device: DeviceId) -> int:
        """Return up to which number the peer has a device's envelopes, or will."""
        return max(self._sent.get(device, 0), self.there.get(device, 0))

    def _has_room(self, size: int) -> bool:
        flying = self.in_flight_bytes
        return flying == 0 or flying + size <= WINDOW_BYTES

    def _send_of(self, batch: _Batch) -> list[Action]:
        """Send the front of a batch, as far as it fits; what was sent leaves it."""
        through = self._through(batch.device)
        while batch.envelopes and batch.first <= through:
            batch.envelopes.popleft()
            batch.first += 1
        if batch.first > through + 1 or not self._is_open_for(batch.device):
            batch.envelopes.clear()
        flies = self._sent.get(batch.device, 0) > self.there.get(batch.device, 0)
        size = sum(map(len, batch.envelopes))
        is_bulk = self._is_on_bulk[batch.device] if flies else size > SMALL_BYTES
        if is_bulk and not self.has_bulk:
            return []
        return self._send_front(batch, is_bulk=is_bulk)

    def _send_head(self, envelope: bytes) -> list[Action]:
        is_bulk = len(envelope) > SMALL_BYTES
        if not self._has_room(len(envelope)) or (is_bulk and not self.has_bulk):
            return []
        self.sent_bytes += len(envelope)
        self._unrefused += 1
        return [Send(Envelopes((envelope,)), is_bulk=is_bulk)]

    def _send_front(self, batch: _Batch, *, is_bulk: bool) -> list[Action]:
        taken: list[bytes] = []
        size = 0
        while batch.envelopes and len(taken) < MAX_ENVELOPES:
            grown = size + len(batch.envelopes[0])
            if not self._has_room(grown) or (taken and grown > WINDOW_BYTES):
                break
            if not is_bulk and grown > SMALL_BYTES:
                break
            taken.append(batch.envelopes.popleft())
            size = grown
        if not taken:
            return []
        self._is_on_bulk[batch.device] = is_bulk
        batch.first += len(taken)
        self._sent[batch.device] = batch.first - 1
        self.sent_bytes += size
        self._unrefused += len(taken)
        return [Send(Envelopes(tuple(taken)), is_bulk=is_bulk)]
