"""The nodes of a result that are nearest to a meaning, exactly.

Rule: a text is as near to a node as the rule says a contribution is when it may join:
its unit and the node's centroid. So what is near enough to join is told as such.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from consensus.exact import Floats, closeness, decoded_centres, squares, units
from consensus.result import ConsensusNode


class NodesNear:
    """The centroids of some nodes as arrays, by model."""

    def __init__(self, nodes: Sequence[ConsensusNode]) -> None:
        by_model: dict[bytes, list[ConsensusNode]] = {}
        for node in nodes:
            by_model.setdefault(node.model, []).append(node)
        self._models: Final[dict[bytes, tuple[list[ConsensusNode], Floats]]] = {
            model: (some, decoded_centres(b"".join(node.centroid for node in some)))
            for model, some in by_model.items()
        }

    def nearest(
        self, vector: bytes, model: bytes, limit: int
    ) -> list[tuple[ConsensusNode, int]]:
        """Return the nodes nearest to a vector by `model`, in basis points, best first.

        Of equally near ones the smaller key comes first.
        """
        row = np.frombuffer(vector, np.int8)[None]
        square = squares(row)
        if model not in self._models or not square[0]:
            return []
        nodes, centroids = self._models[model]
        near = closeness(units(row, square), centroids)[0].astype(int).tolist()
        found = sorted(
            zip(near, nodes, strict=True), key=lambda pair: (-pair[0], pair[1].key)
        )
        return [(node, each) for each, node in found[:limit]]
