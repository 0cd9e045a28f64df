"""Routes of networks: which there are, and what is set for them."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web

from crdt.checks import check_name
from crdt.commands import PatchNode, PutNode
from crdt.energy import MAX_HALF_LIFE
from crdt.errors import NotFoundError
from crdt.network_rows import Network
from crdt.networks import HALF_LIFE_NAME, SETTINGS_TYPE, settings_key
from daemon.api import shapes
from daemon.api.nodes import bounds, stream_document
from daemon.api.routing import Call, json_response


class NetworkSettings(shapes.Request, frozen=True):
    """What can be set for a network."""

    half_life_hours: Annotated[int, msgspec.Meta(ge=1, le=MAX_HALF_LIFE)] | None
    """In how many hours energy that is given from now on halves; null is a week."""


class NetworkDocument(msgspec.Struct, frozen=True):
    """A network as it is now."""

    name: str
    nodes: int
    energy: shapes.Energy
    """Of all its nodes together."""
    half_life_hours: int
    settings: str
    """Key of the node that has the settings, once something is set."""


class NetworkList(msgspec.Struct, frozen=True):
    """All networks, the default one first."""

    items: list[NetworkDocument]
    next: str | None


async def list_networks(call: Call) -> web.Response:
    """Answer all networks."""
    found = await _networks(call)
    return json_response(NetworkList([_document(each) for each in found], None))


async def put_settings(call: Call) -> web.Response:
    """Set something for a network, on all devices of the person."""
    settings: NetworkSettings = call.body
    name = call.path["name"]
    check_name("name", name)
    key, owner = settings_key(name), call.service.owner
    metadata = {HALF_LIFE_NAME: settings.half_life_hours}
    try:
        call.service.reader.node(key)
    except NotFoundError:
        label = f"Settings of the network {name}"
        await owner.write(PutNode(key, label, SETTINGS_TYPE, metadata, name))
    else:
        await owner.write(PatchNode(key, metadata=metadata))
    (network,) = [each for each in await _networks(call) if each.name == name]
    return json_response(_document(network), HTTPStatus.OK)


async def get_network_stream(call: Call) -> web.Response:
    """Answer the history of a network by days: the means over its nodes."""
    query: shapes.DaysQuery = call.query
    since_ms, until_ms = bounds(query.since, query.until)
    points = await call.service.read(
        lambda reader: reader.network_days(
            call.path["name"], since_ms, until_ms, query.limit
        )
    )
    return json_response(stream_document(points))


async def _networks(call: Call) -> list[Network]:
    now_ms = call.service.wall_ms()
    return await call.service.read(lambda reader: reader.networks(now_ms))


def _document(network: Network) -> NetworkDocument:
    return NetworkDocument(
        network.name,
        network.nodes,
        shapes.Energy(round(network.atp, 9)),
        network.half_life,
        settings_key(network.name),
    )
