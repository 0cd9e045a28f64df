"""What a writer was told is durable, and what it may find after a crash.

Rule: one writer writes its own keys, one request after the other. So what is there
afterwards is all that was acknowledged, and of what was under way the first few
operations, however few.
"""

import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

KEYS: Final = 60
Operation: TypeAlias = dict[str, Any]
"""As a line of a batch; `put_body` and `restore_node` as well."""
EdgeName: TypeAlias = tuple[str, str, str]


@dataclass
class Contents:
    """Nodes and edges as a writer knows them."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By key: label, metadata, body, energy, and whether it is in the trash."""
    edges: dict[EdgeName, float] = field(default_factory=dict)
    """Weights."""

    def carry_out(self, operation: Operation) -> None:
        """Do what the daemon would do."""
        key = operation.get("key", "")
        match operation["op"]:
            case "put_node":
                new = {"body": "", "energy": 1.0, "trashed": False}
                node = self.nodes.setdefault(key, new)
                node["label"] = operation["label"]
                node["metadata"] = operation["metadata"]
            case "patch_node":
                merged = self.nodes[key]["metadata"] | operation["metadata"]
                self.nodes[key]["metadata"] = {
                    name: value for name, value in merged.items() if value is not None
                }
            case "delete_node":
                self.nodes[key]["trashed"] = True
            case "restore_node":
                self.nodes[key]["trashed"] = False
            case "put_body":
                self.nodes[key]["body"] = operation["text"]
            case "pulse":
                self.nodes[key]["energy"] += operation["energy"]
            case "put_edge":
                self.edges[_name(operation)] = operation["weight"]
            case _:
                del self.edges[_name(operation)]

    def is_shown(self, key: str) -> bool:
        """Whether a node is there and not in the trash."""
        return key in self.nodes and not self.nodes[key]["trashed"]

    def shown(self) -> tuple[dict[str, Any], dict[EdgeName, float]]:
        """Return what an export holds of it; energy as a whole number."""
        nodes = {
            key: (node["label"], node["metadata"], node["body"], round(node["energy"]))
            for key, node in self.nodes.items()
            if not node["trashed"]
        }
        edges = {
            name: weight
            for name, weight in self.edges.items()
            if self.is_shown(name[0]) and self.is_shown(name[2])
        }
        return nodes, edges


@dataclass
class Ledger:
    """What one writer has done."""

    writer: str
    seed: str
    durable: Contents = field(default_factory=Contents)
    under_way: list[Operation] = field(default_factory=list)
    acknowledged: int = 0

    def __post_init__(self) -> None:
        """Throw the same dice for the same seed."""
        self._random = random.Random(self.seed)
        self._count = 0

    def begin(self, size: int) -> Sequence[Operation]:
        """Return operations that will all succeed; they are under way from now on."""
        ahead = deepcopy(self.durable)
        for _ in range(size):
            operation = self._operation(ahead)
            ahead.carry_out(operation)
            self.under_way.append(operation)
        return tuple(self.under_way)

    def acknowledge(self) -> None:
        """Take note that all that was under way is durable."""
        for operation in self.under_way:
            self.durable.carry_out(operation)
        self.acknowledged += len(self.under_way)
        self.under_way.clear()

    def possible(self) -> Iterator[Contents]:
        """Yield everything that may be there now, the least first."""
        contents = deepcopy(self.durable)
        yield deepcopy(contents)
        for operation in self.under_way:
            contents.carry_out(operation)
            yield deepcopy(contents)

    def settle(self, contents: Contents) -> None:
        """Go on from what is there."""
        self.durable = contents
        self.under_way.clear()

    def _operation(self, contents: Contents) -> Operation:
        """Choose something that shows and that the daemon will not refuse."""
        self._count += 1
        key = f"{self.writer}/{self._random.randrange(KEYS)}"
        other = f"{self.writer}/{self._random.randrange(KEYS)}"
        mark = f"{self.writer} ü{self._count}"
        node = contents.nodes.get(key)
        if node is None:
            metadata = {"made": mark, "n": self._count}
            return {"op": "put_node", "key": key, "label": mark, "metadata": metadata}
        if node["trashed"]:
            return {"op": "restore_node", "key": key}
        name = (key, "child", other)
        choices: list[Operation] = [
            {"op": "put_node", "key": key, "label": mark, "metadata": {"put": mark}},
            {"op": "patch_node", "key": key, "metadata": {"put": None, "p": mark}},
            {"op": "put_body", "key": key, "text": f"{mark}\n" * 20},
            {"op": "pulse", "key": key, "energy": self._random.randint(1, 3)},
            {"op": "delete_node", "key": key},
        ]
        if contents.is_shown(other):
            edge = {"from": key, "to": other, "weight": float(self._count)}
            choices += [{"op": "put_edge", **edge}] * 3
            if name in contents.edges:
                choices.append({"op": "delete_edge", "from": key, "to": other})
        return self._random.choice(choices)


def _name(operation: Operation) -> EdgeName:
    return operation["from"], operation.get("type", "child"), operation["to"]
