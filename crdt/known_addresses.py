"""Where other devices were reached or said to be, kept from run to run."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import apsw

from crdt.ids import DeviceId

KnownAddresses: TypeAlias = Mapping[DeviceId, Sequence[tuple[str, int]]]
"""By device: (address, when it last led to a link or was learnt, in ms), newest first.
"""


def read_addresses(connection: apsw.Connection) -> KnownAddresses:
    """Return what is stored."""
    found: dict[DeviceId, list[tuple[str, int]]] = {}
    for peer, address, last_ms in connection.execute(
        "SELECT peer, address, last_ms FROM address ORDER BY last_ms DESC"
    ):
        found.setdefault(DeviceId(peer), []).append((address, int(last_ms)))
    return found


def write_addresses(connection: apsw.Connection, known: KnownAddresses) -> None:
    """Store what is known instead of what was, in the caller's transaction."""
    connection.execute("DELETE FROM address")
    connection.executemany(
        "INSERT INTO address (peer, address, last_ms) VALUES (?, ?, ?)",
        [
            (peer, address, last_ms)
            for peer, addresses in known.items()
            for address, last_ms in addresses
        ],
    )
