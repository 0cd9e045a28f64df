"""A sample of the hostile updates that `make fuzz` runs in full."""

import pytest

from crdt.errors import MalformedError
from crdt.yjs_profile import BODY, SHARD, Profile
from crdt.yjs_update import parse
from tests.fuzz.updates import BrokenLawError, attack, run
from tests.support.hostile_updates import HostileUpdate, hostile_updates, victim


def test_the_parser_raises_its_own_error_only() -> None:
    """A hundred thousand hostile updates raise `MalformedError` or nothing."""
    run(seed=2, cases=100_000, with_pycrdt=False)


def test_what_the_parser_accepts_harms_no_document() -> None:
    """What passes the parser applies, and the document can be read and saved."""
    run(seed=3, cases=30_000)


def test_cases_depend_on_seed_and_number_alone() -> None:
    """A case is reproduced by its two numbers, whatever ran before it."""
    assert list(hostile_updates(4, 20))[15:] == list(hostile_updates(4, 5, first=15))
    assert list(hostile_updates(4, 20)) != list(hostile_updates(5, 20))


@pytest.mark.parametrize("profile", [SHARD, BODY])
def test_the_victims_are_honest(profile: Profile) -> None:
    """Hostile cases start from updates that the parser accepts."""
    document = victim(profile)

    for update in (*document.updates, document.state):
        parse(update, profile)


@pytest.mark.parametrize("kind", ["killer", "version 2", "truncated", "extended"])
def test_no_case_of_a_hopeless_kind_is_accepted(kind: str) -> None:
    """Known killers, version 2, cut and overlong updates are all refused."""
    cases = [case for case in hostile_updates(6, 4000) if case.kind == kind]

    assert len(cases) > 10
    for case in cases:
        with pytest.raises(MalformedError):
            parse(case.data, case.profile)


def test_a_broken_law_is_reported() -> None:
    """An update that the parser chokes on is a failure, not a refusal."""
    unhashable = Profile(parents={}, is_map=True, contents=None)  # type: ignore[arg-type]  # the fault under test
    case = HostileUpdate("broken", unhashable, bytes.fromhex("01010700a801000000"))

    with pytest.raises(BrokenLawError, match="the parser raised AttributeError"):
        attack(case, with_pycrdt=False)
