"""Presence: new words count, old ones expire, memory is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from crdt.ids import DeviceId
from transport.frames import MAX_PRESENCE_BYTES
from transport.presence import (
    LIFETIME_MS,
    MAX_DEVICES,
    MAX_NODES,
    MAX_STATE_BYTES,
    REPEAT_MS,
    OwnPresence,
    Presences,
    Word,
    decode_word,
    encode_word,
)

DEVICE = DeviceId(bytes(16))
RUN = b"run of a"


def test_the_newest_word_of_a_run_counts() -> None:
    """What comes late or twice changes nothing; a new run begins anew."""
    presences = Presences()

    assert presences.hear(DEVICE, Word(RUN, 2, {"oak": b"x"}), 0)
    assert not presences.hear(DEVICE, Word(RUN, 2, {"oak": b"x"}), 1)
    assert not presences.hear(DEVICE, Word(RUN, 1, {}), 1)
    assert presences.editing() == {DEVICE: {"oak": b"x"}}
    assert presences.hear(DEVICE, Word(b"run of b", 1, {}), 2)
    assert presences.editing() == {DEVICE: {}}


def test_a_word_expires_unless_it_is_repeated() -> None:
    """Repeating keeps a device there without being news; silence ends it."""
    presences = Presences()
    presences.hear(DEVICE, Word(RUN, 1, {}), 0)

    assert not presences.hear(DEVICE, Word(RUN, 2, {}), REPEAT_MS)
    assert presences.expire(LIFETIME_MS) == frozenset()
    assert presences.due_ms == REPEAT_MS + LIFETIME_MS
    assert presences.expire(REPEAT_MS + LIFETIME_MS) == {DEVICE}
    assert presences.due_ms is None
    assert not presences.leave(DEVICE)


def test_memory_is_bounded() -> None:
    """Whoever is heard least is forgotten, and nodes beyond the limit are not told."""
    presences = Presences()
    for number in range(MAX_DEVICES + 1):
        presences.hear(DeviceId(number.to_bytes(16)), Word(RUN, 1, {}), number)
    own = OwnPresence(RUN)
    words = [own.edit(f"node {number}", b"", 0) for number in range(MAX_NODES + 1)]

    assert len(presences.editing()) == MAX_DEVICES
    assert DeviceId(bytes(16)) not in presences.editing()
    assert words[-2] is not None
    assert len(words[-2].editing) == MAX_NODES
    assert words[-1] is None
    assert own.edit("node 0", bytes(MAX_STATE_BYTES + 1), 0) is not None


def test_the_largest_word_fits_a_frame() -> None:
    """Whatever is told of presence can be sent."""
    editing = {f"{at:0255}": bytes(MAX_STATE_BYTES) for at in range(MAX_NODES)}

    assert len(encode_word(Word(RUN, 2**53 - 1, editing))) <= MAX_PRESENCE_BYTES


def test_own_words_count_up() -> None:
    """Each word has a higher number, and nothing is said without news."""
    own = OwnPresence(RUN)

    first, again = own.edit("oak", b"x", 0), own.edit("oak", b"x", 1)
    repeated = own.say(REPEAT_MS)

    assert first == Word(RUN, 1, {"oak": b"x"})
    assert again is None
    assert repeated == Word(RUN, 2, {"oak": b"x"})
    assert own.due_ms == 2 * REPEAT_MS
    assert own.edit("oak", None, 0) == Word(RUN, 3, {})


def test_words_read_back() -> None:
    """A word decodes to itself, also with elements that a later version adds."""
    word = Word(RUN, 7, {"oak": b"x"})

    assert decode_word(encode_word(word)) == word
    longer = b"\x94" + encode_word(word)[1:] + b"\xc0"
    assert decode_word(longer) == word


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(encoded: bytes) -> None:
    """Hostile bytes are a word or raise `MalformedError`, nothing else."""
    try:
        decode_word(encoded)
    except MalformedError:
        return


def test_a_word_with_too_many_nodes_is_refused() -> None:
    """Limits are checked when decoding."""
    word = Word(RUN, 1, {str(number): b"" for number in range(MAX_NODES + 1)})

    with pytest.raises(MalformedError):
        decode_word(encode_word(word))
