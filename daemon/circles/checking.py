"""Vectors against texts: what members sign is looked at behind their backs.

A contribution is taken, counted and shown as soon as it comes, and its text is embedded
when there is time. One whose vector is not that of its text is quarantined: it is
neither shown nor handed on any more, nor taken again.

Rules of this file:

1. Each is checked once on this device, whatever ends the program in between.
2. Without the model a vector was made by, nobody here can know: it stays unchecked, and
   that is told. What no model survives is left unchecked, too.
3. Nothing here fails for good: a pause, then another try.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol

from consensus.admission import is_of_text
from consensus.contribution import Author, Contribution, decode_contribution
from consensus.errors import NoModelError, WorkerLostError
from crdt import circle_checks_store as store
from crdt.circle_items import Item, ItemKind, ItemName
from crdt.database import Connection
from crdt.errors import StoreError
from crdt.ids import CircleId
from crdt.keys import SIGNATURE_BYTES
from daemon.circles.changes import Change
from daemon.circles.shelf import Shelf

logger = logging.getLogger(__name__)

AT_ONCE: Final = 32
TRIES: Final = 3
"""How often a text may end the process that embeds before it is left alone."""
_PAUSE_SECONDS: Final = 30.0
_NO_MODEL: Final = (
    "There is no model for embeddings here, so whether the vectors of contributions are"
    " those of their texts is not checked."
)


class State(StrEnum):
    """How far checking is."""

    OFF = "off"
    CHECKING = "checking"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Checks:
    """How checking stands."""

    state: State
    unchecked: int
    """Contributions that wait, were made by other models, or cannot be embedded."""
    forged: int
    """Contributions that were quarantined since the program started."""
    cause: str | None


NOTHING: Final = Checks(State.DONE, unchecked=0, forged=0, cause=None)


class Model(Protocol):
    """What embeds texts on this device."""

    async def present_tag(self) -> bytes | None:
        """Return the tag of the model that makes vectors now, None if there is none."""

    async def in_background(self, texts: Sequence[str]) -> list[bytes]:
        """Return vectors by that model, or raise an `EmbeddingError`."""


class Records(Protocol):
    """The contributions of one circle."""

    @property
    def author(self) -> Author:
        """The pseudonym of this person."""

    def on_change(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` after each change."""

    def names(self, kind: ItemKind) -> Sequence[ItemName]:
        """Return the names of what is held."""

    async def load(self, kind: ItemKind, identities: Sequence[bytes]) -> list[Item]:
        """Return those of the items that there are still."""

    async def quarantine(self, identities: Collection[bytes]) -> None:
        """Let go of contributions for good."""


