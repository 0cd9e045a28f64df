"""What is to be seen of the town at one moment, and who shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DeviceSight:
    """How one device stands."""

    title: str
    is_paused: bool
    thoughts: int
    """Of the person's own graph."""
    digest: str
    """Of what its graph shows; equal on all devices of a person that are in step."""
    contributions: int
    """To the circle, by everybody."""
    fingerprint: str
    """Of the set of contributions."""
    result: str
    """Hash of the consensus that this device computed."""


@dataclass(frozen=True, slots=True)
class NodeSight:
    """A consensus node, as one person's device computed it."""

    label: str
    status: str
    authors: int
    resonance: float
    affirm: int
    dissent: int


@dataclass(frozen=True, slots=True)
class Sight:
    """All of it."""

    devices: Sequence[DeviceSight]
    nodes: Sequence[NodeSight] = ()
    seen_by: str = ""
    """Whose device computed the nodes."""

    @property
    def results(self) -> int:
        """How many different results there are."""
        return len({device.result for device in self.devices})

    @property
    def is_one(self) -> bool:
        """Whether all devices hold the same contributions and computed the same."""
        return self.results == 1 and len({d.fingerprint for d in self.devices}) == 1


class Stage(Protocol):
    """Shows to a person what happens."""

    def chapter(self, title: str) -> None:
        """Begin another part of the story."""

    def tell(self, text: str) -> None:
        """Say something that happened."""

    def show(self, sight: Sight) -> None:
        """Show how all stand now."""
