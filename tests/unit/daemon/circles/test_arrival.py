"""What comes from outside is taken for what it is, or refused with a reason."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from consensus.contribution import MAX_SEQUENCE
from consensus.errors import Fault
from crdt.circle_items import ItemKind
from crdt.circle_standing import Fallen
from crdt.ids import SpaceId
from daemon.circles.forms import RECORDS_OF_AN_AUTHOR
from daemon.circles.records import CircleRecords
from daemon.circles.refusals import Refusal
from tests.support.circle_people import Circle, founding
from tests.support.circle_records import Keeper, Writer, sums, writer

CONTRIBUTION = ItemKind.CONTRIBUTION
SIGNATURE = 64


@dataclass
class Town:
    """Ben's records, and others who write."""

    circle: Circle
    keeper: Keeper
    records: CircleRecords
    ada: Writer


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Ben keeps the records of a circle that Ada founded."""
    circle = Circle.of("ada", "ben")
    keeper = Keeper(tmp_path / "ben", circle, "ben")
    async with keeper.running() as records:
        yield Town(circle, keeper, records, writer(circle, "ada"))


def fields(content: bytes) -> list[object]:
    """Return a contribution's record as an array."""
    record = msgspec.msgpack.decode(content[:-SIGNATURE])
    assert isinstance(record, list)
    return record


def changed(content: bytes, place: int, value: object) -> bytes:
    """Return a contribution with another value in a place, and a made-up signature."""
    record = fields(content)
    record[place] = value
    return msgspec.msgpack.encode(record) + bytes(SIGNATURE)


