"""Reads by the API how the devices of the town stand."""

from collections.abc import Iterable, Sequence
from typing import Final

from daemon.client import Client, Document, ProblemError
from daemon.demo.sight import DeviceSight, NodeSight, Sight
from daemon.demo.town import Device

_NOTHING: Final = "-"
_NOT_YET: Final = frozenset({404, 503})
"""What a device answers that has not heard of the circle yet, or is just opening it."""


def look(devices: Sequence[Device], circle: str | None, seer: Device) -> Sight:
    """Return how all devices stand, and the consensus as the seer's has it."""
    results = {
        device.title: {} if circle is None else _consensus(device.client, circle)
        for device in devices
    }
    return Sight(
        [_device(device, circle, results[device.title]) for device in devices],
        _nodes(results[seer.title].get("items", ())),
        seer.title,
    )


def consensus(client: Client, circle: str) -> list[Document]:
    """Return the consensus nodes of a circle as the API has them."""
    found: list[Document] = _consensus(client, circle).get("items", [])
    return found


def circle_of(client: Client, circle: str) -> Document:
    """Return what a device says of a circle, nothing if it does not know it yet."""
    return _known(client, f"/v1/circles/{circle}")


def is_in_step(device: Device) -> bool:
    """Whether a device says that all other devices of its person have all it has."""
    return bool(_space(device)["state"] == "synced")


def _nodes(found: Iterable[Document]) -> list[NodeSight]:
    """Return consensus nodes, those of most persons first."""
    seen = [
        NodeSight(
            each["label"],
            each["status"],
            each["contributor_count"],
            each["resonance_score"],
            each["affirm"],
            each["dissent"],
        )
        for each in found
    ]
    return sorted(seen, key=lambda node: (-node.authors, -node.resonance))


def _device(device: Device, circle: str | None, result: Document) -> DeviceSight:
    space = _space(device)
    told = {} if circle is None else circle_of(device.client, circle)
    return DeviceSight(
        title=device.title,
        is_paused=device.is_paused,
        thoughts=space["nodes"],
        digest=space["digest"],
        contributions=told["counts"]["contributions"] if told else 0,
        fingerprint=told.get("fingerprint", _NOTHING),
        result=result.get("result_hash", _NOTHING),
    )


def _consensus(client: Client, circle: str) -> Document:
    """Return the consensus, worked out by the device now if need be."""
    return _known(client, f"/v1/circles/{circle}/consensus")


def _known(client: Client, path: str) -> Document:
    try:
        told: Document = client.get(path)
    except ProblemError as problem:
        if problem.status not in _NOT_YET:
            raise
        return {}
    return told


def _space(device: Device) -> Document:
    space: Document = device.client.get("/v1/status")["spaces"][0]
    return space
