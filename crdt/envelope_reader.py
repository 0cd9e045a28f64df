"""Envelopes as other devices ask for them: read off the owner's thread.

Rule: what is given of a device is one run without a gap, up to its head. Where the run
begins later than somebody needs, that somebody needs a checkpoint.
"""

from types import TracebackType
from typing import Self

from crdt.database import Database, store_errors
from crdt.devices import OWN_DEVICE
from crdt.ids import DeviceId


class EnvelopeReader:
    """Reads committed envelopes over a connection of its own."""

    def __init__(self, database: Database, own_device: DeviceId) -> None:
        """Open the connection; one thread at a time uses it."""
        self._connection = database.reader()
        self._own_device = own_device

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def after(self, device: DeviceId, sequence: int, max_bytes: int) -> list[bytes]:
        """Return the envelopes that follow number `sequence`, in order.

        At least one if there is any, and no more than fit into `max_bytes`. Nothing if
        the next one is not held, or not any more.
        """
        found: list[bytes] = []
        size = 0
        with store_errors():
            for number, encoded in self._connection.execute(
                "SELECT sequence, bytes FROM envelope WHERE device = ? AND sequence > ?"
                " ORDER BY sequence",
                (self._number(device), sequence),
            ):
                size += len(encoded)
                is_next = number == sequence + len(found) + 1
                if not is_next or (found and size > max_bytes):
                    break
                found.append(encoded)
        return found

    def has(self, device: DeviceId, sequence: int) -> bool:
        """Whether this very envelope can be given."""
        with store_errors():
            row = self._connection.execute(
                "SELECT 1 FROM envelope WHERE device = ? AND sequence = ?",
                (self._number(device), sequence),
            ).fetchone()
        return row is not None

    def oldest(self, device: DeviceId) -> int | None:
        """Return the number of the first envelope that can be given, or None."""
        with store_errors():
            row = self._connection.execute(
                "SELECT sequence FROM envelope WHERE device = ? ORDER BY sequence",
                (self._number(device),),
            ).fetchone()
        return None if row is None else int(row[0])

    def _number(self, device: DeviceId) -> int:
        """Return the local number of a device, or -1 if no row names it."""
        if device == self._own_device:
            return OWN_DEVICE
        row = self._connection.execute(
            "SELECT id FROM device WHERE device_id = ?", (device,)
        ).fetchone()
        return -1 if row is None else int(row[0])
