"""Offer, answer and bind: what is accepted, and from whom."""

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.errors import ForgedError, MalformedError, PeerError
from crdt.identity import Identity
from crdt.keys import Domain, seal_to
from tests.support.meeting import HIGHER, LOWER, ROSTER, STRANGER, identity, known
from transport.description import Candidate, CandidateKind, Description
from transport.signalling import (
    MAX_SIGNAL_BYTES,
    MAX_SKEW_MS,
    BindRole,
    ClockSkewError,
    Offer,
    Sealed,
    StrangerError,
    Transcript,
    open_answer,
    open_offer,
    seal_answer,
    seal_offer,
)

ROOT: Final = Path(__file__).parents[3]
VECTORS: Final[dict[str, Any]] = json.loads(
    (ROOT / "tests/vectors/signalling.json").read_text()
)
NOW: Final = VECTORS["offer"]["time_ms"]
SESSION: Final = bytes.fromhex(VECTORS["offer"]["session"])
NONCE: Final = bytes.fromhex(VECTORS["offer"]["nonce"])
HOST: Final = Candidate(
    CandidateKind.HOST, bytes([192, 0, 2, 1]), 40_000, 2_130_706_431, "1"
)
RELAY: Final = Candidate(
    CandidateKind.RELAY,
    bytes.fromhex("20010db8000000000000000000000001"),
    50_000,
    16_777_215,
    "f2",
)
OFFERED: Final = Description("aaaa", "p" * 22, bytes(range(32)), (HOST, RELAY))
REFLEXIVE: Final = Candidate(
    CandidateKind.SERVER_REFLEXIVE, bytes([198, 51, 100, 7]), 40_001, 1_694_498_815, "3"
)
ANSWERED: Final = Description("bbbb", "q" * 22, bytes(range(32, 64)), (REFLEXIVE,))


def offer(
    sender: Identity = LOWER,
    recipient: Identity = HIGHER,
    description: Description = OFFERED,
) -> Sealed:
    return seal_offer(
        sender,
        known(recipient),
        description,
        session=SESSION,
        nonce=NONCE,
        now_ms=NOW,
    )


def opened(sealed: bytes, now_ms: int = NOW) -> Offer:
    return open_offer(HIGHER, ROSTER.get, sealed, now_ms)


ENCODED: Final = offer().encoded
ANSWER: Final = seal_answer(HIGHER, opened(ENCODED), ANSWERED, nonce=NONCE)


def test_the_golden_messages_open() -> None:
    """The sealed messages of the vectors open, and name each other by their hashes."""
    me, peer = identity(2), identity(1)
    golden, answered = VECTORS["offer"], VECTORS["answer"]

    found = open_offer(
        me, {peer.device: known(peer)}.get, bytes.fromhex(golden["sealed"]), NOW
    )
    answer = open_answer(peer, known(me), found.hash, bytes.fromhex(answered["sealed"]))

    assert found.sender.device.hex() == VECTORS["offerer"]["device"]
    assert (found.session, found.description) == (SESSION, OFFERED)
    assert answer.description == ANSWERED
    assert (found.hash.hex(), answer.hash.hex()) == (golden["hash"], answered["hash"])


def test_the_golden_bytes_are_written() -> None:
    """From the same values come the same hashes and the same bind signatures."""
    me, peer = identity(1), identity(2)
    made = offer(me, peer)
    found = open_offer(peer, {me.device: known(me)}.get, made.encoded, NOW)
    nonce = bytes.fromhex(VECTORS["answer"]["nonce"])
    answer = seal_answer(peer, found, ANSWERED, nonce=nonce)
    exporter = bytes.fromhex(VECTORS["bind"]["exporter"])
    transcript = Transcript(made.hash, answer.hash, exporter)

    assert made.hash.hex() == VECTORS["offer"]["hash"]
    assert answer.hash.hex() == VECTORS["answer"]["hash"]
    for signer, role in ((me, BindRole.OFFERER), (peer, BindRole.ANSWERER)):
        golden = VECTORS["bind"][role.name.lower()]
        assert transcript.sign(signer, role).hex() == golden


def test_an_offer_and_its_answer_open() -> None:
    """Each side learns the other's description; the hashes agree."""
    found = opened(ENCODED)
    answer = open_answer(LOWER, known(HIGHER), found.hash, ANSWER.encoded)

    assert found.sender == known(LOWER)
    assert (found.description, answer.description) == (OFFERED, ANSWERED)
    assert answer.hash == ANSWER.hash