def with_bytes(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a contribution with bytes of the record replaced."""
    assert old in content
    return content.replace(old, new)


def forged(content: bytes) -> bytes:
    """Return a record with one bit of its signature changed."""
    return content[:-1] + bytes([content[-1] ^ 1])


HONEST = writer(Circle("ada"), "ada").says("mill")
SEQUENCE = 4
MODEL = 7
LONG = b"\x00" * 100_000
FOREIGN = writer(Circle("ada"), "ada").who.circle
REFUSED = {
    "rubbish": (b"rubbish", Refusal.FORM),
    "nothing": (b"", Refusal.FORM),
    "too large": (HONEST + bytes(600), Refusal.SIZE),
    "far too large": (LONG, Refusal.SIZE),
    "deep": (b"\x91" * 900 + bytes(SIGNATURE), Refusal.FORM),
    "later version": (changed(HONEST, 0, 2), Refusal.VERSION),
    "sequence below 0": (changed(HONEST, SEQUENCE, -1), Refusal.SEQUENCE),
    "sequence too large": (changed(HONEST, SEQUENCE, float(2**64)), Refusal.FORM),
    "wrong model": (changed(HONEST, MODEL, b"model"), Refusal.MODEL),
    "no UTF-8": (with_bytes(HONEST, b"thought", b"thou\xffht"), Refusal.UTF8),
    "control character": (with_bytes(HONEST, b"thought", b"thou\x07ht"), Refusal.TEXT),
    "no vector": (changed(HONEST, 8, b""), Refusal.VECTOR),
    "longer encoding": (b"\xdc\x00\x0a" + HONEST[1:], Refusal.ENCODING),
    "foreign circle": (changed(HONEST, 1, sha256(b"other").digest()), Refusal.CIRCLE),
    "stranger": (changed(HONEST, 2, sha256(b"stranger").digest()), Refusal.AUTHOR),
    "forged": (forged(HONEST), Refusal.SIGNATURE),
    "changed": (with_bytes(HONEST, b"thought", b"thawght"), Refusal.SIGNATURE),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_record_is_refused(
    town: Town, content: bytes, reason: Refusal
) -> None:
    """What breaks a rule is dropped, counted by its reason, and changes nothing."""
    before = sums(town.records)
    kept = await town.records.keep(CONTRIBUTION, [content])
    assert kept.new == []
    assert kept.refused == {reason: 1}
    assert town.records.refusals == {reason: 1}
    assert sums(town.records) == before
    honest = await town.records.keep(CONTRIBUTION, [HONEST])
    assert len(honest.new) == 1


async def test_a_bad_record_harms_no_other(town: Town) -> None:
    """Of a payload with bad records the good ones are taken."""
    bad = [content for content, _ in REFUSED.values()]
    kept = await town.records.keep(CONTRIBUTION, [*bad, HONEST, *bad])
    assert [each.content for each in kept.new] == [HONEST]
    assert kept.refused.total() == 2 * len(bad)


async def test_replays_are_refused(town: Town) -> None:
    """The same record twice, at once or later, is one record."""
    first = await town.records.keep(CONTRIBUTION, [HONEST, HONEST])
    assert (len(first.new), first.refused) == (1, {Refusal.DUPLICATE: 1})
    later = await town.records.keep(CONTRIBUTION, [HONEST])
    assert (later.new, later.refused) == ([], {Refusal.DUPLICATE: 1})


async def test_records_of_another_circle_are_refused(town: Town) -> None:
    """What the same person signed for another circle of theirs is not taken here."""
    other = Circle("ada")
    elsewhere = founding("ada", SpaceId(bytes(16)))
    assert elsewhere.hash != other.id
    cut = changed(HONEST, 1, elsewhere.hash)
    kept = await town.records.keep(CONTRIBUTION, [cut])
    assert kept.refused == {Refusal.CIRCLE: 1}
    statements = await town.records.keep(ItemKind.STATEMENT, [elsewhere.encoded])
    assert statements.refused == {Refusal.CIRCLE: 1}


async def test_a_card_needs_both_signatures(town: Town) -> None:
    """A card that one of member and device did not sign is refused."""
    card = town.ada.is_at("http://192.0.2.1:1")
    by_member = card[:-1] + bytes([card[-1] ^ 1])
    by_device = card[:-128] + bytes([card[-128] ^ 1]) + card[-127:]
    kept = await town.records.keep(ItemKind.CARD, [by_member, by_device])
    assert kept.refused == {Refusal.SIGNATURE: 2}
    assert len((await town.records.keep(ItemKind.CARD, [card])).new) == 1


async def test_a_newer_card_replaces_the_one_of_its_device(town: Town) -> None:
    """Of a device the newest card counts, and the older is not there any more."""
    old, new = (town.ada.is_at(f"http://192.0.2.{n}:1", sequence=n) for n in (1, 2))
    laptop = writer(town.circle, "ada", "laptop").is_at("http://192.0.2.9:1")
    for card in (old, laptop, new):
        assert len((await town.records.keep(ItemKind.CARD, [card])).new) == 1
    assert {card.content for card in town.records.cards} == {laptop, new}


async def test_a_vote_is_the_voters_own(town: Town) -> None:
    """A vote that its author did not sign is refused."""
    vote = town.ada.votes("node")
    kept = await town.records.keep(ItemKind.VOTE, [forged(vote), vote + bytes(100)])
    assert kept.refused == {Refusal.SIGNATURE: 1, Refusal.SIZE: 1}


async def test_statements_are_judged_by_the_roster(town: Town) -> None:
    """Malformed, forged and unfit statements are refused with their reasons."""
    stranger = Circle("ada")
    stranger.welcome("ada", "eve")
    known = stranger.membership("eve")
    stranger.is_apart = True
    stranger.say("eve", "invites", "mallory")
    (invitation,) = stranger.membership("eve").statements_since(known)
    kept = await town.records.keep(
        ItemKind.STATEMENT,
        [b"rubbish", forged(invitation), bytes(70_000), town.circle.founding.encoded],
    )
    assert kept.refused == {
        Refusal.FORM: 1,
        Refusal.SIGNATURE: 1,
        Refusal.SIZE: 1,
        Refusal.DUPLICATE: 1,
    }


async def test_an_author_who_writes_on_and_on_is_slowed_down(town: Town) -> None:
    """After as many records as can stand there is room for one more now and then."""
    many = [town.ada.says("mill", 1 + number) for number in range(RECORDS_OF_AN_AUTHOR)]
    await town.records.keep(CONTRIBUTION, many)
    more = [town.ada.says("mill", 5_000 + number) for number in range(3)]
    kept = await town.records.keep(CONTRIBUTION, [more[0]])
    assert kept.refused == {Refusal.RATE: 1}
    assert town.records.lacking(CONTRIBUTION, kept.names) == kept.names
    town.keeper.monotonic_ms += 2_000
    kept = await town.records.keep(CONTRIBUTION, [more[0]])
    assert len(kept.new) == 1


async def test_a_persons_own_devices_are_never_slowed_down(town: Town) -> None:
    """However much another device of the person replaces, all of it is taken."""
    ben = writer(town.circle, "ben", "laptop")
    for first in (1, 1 + RECORDS_OF_AN_AUTHOR):
        many = [ben.says("mill", first + n) for n in range(RECORDS_OF_AN_AUTHOR)]
        kept = await town.records.keep(CONTRIBUTION, many)
        assert [each.content for each in kept.new] == many[-1:]
        assert kept.refused[Refusal.RATE] == 0


async def test_the_newest_records_of_an_author_are_kept(town: Town) -> None:
    """An author cannot fill the store: the oldest go, in whatever order they come."""
    room = RECORDS_OF_AN_AUTHOR
    records = [town.ada.says(number, 1 + number) for number in range(room + 2)]
    kept = await town.records.keep(CONTRIBUTION, records[:room])
    assert (len(kept.new), kept.refused.total()) == (room, 0)
    town.keeper.monotonic_ms += 10_000
    await town.records.keep(CONTRIBUTION, records[room:])
    assert town.records.count(CONTRIBUTION) == room
    late = await town.records.keep(CONTRIBUTION, records[:2])
    assert late.refused == {Refusal.BEYOND_BOUND: 2}
    assert town.records.lacking(CONTRIBUTION, late.names) == []
    (row,) = town.keeper.database.writer.execute("SELECT count(*) FROM circle_item")
    assert row == (room,)


async def test_the_last_sequence_is_the_last(town: Town) -> None:
    """A record with the largest sequence is valid and replaces all others."""
    last = town.ada.says("mill", MAX_SEQUENCE)
    kept = await town.records.keep(CONTRIBUTION, [HONEST, last])
    assert [each.content for each in kept.new] == [last]
    assert kept.refused == {Refusal.SUPERSEDED: 1}


def test_every_fault_has_a_reason() -> None:
    """Whatever is wrong with a record, or with where it would stand, can be counted."""
    for each in (*Fault, *Fallen):
        assert Refusal(each) == each
