"""Listening to a daemon's events as a browser would."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from daemon.event_stream import Event, parse_events
from tests.support.daemons import Api


@dataclass(frozen=True)
class Watcher:
    """An open event stream."""

    response: http.client.HTTPResponse
    events: Iterator[Event]

    def take(self, count: int) -> list[Event]:
        """Wait for the next events and return them."""
        return list(islice(self.events, count))

    def take_until(self, key: str) -> list[Event]:
        """Return the events up to the first one about `key`."""
        taken = []
        for event in self.events:
            taken.append(event)
            if document(event).get("key") == key:
                return taken
        raise AssertionError(taken)


@contextmanager
def watching(api: Api, last: int | None = None) -> Iterator[Watcher]:
    """Listen from now on, or from behind event number `last`."""
    connection = api.connect()
    headers = {"Authorization": f"Bearer {api.token}"}
    if last is not None:
        headers["Last-Event-ID"] = str(last)
    connection.request("GET", "/v1/events", headers=headers)
    with connection.getresponse() as response:
        assert response.status == 200
        assert response.readline() == b": listening\n"
        assert response.readline() == b"\n"
        yield Watcher(response, parse_events(_lines(response)))
    connection.close()


def document(event: Event) -> Any:
    """Return what an event says."""
    return json.loads(event.data)


def number(event: Event) -> int:
    """Return the id of an event."""
    return int(event.id)


def _lines(response: http.client.HTTPResponse) -> Iterator[str]:
    while line := response.readline():
        yield line.decode().rstrip("\n")
