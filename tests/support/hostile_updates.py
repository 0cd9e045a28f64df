"""Updates that no honest device would send, the same ones for the same seed.

Every case is made from (seed, number) alone, so that a failure is reproduced by these
two numbers. `VICTIMS` are the documents that the cases are aimed at: most cases are
their own updates with something changed, or name their clients and clocks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from pycrdt import Doc, Map, Text

from crdt.yjs_bytes import encode_number
from crdt.yjs_profile import BODY, SHARD, Profile

VECTORS: Final = Path(__file__).parents[1] / "vectors" / "yjs_update.json"
CLIENTS: Final = (7, 9, 300, 2**32 - 5)
"""Client ids of the documents attacked; the third has written nothing."""
_EDGE_NUMBERS: Final = (0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32, 2**53, 2**56, 2**64)
_EDGE_BYTES: Final = bytes((0, 1, 2, 7, 10, 0x20, 0x28, 0x77, 0x7F, 0x80, 0xC4, 0xFF))


@dataclass(frozen=True, slots=True)
class HostileUpdate:
    """One case: bytes that claim to be an update of a document of this kind."""

    kind: str
    profile: Profile
    data: bytes


@dataclass(frozen=True, slots=True)
class Victim:
    """A document as its updates, oldest first, and as its full state."""

    updates: tuple[bytes, ...]
    state: bytes


def hostile_updates(seed: int, count: int, first: int = 0) -> Iterator[HostileUpdate]:
    """Yield cases `first` to `first + count` of this seed."""
    for number in range(first, first + count):
        yield hostile_update(seed, number)


def hostile_update(seed: int, number: int) -> HostileUpdate:
    """Return one case."""
    random = Random(f"{seed}:{number}")
    profile = random.choice((SHARD, BODY))
    kind, make = random.choices(_KINDS, _WEIGHTS)[0]
    return HostileUpdate(kind, profile, make(random, profile))


def victim(profile: Profile) -> Victim:
    """Return the document that cases of this profile are aimed at."""
    return _victim_shard() if profile is SHARD else _victim_body()


@cache
def _victim_shard() -> Victim:
    updates: list[bytes] = []
    state = b"\x00\x00"
    for client in (CLIENTS[0], CLIENTS[1], CLIENTS[3]):
        document: Doc[Map[str]] = Doc(client_id=client)
        document.apply_update(state)
        document.observe(lambda event: updates.append(event.update))
        nodes = document.get("n", type=Map)
        for node in range(4):
            nodes[f"node-{node}\x1flabel"] = json.dumps(f"by {client} é😀")
        nodes[f"own-{client}\x1f@dev"] = '{"label":"thought"}' * 10
        document.get("e", type=Map)["node-0\x1feAAAA"] = '["node-1"]'
        del nodes["node-3\x1flabel"]
        state = document.get_update()
    return Victim(tuple(updates), state)


@cache
def _victim_body() -> Victim:
    updates: list[bytes] = []
    state = b"\x00\x00"
    for client in (CLIENTS[0], CLIENTS[1], CLIENTS[3]):
        document: Doc[Text] = Doc(client_id=client)
        document.apply_update(state)
        document.observe(lambda event: updates.append(event.update))
        text = document.get("t", type=Text)
        text.insert(0, "one 😀 two é three")
        text.insert(4, "four")
        text.format(0, 3, {"bold": True})
        del text[4:6]
        state = document.get_update()
    return Victim(tuple(updates), state)


def _valid(random: Random, profile: Profile) -> bytes:
    document = victim(profile)
    return random.choice((*document.updates, document.state))


def _random(random: Random, profile: Profile) -> bytes:
    del profile
    return random.randbytes(random.randrange(200))


def _mutated(random: Random, profile: Profile) -> bytes:
    data = bytearray(_valid(random, profile))
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                data[at : at + 1] = bytes((random.choice(_EDGE_BYTES),))
            case 1:
                data[at : at + 1] = random.randbytes(1)
            case 2:
                del data[at : at + random.randrange(1, 8)]
            case 3:
                data[at:at] = random.randbytes(random.randrange(1, 8))
            case 4:
                data[at:at] = data[at : at + random.randrange(1, 30)]
            case _:
                other = _valid(random, profile)
                data[at:] = other[random.randrange(len(other)) :]
    return bytes(data)


def _truncated(random: Random, profile: Profile) -> bytes:
    data = _valid(random, profile)
    return data[: random.randrange(len(data))]


def _extended(random: Random, profile: Profile) -> bytes:
    return _valid(random, profile) + random.randbytes(random.randrange(1, 20))


def _crossed(random: Random, profile: Profile) -> bytes:
    """Return an update of the other kind of document."""
    return _valid(random, BODY if profile is SHARD else SHARD)


def _length_bomb(random: Random, profile: Profile) -> bytes:
    data = _valid(random, profile)
    at = random.randrange(len(data))
    bomb = encode_number(random.choice(_EDGE_NUMBERS[5:]) - random.randrange(2))
    return data[:at] + bomb + data[at + 1 :]


def _nested(random: Random, profile: Profile) -> bytes:
    """Return a map entry or format whose value is nested deeper than a stack."""
    depth = random.choice((1, 2, 33, 1000, 20_000))
    if profile is SHARD:
        opening = random.choice((b"\x75\x01", b"\x76\x01\x01k"))
        content = b"\x28\x01\x01n\x01k\x01" + opening * depth + b"\x7e"
    else:
        value = b"[" * depth + b"]" * depth
        content = b"\x06\x01\x01t\x01b" + encode_number(len(value)) + value
    return (
        b"\x01\x01" + encode_number(random.choice(CLIENTS)) + b"\x00" + content + b"\0"
    )


def _version_2(random: Random, profile: Profile) -> bytes:
    del profile
    data = bytearray(random.choice(_version_2_updates()))
    if random.random() < 0.5:
        data[random.randrange(len(data))] = random.choice(_EDGE_BYTES)
    return bytes(data)


def _killer(random: Random, profile: Profile) -> bytes:
    del profile
    return random.choice(_killers())


@cache
def _version_2_updates() -> tuple[bytes, ...]:
    return _vectors("version_2")


@cache
def _killers() -> tuple[bytes, ...]:
    return _vectors("killers")


def _vectors(name: str) -> tuple[bytes, ...]:
    cases = json.loads(VECTORS.read_text())[name]
    return tuple(bytes.fromhex(case["hex"]) for case in cases)


def _forged(random: Random, profile: Profile) -> bytes:
    """Return an update of the right grammar that lies about whose and where it is."""
    clients = random.sample(CLIENTS, random.choice((0, 1, 1, 1, 2)))
    data = encode_number(len(clients))
    for client in clients:
        count = random.randrange(1, 5)
        data += encode_number(count) + encode_number(client) + _clock(random)
        data += b"".join(_struct(random, profile) for _ in range(count))
    deleters = random.sample(CLIENTS, random.choice((0, 0, 1, 2)))
    data += encode_number(len(deleters))
    for client in deleters:
        data += encode_number(client) + _deletions(random)
    return data


def _struct(random: Random, profile: Profile) -> bytes:
    flags = random.choice((0, 0, 0x80, 0x80, 0x40, 0xC0))
    match random.randrange(12):
        case 0:
            return b"\x00" + _length(random)
        case 1:
            return b"\x0a" + _length(random)
        case 2 | 3:
            content = 1, _length(random)
        case 4:
            content = 6, b"\x04bold" + random.choice((b"\x04true", b"\x04null"))
        case _ if profile is SHARD:
            content = 8, b"\x01\x77" + _text(random)
        case _:
            content = 4, _text(random)
    head = bytes((content[0] | flags | (0x20 if profile is SHARD else 0),))
    for flag in (0x80, 0x40):
        if flags & flag:
            head += encode_number(random.choice(CLIENTS)) + _clock(random)
    if not flags:
        head += random.choice(tuple(profile.parents))
        head += _text(random) if profile is SHARD else b""
    return head + content[1]


def _deletions(random: Random) -> bytes:
    count = random.randrange(1, 4)
    starts = sorted(random.randrange(60) for _ in range(count))
    return encode_number(count) + b"".join(
        encode_number(start) + _length(random) for start in starts
    )


def _clock(random: Random) -> bytes:
    if random.random() < 0.02:
        return encode_number(random.choice(_EDGE_NUMBERS))
    return encode_number(random.randrange(30))


def _length(random: Random) -> bytes:
    if random.random() < 0.02:
        return encode_number(random.choice(_EDGE_NUMBERS))
    return encode_number(random.randrange(1, 6))


def _text(random: Random) -> bytes:
    text = random.choice(
        ("a", "node-0\x1flabel", "é😀", '"x"', "", "\ufffd\x00")
    ).encode()
    return encode_number(len(text)) + text


_KINDS: Final = (
    ("random", _random),
    ("mutated", _mutated),
    ("truncated", _truncated),
    ("extended", _extended),
    ("crossed", _crossed),
    ("length bomb", _length_bomb),
    ("nested", _nested),
    ("version 2", _version_2),
    ("killer", _killer),
    ("forged", _forged),
)
_WEIGHTS: Final = (10, 40, 5, 3, 2, 10, 1, 3, 1, 25)
