"""Changes of every kind, for properties of what carries them."""

from hypothesis import strategies as st

from crdt.energy import HALF_LIFE, MAX_HALF_LIFE, MAX_LANDMARK
from crdt.errors import InvalidError
from crdt.ids import DeviceId, NodeKey, ShardNumber, check_key
from crdt.payload import BodyChange, Change, ShardChange, energy_change


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except InvalidError:
        return False
    return True


node_keys = st.text(min_size=1, max_size=20).filter(_is_key).map(NodeKey)
updates = st.binary(max_size=80)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(ShardChange, st.integers(0, 4095).map(ShardNumber), updates),
    st.builds(BodyChange, node_keys, updates),
    st.builds(
        energy_change,
        st.binary(min_size=16, max_size=16).map(DeviceId),
        st.just(HALF_LIFE) | st.integers(1, MAX_HALF_LIFE),
        st.lists(
            st.tuples(node_keys, st.floats(-MAX_LANDMARK, MAX_LANDMARK)),
            max_size=4,
        ).map(tuple),
    ),
)
