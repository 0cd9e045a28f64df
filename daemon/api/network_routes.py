"""The routes of networks."""

from http import HTTPMethod
from typing import Final

from daemon.api import networks, shapes
from daemon.api.routing import Route

NETWORK_ROUTES: Final = (
    Route(
        HTTPMethod.GET,
        "/v1/networks/{name}/stream",
        "The history of a network by days",
        networks.get_network_stream,
        shapes.DaysQuery,
        {200: shapes.StreamDocument},
    ),
    Route(
        HTTPMethod.GET,
        "/v1/networks",
        "The networks that nodes belong to",
        networks.list_networks,
        shapes.NoQuery,
        {200: networks.NetworkList},
    ),
    Route(
        HTTPMethod.PUT,
        "/v1/networks/{name}",
        "Set how fast a network's energy decays",
        networks.put_settings,
        shapes.NoQuery,
        {200: networks.NetworkDocument},
        body=networks.NetworkSettings,
    ),
)
