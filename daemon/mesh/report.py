"""What the mesh tells the API: values of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crdt.ids import DeviceId

LinkKind: TypeAlias = Literal["webrtc", "relay"]


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A device of the person and how it stands to this one."""

    device: DeviceId
    name: str
    role: str
    is_this: bool
    is_removed: bool
    link: LinkKind | None
    pending_out: int
    pending_in: int
    last_ack_ms: int | None
    is_safe: bool
    is_digest_equal: bool
    cause: str | None
    fix: str | None


@dataclass(frozen=True, slots=True)
class PeerReport:
    """How another device is reached."""

    device: DeviceId
    name: str
    link: LinkKind | None
    rtt_ms: float | None
    bytes_out: int
    bytes_in: int
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What is done about a device now."""

    device: DeviceId
    name: str
    plan: str