class Checking:
    """Checks the contributions of one circle, while it runs."""

    def __init__(
        self, circle: CircleId, records: Records, shelf: Shelf, model: Model
    ) -> None:
        """Start nothing yet."""
        self._circle = circle
        self._records = records
        self._shelf = shelf
        self._model = model
        self._arrived = asyncio.Event()
        self._checked: set[bytes] = set()
        self._left: dict[bytes, bytes] = {}
        """What cannot be checked by the model that has the tag beside it."""
        self._waiting: dict[bytes, None] = {}
        """What is to be checked by the model that has this tag, in order of arrival."""
        self._tag: bytes | None = None
        self._losses: dict[bytes, int] = {}
        self._state = State.CHECKING
        self._forged = 0
        self._cause: str | None = None

    def arrived(self, contributions: Iterable[Contribution]) -> None:
        """Take note of new contributions; without any, look whether a model came."""
        if self._tag is not None:  # else they are among all that there are
            self._waiting.update((each.id, None) for each in contributions)
        self._arrived.set()

    def standing(self) -> Checks:
        """Return how checking stands."""
        names = self._records.names(ItemKind.CONTRIBUTION)
        unchecked = sum(name.id not in self._checked for name in names)
        return Checks(self._state, unchecked, self._forged, self._cause)

    async def run(self) -> None:
        """Check what is unchecked and what arrives, until cancelled."""
        is_read = False
        while True:
            self._arrived.clear()
            try:
                if not is_read:
                    await self._read()
                    is_read = True
                is_more = await self._check_some()
            except WorkerLostError:
                is_more = True
            except NoModelError as error:
                self._state, self._cause = State.OFF, str(error)
                # What comes and goes until there is a model must not pile up.
                self._tag, self._waiting = None, {}
                is_more = False
            except StoreError as error:
                logger.warning("checking waits: %s", type(error).__name__)
                is_more = False
            if is_more:
                continue
            patience = None if self._state is State.DONE else _PAUSE_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._arrived.wait()

    async def _read(self) -> None:
        """Learn what was checked in earlier runs; forget what is there no longer."""
        circle = self._circle
        held = {name.id for name in self._records.names(ItemKind.CONTRIBUTION)}
        checked = await self._shelf.read(
            lambda connection: store.read_checked(connection, circle)
        )
        gone = checked - held
        if gone:
            await self._shelf.write(
                lambda connection: store.delete_checked(connection, circle, gone)
            )
        self._checked |= checked & held

    async def _check_some(self) -> bool:
        """Check some contributions; return whether more wait."""
        tag = await self._model.present_tag()
        if tag is None:
            raise NoModelError(_NO_MODEL)
        ids = self._next(tag)
        if not ids:
            self._losses.clear()
            self._state, self._cause = State.DONE, None
            return False
        items = await self._records.load(ItemKind.CONTRIBUTION, ids)
        found = [decode_contribution(item.content[:-SIGNATURE_BYTES]) for item in items]
        wanted = [each for each in found if self._is_to_check(each, tag)]
        vectors = await self._embedded(wanted) if wanted else []
        if await self._model.present_tag() != tag:
            return True
        pairs = list(zip(wanted, vectors, strict=True))
        forged = {
            each.id
            for each, vector in pairs
            if vector is not None and not is_of_text(each.vector, vector)
        }
        left = {each.id for each, vector in pairs if vector is None}
        left |= {each.id for each in found if each.is_live and each.model != tag}
        await self._quarantine(forged)
        self._left |= dict.fromkeys(left, tag)
        await self._keep({each.id for each in found} - left - forged)
        for identity in ids:
            self._waiting.pop(identity, None)
        self._state, self._cause = State.CHECKING, None
        return True

    def _is_to_check(self, contribution: Contribution, tag: bytes) -> bool:
        is_own = contribution.author == self._records.author
        return contribution.is_live and contribution.model == tag and not is_own

    def _next(self, tag: bytes) -> list[bytes]:
        """Return the ids of some that can be checked by the model of this tag."""
        if self._tag != tag:
            self._tag = tag
            self._waiting = {
                name.id: None
                for name in self._records.names(ItemKind.CONTRIBUTION)
                if name.id not in self._checked and self._left.get(name.id) != tag
            }
        most = 1 if self._losses else AT_ONCE
        return list(islice(reversed(self._waiting), most))

    async def _embedded(self, wanted: Sequence[Contribution]) -> list[bytes | None]:
        """Return the vector of each text; None for one that no process survives.

        Raises `WorkerLostError` to have them tried again, one by one.
        """
        try:
            vectors = await self._model.in_background([each.text for each in wanted])
        except WorkerLostError:
            for each in wanted:
                self._losses[each.id] = self._losses.get(each.id, 0) + 1
            if len(wanted) > 1 or self._losses[wanted[0].id] < TRIES:
                raise
            del self._losses[wanted[0].id]
            logger.warning("a contribution ended the embedding process")
            return [None]
        for each in wanted:
            self._losses.pop(each.id, None)
        return list(vectors)

    async def _quarantine(self, forged: Collection[bytes]) -> None:
        if not forged:
            return
        await self._records.quarantine(forged)
        self._forged += len(forged)
        logger.warning("vectors that were not of their texts: %d", len(forged))

    async def _keep(self, sound: Collection[bytes]) -> None:
        def write(connection: Connection) -> None:
            store.write_checked(connection, self._circle, sound)

        if sound:
            await self._shelf.write(write)
            self._checked.update(sound)
