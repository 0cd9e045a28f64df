"""Announcing and listening by mDNS: all of python-zeroconf.

One instance speaks on a fixed set of interfaces; when they change, make another.
"""

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from zeroconf import (
    DNSQuestionType,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from crdt.errors import FractalityError
from transport.addresses import IpAddress
from transport.announcements import LABEL_CHARACTERS, SERVICE_TYPE, Sighting

MAX_WAITING: Final = 256
"""So many names may wait to be resolved; what comes beyond them is dropped."""
MAX_QUESTIONS: Final = 8
"""So many names are asked for at once."""
RESOLVE_MS: Final = 1500
CLOSE_SECONDS: Final = 3.0
_GROUP: Final = "224.0.0.251"
"""Where mDNS is spoken (RFC 6762)."""


class MulticastCause(StrEnum):
    """Why this machine cannot announce itself."""

    NO_INTERFACE = "no network interface can multicast"
    PORT_TAKEN = "another program keeps UDP port 5353 for itself"
    FORBIDDEN = "the system does not allow it"
    BROKEN = "the network refused"


class MulticastError(FractalityError):
    """Devices cannot be found on the local network; all else works."""

    def __init__(self, cause: MulticastCause) -> None:
        super().__init__(
            f"Devices nearby cannot be found: {cause}. Known addresses are still"
            " tried; give a device's address by hand to reach it."
        )
        self.cause = cause


class Multicast:
    """A voice and an ear on the local network."""

    def __init__(self, interfaces: Sequence[IpAddress]) -> None:
        self._interfaces = tuple(interfaces)
        self._announced: dict[str, AsyncServiceInfo] = {}
        self._changes: dict[str, ServiceStateChange] = {}
        self._changed = asyncio.Event()
        self._zeroconf: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None

    async def __aenter__(self) -> Self:
        # It would write names and bytes of strangers into the journal.
        logging.getLogger("zeroconf").setLevel(logging.CRITICAL + 1)
        # The library would give up all interfaces for one that cannot multicast.
        usable = [str(ip) for ip in self._interfaces if _may_join(ip)]
        if not usable:
            raise MulticastError(MulticastCause.NO_INTERFACE)
        try:
            self._zeroconf = AsyncZeroconf(interfaces=usable)
            await self._zeroconf.zeroconf.async_wait_for_start()
        except (OSError, RuntimeError, ZeroconfError) as error:
            await self._close()
            raise MulticastError(_cause(error)) from None
        if not self._zeroconf.zeroconf.engine.senders:
            await self._close()
            raise MulticastError(MulticastCause.NO_INTERFACE)
        # Answers by unicast reach one of the programs that share the port, not
        # always the one that asked: so questions ask for multicast.
        self._browser = AsyncServiceBrowser(
            self._zeroconf.zeroconf,
            SERVICE_TYPE,
            handlers=[self._note],
            question_type=DNSQuestionType.QM,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def announce(
        self,
        label: str,
        port: int,
        hosts: Sequence[IpAddress],
        properties: Mapping[bytes, bytes | None],
    ) -> None:
        """Announce a service under `label`, which nobody else uses.

        Raises `MulticastError`.
        """
        service = AsyncServiceInfo(
            SERVICE_TYPE,
            f"{label}.{SERVICE_TYPE}",
            port=port,
            properties=dict(properties),
            server=f"{label}.local.",
            addresses=[ip.packed for ip in hosts],
        )
        self._announced[label] = service
        try:
            # A label is random or a token: nobody has to be asked whether it is
            # taken, and nobody may veto it.
            spoken = await self._running().async_register_service(
                service, cooperating_responders=True
            )
            await spoken
        except (OSError, ZeroconfError) as error:
            del self._announced[label]
            raise MulticastError(_cause(error)) from None

    async def withdraw(self, label: str) -> None:
        """Say that the service under `label` is no more. Raises `MulticastError`."""
        service = self._announced.pop(label, None)
        if service is None:
            return
        try:
            spoken = await self._running().async_unregister_service(service)
            await spoken
        except (OSError, ZeroconfError) as error:
            raise MulticastError(_cause(error)) from None

    async def next_changes(self) -> Mapping[str, Sighting | None]:
        """Wait for news; return by label what is announced, None for what is gone.

        Of one label only the last news count. Own announcements are left out. What
        can be told at once never waits for names that nobody explains.
        """
        news: dict[str, Sighting | None] = {}
        while not news:
            await self._changed.wait()
            unexplained = []
            for name, change in list(self._changes.items()):
                label = name[:LABEL_CHARACTERS]
                sighting = self._heard(name)
                if label in self._announced:
                    del self._changes[name]
                elif change is ServiceStateChange.Removed or sighting is not None:
                    del self._changes[name]
                    news[label] = sighting
                else:
                    unexplained.append(name)
            if unexplained and not news:
                news.update(await self._ask(unexplained[:MAX_QUESTIONS]))
            if not self._changes:
                self._changed.clear()
        return news

    async def _ask(self, names: Sequence[str]) -> dict[str, Sighting | None]:
        """Ask the network to explain `names`; return what it told of them."""
        for name in names:
            del self._changes[name]
        zeroconf = self._running().zeroconf
        with contextlib.suppress(OSError, ZeroconfError):
            await asyncio.gather(
                *(
                    AsyncServiceInfo(SERVICE_TYPE, name).async_request(
                        zeroconf, RESOLVE_MS
                    )
                    for name in names
                )
            )
        explained = {name[:LABEL_CHARACTERS]: self._heard(name) for name in names}
        return {label: seen for label, seen in explained.items() if seen is not None}

    def _heard(self, name: str) -> Sighting | None:
        """Return what was heard of a name, None if that is not all one needs."""
        service = AsyncServiceInfo(SERVICE_TYPE, name)
        if not service.load_from_cache(self._running().zeroconf):
            return None
        return Sighting(
            label=name[:LABEL_CHARACTERS],
            properties=dict(service.properties),
            port=service.port,
            hosts=tuple(service.parsed_addresses()),
        )

    def _note(
        self,
        zeroconf: Zeroconf,  # the library passes these by name
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        """Remember that something changed; called by the library."""
        is_ours = name == f"{name[:LABEL_CHARACTERS]}.{SERVICE_TYPE}"
        if is_ours and (name in self._changes or len(self._changes) < MAX_WAITING):
            self._changes[name] = state_change
            self._changed.set()

    def _running(self) -> AsyncZeroconf:
        if self._zeroconf is None:
            raise MulticastError(MulticastCause.BROKEN)
        return self._zeroconf

    async def _close(self) -> None:
        """Say goodbye if that goes quickly, and let go of the sockets."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await zeroconf.async_close()
        except (TimeoutError, OSError, ZeroconfError):
            zeroconf.zeroconf.close()


def _may_join(ip: IpAddress) -> bool:
    """Whether an interface takes part in multicast, as far as one can ask."""
    try:
        if ip.version == 6:  # the name of the protocol
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM):
                return True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            membership = socket.inet_aton(_GROUP) + ip.packed
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            return True
    except OSError:
        return False


def _cause(error: Exception) -> MulticastCause:
    """Return what an error of the library or the system comes to."""
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return MulticastCause.PORT_TAKEN
        case OSError(errno=errno.EPERM | errno.EACCES):
            return MulticastCause.FORBIDDEN
        case RuntimeError() | OSError(errno=errno.ENODEV | errno.EADDRNOTAVAIL):
            return MulticastCause.NO_INTERFACE
        case _:
            return MulticastCause.BROKEN
