"""A home joins whole or not at all, whatever breaks off and wherever."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crdt.commands import PutNode
from crdt.database import Database
from crdt.errors import ConflictError, StoreError, StoreInUseError
from crdt.ids import DeviceId, parse_id
from daemon.home import JOINED_NAME, locked
from daemon.home_exchange import take_over
from daemon.joining import MAX_REPEATS, NoInviterError, PairingLostError
from daemon.joining_home import HomeJoiner
from daemon.setup import open_key
from tests.support.homes import NOW_MS, files, new_home, open_home
from tests.support.inviting import PLACE, Inviter, inviting
from transport.invitation import FINISH_MS, LIFETIME_MS, MAX_TRIES
from transport.pairing_causes import PairingError
from transport.pairing_code import parse_link
from transport.pairing_messages import Cause, Newcomer

QUESTIONS = 4


@pytest.fixture
async def inviter(tmp_path: Path) -> AsyncIterator[Inviter]:
    """Run a device that invites."""
    async with inviting(tmp_path / "inviter") as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Name a home that is not there yet."""
    return tmp_path / "new"


def is_absent(home: Path) -> bool:
    """Whether there is nothing at all where a home would be."""
    return not home.exists()


def other(code: str) -> str:
    """Return a code with another last word."""
    *rest, last = code.split("-")
    return "-".join((*rest, "zoo" if last != "zoo" else "zone"))


async def test_a_home_joins(inviter: Inviter, home: Path) -> None:
    """The new device holds the person's secret, all keys and the same roster."""
    await inviter.owner.write(PutNode("a", "Apples"))
    opened = await inviter.pairing.open()

    made = await inviter.join(home, opened.code)

    standing = inviter.pairing.standing()
    assert (standing.state, standing.device) == ("joined", (made.device, "phone"))
    theirs = inviter.owner.replica
    with open_home(home) as (replica, held):
        assert held.identity.person_secret == inviter.held.identity.person_secret
        assert held.identity.person == inviter.held.identity.person
        assert (held.identity.device_name, made.inviter_name) == ("phone", "laptop")
        assert replica.keys == theirs.keys
        assert replica.roster.fingerprint == theirs.roster.fingerprint
        assert replica.roster.may_write(held.identity.device)
        assert [each.statements for each in inviter.changes] == [
            [inviter.changes[0].roster.statements[-1].encoded]
        ]


async def test_the_addresses_of_the_inviter_are_kept(
    inviter: Inviter, home: Path
) -> None:
    """The new device knows where to look for the one that let it in."""
    opened = await inviter.pairing.open()
    made = await inviter.join(home, opened.code)

    key = open_key(home, None, environment={})
    with Database(home, key.key) as database:
        rows = database.writer.execute("SELECT peer, address FROM address").fetchall()

    assert rows == [(parse_id(made.inviter), str(PLACE))]


async def test_all_epochs_come_along(inviter: Inviter, home: Path) -> None:
    """A device that joins after a removal reads what was sealed before it, too."""
    code = (await inviter.pairing.open()).code
    first = await inviter.join(home.with_name("first"), code)
    await inviter.admission.dismiss(introduced(inviter, first.device))

    await inviter.join(home, (await inviter.pairing.open()).code)

    with open_home(home) as (replica, held):
        assert len(held.keys.epochs) == 2
        assert replica.keys == inviter.owner.replica.keys


def introduced(inviter: Inviter, device: str) -> Newcomer:
    """Return a member as it introduced itself."""
    member = inviter.owner.replica.roster.member(DeviceId(parse_id(device)))
    assert member is not None
    return Newcomer(
        member.public_key, member.hpke_key, member.client_id, member.name, bytes(64)
    )


async def test_a_wrong_code_leaves_nothing(inviter: Inviter, home: Path) -> None:
    """Both sides are told in words, and the home is as if nothing had been."""
    opened = await inviter.pairing.open()

    with pytest.raises(PairingError, match="not the one that the other device shows"):
        await inviter.join(home, other(opened.code))

    assert is_absent(home)
    assert "another code" in inviter.pairing.standing().told
    assert inviter.changes == []