@given(
    sealed=st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(ENCODED) - 1).map(lambda end: ENCODED[:end]),
        st.builds(
            lambda place, bit: (
                ENCODED[:place]
                + bytes([ENCODED[place] ^ 1 << bit])
                + ENCODED[place + 1 :]
            ),
            st.integers(0, len(ENCODED) - 1),
            st.integers(0, 7),
        ),
        st.just(ENCODED + b"!"),
        st.just(ENCODED + bytes(MAX_SIGNAL_BYTES)),
    )
)
def test_hostile_bytes_are_a_peers_fault_at_worst(sealed: bytes) -> None:
    """Bytes that were cut, changed, grown or made up are refused as a peer's fault."""
    with pytest.raises(PeerError):
        opened(sealed)
    with pytest.raises(PeerError):
        open_answer(HIGHER, known(LOWER), bytes(32), sealed)


@given(
    value=st.recursive(
        st.one_of(st.none(), st.integers(-1, 2**63), st.binary(), st.text()),
        lambda inner: st.lists(inner, max_size=8),
        max_leaves=30,
    ),
    is_signed=st.booleans(),
)
def test_well_sealed_nonsense_is_a_peers_fault(
    value: object, *, is_signed: bool
) -> None:
    """Who knows our key can seal anything; it is refused as a peer's fault."""
    plain = msgspec.msgpack.encode(value)
    if is_signed:
        plain = msgspec.msgpack.encode([plain, bytes(64)])
    for kind in (b"offer", b"answer"):
        info = b"fractality/1 " + kind + b" to\0" + HIGHER.device
        sealed = seal_to(known(HIGHER).hpke_key, info, plain)
        with pytest.raises(PeerError):
            opened(sealed)
        with pytest.raises(PeerError):
            open_answer(HIGHER, known(LOWER), bytes(32), sealed)


def test_strangers_and_removed_devices_are_refused() -> None:
    """Only devices of the roster that were not removed are heard."""
    with pytest.raises(StrangerError):
        opened(offer(STRANGER).encoded)

    removed = {LOWER.device: known(LOWER, is_removed=True)}
    with pytest.raises(StrangerError):
        open_offer(HIGHER, removed.get, ENCODED, NOW)


def test_a_stolen_name_is_refused() -> None:
    """A stranger who signs as a member, or as the key of another id, is refused."""
    mask = replace(known(STRANGER), device=LOWER.device)
    body = msgspec.msgpack.encode(
        [1, LOWER.device, HIGHER.device, SESSION, NONCE, NOW, OFFERED]
    )
    signature = STRANGER.signing_key().sign(Domain.OFFER, body)
    info = b"fractality/1 offer to\0" + HIGHER.device
    plain = msgspec.msgpack.encode([body, signature])
    sealed = seal_to(known(HIGHER).hpke_key, info, plain)

    with pytest.raises(ForgedError):
        opened(sealed)
    with pytest.raises(ForgedError):
        open_offer(HIGHER, {LOWER.device: mask}.get, sealed, NOW)


def test_messages_do_not_serve_elsewhere() -> None:
    """An offer is no answer, opens for no other device, and is none to its sender."""
    third = known(STRANGER)
    with pytest.raises(ForgedError):
        open_offer(STRANGER, ROSTER.get, ENCODED, NOW)
    with pytest.raises(ForgedError):
        open_answer(HIGHER, known(LOWER), bytes(32), ENCODED)
    with pytest.raises(ForgedError):
        opened(ANSWER.encoded)
    with pytest.raises(ForgedError):
        open_offer(HIGHER, ROSTER.get, offer(HIGHER).encoded, NOW)
    with pytest.raises(ForgedError):
        open_answer(LOWER, known(HIGHER), bytes(32), ANSWER.encoded)
    with pytest.raises(StrangerError):
        open_answer(LOWER, third, opened(ENCODED).hash, ANSWER.encoded)


@pytest.mark.parametrize("behind_ms", [-MAX_SKEW_MS, 0, MAX_SKEW_MS])
def test_clocks_may_differ_a_little(behind_ms: int) -> None:
    """Two minutes of difference are no obstacle."""
    assert opened(ENCODED, NOW + behind_ms).session == SESSION


