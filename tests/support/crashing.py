"""Daemons that are killed while others write to them, and what is there afterwards."""

import hashlib
import http.client
import json
import random
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from crdt import digest, energy
from crdt.bodies import load_body
from crdt.database import DATABASE_NAME, connect
from crdt.ids import NodeKey, edge_id
from crdt.index_store import load_index
from crdt.key_sources import find_store_key
from crdt.read_model import NODE_COLUMNS, read_edge, to_node
from daemon.interchange.timestamps import parse_time
from daemon.setup import load_secrets
from tests.support.daemons import Api, Daemon
from tests.support.ledger import Ledger, Operation

_BATCH: Final = 25
_VISIBLE_EDGES: Final = (
    "SELECT edge.id FROM edge JOIN node AS s ON s.id = edge.source AND s.state = 1"
    " JOIN node AS t ON t.id = edge.target AND t.state = 1 WHERE edge.state = 1"
)


@dataclass
class Torment:
    """One home whose daemon is killed again and again."""

    home: Path
    seed: int
    ledgers: list[Ledger] = field(default_factory=list)
    kills: int = 0

    def __post_init__(self) -> None:
        """Give each writer its own keys and dice."""
        self.daemon = Daemon(self.home)
        self.ledgers = [
            Ledger(name, f"{self.seed} {name}")
            for name in ("one", "two", "three", "batch")
        ]
        self._random = random.Random(self.seed)

    @property
    def acknowledged(self) -> int:
        """How many operations were told to be durable."""
        return sum(ledger.acknowledged for ledger in self.ledgers)

    def run(self, kills: int) -> None:
        """Kill the daemon so often; check what is there after each new start."""
        for _ in range(kills):
            if self._random.random() < 0.15:
                self._kill_early()
            else:
                self._kill_under_writes()
        self.daemon.start()
        self.check()
        assert self.daemon.stop() == 0

    def check(self) -> None:
        """Compare what the daemon shows with what its writers were told."""
        found = exported(self.daemon.api)
        for ledger in self.ledgers:
            shown = part(found, ledger.writer)
            possible = list(ledger.possible())
            fitting = [each for each in possible if each.shown() == shown]
            if not fitting:
                raise AssertionError(difference(ledger, shown))
            ledger.settle(fitting[0])
        space = self.daemon.api.space()
        told = space["nodes"], space["edges"], space["digest"]
        assert told == recount(self.home), f"seed {self.seed}, kill {self.kills}"

    def _kill_early(self) -> None:
        """Kill the daemon somewhere on its way to serving."""
        process = self.daemon.spawn()
        time.sleep(self._random.uniform(0, 0.8))
        process.kill()
        process.communicate()
        self.kills += 1

    def _kill_under_writes(self) -> None:
        self.daemon.start()
        self.check()
        writers = [
            threading.Thread(target=write, args=(self.daemon.api, ledger))
            for ledger in self.ledgers
        ]
        for writer in writers:
            writer.start()
        time.sleep(self._random.uniform(0.01, 0.4))
        self.daemon.kill()
        self.kills += 1
        for writer in writers:
            writer.join()


def write(api: Api, ledger: Ledger) -> None:
    """Write as fast as is answered, until the daemon is gone."""
    is_batch = ledger.writer == "batch"
    with suppress(OSError, http.client.HTTPException), closing(api.connect()) as link:
        while True:
            operations = ledger.begin(_BATCH if is_batch else 1)
            if is_batch:
                lines = b"\n".join(
                    json.dumps(_line(each)).encode() for each in operations
                )
                answer = api.exchange(link, "POST", "/v1/batch", lines)
                done = {"done": True, "applied": len(operations), "failed": 0}
                assert answer.lines == [done], answer
            else:
                method, target, content = request_of(operations[0])
                answer = api.exchange(link, method, target, content)
                assert answer.status in (200, 201, 204), (operations, answer)
            ledger.acknowledge()


