"""Routes of the person's devices: who they are, links to them, how they stand."""

from http import HTTPStatus

import msgspec
from aiohttp import web

from crdt.errors import InvalidError
from crdt.ids import DeviceId, format_id, parse_id
from daemon.api.routing import Call, json_response
from daemon.api.shapes import Request
from daemon.interchange.timestamps import format_time
from daemon.mesh.report import DeviceReport


class DeviceDocument(msgspec.Struct, frozen=True):
    """A device of the person, and how far it is."""

    id: str
    name: str
    role: str
    is_this: bool
    """Whether it is the device that answers."""
    is_removed: bool
    online: bool
    link: str | None
    pending_out: int
    """Envelopes that it has not acknowledged as durable."""
    pending_in: int
    """Envelopes that it has and this device lacks."""
    last_ack: str | None
    safe: bool
    """Whether everything that this device holds is durable there."""
    digest_equal: bool
    """Whether both show the same graph."""
    cause: str | None
    """Why it is not in step, in plain words."""
    fix: str | None
    """What a person can do about it."""


class DeviceList(msgspec.Struct, frozen=True):
    """Every device of the person, removed ones last."""

    items: list[DeviceDocument]
    next: None = None


class PeerDocument(msgspec.Struct, frozen=True):
    """Another device as this one reaches it."""

    id: str
    name: str
    link: str | None
    rtt_ms: float | None
    bytes_out: int
    bytes_in: int
    addresses: list[str]
    """Where it is looked for, best first."""


class PeerList(msgspec.Struct, frozen=True):
    """The devices that this one wants to be linked with."""

    items: list[PeerDocument]
    next: None = None


class DevicePatch(Request, frozen=True):
    """The new name of a device."""

    name: str


class PeerAddress(Request, frozen=True):
    """An address to try, `host:port`."""

    address: str


class SyncWish(Request, frozen=True):
    """Whether to stop or go on; neither if it is left out."""

    paused: bool | None = None


class SyncPlan(msgspec.Struct, frozen=True):
    """What is done about one device."""

    id: str
    name: str
    plan: str


class SyncAnswer(msgspec.Struct, frozen=True):
    """What is done now."""

    paused: bool
    devices: list[SyncPlan]


def device_document(report: DeviceReport) -> DeviceDocument:
    """Return a device as the API shows it."""
    return DeviceDocument(
        id=format_id(report.device),
        name=report.name,
        role=report.role,
        is_this=report.is_this,
        is_removed=report.is_removed,
        online=report.link is not None,
        link=report.link,
        pending_out=report.pending_out,
        pending_in=report.pending_in,
        last_ack=None
        if report.last_ack_ms is None
        else format_time(report.last_ack_ms),
        safe=report.is_safe,
        digest_equal=report.is_digest_equal,
        cause=report.cause,
        fix=report.fix,
    )


async def list_devices(call: Call) -> web.Response:
    """Answer every device of the person."""
    found = call.service.devices.devices()
    return json_response(DeviceList([device_document(each) for each in found]))


async def patch_device(call: Call) -> web.Response:
    """Give a device another name."""
    patch: DevicePatch = call.body
    device = _device(call)
    report = await call.service.devices.rename(device, patch.name)
    return json_response(device_document(report))


async def delete_device(call: Call) -> web.Response:
    """Remove a device for good, and seal what comes under a new key."""
    report = await call.service.devices.revoke(_device(call))
    return json_response(device_document(report))


async def list_peers(call: Call) -> web.Response:
    """Answer how the other devices are reached."""
    return json_response(
        PeerList(
            [
                PeerDocument(
                    id=format_id(each.device),
                    name=each.name,
                    link=each.link,
                    rtt_ms=each.rtt_ms,
                    bytes_out=each.bytes_out,
                    bytes_in=each.bytes_in,
                    addresses=list(each.addresses),
                )
                for each in call.service.devices.peers()
            ]
        )
    )


async def post_peer(call: Call) -> web.Response:
    """Take an address to try."""
    wanted: PeerAddress = call.body
    address = call.service.devices.try_address(wanted.address)
    return json_response(PeerAddress(address), HTTPStatus.ACCEPTED)


async def post_sync(call: Call) -> web.Response:
    """Try every device now; answer what is done."""
    wish: SyncWish = call.body
    devices = call.service.devices
    if wish.paused is not None:
        devices.pause(is_paused=wish.paused)
    plans = [
        SyncPlan(format_id(each.device), each.name, each.plan)
        for each in devices.sync_now()
    ]
    return json_response(SyncAnswer(devices.is_paused, plans))


def _device(call: Call) -> DeviceId:
    try:
        return DeviceId(parse_id(call.path["id"]))
    except InvalidError:
        raise InvalidError("id", "must be the 26 characters of a device id") from None
