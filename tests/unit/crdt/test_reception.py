"""What another device wrote, merged into rows, digest and energy."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from crdt.commands import (
    AnyCommand,
    DeleteEdge,
    DeleteNode,
    ImportNode,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.energy import HALF_LIFE
from crdt.graph_index import GHOST
from crdt.ids import NodeKey, edge_id, format_id
from tests.support.replicas import (
    START_MS,
    Content,
    Device,
    content,
    deliver,
    living,
    scratch_folder,
)


@contextmanager
def running(count: int) -> Iterator[list[Device]]:
    """Run some devices whose clocks differ by a second each."""
    with scratch_folder() as folder, ExitStack() as stack:
        devices = [
            Device(folder / f"{number}", number, START_MS + 1000 * number)
            for number in range(count)
        ]
        for device in devices:
            stack.enter_context(device.running())
        yield devices


def write(device: Device, *commands: AnyCommand) -> None:
    device.now_ms += 10
    device.replica.apply(commands, device.now_ms)


def send(sender: Device, receiver: Device, first: int = 1) -> None:
    """Deliver all envelopes of a device from number `first` on."""
    sender.replica.seal()
    for envelope in sender.envelopes()[first - 1 :]:
        deliver(envelope, receiver)


def agree(devices: Sequence[Device]) -> Content:
    """Return what all devices show once each has heard all others."""
    for sender in devices:
        for receiver in devices:
            if sender is not receiver:
                send(sender, receiver)
    contents = [content(device) for device in devices]
    assert contents[1:] == contents[:-1]
    lives = [living(device.replica) for device in devices]
    assert lives[1:] == lives[:-1]
    return contents[0]


def test_a_new_node_brings_its_energy() -> None:
    """A node that arrives in one envelope with a pulse has that pulse at once."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"), Pulse("a", 5))

        agree((here, there))

        number = there.replica.index.keys.number("a")
        assert there.replica.index.atp(number, here.now_ms) == pytest.approx(6)


def test_the_first_creation_counts_for_energy() -> None:
    """Created on two devices, a node has its first energy from the earlier time."""
    with running(2) as (here, there):
        write(here, PutNode("a", "here"))
        write(there, PutNode("a", "there"))

        agree((here, there))

        for device in (here, there):
            assert device.replica.index.atp(1, here.now_ms) == pytest.approx(1)


def test_creations_of_one_node_merge() -> None:
    """Created on two devices, a node has the later fields and all metadata."""
    with running(2) as (here, there):
        write(here, PutNode("a", "here", metadata={"phone": 1, "both": 1}))
        write(there, PutNode("a", "there", metadata={"mail": 2, "both": 2}))

        agree((here, there))

        for device in (here, there):
            assert b'"label":"there"' in content(device).nodes["a"][0]
            assert b'{"both":2,"mail":2,"phone":1}' in content(device).nodes["a"][0]


def test_edits_of_different_fields_survive() -> None:
    """Two edits of one node made apart are both there."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"))
        agree((here, there))
        write(here, PatchNode("a", label="new"))
        write(there, PatchNode("a", network="far", metadata={"x": 1}))

        (node, _) = agree((here, there)).nodes["a"]

        for part in (b'"label":"new"', b'"network":"far"', b'"metadata":{"x":1}'):
            assert part in node


def test_a_delete_wins_until_restored() -> None:
    """Deleted here and edited there, a node is hidden; restored, the edit shows."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"))
        agree((here, there))
        write(here, DeleteNode("a"))
        write(there, PatchNode("a", label="edited"), PutBody("a", "body"))

        assert agree((here, there)).counts == (0, 0)

        write(here, RestoreNode("a"))
        shown = agree((here, there))
        assert shown.counts == (1, 0)
        assert b'"label":"edited"' in shown.nodes["a"][0]
        assert shown.nodes["a"][1] == "body"


def test_edges_to_deleted_nodes_hide_and_return() -> None:
    """An edge made while its end was deleted elsewhere shows again on restore."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"), PutNode("b", "b"))
        agree((here, there))
        write(here, DeleteNode("b"))
        write(there, PutEdge("a", "b"), PutEdge("b", "b"))

        assert agree((here, there)).counts == (1, 0)

        write(there, RestoreNode("b"))
        assert agree((here, there)).counts == (2, 2)


def test_the_same_edge_made_twice_is_one_edge() -> None:
    """Edges with one source, type and target are one, deleted as one."""
    with running(2) as (here, there):
        for device in (here, there):
            write(device, PutNode("a", "a"), PutNode("b", "b"))
            write(device, PutEdge("a", "b", weight=device.number + 0.5))
        assert agree((here, there)).counts == (2, 1)

        write(there, DeleteEdge(edge_id(NodeKey("a"), "child", NodeKey("b"))))
        assert agree((here, there)).counts == (2, 0)


def test_an_edge_names_nodes_before_they_come() -> None:
    """Edges to a node that no device has created count once it is created."""
    with running(3) as (here, there, late):
        write(here, PutNode("a", "a"))
        send(here, there)
        write(there, PutNode("b", "b"), PutEdge("a", "b"), PutEdge("b", "a"))
        send(there, late)
        assert content(late).counts == (1, 0)
        assert living(late.replica).states["a"] == GHOST

        send(here, late)
        assert content(late).counts == (2, 2)
        agree((here, there, late))


def test_bodies_wait_for_their_nodes() -> None:
    """A body that comes before its node, in several parts, shows when the node does."""
    with running(3) as (here, there, late):
        write(here, PutNode("a", "a"))
        send(here, there)
        write(there, PutBody("a", "one"))
        send(there, late)
        write(there, PutBody("a", "one two"))
        send(there, late, first=2)
        send(here, late)

        assert content(late).nodes["a"][1] == "one two"
        assert agree((here, there, late)).words["a", "body", "two"] == 1


def test_a_node_made_where_its_body_was_waiting_has_it() -> None:
    """Created after its body had come from elsewhere, a node shows that body."""
    with running(3) as (here, there, late):
        write(here, PutNode("a", "a"))
        send(here, there)
        write(there, PutBody("a", "one"), Pulse("a", 3))
        send(there, late)
        write(late, PutNode("a", "late"))

        assert agree((here, there, late)).words["a", "body", "one"] == 1


def test_an_import_adds_no_energy_twice() -> None:
    """A device that imports its own export has the energy it had."""
    with running(2) as (here, there):
        write(here, PutNode("a", "a"), Pulse("a", 5))
        ((_, landmark),) = content(here).energy.items()
        for device in (here, there, here):
            write(
                device,
                ImportNode(
                    key="a",
                    label="a",
                    created_ms=here.now_ms,
                    updated_ms=here.now_ms,
                    accumulators={format_id(here.identity.device): landmark},
                ),
            )

        shown = agree((here, there))

        assert shown.energy == {("a", here.identity.device, HALF_LIFE): landmark}
