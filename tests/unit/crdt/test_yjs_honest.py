"""Whatever pycrdt writes for a shard or a body passes the strict parser."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, merge_updates

from crdt.yjs_profile import BODY, EDGES, NODES, SHARD, Profile
from crdt.yjs_update import check_owner, decode_state_vector, parse

CLIENTS: Final = (7, 300, 2**32 - 5)

devices = st.integers(0, len(CLIENTS) - 1)
map_edits = st.tuples(
    st.sampled_from([NODES, EDGES]),
    st.sampled_from(["a\x1f@d", "a\x1flabel", "b\x1f@d", "é😀\x1f!"]),
    st.sampled_from(['"one"', '{"two":2}', "😀", "", None]),
)
"""(root, key, value), where no value deletes."""
text_edits = st.tuples(
    st.sampled_from(["insert", "delete", "format"]),
    st.integers(0, 12),
    st.integers(1, 4),
    st.text("ab é😀𐍈\n", min_size=1, max_size=5),
)
"""(kind, first character, number of characters, text)."""
syncs = st.tuples(devices, st.integers(0, 2))


def histories(edits: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """Steps of (device, edits of one transaction, who hears of it at once)."""
    return st.lists(
        st.tuples(devices, st.lists(edits, min_size=1, max_size=4), st.sets(devices)),
        max_size=15,
    )


class Device:
    """A document, the updates that it made, and those that came too early for it."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.document: Doc[Any] = Doc(client_id=client)
        self.made: list[bytes] = []
        self.early: list[bytes] = []
        self._is_local = False
        self.document.observe(self._collect)

    def _collect(self, event: Any) -> None:
        if self._is_local:
            self.made.append(event.update)

    def edit(self, perform: Callable[[Doc[Any]], None]) -> None:
        self._is_local = True
        with self.document.transaction():
            perform(self.document)
        self._is_local = False

    def hear(self, update: bytes, profile: Profile) -> None:
        """Apply the update, and then whatever waited for it."""
        self.early.append(update)
        while fitting := [
            update
            for update in self.early
            if parse(update, profile).fits(self.clocks())
        ]:
            self.early.remove(fitting[0])
            self.document.apply_update(fitting[0])

    def clocks(self) -> dict[int, int]:
        return decode_state_vector(self.document.get_state())


def live(
    history: list[Any], profile: Profile, perform: Callable[[Doc[Any], Any], None]
) -> list[Device]:
    """Play a history and check every byte that it brings forth."""
    found = [Device(client) for client in CLIENTS]
    for device, edits, listeners in history:
        author = found[device]
        made_before = len(author.made)
        author.edit(lambda document, edits=edits: perform(document, edits))
        for update in author.made[made_before:]:
            parsed = parse(update, profile)
            check_owner(parsed, {author.client})
            assert not parsed.splits_pair(_halves(author, profile), author.clocks())
            for listener in listeners - {device}:
                found[listener].hear(update, profile)
    for device in found:
        _check_state(device, profile)
    return found


def _halves(device: Device, profile: Profile) -> set[tuple[int, int]]:
    return set(parse(device.document.get_update(), profile).pair_halves)


def _check_state(device: Device, profile: Profile) -> None:
    """A saved document is accepted, needs nothing and holds its state vector."""
    parsed = parse(device.document.get_update(), profile)
    assert parsed.fits({})
    assert {c: end for c, (_, end) in parsed.clients.items()} == device.clocks()
    if device.made:
        merged = parse(merge_updates(*device.made), profile)
        check_owner(merged, {device.client})
        parse(merge_updates(*device.made[::2]), profile)


def settle(devices: list[Device], profile: Profile) -> None:
    """Let everyone hear everything, in an order that is wrong at first."""
    updates = [update for device in reversed(devices) for update in device.made[::-1]]
    for device in devices:
        for update in updates:
            device.hear(update, profile)
        assert device.early == []


def edit_maps(document: Doc[Any], edits: list[tuple[str, str, str | None]]) -> None:
    for root, key, value in edits:
        entries: Map[str] = document.get(root, type=Map)
        if value is not None:
            entries[key] = value
        elif key in entries:
            del entries[key]


def edit_text(document: Doc[Any], edits: list[tuple[str, int, int, str]]) -> None:
    """Edit at whole characters; pycrdt counts in bytes of UTF-8."""
    text: Text = document.get("t", type=Text)
    for kind, first, count, inserted in edits:
        before = str(text)[:first]
        start = len(before.encode())
        stop = start + len(str(text)[first : first + count].encode())
        if kind == "insert":
            text.insert(start, inserted)
        elif kind == "delete" and stop > start:
            del text[start:stop]
        elif kind == "format" and stop > start:
            text.format(start, stop, {"bold": count > 1, "link": inserted, "size": 1.5})


@given(histories(map_edits))
def test_shards_are_accepted_and_converge(history: list[Any]) -> None:
    """What devices write to a shard passes, and applied when it fits it converges."""
    found = live(history, SHARD, edit_maps)

    settle(found, SHARD)

    contents = [
        [device.document.get(root, type=Map).to_py() for root in (NODES, EDGES)]
        for device in found
    ]
    assert contents == [contents[0]] * len(found)
    for device in found:
        _check_state(device, SHARD)


@given(histories(text_edits))
def test_bodies_are_accepted_and_converge(history: list[Any]) -> None:
    """What devices write to a body passes, and applied when it fits it converges."""
    found = live(history, BODY, edit_text)

    settle(found, BODY)

    contents = [device.document.get("t", type=Text).diff() for device in found]
    assert contents == [contents[0]] * len(found)
    for device in found:
        _check_state(device, BODY)
