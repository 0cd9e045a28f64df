"""What devices that know nothing of each other show, and who is answered."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import pytest

from crdt.chain import EMPTY_CHAIN
from crdt.errors import MalformedError, PeerError
from crdt.ids import DeviceId
from crdt.keys import open_sealed, seal_to
from crdt.membership import RosterChange
from crdt.replica import Replica
from crdt.roster import Member
from crdt.roster_writing import remove, rename
from crdt.statement_kinds import Remove, Rename
from daemon.mesh.introduction import Asked, Introductions
from daemon.mesh.showing import (
    LARGEST_SHOWN,
    MAX_HASHES,
    MAX_SHOWN,
    MAX_SHOWN_BYTES,
    Answered,
    fitting,
)
from daemon.mesh.space_view import Clocks
from daemon.owner import Owner
from tests.support.replicas import START_MS, Device, identity, scratch_folder, team

PAGE: Final = (
    Path(__file__).parents[4] / "docs" / "protocol" / "signalling.md"
).read_text()
FROM: Final = "192.0.2.1"
CLOCKS: Final = Clocks(
    wall_ms=lambda: START_MS,
    steady_ms=lambda: 0,
    awake_ms=lambda: 0,
    randomness=bytes,
    dice=lambda: 0.5,
)


@dataclass(frozen=True, slots=True)
class Party:
    """A running device that can be introduced."""

    device: Device
    introductions: Introductions
    told: list[RosterChange]

    @property
    def id(self) -> DeviceId:
        return self.device.identity.device

    @property
    def replica(self) -> Replica:
        return self.device.replica

    def say(self, statement: bytes) -> None:
        """State something here, where nobody hears it."""
        change = self.replica.receive_statements([statement], START_MS)
        assert len(change.statements) == 1


@asynccontextmanager
async def parties(*rosters: Sequence[int]) -> AsyncIterator[list[Party]]:
    """Run device 0, 1 and so on, each with the members that it knows of."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        found: list[Party] = []
        for number, members in enumerate(rosters):
            known = tuple(map(identity, members))
            device = Device(folder / str(number), number, members=known)
            replica = stack.enter_context(device.running(clean=False))
            told: list[RosterChange] = []
            owner = Owner(partial(_same, replica), lambda: START_MS, lambda: 0, print)
            await stack.enter_async_context(owner)
            introductions = Introductions(
                device.identity,
                owner,
                partial(_member, replica),
                told.append,
                CLOCKS,
            )
            found.append(Party(device, introductions, told))
        yield found


def _same(replica: Replica) -> Replica:
    return replica


def _member(replica: Replica, device: DeviceId) -> Member | None:
    return replica.roster.member(device)


async def introduce(asker: Party, asked: Party) -> bytes | None:
    """Let a device show itself to another; return the answer, which it took in."""
    question = await asker.introductions.question(asked.id)
    assert question is not None
    answer = await asked.introductions.answer(question, FROM)
    if answer is not None:
        await asker.introductions.take(answer)
    return answer


async def test_a_restored_device_makes_itself_known() -> None:
    """Its enrolment is taken in, and it learns whom it did not know of."""
    async with parties((0, 5), (0, 5)) as (laptop, restored):
        own = laptop.device.identity
        laptop.say(rename(laptop.replica.roster, own, own.device, "new"))
        assert restored.replica.roster.member(restored.id) is not None
        assert laptop.replica.roster.member(restored.id) is None

        assert await introduce(restored, laptop) is not None

        assert laptop.replica.roster.member(restored.id) is not None
        assert len(laptop.told) == 1
        named = restored.replica.roster.member(laptop.id)
        assert named is not None
        assert named.name == "new"
        assert laptop.replica.roster.fingerprint == restored.replica.roster.fingerprint


async def test_a_removed_device_learns_of_it_and_of_nothing_after_it() -> None:
    """It is shown the statement that removes it, and nobody's new name."""
    async with parties((0, 1), (0, 1)) as (laptop, phone):
        roster = laptop.replica.roster
        removal, _ = remove(
            roster,
            laptop.device.identity,
            laptop.device.keys,
            phone.id,
            cut=EMPTY_CHAIN,
            new_epoch_secret=b"\x05" * 32,
        )
        laptop.say(removal)
        laptop.say(
            rename(laptop.replica.roster, laptop.device.identity, laptop.id, "new")
        )

        await introduce(phone, laptop)

        own = phone.replica.roster.member(phone.id)
        assert own is not None
        assert own.is_removed
        bodies = [type(each.body) for each in phone.replica.roster.statements]
        assert Remove in bodies
        assert Rename not in bodies


