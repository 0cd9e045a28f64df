"""A circle that this person is or was in, and what may be done with it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from consensus.contribution import Author
from consensus.invitations import Invitation
from consensus.result import Result
from consensus.rule import Preset
from crdt.circle_roster import (
    alias,
    circle_name,
    circle_preset,
    invitations,
    leave,
    person,
    remove_person,
    vouch,
)
from crdt.circle_store import CircleState, StoredCircle, write_circle_state
from crdt.errors import ConflictError, NotFoundError
from crdt.ids import AuthorKey, CircleId
from crdt.keys import KEY_BYTES
from daemon.circles.changes import Change
from daemon.circles.collective import Collective, Sources
from daemon.circles.inviting import Here, Inviting
from daemon.circles.noting import Noting
from daemon.circles.overview import PRESETS, circle_view
from daemon.circles.records import CircleRecords
from daemon.circles.refusals import Refusal
from daemon.circles.shelf import Shelf
from daemon.circles.taking_part import Means, TakingPart
from daemon.circles.view import CircleView
from transport.frames import OwnCircle


@dataclass(frozen=True, slots=True)
class Base:
    """What circles are built on."""

    shelf: Shelf
    means: Means
    threads: Executor
    """One thread, in which consensus is worked out."""
    changed: Callable[["Circle"], None]
    """Is told whenever something is new in a circle."""


class Circle:
    """One circle on this device."""

    def __init__(
        self, stored: StoredCircle, records: CircleRecords, base: Base
    ) -> None:
        """Take part in nothing yet."""
        self.id: Final[CircleId] = stored.id
        self.records: Final = records
        self._stored = stored
        self._base = base
        self._has_left = stored.state is CircleState.LEFT
        clocks = base.means.clocks
        self.part: Final = TakingPart(
            records.identity, records, base.means, self._result_hash
        )
        self.inviting: Final = Inviting(
            records,
            base.shelf,
            Here(
                wall_ms=clocks.wall_ms,
                randomness=clocks.randomness,
                addresses=base.means.addresses,
                is_open=lambda: self.is_active,
                is_paused=lambda: self.part.is_paused,
            ),
        )
        self._noting = Noting(stored.id, base.shelf, clocks.wall_ms)
        self._ended = asyncio.Event()
        self.collective: Final = Collective(
            stored.id,
            self.preset,
            Sources(records.contributions, self._invitations),
            base.threads,
            note=self._note,
        )
        records.on_change(self._on_change)

    @property
    def name(self) -> str:
        """How it was called when it was founded."""
        return circle_name(self.records.roster)

    @property
    def preset(self) -> Preset:
        """What it was founded with."""
        return PRESETS[circle_preset(self.records.roster)]

    @property
    def is_active(self) -> bool:
        """Whether this person takes part."""
        member = person(self.records.roster, self.records.author)
        return not self._has_left and (member is None or not member.is_removed)

    @property
    def own(self) -> OwnCircle:
        """What this person's other devices are told of it."""
        return OwnCircle(
            self.id,
            self._stored.founding,
            tuple(each.content for each in self.part.own_cards),
            self._is_left,
        )

    @property
    def refusals(self) -> Counter[Refusal]:
        """What was not taken of others since the circle was opened, by reason."""
        return self.records.refusals

    def alias(self, author: AuthorKey) -> str:
        """Return how somebody who is or was a member is called."""
        return alias(self.records.roster, author) or f"member-{author.hex()[:4]}"

    async def run(self) -> None:
        """Take part as long as this person is in the circle; go on until cancelled."""
        async with self.collective:
            if not self._has_left:
                async with self.part:
                    await self._ended.wait()
                await self._note_left()
            await asyncio.Event().wait()

    def settle(self) -> None:
        """End taking part once it is over and the others know."""
        if self.part.is_ended:
            self._ended.set()

    async def end(self) -> None:
        """Take note that this person left on another device."""
        self._has_left = True
        await self._note_left()
        self._ended.set()
        self._base.changed(self)

    async def invite(self, uses: int, valid_seconds: int) -> tuple[str, int]:
        """Return a ticket, and until when it holds, in Unix milliseconds.

        Raises `ConflictError`.
        """
        return await self.inviting.invite(uses, valid_seconds)

    async def remove(self, member: AuthorKey) -> None:
        """Remove somebody for good, with a new key for who stays.

        Raises `NotFoundError` or `ConflictError`.
        """
        self._check_member(member)
        secret = self._base.means.clocks.randomness(KEY_BYTES)
        await self.records.state(
            lambda roster, author, keys: remove_person(
                roster, author, keys, member, secret
            )
        )

    async def vouch(self, member: AuthorKey) -> None:
        """State that a member stands on their own, whoever invited them.

        Raises `NotFoundError` or `ConflictError`.
        """
        self._check_member(member)
        await self.records.state(
            lambda roster, author, _: vouch(roster, author, member)
        )

    async def leave(self) -> None:
        """Leave for good; raises `ConflictError` if that was done before."""
        if not self.is_active:
            raise ConflictError(_NOT_IN_IT)
        await self.records.state(lambda roster, author, _: leave(roster, author))
        self._base.means.announce()

    def overview(self) -> CircleView:
        """Return the circle as it is shown."""
        return circle_view(
            self.records, self.part, self._result_hash(), is_left=self._is_left
        )

    @property
    def _is_left(self) -> bool:
        member = person(self.records.roster, self.records.author)
        return self._has_left or (member is not None and member.has_left)

    def _result_hash(self) -> bytes | None:
        """Return the hash of the consensus of what stands now, if it is known."""
        return self.collective.known_hash()

    def _invitations(self) -> Mapping[Author, Invitation]:
        return {
            author: Invitation(each.inviter, each.is_vouched)
            for author, each in invitations(self.records.roster).items()
        }

    async def _note(self, result: Result) -> None:
        """Note what is new, and let others compare what they worked out."""
        self.part.talking.tell_state()
        await self._noting.note(result)

    def _on_change(self, change: Change) -> None:
        for author in change.gone:
            self.collective.forget(author)
        self.collective.put(change.contributions)
        if change.has_lost:
            self.collective.read_anew()
        if change.are_members_changed:
            self.collective.members_changed()
        self.part.changed(change)
        self._base.changed(self)

    async def _note_left(self) -> None:
        if self._is_left:
            circle = self.id
            await self._base.shelf.write(
                lambda connection: write_circle_state(
                    connection, circle, CircleState.LEFT
                )
            )

    def _check_member(self, author: AuthorKey) -> None:
        if not self.is_active:
            raise ConflictError(_NOT_IN_IT)
        if author not in self.records.members:
            raise NotFoundError(_NO_MEMBER)


_NOT_IN_IT: Final = "You are not in this circle any more; nothing was changed."
_NO_MEMBER: Final = (
    "Nobody of that id is in this circle now; 'fractality circle show' lists who is."
)
