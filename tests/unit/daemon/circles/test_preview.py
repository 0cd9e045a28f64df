"""What publishing would send."""

import hashlib

import pytest

from consensus.contribution import decode_contribution
from consensus.rule import Preset
from crdt.errors import InvalidError
from crdt.ids import CircleId
from daemon.circles import preview
from daemon.circles.preview import Embedded, Pen, publishable, reaches, record_of

WEEK_MS = 604_800_000
PEN = Pen(CircleId(bytes(32)), bytes([1]) * 32, bytes([2]) * 16, 7)
VECTOR = bytes([127]) + bytes(383)


def test_a_text_is_normalised() -> None:
    """What goes out is the text in Unicode NFC, and nothing else about it changes."""
    assert publishable("  cafe\u0301 ") == "  caf\xe9 "


@pytest.mark.parametrize(
    "label",
    ["x" * 281, "\xe9" * 141, "two\nlines", "a\x00b", "\U0001fae8"],
    ids=["long", "long in bytes", "lines", "control", "young"],
)
def test_what_a_circle_cannot_take_is_refused(label: str) -> None:
    """A label that no record may have is refused by the name of its field, unread."""
    with pytest.raises(InvalidError) as told:
        publishable(label)

    assert told.value.field == "label"
    assert label not in str(told.value)


def test_a_text_may_fill_its_room() -> None:
    """280 bytes are taken; a combining mark that NFC folds does not count."""
    assert len(publishable("x" * 280)) == 280
    assert len(publishable("x" * 278 + "e\u0301").encode()) == 280


def test_a_preview_is_the_record() -> None:
    """The bytes that are shown decode to what was said, of this week."""
    made = record_of(PEN, "An old mill", Embedded(VECTOR, bytes(8)), 3 * WEEK_MS + 5)

    read = decode_contribution(made.encoded)
    assert (read.text, read.vector, read.epoch) == ("An old mill", VECTOR, 3)
    assert (read.author, read.reference, read.sequence) == (
        PEN.author,
        PEN.reference,
        PEN.sequence,
    )
    assert read.id == hashlib.sha256(made.encoded).digest()
    assert preview.epoch_start_ms(read.epoch) == 3 * WEEK_MS


def test_a_text_without_meaning_is_refused() -> None:
    """A vector of zeros resonates with nothing, so nothing is published with it."""
    with pytest.raises(InvalidError):
        record_of(PEN, "…", Embedded(bytes(384), bytes(8)), 0)


@pytest.mark.parametrize("preset", Preset)
def test_the_threshold_is_that_of_joining(preset: Preset) -> None:
    """A thought goes out by itself from the resonance on that a group asks for."""
    assert reaches(preset.value.join, preset)
    assert not reaches(preset.value.join - 1, preset)
