"""A device that invites, without sockets: its roster, its owner and its pairing."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crdt.database import Database
from crdt.membership import RosterChange
from crdt.replica import Replica
from daemon.admitting import RosterAdmission
from daemon.joining import Ways
from daemon.joining_home import JoinResult, join_home
from daemon.owner import Owner
from daemon.pairing import Pairing
from daemon.setup import Secrets, load_secrets, open_key
from tests.support.homes import NOW_MS, new_home
from transport.addresses import Address, parse_address
from transport.endpoint import PostError, PostFailure
from transport.pairing_code import parse_link

PLACE = parse_address("192.0.2.1:7374")


@dataclass
class Inviter:
    """The device that invites, and the way to it."""

    owner: Owner
    pairing: Pairing
    held: Secrets
    admission: RosterAdmission
    changes: list[RosterChange]
    now_ms: int = 0
    lose: Callable[[int], bool] = lambda number: False
    """Whether the answer to a question, counted from 0, is lost."""
    meanwhile: Callable[[int], Awaitable[object]] | None = None
    """What happens before a question is answered."""
    questions: list[bytes] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    @property
    def ways(self) -> Ways:
        """How a device in another thread reaches this one, and no other."""
        return Ways(self._post, None, repeat_seconds=0)

    async def _post(self, address: Address, name: str, body: bytes) -> bytes:
        number = len(self.questions)
        self.questions.append(body)
        if address != PLACE or name != "pair":
            raise PostError(PostFailure.UNREACHABLE)
        if self.meanwhile is not None:
            await self.meanwhile(number)
        answering = asyncio.run_coroutine_threadsafe(
            self.pairing.answer(body, "192.0.2.2"), self.loop
        )
        answer = await asyncio.wrap_future(answering)
        if answer is None or self.lose(number):
            raise PostError(PostFailure.SILENT)
        return answer

    async def join(self, home: Path, code: str) -> JoinResult:
        """Let a home join as the command line does, in a thread of its own."""

        def joined() -> JoinResult:
            return join_home(
                home,
                parse_link(code),
                PLACE,
                name="phone",
                key_source="key-file",
                ask_passphrase=None,
                ways=self.ways,
                environment={},
            )

        return await asyncio.to_thread(joined)


@asynccontextmanager
async def inviting(home: Path) -> AsyncIterator[Inviter]:
    """Make a home and let its device invite, by a clock that a test moves."""
    new_home(home)
    key = open_key(home, None, environment={})
    with Database(home, key.key) as database:
        held = load_secrets(database.writer)

        def replica() -> Replica:
            return Replica(
                database,
                held.identity,
                held.keys,
                randomness=os.urandom,
                monotonic_ms=lambda: 0,
            )

        async with Owner(replica, lambda: NOW_MS, lambda: 0, lambda _: None) as owner:
            changes: list[RosterChange] = []
            admission = RosterAdmission(
                owner=owner,
                identity=held.identity,
                space=held.keys.space,
                addresses=lambda: (str(PLACE),),
                wall_ms=lambda: NOW_MS,
                randomness=os.urandom,
                tell=changes.append,
            )
            pairing = Pairing(
                admission,
                addresses=lambda: (str(PLACE),),
                monotonic_ms=lambda: inviter.now_ms,
                randomness=os.urandom,
            )
            inviter = Inviter(owner, pairing, held, admission, changes)
            yield inviter