async def test_the_fifth_wrong_code_was_the_last(inviter: Inviter, home: Path) -> None:
    """After it even the right one is refused, until another invitation is opened."""
    opened = await inviter.pairing.open()
    for left in reversed(range(MAX_TRIES)):
        with pytest.raises(PairingError):
            await inviter.join(home, other(opened.code))
        assert inviter.pairing.standing().tries_left == left

    with pytest.raises(PairingError, match="worth nothing") as raised:
        await inviter.join(home, opened.code)

    assert raised.value.cause is Cause.SPENT
    assert inviter.pairing.standing().state == "ended"
    await inviter.join(home, (await inviter.pairing.open()).code)


async def test_an_old_code_is_refused(inviter: Inviter, home: Path) -> None:
    """Ten minutes by the clock of the inviter, and not before."""
    opened = await inviter.pairing.open()
    inviter.now_ms = LIFETIME_MS

    with pytest.raises(PairingError, match="older than ten minutes"):
        await inviter.join(home, opened.code)

    assert is_absent(home)


async def test_without_an_invitation_there_is_silence(
    inviter: Inviter, home: Path
) -> None:
    """A device that does not invite answers nothing, and the person is told where."""
    with pytest.raises(NoInviterError, match="192"):
        await inviter.join(home, "7-orbit-ladder")

    assert is_absent(home)


@pytest.mark.parametrize("number", range(1, QUESTIONS))
async def test_a_way_that_breaks_leaves_nothing(
    inviter: Inviter, home: Path, number: int
) -> None:
    """Wherever the answers cease, no home is left and the inviter ends it in time."""
    opened = await inviter.pairing.open()
    inviter.lose = lambda asked: asked >= number

    with pytest.raises(PairingLostError, match="fell silent"):
        await inviter.join(home, opened.code)

    assert is_absent(home)
    if number == 2:  # it was added, and never said that it has its keys
        assert inviter.pairing.standing().state == "joining"


@pytest.mark.parametrize("number", range(1, QUESTIONS))
async def test_a_lost_answer_is_no_harm(
    inviter: Inviter, home: Path, number: int
) -> None:
    """Each question is asked again, and counts once."""
    opened = await inviter.pairing.open()
    inviter.lose = lambda asked: number <= asked < number + MAX_REPEATS - 1

    await inviter.join(home, opened.code)

    assert len(inviter.changes) == 1
    assert inviter.pairing.standing().tries_left == MAX_TRIES - 1


async def test_a_half_added_device_is_removed(inviter: Inviter, home: Path) -> None:
    """Who fell silent after it was added is out after two minutes, keys changed."""
    opened = await inviter.pairing.open()
    inviter.lose = lambda asked: asked >= 2
    with pytest.raises(PairingLostError):
        await inviter.join(home, opened.code)
    before = inviter.owner.replica.keys.present_epoch

    inviter.now_ms = FINISH_MS
    await elapse(inviter)

    assert inviter.pairing.standing().state == "ended"
    (removed,) = [
        member
        for member in inviter.owner.replica.roster.members.values()
        if member.is_removed
    ]
    assert removed.name == "phone"
    assert inviter.owner.replica.keys.present_epoch != before


async def elapse(inviter: Inviter) -> None:
    """Let the inviter look at its clock, and wait until it has acted."""
    revision = inviter.pairing.standing().revision
    keeping = asyncio.create_task(inviter.pairing.keep_time())
    await inviter.pairing.wait_changed(revision, 60)
    keeping.cancel()


async def test_a_home_in_use_is_left_alone(inviter: Inviter, home: Path) -> None:
    """Where a daemon holds the lock, nothing is touched and nobody is asked."""
    new_home(home)
    before = files(home)
    opened = await inviter.pairing.open()

    with locked(home), pytest.raises(StoreInUseError):
        await inviter.join(home, opened.code)

    assert files(home) == before
    assert inviter.questions == []


