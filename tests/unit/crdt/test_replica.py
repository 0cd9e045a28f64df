"""A replica: durable groups, and a read model that is what the shards say."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.chain import EMPTY_CHAIN, Arrival, check_next, head_after
from crdt.commands import (
    AnyCommand,
    DeleteEdge,
    DeleteNode,
    Once,
    PatchNode,
    Pulse,
    PutBody,
    PutEdge,
    PutNode,
    RestoreNode,
)
from crdt.database import Database
from crdt.errors import ConflictError, NotFoundError, RefusedError
from crdt.execution import TRASH_MS, Outcome
from crdt.ids import NodeKey, edge_id
from crdt.payload import MAX_PAYLOAD_BYTES
from crdt.rebuild import rebuild
from tests.support.histories import Step, Write, commands, histories, perform
from tests.support.replicas import (
    SPACE_KEYS,
    STORE_KEY,
    Device,
    content,
    deliver,
    dice,
    living,
    opened,
    scratch_folder,
)


@settings(max_examples=settings().max_examples // 2)
@given(histories)
def test_the_read_model_is_what_the_shards_say(history: list[Step]) -> None:
    """After any history, building the read model anew changes nothing."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running():
            for step in history:
                perform(device, step)
            maintained = content(device), living(device.replica)
        with Database(home, STORE_KEY) as database:
            rebuild(database, device.identity, SPACE_KEYS)
        with device.running():
            assert (content(device), living(device.replica)) == maintained


