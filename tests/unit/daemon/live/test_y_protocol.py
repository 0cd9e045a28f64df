"""Messages of the y-websocket protocol: exact, limited, and safe to read."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import MalformedError
from daemon.live import editor, y_protocol
from daemon.live.editor import Ending
from daemon.live.y_protocol import (
    MAX_PRESENCE_BYTES,
    MAX_PRESENCES,
    MAX_STATE_VECTOR_BYTES,
    MAX_UPDATE_BYTES,
    Message,
    Missing,
    Presence,
    PresenceQuery,
    Presences,
    Refusal,
    StateVector,
    Update,
    decode_message,
    decode_presences,
    encode_message,
    encode_presences,
)

ROOT: Final = Path(__file__).parents[4]
PAGE: Final = (ROOT / "docs" / "protocol" / "y-websocket.md").read_text()
VECTORS: Final = json.loads((ROOT / "tests/vectors/y_websocket.json").read_text())
STATES: Final = st.none() | st.dictionaries(st.text(max_size=3), st.integers()).map(
    json.dumps
)
PRESENCES: Final = st.lists(
    st.builds(Presence, st.integers(0, 2**53 - 1), st.integers(0, 2**31 - 1), STATES),
    max_size=4,
    unique_by=lambda presence: presence.client,
).map(tuple)
MESSAGES: Final = st.one_of(
    st.builds(StateVector, st.binary(max_size=300)),
    st.builds(Missing, st.binary(max_size=300)),
    st.builds(Update, st.binary(max_size=300)),
    st.builds(Presences, PRESENCES),
    st.builds(PresenceQuery),
    st.builds(Refusal, st.text(max_size=200)),
)


def section(title: str) -> str:
    """Return the text below a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def message_of(vector: dict[str, Any]) -> Message:
    """Return the message that a golden vector describes."""
    content = vector["content"]
    match vector["kind"]:
        case "StateVector":
            return StateVector(bytes.fromhex(content["encoded"]))
        case "Missing":
            return Missing(bytes.fromhex(content["update"]))
        case "Update":
            return Update(bytes.fromhex(content["update"]))
        case "Presences":
            return Presences(tuple(Presence(*each) for each in content["presences"]))
        case "Refusal":
            return Refusal(content["reason"])
        case _:
            return PresenceQuery()


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda each: each["name"])
def test_golden_messages(vector: dict[str, Any]) -> None:
    """The bytes of each golden message decode to it, and it encodes to them."""
    encoded, message = bytes.fromhex(vector["hex"]), message_of(vector)

    assert message == decode_message(encoded)
    assert encoded == encode_message(message)


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda each: each["name"])
def test_golden_refusals(vector: dict[str, Any]) -> None:
    """Bytes that are no message are refused."""
    with pytest.raises(MalformedError):
        decode_message(bytes.fromhex(vector["hex"]))


@given(message=MESSAGES)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    """Every message comes back from its bytes."""
    assert message == decode_message(encode_message(message))


@given(message=MESSAGES, data=st.data())
def test_a_message_is_whole_or_refused(message: Message, data: st.DataObject) -> None:
    """No part of a message is one, nor is a message with something behind it."""
    encoded = encode_message(message)
    cut = data.draw(st.integers(0, len(encoded) - 1))

    for spoilt in (encoded[:cut], encoded + b"\0"):
        with pytest.raises(MalformedError):
            decode_message(spoilt)


@given(
    start=st.sampled_from([bytes.fromhex(v["hex"]) for v in VECTORS["accepted"]]),
    noise=st.binary(max_size=40),
    data=st.data(),
)
def test_hostile_bytes_are_refused_or_mean_something(
    start: bytes, noise: bytes, data: st.DataObject
) -> None:
    """Whatever bytes come, they are a message with that encoding, or malformed."""
    at = data.draw(st.integers(0, len(start)))
    hostile = start[:at] + noise + start[at + data.draw(st.integers(0, 3)) :]
    with suppress(MalformedError):
        message = decode_message(hostile)
        assert decode_message(encode_message(message)) == message
    with suppress(MalformedError):
        presences = decode_presences(hostile)
        assert decode_presences(encode_presences(presences)) == presences


@pytest.mark.parametrize(
    "message",
    [
        StateVector(bytes(MAX_STATE_VECTOR_BYTES)),
        Update(bytes(MAX_UPDATE_BYTES)),
        Presences(tuple(Presence(n, 0, None) for n in range(MAX_PRESENCES))),
        Presences((Presence(1, 0, json.dumps("x" * (MAX_PRESENCE_BYTES - 2))),)),
        Presences((Presence(1, 0, "[" * 64 + "]" * 64),)),
    ],
)
def test_limits_are_inclusive(message: Message) -> None:
    """What is just as large as allowed is read."""
    assert message == decode_message(encode_message(message))


@pytest.mark.parametrize(
    "message",
    [
        StateVector(bytes(MAX_STATE_VECTOR_BYTES + 1)),
        Update(bytes(MAX_UPDATE_BYTES + 1)),
        Update(bytes(MAX_UPDATE_BYTES + 100)),
        Presences(tuple(Presence(n, 0, None) for n in range(MAX_PRESENCES + 1))),
        Presences((Presence(1, 0, json.dumps("x" * (MAX_PRESENCE_BYTES - 1))),)),
        Presences((Presence(1, 0, "[" * 65 + "]" * 65),)),
        Presences((Presence(1, 2**31, None),)),
        Presences(
            tuple(Presence(n, 0, json.dumps("x" * 8000)) for n in range(MAX_PRESENCES))
        ),
    ],
)
def test_limits_hold(message: Message) -> None:
    """What is larger than allowed is refused."""
    with pytest.raises(MalformedError):
        decode_message(encode_message(message))


def test_the_page_has_the_limits_of_the_code() -> None:
    """The table lists each limit with its value, no more, no fewer."""
    own = {
        name: value
        for name, value in vars(y_protocol).items()
        if name.startswith("MAX_") and name != "MAX_CLOCK"
    }

    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", section("Limits"), re.MULTILINE)

    assert {name: int(value) for name, value in rows} == own


def test_the_page_has_the_close_codes_of_the_code() -> None:
    """Each code with which a connection ends is explained, and fits a close frame."""
    endings = [each for each in vars(editor).values() if isinstance(each, Ending)]

    rows = re.findall(r"^\| (\d{4}) \|", section("Closing"), re.MULTILINE)

    by_aiohttp, unsaid = {1009}, {1000}
    assert {int(code) for code in rows} - by_aiohttp == {
        each.code for each in endings
    } - unsaid
    assert all(len(each.reason.encode()) <= 123 for each in endings)


def test_the_example_is_a_golden_message() -> None:
    """The bytes of the example are those of the vector that it describes."""
    lines = section("Example").split("```")[1].strip().splitlines()
    shown = "".join(
        re.findall(r"^((?:[0-9a-f]{2} )+) ", "\n".join(lines), re.MULTILINE)
    )

    assert shown.replace(" ", "") in {each["hex"] for each in VECTORS["accepted"]}
