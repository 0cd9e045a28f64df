"""Nodes by what they mean: reading side.

A reader has a connection of its own and is used by one thread. The signs of vectors
are read from the store at the first question of a run; what the owner's thread keeps
meanwhile is handed to it by `note`.
"""

import threading
from collections.abc import Sequence
from typing import Final, Self

from crdt import embeddings
from crdt.closeness import from_bytes, resonances
from crdt.database import Database, store_errors
from crdt.embeddings import Made, Model, Waiting
from crdt.errors import NotFoundError
from crdt.graph_index import VISIBLE, GraphIndex
from crdt.read_model import read_node
from crdt.records import Node
from crdt.regions import regions
from crdt.sign_index import SignIndex

CANDIDATES: Final = 400
CANDIDATES_IN: Final = 1_000
"""Nodes whose signs differ least, to be ranked exactly: so many, or one in so many if
that is more. Measured in docs/decisions/vector-index.md."""
MOST_IN_REGIONS: Final = 100_000
"""Nodes that are put into regions, the oldest of a larger graph."""
MOST_CANDIDATES: Final = 6_400
"""What a question for one type of nodes, or one network, may go up to."""
_READ_AT_ONCE: Final = 10_000


class MeaningReader:
    """Questions about meaning to one graph."""

    def __init__(self, database: Database, index: GraphIndex) -> None:
        """Open a reader of an open database."""
        self._connection = database.reader()
        self._index = index
        self._lock = threading.Lock()
        self._signs: SignIndex | None = None
        self._model: Model | None = None
        self._is_loading = False
        self._missed: list[tuple[int, Sequence[int], Sequence[Made]]] = []

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._connection.close()

    def waiting(self, model: int, limit: int) -> list[Waiting]:
        """Return some nodes whose texts wait to be embedded."""
        with store_errors():
            return embeddings.waiting(self._connection, model, limit)

    def queue_length(self) -> int:
        """Return how many texts wait to be embedded."""
        with store_errors():
            return embeddings.queue_length(self._connection)

    def number(self, key: str) -> int:
        """Return the row number of a node, 0 if there is none."""
        return self._index.keys.number(key)

    def is_settled(self, model: int) -> bool:
        """Whether this model answers and nothing of another is left."""
        with store_errors():
            return [each.number for each in embeddings.models(self._connection)] == [
                model
            ] and embeddings.answering_model(self._connection) is not None

    def answering_model(self) -> Model | None:
        """Return the model whose vectors answer."""
        with store_errors():
            return embeddings.answering_model(self._connection)

    def note(self, model: int, gone: Sequence[int], kept: Sequence[Made]) -> None:
        """From the owner's thread: take over what it has just made durable."""
        with self._lock:
            if self._signs is not None:
                self._take(model, gone, kept)
            elif self._is_loading:
                self._missed.append((model, gone, kept))

    def forget_model(self) -> None:
        """From the owner's thread: another model answers from now on."""
        with self._lock:
            self._signs = None
            self._missed.clear()

    def nearest(
        self,
        asked: bytes,
        *,
        model: int,
        limit: int,
        node_type: str | None = None,
        network: str | None = None,
        threshold: float = 0.0,
        without: int = 0,
    ) -> list[tuple[Node, float]]:
        """Return (node, resonance) of the nodes nearest in meaning, best first.

        `asked` is a vector of `model`; there are none if another model answers by now.
        """
        signs, answering = self._loaded()
        if answering is None or answering.number != model or limit == 0:
            return []
        count = max(CANDIDATES, signs.count // CANDIDATES_IN, 4 * limit)
        states = bytes(self._index.states)
        while True:
            numbers = signs.candidates(asked, states, count)
            found: list[tuple[Node, float]] = []
            for number, resonance in self._ranked(answering, numbers, asked):
                if resonance < threshold or len(found) == limit:
                    break
                if number != without:
                    found += self._fitting(number, resonance, node_type, network)
            if (
                (node_type is None and network is None)
                or len(found) == limit
                or len(numbers) < count
                or count >= MOST_CANDIDATES
            ):
                return found
            count *= 4

    def resonant(
        self, key: str, *, limit: int, threshold: float, network: str | None = None
    ) -> list[tuple[Node, float]] | None:
        """Return the nodes nearest in meaning to a visible one, None if not known yet.

        Raises `NotFoundError`.
        """
        number = self._index.keys.number(key)
        if self._index.states[number] != VISIBLE:
            message = f"There is no node '{key}'."
            raise NotFoundError(message)
        model = self._loaded()[1]
        if model is None:
            return None
        with store_errors():
            asked = embeddings.vector_of(self._connection, model.number, number)
        if not asked:
            return None if asked is None else []
        return self.nearest(
            asked,
            model=model.number,
            limit=limit,
            threshold=threshold,
            network=network,
            without=number,
        )

    def regions(self) -> list[tuple[list[Node], list[str]]] | None:
        """Return (central nodes, keys of all nodes) of each region, the largest first.

        None if nothing has been embedded yet.
        """
        with store_errors():
            model = embeddings.answering_model(self._connection)
            if model is None:
                return None
            nodes, content = embeddings.all_vectors(
                self._connection, model.number, 0, MOST_IN_REGIONS
            )
        states = self._index.states
        rows = [at for at, number in enumerate(nodes) if states[number] == VISIBLE]
        numbers = [nodes[at] for at in rows]
        found = regions(numbers, from_bytes(content)[rows])
        key = self._index.keys.key
        return [
            (
                [
                    node
                    for number in region.central
                    for node, _ in self._fitting(number, 1.0)
                ],
                [key(number) for number in region.nodes],
            )
            for region in found
        ]

    def resonances(
        self, asked: bytes, model: int, keys: Sequence[str]
    ) -> dict[str, float]:
        """Return how near each of some nodes is, of those that have vectors."""
        answering = self._loaded()[1]
        if answering is None or answering.number != model:
            return {}
        numbers = [self._index.keys.number(key) for key in keys]
        by_number = dict(self._ranked(answering, numbers, asked))
        return {
            key: by_number[number]
            for key, number in zip(keys, numbers, strict=True)
            if number in by_number
        }

    def _fitting(
        self,
        number: int,
        resonance: float,
        node_type: str | None = None,
        network: str | None = None,
    ) -> list[tuple[Node, float]]:
        with store_errors():
            node = read_node(self._connection, number)
        if node is None or node.deleted_ms is not None:
            return []
        fits = node_type in (None, node.type) and network in (None, node.network)
        return [(node, resonance)] if fits else []

    def _ranked(
        self, model: Model, numbers: Sequence[int], asked: bytes
    ) -> list[tuple[int, float]]:
        """Return (number, resonance) by the exact cosine, best first."""
        held: list[int] = []
        contents: list[bytes] = []
        with store_errors():
            for number in numbers:
                vector = embeddings.vector_of(self._connection, model.number, number)
                if vector:
                    held.append(number)
                    contents.append(vector)
        if not held:
            return []
        near = resonances(from_bytes(b"".join(contents)), asked).tolist()
        return sorted(zip(held, near, strict=True), key=lambda item: (-item[1], item))

    def _loaded(self) -> tuple[SignIndex, Model | None]:
        """Return the signs of the answering model, read from the store if need be."""
        with self._lock:
            if self._signs is not None:
                return self._signs, self._model
            self._is_loading = True
        signs, model = self._read_signs()
        with self._lock:
            self._model, self._is_loading = model, False
            missed, self._missed = self._missed, []
            if model is not None:
                self._signs = signs
                for each in missed:
                    self._take(*each)
        return signs, model

    def _read_signs(self) -> tuple[SignIndex, Model | None]:
        signs = SignIndex()
        with store_errors():
            model = embeddings.answering_model(self._connection)
            after, is_more = 0, model is not None
            while model is not None and is_more:
                nodes, content = embeddings.all_vectors(
                    self._connection, model.number, after, _READ_AT_ONCE
                )
                signs.put(nodes, content)
                is_more = len(nodes) == _READ_AT_ONCE
                after = nodes[-1] if nodes else after
        return signs, model

    def _take(self, model: int, gone: Sequence[int], kept: Sequence[Made]) -> None:
        if self._signs is None or self._model is None or model != self._model.number:
            return
        self._signs.remove(gone)
        self._signs.put(
            [each.node for each in kept], b"".join(each.vector or b"" for each in kept)
        )
