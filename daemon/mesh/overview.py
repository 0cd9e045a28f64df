"""The person's devices as the API shows them, and what a person may do with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crdt.ids import DeviceId
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Member
from crdt.vectors import joined, missing, safe_on
from daemon.mesh.mesh import Mesh
from daemon.mesh.report import DeviceReport, LinkKind, PeerReport, PlanReport
from daemon.mesh.standing import PeerStanding, SpaceState, explain, space_state
from daemon.mesh.tending import removed, renamed
from daemon.owner import Owner
from transport.reasons import explained


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads the mesh, and passes on what a person wants."""

    mesh: Mesh
    owner: Owner
    wall_ms: Callable[[], int]
    randomness: Callable[[int], bytes]

    @property
    def is_paused(self) -> bool:
        """Whether a person told this device to stay by itself."""
        return self.mesh.view.is_paused

    def state(self) -> SpaceState:
        """Return how the space stands on all devices that read it."""
        if self.mesh.view.here.is_removed:
            return SpaceState.ALONE
        members = [each for each in self._others() if each.may_read]
        return space_state([self._standing(each) for each in members])

    def others(self) -> list[DeviceReport]:
        """Return every other device that belongs to the space."""
        return [self._report(each) for each in self._others()]

    def devices(self) -> list[DeviceReport]:
        """Return every device, this one first and removed ones last."""
        members = self.mesh.view.holding.roster.members.values()
        me = self.mesh.view.identity.device
        ordered = sorted(
            members, key=lambda each: (each.is_removed, each.device != me, each.name)
        )
        return [self._report(each) for each in ordered]

    def report(self, device: DeviceId) -> DeviceReport | None:
        """Return a device that is or was in the roster."""
        member = self.mesh.view.member(device)
        return None if member is None else self._report(member)

    def progress(self, device: DeviceId) -> tuple[int, int]:
        """Return how many parts or envelopes of how many both sides have now."""
        record = self.mesh.view.record(device)
        if record.progress is not None:
            return record.progress.done, record.progress.total
        held = self.mesh.view.holding.vector
        total = sum(joined(held, record.vector).values())
        lacking = missing(held, record.vector) + missing(record.vector, held)
        return total - min(lacking, total), total

    def pending(self) -> int:
        """Return how many envelopes other devices have yet to acknowledge."""
        return sum(each.pending_out for each in self.others())

    def peers(self) -> list[PeerReport]:
        """Return how the other devices are reached."""
        found = []
        for member in self._others():
            link = self.mesh.links.link(member.device)
            known = self.mesh.whereabouts.known(member.device)
            found.append(
                PeerReport(
                    device=member.device,
                    name=member.name,
                    link=None if link is None else link.kind,
                    rtt_ms=None if link is None else link.rtt_ms,
                    bytes_out=0 if link is None else link.bytes_out,
                    bytes_in=0 if link is None else link.bytes_in,
                    addresses=[str(each) for each in known],
                )
            )
        return found

    def safe_on(self, change: tuple[DeviceId | None, int] | None) -> tuple[int, bool]:
        """Return on how many devices a node is as it is here, and if any lacks it.

        `change` is that of `GraphReader.last_change`.
        """
        holding = self.mesh.view.holding
        readers = [each.device for each in self._others() if each.may_read]
        if holding.floor is None or not readers:
            return 1, False
        named = None
        if change is not None:
            named = change[0] or self.mesh.view.identity.device, change[1]
        held = {peer: self.mesh.view.record(peer).vector for peer in readers}
        count = safe_on(named, holding.floor, held)
        return 1 + count, count < len(readers)

    async def rename(self, device: DeviceId, name: str) -> DeviceReport:
        """Give a device another name; raises a `RefusedError`."""
        return await self._state(
            device, lambda replica: renamed(replica, device, name, self.wall_ms())
        )

    async def revoke(self, device: DeviceId) -> DeviceReport:
        """Remove a device for good; raises a `RefusedError`."""
        return await self._state(
            device,
            lambda replica: removed(replica, device, self.randomness, self.wall_ms()),
        )

    def try_address(self, text: str) -> str:
        """Look for devices at an address, too; raises `InvalidError`."""
        return self.mesh.try_address(text)

    def pause(self, *, is_paused: bool) -> None:
        """Stay alone from now on, or not any more."""
        self.mesh.pause(is_paused=is_paused)

    def sync_now(self) -> list[PlanReport]:
        """Try every device at once; return what is done about each."""
        self.mesh.links.sync_now()
        if self.mesh.circles is not None:
            self.mesh.circles.sync_now()
        return [
            PlanReport(each.device, each.name, self._plan(each))
            for each in self._others()
        ]

    async def _state(
        self, device: DeviceId, statement: Callable[[Replica], RosterChange]
    ) -> DeviceReport:
        self.mesh.roster_changed(await self.owner.run(statement))
        return self._report(self.mesh.view.holding.roster.members[device])

    def _others(self) -> Sequence[Member]:
        me = self.mesh.view.identity.device
        members = self.mesh.view.holding.roster.members.values()
        others = [each for each in members if not each.is_removed and each.device != me]
        return sorted(others, key=lambda each: (each.name, each.device))

    def _link(self, device: DeviceId) -> LinkKind | None:
        link = self.mesh.links.link(device)
        return None if link is None else link.kind

    def _standing(self, member: Member) -> PeerStanding:
        return self.mesh.view.record(member.device).standing(
            member,
            self.mesh.view.here,
            self._link(member.device),
            self.mesh.links.explain(member.device),
        )

    def _report(self, member: Member) -> DeviceReport:
        is_this = member.device == self.mesh.view.identity.device
        standing = self._standing(member)
        trouble = None if is_this else standing.trouble
        cause, fix = (None, None) if trouble is None else explain(trouble)
        return DeviceReport(
            device=member.device,
            name=member.name,
            role=member.role.value,
            is_this=is_this,
            is_removed=member.is_removed,
            link=standing.link,
            pending_out=0 if is_this else standing.pending_out,
            pending_in=0 if is_this else standing.pending_in,
            last_ack_ms=None if is_this else standing.last_ack_ms,
            is_safe=is_this or standing.is_safe,
            is_digest_equal=is_this or standing.is_digest_equal,
            cause=cause,
            fix=fix,
        )

    def _plan(self, member: Member) -> str:
        standing = self._standing(member)
        if standing.trouble is not None:
            return explain(standing.trouble)[0]
        if standing.is_synced and standing.link is not None:
            return "in step already"
        if standing.link is not None:
            return (
                f"sending {standing.pending_out} and getting {standing.pending_in}"
                " envelopes"
            )
        return explained(self.mesh.links.explain(member.device)).text
