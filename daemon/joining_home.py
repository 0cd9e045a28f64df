"""Homes that join: a new one from the command line, an empty one while it is served."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from crdt.database import Database
from crdt.errors import ConflictError
from crdt.ids import format_id
from crdt.key_sources import Source, StoreKey, discard_store_key, has_store_key
from crdt.replica import Replica
from daemon.home import LOCK_NAME, has_store, locked, make_private
from daemon.home_exchange import (
    is_settled,
    making_room,
    settle,
    take_over,
    write_device,
)
from daemon.joining import Applicant, Ways, join
from daemon.owner import Owner
from daemon.setup import (
    AskPassphrase,
    load_secrets,
    new_home_key,
    open_key,
    refuse_existing,
)
from transport.addresses import Address
from transport.gift import Joined
from transport.pairing_code import PairingLink


class JoinResult(msgspec.Struct, frozen=True):
    """A device that has just joined, and by which other one."""

    person: str
    person_name: str
    device: str
    device_name: str
    inviter: str
    inviter_name: str
    key_source: Source


def join_result(joined: Joined, key_source: Source) -> JoinResult:
    """Return what is told of a device that joined."""
    identity = joined.identity
    return JoinResult(
        person=format_id(identity.person),
        person_name=identity.person_name,
        device=format_id(identity.device),
        device_name=identity.device_name,
        inviter=format_id(joined.inviter),
        inviter_name=joined.inviter_name,
        key_source=key_source,
    )


def check_replaceable(replica: Replica) -> None:
    """Raise `ConflictError` if a device holds what would be lost by joining others."""
    members = replica.roster.members.values()
    has_others = sum(not member.is_removed for member in members) > 1
    if not replica.totals.journal and not has_others:
        return
    held = "has other devices" if has_others else "has held thoughts"
    message = (
        f"This device {held}, and would lose them by joining another person's. Nothing"
        " was changed. Join in a new home: fractality --home FOLDER join CODE. What is"
        " here can be taken along by 'fractality export' and 'fractality import'."
    )
    raise ConflictError(message)


def join_home(
    home: Path,
    link: PairingLink,
    address: Address | None,
    *,
    name: str | None,
    key_source: Source | None,
    ask_passphrase: AskPassphrase | None,
    ways: Ways,
    environment: Mapping[str, str] = os.environ,
) -> JoinResult:
    """Make the device of a home that no daemon serves one of the inviter's person.

    Raises what kept it from joining; then the home is as it was.
    """
    with _leaving_nothing(home), locked(home):
        take_over(home)
        if has_store(home):
            key = open_key(home, ask_passphrase, environment=environment)
            _check_store(home, key)
        else:
            refuse_existing(home)
            key = new_home_key(home, key_source, ask_passphrase, environment)
        with making_room(home) as folder:

            async def keep(joined: Joined) -> None:
                write_device(folder, key.key, joined, _wall_ms())

            applicant = Applicant(name or _host_name(), secrets.token_bytes, keep, ways)
            joined = asyncio.run(join(applicant, link, address))
            settle(home)
        take_over(home)
    return join_result(joined, key.source)


@dataclass(slots=True)
class HomeJoiner:
    """Joins with the home of a running daemon, which then serves another device."""

    home: Path
    key: StoreKey
    owner: Owner
    ways: Ways
    wall_ms: Callable[[], int]
    has_joined: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `take_over` has something to do: stop serving, call it, serve again."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def join(
        self, link: PairingLink, address: Address | None, name: str
    ) -> Joined:
        """Join, with a device of that name.

        Raises what kept it from joining; then everything goes on as before.
        """
        if self._turn.locked() or self.has_joined.is_set():
            message = "This device is just joining; it can do so once at a time."
            raise ConflictError(message)
        async with self._turn:
            await self.owner.run(check_replaceable)
            with making_room(self.home) as folder:

                async def keep(joined: Joined) -> None:
                    await asyncio.to_thread(
                        write_device, folder, self.key.key, joined, self.wall_ms()
                    )
                    # What was written after this would be lost with the store.
                    await self.owner.retire(check_replaceable)

                applicant = Applicant(name, secrets.token_bytes, keep, self.ways)
                try:
                    joined = await join(applicant, link, address)
                    settle(self.home)
                except BaseException:
                    self.owner.resume()
                    raise
            self.has_joined.set()
            return joined


def _check_store(home: Path, key: StoreKey) -> None:
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)
        replica = Replica(
            database,
            held.identity,
            held.keys,
            randomness=secrets.token_bytes,
            monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        )
        try:
            check_replaceable(replica)
        finally:
            replica.close()


@contextmanager
def _leaving_nothing(home: Path) -> Iterator[None]:
    """Take back the key, and the home itself, that a failed try has made."""
    was_there, had_key = home.exists(), has_store_key(home)
    had_lock = (home / LOCK_NAME).exists()
    make_private(home)
    try:
        yield
    except BaseException:
        if is_settled(home) or has_store(home):
            raise
        if not had_key:
            discard_store_key(home)
        if not had_lock:
            (home / LOCK_NAME).unlink(missing_ok=True)
        if not was_there:
            with suppress(OSError):
                home.rmdir()
        raise


def _host_name() -> str:
    return socket.gethostname() or "device"


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
