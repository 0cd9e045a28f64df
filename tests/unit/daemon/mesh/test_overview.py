"""What the API is told of devices: complete, in words, and never too good."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.commands import PutNode
from crdt.errors import InvalidError
from daemon.mesh.standing import SpaceState
from tests.support.replicas import TEAM, identity, scratch_folder
from tests.support.stations import Watched, watched
from transport.sync_actions import CheckpointProgress

PHONE: Final = identity(1).device


@pytest.fixture
async def here() -> AsyncIterator[Watched]:
    """Run a device that knows seven others and reaches none."""
    with scratch_folder() as folder:
        async with watched(folder, 0) as here:
            yield here


async def test_every_device_has_a_cause_or_a_link(here: Watched) -> None:
    """Whoever is not linked has words; this device comes first and needs none."""
    first, *others = here.overview.devices()

    assert first.is_this
    assert (first.is_safe, first.cause, first.pending_out) == (True, None, 0)
    assert len(others) == TEAM - 1
    assert all(each.cause and each.link is None for each in others)
    assert not any(each.is_safe or each.is_digest_equal for each in others)
    assert here.overview.state() is SpaceState.BEHIND
    plans = here.overview.sync_now()
    assert [each.device for each in plans] == [
        each.device for each in here.overview.peers()
    ]
    assert all(each.plan for each in plans)


async def test_a_write_is_pending_everywhere(here: Watched) -> None:
    """What was just written is safe on this device only, sealed or not."""
    await here.owner.write(PutNode(key="a", label="A"))
    await here.owner.run(lambda _: None)

    assert here.overview.pending() == TEAM - 1
    assert all(each.pending_out == 1 for each in here.overview.others())
    assert here.overview.safe_on((None, 0)) == (1, True)


async def test_a_removed_device_is_told_last(here: Watched) -> None:
    """Removal is shown at once, with its words, and counts as no pending device."""
    await here.owner.write(PutNode(key="a", label="A"))
    report = await here.overview.revoke(PHONE)
    await here.owner.run(lambda _: None)

    assert (report.is_removed, report.cause) == (True, "revoked")
    assert here.overview.devices()[-1].device == PHONE
    assert PHONE not in {each.device for each in here.overview.others()}
    assert here.overview.pending() == TEAM - 2


async def test_a_pause_is_told_and_remembered(here: Watched) -> None:
    """While paused each device says so, and what to do to go on."""
    here.overview.pause(is_paused=True)

    assert here.overview.is_paused
    causes = {(each.cause, each.fix) for each in here.overview.others()}
    assert causes == {("paused on this device", "'fractality sync --resume' goes on.")}
    here.overview.pause(is_paused=False)
    assert not here.overview.is_paused


async def test_addresses_are_tried_and_listed(here: Watched) -> None:
    """An address is looked at for every device; nonsense is refused by its field."""
    assert here.overview.try_address("192.0.2.7:7374") == "192.0.2.7:7374"
    assert all("192.0.2.7:7374" in each.addresses for each in here.overview.peers())
    with pytest.raises(InvalidError):
        here.overview.try_address("nowhere")


@settings(max_examples=20)
@given(st.integers(0, 5), st.integers(0, 5), st.none() | st.integers(0, 9))
async def test_progress_is_within_its_total(
    own: int, theirs: int, part: int | None
) -> None:
    """Done is never more than the total, whatever a device says that it holds."""
    with scratch_folder() as folder:
        async with watched(folder, 0) as here:
            record = here.mesh.view.record(PHONE)
            record.acknowledge({PHONE: theirs, identity(0).device: own}, 0)
            if part is not None:
                record.note(CheckpointProgress(part, 9, is_incoming=True), {})

            done, total = here.overview.progress(PHONE)

            assert 0 <= done <= total
