"""Networks: nodes that belong together, and how fast their energy decays.

A network is the word that its nodes have in their field `network`. What is set for it
stands in the metadata of an ordinary node whose key names it, so settings travel, merge
and are exported like everything else. Rule: a setting that makes no sense is as if
absent; whoever may write may have put it there.
"""

from typing import Any, Final

from crdt.energy import HALF_LIFE, MAX_HALF_LIFE
from crdt.records import Node

KEY_PREFIX: Final = "network/"
SETTINGS_TYPE: Final = "network"
"""Type of the nodes with settings, as this program makes them."""
HALF_LIFE_NAME: Final = "half_life_hours"
"""Name of the half-life in the metadata: whole hours, 1 to `MAX_HALF_LIFE`."""


def settings_key(network: str) -> str:
    """Return the key of the node that has the settings of a network."""
    return KEY_PREFIX + network


def network_of(key: str) -> str | None:
    """Return the network whose settings a node has, None if it has none."""
    return key.removeprefix(KEY_PREFIX) if key.startswith(KEY_PREFIX) else None


def half_life_of(settings: Node | None) -> int:
    """Return the half-life, in hours, that the node of a network's settings gives."""
    if settings is None or settings.deleted_ms is not None:
        return HALF_LIFE
    value: Any = settings.metadata.get(HALF_LIFE_NAME)
    is_hours = isinstance(value, int) and not isinstance(value, bool)
    return value if is_hours and 1 <= value <= MAX_HALF_LIFE else HALF_LIFE
