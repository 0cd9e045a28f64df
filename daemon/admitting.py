"""What an invitation does with the roster: adding a device, and taking it out again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crdt.chain import EMPTY_CHAIN
from crdt.identity import Identity
from crdt.ids import SpaceId
from crdt.keys import KEY_BYTES, device_id
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Role
from crdt.roster_writing import add, remove
from crdt.space_keys import encode_space_keys
from crdt.statement import Applicant
from daemon.owner import Owner
from transport.pairing_messages import Gift, Newcomer, Proposal


@dataclass(frozen=True, slots=True)
class RosterAdmission:
    """Lets devices into the person's own space, all with equal rights."""

    owner: Owner
    identity: Identity
    space: SpaceId
    addresses: Callable[[], Sequence[str]]
    """Where this device can be reached."""
    wall_ms: Callable[[], int]
    randomness: Callable[[int], bytes]
    tell: Callable[[RosterChange], None]
    """Is called on the event loop after each statement, so that peers get it."""

    async def proposal(self) -> Proposal:
        """Return what a device would join."""
        return Proposal(
            space=self.space,
            person_public_key=self.identity.person_public_key,
            person_name=self.identity.person_name,
            device=self.identity.device,
            device_name=self.identity.device_name,
        )

    async def admit(self, newcomer: Newcomer) -> Gift:
        """Add a device durably and return what makes it one of the person's.

        Raises `ConflictError` if the rules of the roster forbid it, `ForgedError` if
        the device has not agreed.
        """
        change, gift = await self.owner.run(lambda each: self._admit(each, newcomer))
        self.tell(change)
        return gift

    async def dismiss(self, newcomer: Newcomer) -> None:
        """Remove a device that was added and holds nothing."""
        change = await self.owner.run(lambda each: self._dismiss(each, newcomer))
        if change is not None:
            self.tell(change)

    def _admit(self, replica: Replica, newcomer: Newcomer) -> tuple[RosterChange, Gift]:
        applicant = Applicant(
            public_key=newcomer.public_key,
            hpke_key=newcomer.hpke_key,
            client_id=newcomer.client_id,
            name=newcomer.name,
            consent=newcomer.consent,
        )
        change = replica.state(
            lambda roster, identity, _: add(roster, identity, applicant, Role.ADMIN),
            self.wall_ms(),
        )
        gift = Gift(
            person_secret=self.identity.person_secret,
            space_keys=encode_space_keys(replica.keys),
            statements=tuple(replica.statements),
            addresses=tuple(self.addresses()),
        )
        return change, gift

    def _dismiss(self, replica: Replica, newcomer: Newcomer) -> RosterChange | None:
        device = device_id(newcomer.public_key)
        member = replica.roster.member(device)
        if member is None or member.is_removed:
            return None
        return replica.state(
            lambda roster, identity, keys: remove(
                roster,
                identity,
                keys,
                device,
                cut=replica.heads.get(device, EMPTY_CHAIN),
                new_epoch_secret=self.randomness(KEY_BYTES),
            ),
            self.wall_ms(),
        )
