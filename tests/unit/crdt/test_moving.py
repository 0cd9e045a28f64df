"""Patterns of a real graph: history read from the store, life from the index."""

from crdt.commands import DeleteNode, Pulse, PutEdge, PutNode
from crdt.graph_reader import GraphReader
from tests.support.replicas import START_MS, Device, scratch_folder

HOUR = 3_600_000
WINDOW = 7 * 24 * HOUR


def test_history_is_joined_with_what_is_alive() -> None:
    """A node that rises has its links; a deleted one is not told."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply(
                [PutNode(key, key) for key in ("calm", "rising", "gone")], START_MS
            )
            replica.apply([PutEdge("calm", "rising")], START_MS)
            for hour in range(5 * 7 * 24):
                now = START_MS + hour * HOUR
                if hour % 24 == 0:
                    replica.apply([Pulse("calm", 1.0)], now)
                if hour > 4 * 7 * 24 and hour % 3 == 0:
                    replica.apply([Pulse("rising", 1.0), Pulse("gone", 1.0)], now)
            replica.apply([DeleteNode("gone")], now)
            with GraphReader(device.database, replica.index) as reader:
                found, asked = reader.patterns(WINDOW, now + HOUR)

    assert asked == 4
    assert [(each.node.key, each.pattern.kind) for each in found] == [
        ("rising", "rising")
    ]
    assert found[0].links == 1
    assert found[0].pattern.count > 4 * found[0].pattern.expected


def test_a_graph_without_pulses_has_no_patterns() -> None:
    """Nothing happened, so nothing is asked."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply([PutNode("calm", "calm")], START_MS)
            with GraphReader(device.database, replica.index) as reader:
                assert reader.patterns(WINDOW, START_MS + HOUR) == ([], 0)