async def test_who_is_in_step_is_shown_nothing() -> None:
    """The answer to a device that lacks nothing is empty, and nobody is told."""
    async with parties((0, 1), (0, 1)) as (laptop, phone):
        answer = await introduce(phone, laptop)

        assert answer is not None
        info = b"fractality/1 introduction answer\0" + phone.id
        plain = open_sealed(phone.device.identity.hpke_seed, info, answer)
        assert msgspec.msgpack.decode(plain, type=Answered).statements == ()
        assert laptop.told == phone.told == []


@pytest.mark.parametrize("what", ["stranger", "not sealed", "malformed", "for others"])
async def test_nobody_else_is_answered(what: str) -> None:
    """Silence for who is unknown and proves nothing, and for what is malformed."""
    async with parties((0, 1)) as (laptop,):
        info = b"fractality/1 introduction\0" + laptop.id
        member = laptop.replica.roster.member(laptop.id)
        assert member is not None
        asked = Asked(1, identity(7).device, (), ())
        if what == "malformed":
            asked = Asked(2, identity(1).device, (), ())
        if what == "for others":
            info = b"fractality/1 introduction\0" + identity(1).device
        sealed = seal_to(member.hpke_key, info, msgspec.msgpack.encode(asked))
        if what == "not sealed":
            sealed = bytes(len(sealed))

        assert await laptop.introductions.answer(sealed, FROM) is None
        assert laptop.told == []


async def test_what_others_state_in_its_name_is_worth_nothing() -> None:
    """Statements of another person make nobody known: silence again."""
    async with parties((0, 1)) as (laptop,):
        member = laptop.replica.roster.member(laptop.id)
        assert member is not None
        forged = [bytes(each.encoded) for each in team((identity(0), identity(6)))]
        forged[-1] = forged[-1][:-1] + bytes([forged[-1][-1] ^ 1])
        asked = Asked(1, identity(6).device, (), tuple(forged))
        info = b"fractality/1 introduction\0" + laptop.id
        sealed = seal_to(member.hpke_key, info, msgspec.msgpack.encode(asked))

        assert await laptop.introductions.answer(sealed, FROM) is None
        assert laptop.replica.roster.member(identity(6).device) is None


async def test_who_is_unknown_is_not_asked() -> None:
    """Nothing can be sealed to a device whose key is not known."""
    async with parties((0, 1)) as (laptop,):
        assert await laptop.introductions.question(identity(7).device) is None


async def test_an_answer_that_is_not_one_is_refused() -> None:
    """Neither bytes that do not open nor those that break the format are taken in."""
    async with parties((0, 1)) as (laptop,):
        member = laptop.replica.roster.member(laptop.id)
        assert member is not None
        with pytest.raises(PeerError):
            await laptop.introductions.take(b"\0" * 100)
        info = b"fractality/1 introduction answer\0" + laptop.id
        sealed = seal_to(member.hpke_key, info, msgspec.msgpack.encode((1, 2, 3)))
        with pytest.raises(MalformedError):
            await laptop.introductions.take(sealed)


def test_the_page_says_what_the_code_does() -> None:
    """The limits of the page are those in force."""
    words = " ".join(PAGE.split())
    assert f"at most {MAX_HASHES})" in words
    assert f"no more than {MAX_SHOWN} statements and {MAX_SHOWN_BYTES // 1024} KiB" in (
        words
    )
    assert f"at most {LARGEST_SHOWN:,} bytes" in words


def test_one_large_statement_is_shown_alone() -> None:
    """A key for a full circle is more than several small statements may come to."""
    large, huge = bytes(LARGEST_SHOWN), bytes(LARGEST_SHOWN + 1)
    small = [bytes(MAX_SHOWN_BYTES // 2)] * 3

    assert fitting([large, *small]) == (large,)
    assert fitting([huge, *small]) == ()
    assert fitting(small) == tuple(small[:2])
    assert len(fitting([b"s"] * 1000)) == MAX_SHOWN
    assert fitting([]) == ()