def exported(api: Api) -> tuple[dict[str, Any], dict[Any, float]]:
    """Return what a daemon shows, in the form of `Contents.shown`."""
    now_ms = time.time_ns() // 1_000_000
    nodes: dict[str, Any] = {}
    edges: dict[Any, float] = {}
    for line in map(json.loads, api.export().splitlines()[1:]):
        if "key" in line:
            created_ms = parse_time(line["created_at"], "created_at")
            landmark = energy.total(created_ms, line["accumulators"].values())
            atp = round(energy.atp(landmark, now_ms))
            body = line["body"] or ""
            nodes[line["key"]] = (line["label"], line["metadata"], body, atp)
        else:
            edges[line["from"], line["type"], line["to"]] = line["weight"]
    return nodes, edges


def part(
    found: tuple[dict[str, Any], dict[Any, float]], writer: str
) -> tuple[dict[str, Any], dict[Any, float]]:
    """Return what belongs to one writer."""
    nodes, edges = found
    start = f"{writer}/"
    return (
        {key: node for key, node in nodes.items() if key.startswith(start)},
        {name: weight for name, weight in edges.items() if name[0].startswith(start)},
    )


def difference(ledger: Ledger, shown: Any) -> str:
    """Say how what is there differs from what was acknowledged."""
    expected: tuple[dict[Any, Any], ...] = ledger.durable.shown()
    pairs = list(zip(expected, shown, strict=True))
    lost = [_without(one, other) for one, other in pairs]
    more = [_without(other, one) for one, other in pairs]
    return (
        f"writer {ledger.writer}, seed {ledger.seed}: {lost} was acknowledged,"
        f" {more} is there, {ledger.under_way} was under way"
    )


def recount(home: Path) -> tuple[int, int, str]:
    """Return nodes, edges and digest as the rows of the store have them."""
    key = find_store_key(home, {}, None).key
    with closing(connect(home / DATABASE_NAME, key)) as connection:
        connection.pragma("query_only", 1)
        secret = load_secrets(connection).keys.digest_key
        nodes = edges = total = 0
        for number, *columns in connection.execute(
            f"SELECT id, {NODE_COLUMNS} FROM node WHERE state = 1"
        ):
            node = to_node(columns)
            nodes += 1
            total += digest.node_element(secret, node)
            text = load_body(connection, number, 1).text().encode()
            if text:
                text_hash = hashlib.sha256(text).digest()
                total += digest.body_element(secret, node.key, text_hash)
        index = load_index(connection)
        rows: list[tuple[Any, ...]] = connection.execute(_VISIBLE_EDGES).fetchall()
        for (number,) in rows:
            edge = read_edge(connection, index, number)
            assert edge is not None
            edges += 1
            total += digest.edge_element(secret, edge)
    return nodes, edges, digest.format_digest(digest.combined(0, total, 0))


def _without(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """Return what of `one` is not in `other`."""
    return {name: value for name, value in one.items() if other.get(name) != value}


def _line(operation: Operation) -> Operation:
    """Return an operation as a line of a batch has it."""
    if operation["op"] != "delete_edge":
        return operation
    return {"op": "delete_edge", "id": _edge_id(operation)}


def request_of(operation: Operation) -> tuple[str, str, bytes | None]:
    """Return method, target and content of the request that does an operation."""
    verb = operation["op"]
    path = f"/v1/nodes/{quote(operation.get('key', ''), safe='')}"
    document = {
        name: value for name, value in operation.items() if name not in ("op", "key")
    }
    content = json.dumps(document).encode()
    match verb:
        case "put_node":
            return "PUT", path, content
        case "patch_node":
            return "PATCH", path, content
        case "delete_node":
            return "DELETE", path, None
        case "restore_node":
            return "POST", f"{path}/restore", None
        case "put_body":
            return "PUT", f"{path}/body", operation["text"].encode()
        case "pulse":
            return "POST", f"{path}/pulse", content
        case "put_edge":
            return "PUT", "/v1/edges", content
        case _:
            return "DELETE", f"/v1/edges/{_edge_id(operation)}", None


def _edge_id(operation: Operation) -> str:
    source, target = NodeKey(operation["from"]), NodeKey(operation["to"])
    return edge_id(source, "child", target)
