"""Histories of commands, valid and refused, on a few nodes with awkward names."""

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hypothesis import strategies as st

from crdt.commands import (
    AnyCommand,
    DeleteEdge,
    DeleteNode,
    ImportEdge,
    ImportNode,
    Once,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.ids import NodeKey, edge_id, format_id
from crdt.schema import MAX_TIME_MS, MAX_VERSION
from tests.support.replicas import START_MS, Device, identity

KEYS: Final = tuple(
    map(
        NodeKey,
        (
            "a",
            "A",
            "m.a",
            "\u00e9",
            "e\u0301",
            "@00000001",
            "!",
            "label",
            '"quoted" <b>&amp;',
            "日本 語\U0001f600",
            "\U0010ffff%_",
            "k" * 40,
        ),
    )
)
_TYPES: Final = ("child", "", "x\x1fy", "日本")
_NUMBERS: Final = (0, -0.0, 1, 1.0, 0.1, 2**53 + 1, -(2**63), 2**64, 1e300, 5e-324)
_TIMES: Final = (0, START_MS - 1, START_MS + 5, MAX_TIME_MS, MAX_TIME_MS + 1, -1)

keys = st.one_of(*[st.sampled_from(KEYS[:4])] * 3, st.sampled_from(KEYS))
any_keys = st.one_of(keys, keys, keys, st.sampled_from(("", "a\x00", "k" * 256, "?")))
labels = st.one_of(
    st.sampled_from(("", "<i>one</i> two", "\x00", "\ud800")),
    st.text(max_size=12),
)
names = st.sampled_from(("child", "child", *_TYPES))
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.text(max_size=4),
)
json_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("b", "a", "")), inner, max_size=3)
    ),
    max_leaves=4,
)
metadata_names = st.sampled_from(("a", "b", "!", "m.a", "@1", "é", "")) | st.text(
    max_size=3
)
metadata: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    metadata_names, json_values, max_size=3
)
weights = st.sampled_from((1.0, -0.0, 0.5, 1e308, 3, float("nan"), float("inf")))
_optional_fields = st.fixed_dictionaries(
    {},
    optional={
        "label": labels,
        "type": names,
        "network": names,
        "metadata": metadata,
    },
)
_devices = st.sampled_from(
    [
        *(format_id(identity(number).device) for number in range(3)),
        f"{format_id(identity(1).device)}@24",
        *("?", f"{format_id(identity(1).device)}@0"),
    ]
)
half_lives = st.sampled_from((24, 168, 1, 87_600, 0, 87_601, True, 2.5, "24"))
_landmarks = st.sampled_from((-1e6, 0.0, 52.5, 60.0, 1e7, float("nan")))
commands: st.SearchStrategy[AnyCommand] = st.one_of(
    st.builds(PutNode, any_keys, labels),
    st.builds(PutNode, keys, labels, names, metadata, names),
    st.builds(PutNode, keys, st.just("here")),
    st.builds(lambda key, fields: PatchNode(key, **fields), keys, _optional_fields),
    st.builds(
        PutNode,
        st.sampled_from(("network/child", "network/日本")),
        st.just("pace"),
        metadata=st.builds(lambda h: {"half_life_hours": h}, half_lives),
    ),
    st.builds(DeleteNode, any_keys | st.just("network/child")),
    st.builds(RestoreNode, any_keys),
    st.builds(PutEdge, keys, keys),
    st.builds(PutEdge, any_keys, any_keys, names, weights, metadata),
    st.builds(
        DeleteEdge,
        st.builds(edge_id, keys, names, keys) | st.just("no id"),
    ),
    st.builds(
        Pulse, any_keys, st.sampled_from((0.0, 1.0, 0.5, 1e6, -1.0, float("nan")))
    ),
    st.builds(PutBody, any_keys, st.text(max_size=8) | st.just("\ud800")),
    st.builds(PutBody, keys, st.sampled_from(("", "one 😀 two", "one two é"))),
    st.builds(
        ImportNode,
        key=any_keys,
        label=labels,
        metadata=metadata,
        created_ms=st.sampled_from(_TIMES),
        updated_ms=st.sampled_from(_TIMES),
        version=st.sampled_from((1, 1, 7, MAX_VERSION - 1, MAX_VERSION, 0)),
        accumulators=st.dictionaries(_devices, _landmarks, max_size=2),
    ),
    st.builds(
        ImportEdge,
        source=keys,
        target=keys,
        weight=weights,
        created_ms=st.sampled_from(_TIMES),
    ),
)
_receipts = st.binary(min_size=1, max_size=1)
once = st.builds(Once, receipt=_receipts, request=_receipts, command=commands)


@dataclass(frozen=True)
class Write:
    """One group of commands, so many milliseconds after the one before."""

    commands: list[AnyCommand | Once]
    after_ms: int = 1


Chore: TypeAlias = Literal["seal", "freeze", "compact", "save index"]
Step: TypeAlias = Write | Chore

writes = st.builds(
    Write,
    st.lists(st.one_of(commands, commands, commands, once), min_size=1, max_size=8),
    st.sampled_from((1, 0, -5, 60_000, 3_600_000)),
)
chores: st.SearchStrategy[Chore] = st.sampled_from(
    ("seal", "freeze", "compact", "save index")
)
histories: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(writes, writes, writes, chores), max_size=10
)


def perform(device: Device, step: Step) -> None:
    """Carry out one step of a history on a running device."""
    replica = device.replica
    match step:
        case Write(commands=group, after_ms=after_ms):
            device.now_ms += after_ms
            device.monotonic_ms += max(after_ms, 0)
            replica.apply(group, device.now_ms)
        case "seal":
            replica.seal()
        case "freeze":
            replica.freeze()
        case "compact":
            replica.compact()
        case "save index":
            replica.save_index(at_least=0)
