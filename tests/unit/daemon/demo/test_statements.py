"""What the statements of the demonstration say of themselves is what the rule finds."""

from collections.abc import Iterable
from hashlib import sha256

import pytest

from consensus.contribution import Contribution, contribute
from consensus.invitations import Invitation, InviteTree
from consensus.rc1 import consensus
from consensus.result import ConsensusNode, Status
from consensus.rule import Preset
from daemon.demo.statements import (
    AGAINST,
    CONTESTED,
    SAID_APART,
    SAID_TOGETHER,
)
from daemon.demo.story import CUT_OFF
from tests.support.stand_in_model import known_vectors

CIRCLE = bytes(32)
FOUNDER, *INVITED = SAID_TOGETHER


def key(person: str) -> bytes:
    return sha256(person.encode()).digest()


TREE = InviteTree(
    {
        key(FOUNDER): Invitation(None, is_vouched=False),
        **{
            key(person): Invitation(key(FOUNDER), is_vouched=False)
            for person in INVITED
        },
    }
)


def records(apart: Iterable[str]) -> list[Contribution]:
    """Return what all said together, and what some said apart."""
    said = [(person, text) for person, texts in SAID_TOGETHER.items() for text in texts]
    said += [(person, text) for person in apart for text in SAID_APART[person]]
    return [
        contribute(
            CIRCLE,
            key(person),
            sha256(text.encode()).digest()[:16],
            1,
            text=text,
            model=b"a model.",
            vector=known_vectors()[text],
            epoch=2900,
        )
        for person, text in said
    ]


def nodes(*apart: str) -> dict[str, ConsensusNode]:
    """Return the consensus of what was said, by label."""
    found = consensus(CIRCLE, Preset.STRICT, TREE, records(apart)).nodes
    return {node.label: node for node in found}


def count(found: dict[str, ConsensusNode], status: Status) -> int:
    return sum(node.status is status for node in found.values())


@pytest.mark.parametrize(
    ("apart", "certain", "emerging"),
    [
        ((), 4, 2),
        (("Ada", "Ben"), 4, 3),
        (CUT_OFF, 4, 2),
        (tuple(SAID_APART), 6, 2),
    ],
    ids=["together", "linked", "cut-off", "healed"],
)
def test_some_thoughts_resonate(
    apart: tuple[str, ...], certain: int, emerging: int
) -> None:
    """A handful resonates with all, some with three, and half with nobody."""
    found = nodes(*apart)

    assert count(found, Status.CONSENSUS) == certain
    assert count(found, Status.EMERGING) == emerging
    resonant = sum(len(node.members) for node in found.values())
    assert resonant <= 0.56 * len(records(apart))


def test_one_thought_holds_opposite_opinions() -> None:
    """Of those whose words it holds, two are for it and two are against it."""
    by_id = {record.id: record for record in records(SAID_APART)}
    contested = [
        node
        for label, node in nodes(*SAID_APART).items()
        if any(word in label for word in CONTESTED)
    ]

    (node,) = contested
    persons = {person for person in SAID_TOGETHER if person not in AGAINST}
    authors = {by_id[each].author for each in node.members}
    texts = [by_id[each].text for each in node.members]
    assert authors == set(map(key, SAID_TOGETHER))
    assert len(persons) == len(AGAINST) == 2
    assert {"Tear the old mill down", "The old mill must not be torn down"} <= set(
        texts
    )


def test_all_can_be_published() -> None:
    """Each is known to the stand-in, said once, and no longer than a contribution."""
    said = [
        text
        for part in (SAID_TOGETHER, SAID_APART)
        for texts in part.values()
        for text in texts
    ]

    assert len(said) == len(set(said)) == len(known_vectors()) == 60
    assert all(len(text.encode()) <= 280 for text in said)
