"""What watchers are told of other devices: events, few and in order.

Rule: these events are numbered with all others, so each costs a commit; what changes
many times a second is told at most once.
"""

import asyncio
from typing import Final, TypeAlias

from crdt.errors import StoreError
from crdt.events import Event
from crdt.ids import DeviceId, format_id
from crdt.replica import Replica
from daemon.mesh.overview import Overview
from daemon.owner import Owner

_EACH_SECONDS: Final = 0.5
MAX_WAITING: Final = 256
_Waiting: TypeAlias = tuple[str, DeviceId, int]
"""Type, device, and which coming or going it is."""


class Notices:
    """Collects what happened, and tells it."""

    def __init__(self) -> None:
        """Tell nothing yet."""
        self._waiting: dict[_Waiting, None] = {}
        self._count = 0
        self._told: dict[str, Event] = {}
        """By device: how things stood when it was told last."""
        self._some = asyncio.Event()

    def tell(self, kind: str, peer: DeviceId) -> None:
        """Take note of an event of this type about a device."""
        if len(self._waiting) < MAX_WAITING:
            # Coming and going is told each time, how things stand once.
            self._count += kind.startswith("peer.")
            number = self._count if kind.startswith("peer.") else 0
            self._waiting[kind, peer, number] = None
            self._some.set()

    async def run(self, owner: Owner, overview: Overview) -> None:
        """Tell what happens, for as long as this runs."""
        while True:
            await self._some.wait()
            self._some.clear()
            waiting, self._waiting = list(self._waiting), {}
            events = [
                event
                for kind, peer, _ in waiting
                if (event := self._event(kind, peer, overview)) is not None
            ]
            if events:
                try:
                    await self._tell(owner, events)
                except StoreError:
                    self._wait_again(waiting)
                else:
                    self._told |= {
                        event.key: event
                        for event in events
                        if event.type == "sync.state"
                    }
            await asyncio.sleep(_EACH_SECONDS)

    def _wait_again(self, waiting: list[_Waiting]) -> None:
        """Tell later what the store could not take, before what came since."""
        whole = [*waiting, *self._waiting]
        self._waiting = dict.fromkeys(whole[:MAX_WAITING])
        self._some.set()

    def _event(self, kind: str, peer: DeviceId, overview: Overview) -> Event | None:
        """Return an event, None if it would tell nothing new."""
        key = format_id(peer)
        if kind.startswith("peer."):
            return Event(kind, key)
        report = overview.report(peer)
        if report is None:
            return None
        if kind == "sync.progress":
            done, total = overview.progress(peer)
            if not total:
                return None
            return Event(kind, key, done=done, total=total)
        event = Event(kind, key, state=overview.state().value, cause=report.cause)
        if self._told.get(key) == event:
            return None
        return event

    @staticmethod
    async def _tell(owner: Owner, events: list[Event]) -> None:
        def note(replica: Replica) -> None:
            owner.tell(replica.note_events(events))

        await owner.run(note)
