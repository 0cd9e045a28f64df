"""What keeps texts from being embedded.

EmbeddingError
├── NoModelError           no vectors for now: libraries or model are missing or broken
└── WorkerLostError        the process ended while it worked on these texts

Rule: no text that was to be embedded stands in an error.
"""

from crdt.errors import FractalityError


class EmbeddingError(FractalityError):
    """These texts have no vectors."""


class NoModelError(EmbeddingError):
    """There is no model to embed with now; the text says why and what to do."""


class WorkerLostError(EmbeddingError):
    """The process that embeds ended, or broke the rules, with these texts in hand."""
