"""Local numbers of devices, so that rows name a device in one byte."""

from typing import Final

import apsw

from crdt.ids import DeviceId

OWN_DEVICE: Final = 0
"""This device; others count from 1."""


def device_number(connection: apsw.Connection, device: DeviceId) -> int:
    """Return the number of a device, a new one if it was never named here."""
    row = connection.execute(
        "SELECT id FROM device WHERE device_id = ?", (device,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    connection.execute("INSERT INTO device (device_id) VALUES (?)", (device,))
    return connection.last_insert_rowid()


def device_ids(connection: apsw.Connection) -> dict[int, DeviceId]:
    """Return the devices that rows name, by number."""
    rows = connection.execute("SELECT id, device_id FROM device")
    return {number: DeviceId(device) for number, device in rows}