@pytest.mark.parametrize(
    ("behind_ms", "told"),
    [
        (-7 * 60_000, "is 7 min ahead of ours"),
        (7 * 60_000, "is 7 min behind ours"),
        (5 * 3_600_000, "is 5 h behind ours"),
        (90 * 86_400_000, "is 90 days behind ours"),
    ],
)
def test_clocks_far_apart_are_named(behind_ms: int, told: str) -> None:
    """A member whose clock is off is refused with the difference, for the person."""
    with pytest.raises(ClockSkewError, match=told) as caught:
        opened(ENCODED, NOW + behind_ms)

    assert (caught.value.device, caught.value.skew_ms) == (LOWER.device, -behind_ms)


def test_an_unproved_clock_is_not_believed() -> None:
    """A forged offer is forged first; what it says of its clock is not told."""
    flipped = bytearray(ENCODED)
    flipped[-1] ^= 1
    with pytest.raises(ForgedError):
        opened(bytes(flipped), NOW + 10 * MAX_SKEW_MS)


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "aaa"},
        {"username": "aaaa\n"},
        {"username": "a" * 33},
        {"password": "p" * 21},
        {"password": "p" * 21 + "\r"},
        {"fingerprint": bytes(31)},
        {"candidates": (HOST,) * 17},
        *(
            {"candidates": (msgspec.structs.replace(HOST, **field),)}
            for field in (
                {"address": bytes(4)},
                {"address": bytes([224, 0, 0, 1])},
                {"address": bytes([255] * 4)},
                {"address": bytes(5)},
                {"address": bytes(16)},
                {"address": bytes(10) + b"\xff\xff\x7f\0\0\1"},
                {"address": b"\xff\x02" + bytes(13) + b"\1"},
                {"port": 0},
                {"port": 65_536},
                {"priority": -1},
                {"foundation": ""},
                {"foundation": "1 2"},
                {"kind": 3},
            )
        ),
    ],
)
def test_fields_keep_to_their_narrow_types(changed: dict[str, Any]) -> None:
    """What could not stand in a description of one machine's addresses is malformed."""
    spoilt = msgspec.structs.replace(OFFERED, **changed)

    with pytest.raises(MalformedError):
        opened(offer(description=spoilt).encoded)


def test_a_bind_holds_one_connection() -> None:
    """A signature fits its signer, its role and its very connection only."""
    transcript = Transcript(bytes(32), bytes([1] * 32), bytes([2] * 32))
    signature = transcript.sign(LOWER, BindRole.OFFERER)

    transcript.verify(known(LOWER), BindRole.OFFERER, signature)

    for wrong in (
        replace(transcript, offer_hash=bytes([3] * 32)),
        replace(transcript, answer_hash=bytes([3] * 32)),
        replace(transcript, exporter=bytes([3] * 32)),
    ):
        with pytest.raises(ForgedError):
            wrong.verify(known(LOWER), BindRole.OFFERER, signature)
    with pytest.raises(ForgedError):
        transcript.verify(known(LOWER), BindRole.ANSWERER, signature)
    with pytest.raises(ForgedError):
        transcript.verify(known(HIGHER), BindRole.OFFERER, signature)


def test_the_page_tells_the_limits() -> None:
    """The tables of both pages give the values of the code, all of them."""
    for name in ("signalling", "link"):
        page = (ROOT / "docs/protocol" / f"{name}.md").read_text()
        listed = re.findall(r"^\| `([A-Z_]+)` \| (-?[\d,]+) \|", page, re.MULTILINE)
        paths = re.findall(r"`transport/(\w+)\.py`", page)
        modules = [import_module(f"transport.{path}") for path in paths]
        if name == "link":
            modules.append(import_module("transport.rtc_parts"))
        if name == "signalling":
            modules.append(import_module("transport.endpoint"))

        assert listed
        for limit, value in listed:
            found = {getattr(each, limit) for each in modules if hasattr(each, limit)}
            assert found == {int(value.replace(",", ""))}, limit


def test_the_page_shows_the_golden_offer() -> None:
    """The example of the page is the offer of the vectors."""
    page = (ROOT / "docs/protocol/signalling.md").read_text()
    golden = VECTORS["offer"]["signed"]

    shown = "".join(page.split("## Example")[1].split("```")[1].split())

    assert shown == golden
    assert f"{len(golden) // 2} bytes" in page