async def test_an_empty_device_is_replaced(inviter: Inviter, home: Path) -> None:
    """A home in which nothing was written yet joins under the key it has."""
    before = new_home(home)
    key = (home / "store.key").read_bytes()

    made = await inviter.join(home, (await inviter.pairing.open()).code)

    assert made.device != before.device
    assert (home / "store.key").read_bytes() == key
    with open_home(home) as (replica, held):
        assert held.identity.person == inviter.held.identity.person
        assert len(replica.roster.ranked) == 2


async def test_a_device_that_holds_something_is_not_replaced(
    inviter: Inviter, home: Path
) -> None:
    """Not a node, nor one in the trash, is given up for joining."""
    new_home(home)
    with open_home(home) as (replica, _):
        replica.apply((PutNode("a", "Apples"),), NOW_MS)
        shown = replica.digest
    opened = await inviter.pairing.open()

    with pytest.raises(ConflictError, match="held thoughts"):
        await inviter.join(home, opened.code)

    with open_home(home) as (replica, _):
        assert replica.digest == shown
    assert inviter.questions == []


async def test_a_served_device_takes_nothing_in_once_it_has_joined(
    inviter: Inviter, home: Path
) -> None:
    """What would be lost with the old store is refused, from before it is certain."""
    async with inviting(home) as served:
        joiner = joiner_of(served, home, inviter)
        code = (await inviter.pairing.open()).code

        joined = await joiner.join(parse_link(code), PLACE, "tablet")

        assert joiner.has_joined.is_set()
        with pytest.raises(StoreError, match="just becoming"):
            await served.owner.write(PutNode("late", "Too late"))
        with pytest.raises(ConflictError, match="just joining"):
            await joiner.join(parse_link(code), PLACE, "tablet")
    take_over(home)
    with open_home(home) as (_, held):
        assert held.identity == joined.identity


async def test_a_served_device_goes_on_if_it_has_not_joined(
    inviter: Inviter, home: Path
) -> None:
    """After the last question found no answer, writing works as before."""
    async with inviting(home) as served:
        joiner = joiner_of(served, home, inviter)
        code = (await inviter.pairing.open()).code
        inviter.lose = lambda asked: asked >= 3

        with pytest.raises(PairingLostError):
            await joiner.join(parse_link(code), PLACE, "tablet")

        await served.owner.write(PutNode("on", "It goes on"))
        assert not joiner.has_joined.is_set()
    assert not (home / JOINED_NAME).exists()


async def test_what_is_written_meanwhile_stops_the_joining(
    inviter: Inviter, home: Path
) -> None:
    """A thought that comes while the keys are on their way is not given up."""
    async with inviting(home) as served:
        joiner = joiner_of(served, home, inviter)
        code = (await inviter.pairing.open()).code

        async def think(number: int) -> None:
            await served.owner.write(PutNode(f"{number}", "A thought"))

        inviter.meanwhile = think

        with pytest.raises(ConflictError, match="held thoughts"):
            await joiner.join(parse_link(code), PLACE, "tablet")

        await served.owner.write(PutNode("on", "It goes on"))
    standing = inviter.pairing.standing()
    assert (standing.state, standing.cause) == ("ended", "failed")
    assert len(inviter.owner.replica.roster.ranked) == 1


def joiner_of(served: Inviter, home: Path, inviter: Inviter) -> HomeJoiner:
    """Return what joins an inviter with the home of a served device."""
    key = open_key(home, None, environment={})
    return HomeJoiner(home, key, served.owner, inviter.ways, lambda: NOW_MS)


async def test_only_an_open_invitation_is_announced(inviter: Inviter) -> None:
    """One number at a time, from opening to the end of whatever kind."""
    announced: list[int] = []

    @contextmanager
    def offering(nameplate: int) -> Iterator[None]:
        announced.append(nameplate)
        yield
        announced.remove(nameplate)

    inviter.pairing.offering = offering
    for _ in range(2):
        opened = await inviter.pairing.open()
        assert announced == [int(opened.code.partition("-")[0])]
    await inviter.pairing.cancel()

    assert announced == []