@settings(max_examples=settings().max_examples // 2)
@given(histories, st.lists(commands, max_size=4))
def test_a_refused_command_changes_nothing(
    history: list[Step], later: list[AnyCommand]
) -> None:
    """What is refused leaves rows, index, totals, journal and envelopes alone."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            for step in history:
                perform(device, step)
            for command in later:
                before = content(device), living(replica), replica.totals
                sealed = len(device.envelopes())
                (outcome,) = replica.apply([command], device.now_ms).outcomes
                if isinstance(outcome, RefusedError):
                    assert (content(device), living(replica), replica.totals) == before
                    assert len(device.envelopes()) == sealed


@settings(max_examples=settings().max_examples // 2)
@given(histories)
def test_one_group_is_as_good_as_many(history: list[Step]) -> None:
    """Commands have the same outcomes and leave the same graph, grouped or single."""
    with scratch_folder() as folder:
        grouped, single = Device(folder / "grouped"), Device(folder / "single")
        with grouped.running(), single.running():
            for step in history:
                if not isinstance(step, Write):
                    continue
                grouped.now_ms = single.now_ms = grouped.now_ms + step.after_ms
                together = grouped.replica.apply(step.commands, grouped.now_ms)
                apart = [
                    single.replica.apply([command], single.now_ms)
                    for command in step.commands
                ]
                assert [repr(outcome) for outcome in together.outcomes] == [
                    repr(outcome) for each in apart for outcome in each.outcomes
                ]
                assert together.events == [
                    event for each in apart for event in each.events
                ]
            assert content(grouped) == content(single)
            assert living(grouped.replica) == living(single.replica)


@settings(max_examples=settings().max_examples // 4)
@given(histories)
def test_envelopes_are_a_chain_that_holds_everything(history: list[Step]) -> None:
    """After `seal`, envelopes verify, follow each other and make the same graph."""
    with scratch_folder() as folder:
        writer, reader = Device(folder / "writer"), Device(folder / "reader", 1)
        with writer.running(), reader.running():
            for step in history:
                perform(writer, step)
            writer.replica.seal()
            head = EMPTY_CHAIN
            for envelope in writer.envelopes():
                assert check_next(head, envelope) is Arrival.NEXT
                head = head_after(envelope)
                deliver(envelope, reader)

            assert writer.replica.seal_due_ms is None
            assert content(reader) == content(writer)


@settings(max_examples=settings().max_examples // 2)
@given(histories)
def test_events_are_numbered_without_a_gap(history: list[Step]) -> None:
    """The first event of each group follows the last one of the group before."""
    with scratch_folder() as home:
        device = Device(home)
        following = 1
        for _ in range(2):
            with device.running() as replica:
                for step in history:
                    if isinstance(step, Write):
                        told = replica.apply(step.commands, device.now_ms)
                        assert told.first_event == following
                        following += len(told.events)


def test_awkward_histories_are_what_the_shards_say() -> None:
    """Texts replaced and removed, clocks that step back, nodes that come and go."""
    steps: list[tuple[int, AnyCommand]] = [
        (0, PutNode("a", "a", metadata={"x": 1})),
        (1, PutBody("a", "one")),
        (2, PutBody("a", "two")),
        (3, PutBody("a", "")),
        (4, PutBody("a", "three")),
        (500, DeleteNode("a")),
        (600, RestoreNode("a")),
        (550, DeleteNode("a")),
        (540, PutNode("a", "b")),
        (-9, PatchNode("a", metadata={"x": None, "y": 1.0})),
        (0, PutEdge("a", "a", weight=-0.0)),
        (0, PutEdge("a", "a", weight=2)),
        (0, DeleteEdge(edge_id(NodeKey("a"), "child", NodeKey("a")))),
        (0, PutEdge("a", "a")),
        (800, DeleteNode("a")),
        (700, RestoreNode("a")),
        (650, DeleteNode("a")),
    ]
    with scratch_folder() as home:
        device = Device(home)
        for count in range(1, len(steps) + 1):
            after_ms, command = steps[count - 1]
            with device.running() as replica:
                (outcome,) = replica.apply([command], device.now_ms + after_ms).outcomes
                assert isinstance(outcome, Outcome)
                maintained = content(device), living(replica)
            with Database(home, STORE_KEY) as database:
                rebuild(database, device.identity, SPACE_KEYS)
            with device.running() as replica:
                assert (content(device), living(replica)) == maintained


def test_a_receipt_answers_a_repeated_request() -> None:
    """A command with a receipt is carried out once; its key fits no other request."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:

            def ask(receipt: bytes, request: bytes) -> Outcome | RefusedError:
                command = Once(receipt=receipt, request=request, command=Pulse("a", 1))
                return replica.apply([command], device.now_ms).outcomes[0]

            assert isinstance(ask(b"early", b"r"), NotFoundError)
            replica.apply([PutNode("a", "a")], device.now_ms)
            assert ask(b"early", b"r") == Outcome("a")
            once = content(device)

            assert ask(b"early", b"r") == Outcome("a")
            assert isinstance(ask(b"early", b"other"), ConflictError)
            assert content(device) == once

            replica.forget_receipts(device.now_ms)
            assert isinstance(ask(b"early", b"other"), ConflictError)
            replica.forget_receipts(device.now_ms + 1)
            assert ask(b"early", b"other") == Outcome("a")
            assert content(device) != once


def test_the_trash_is_kept_for_30_days() -> None:
    """A deleted node is restored with edges and body within its time, not after."""
    with scratch_folder() as home:
        device = Device(home)
        with device.running() as replica:
            start = device.now_ms
            replica.apply(
                [PutNode("a", "a"), PutEdge("a", "a"), PutBody("a", "text")], start
            )
            shown = content(device)
            replica.apply([DeleteNode("a")], start)
            for command in (PatchNode("a", label="b"), PutBody("a", ""), Pulse("a")):
                (refusal,) = replica.apply([command], start).outcomes
                assert isinstance(refusal, NotFoundError)

            late, in_time = (
                replica.apply([RestoreNode("a")], start + TRASH_MS + ms).outcomes[0]
                for ms in (1, 0)
            )

            assert isinstance(late, NotFoundError)
            assert in_time == Outcome("a", is_created=True)
            restored = content(device)
            assert (restored.counts, restored.words) == (shown.counts, shown.words)
            assert restored.edges == shown.edges


def test_a_group_of_any_size_fits_into_envelopes() -> None:
    """However much one shard takes in one group, each change can be sealed."""
    roll = dice("large")
    with scratch_folder() as folder:
        writer, reader = Device(folder / "writer"), Device(folder / "reader", 1)
        with writer.running() as replica, reader.running():
            nodes = [PutNode(f"{n}", "x") for n in range(200)]
            edges = [
                PutEdge("0", f"{n}", metadata={"x": roll(25_000).hex()})
                for n in range(200)
            ]
            assert 200 * 50_000 > MAX_PAYLOAD_BYTES
            replica.apply([*nodes, *edges], writer.now_ms)
            replica.seal()
            for envelope in writer.envelopes():
                assert opened(envelope, writer.identity)
                deliver(envelope, reader)

            assert content(reader) == content(writer)


def test_the_journal_of_bodies_and_pulses_is_trimmed() -> None:
    """What is no shard entry leaves the journal like everything else."""
    with scratch_folder() as folder:
        device = Device(folder / "home")
        with device.running() as replica:
            replica.apply([PutNode("a", "A")], device.now_ms)
            replica.freeze()
            for number in range(5):
                device.monotonic_ms += 1000
                replica.apply([PutBody("a", f"{number}" * 4_000_000)], device.now_ms)
            rows = device.database.writer.execute("SELECT count(*) FROM journal")
            bounded = rows.fetchall()
            replica.apply([Pulse("a", 1.0)], device.now_ms)
            replica.seal()
            replica.freeze()

            assert bounded == [(1,)]
            left = device.database.writer.execute("SELECT id FROM journal").fetchall()
            assert left == []
