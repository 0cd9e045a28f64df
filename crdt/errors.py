"""What can go wrong in the store and its formats, by who has to act.

FractalityError
├── RefusedError             the caller asked for what cannot be: nothing changed
│   ├── InvalidError         a value breaks the rules of its field
│   ├── NotFoundError        no such node, edge or trash entry
│   ├── ConflictError        the present state forbids it
│   └── SearchBudgetError    the answer would take longer than allowed
├── PeerError                foreign bytes break a protocol: drop them, count them
│   ├── MalformedError       the bytes do not decode within their limits
│   └── ForgedError          the bytes decode but are not what they claim to be
└── StoreError               the store cannot serve: a person has to act
    ├── KeyUnavailableError  the store's key is missing or cannot be read
    ├── WrongKeyError        the key does not open the store
    ├── DamagedError         the store's files were changed or cut short
    ├── StoreInUseError      another process holds the home
    ├── NewerStoreError      the store was written by a newer version
    └── DiskFullError        no room for the write; nothing was written

The text of an error is for the person who meets it: what happened, what is safe,
what to do. It never carries a secret or the content of a node.
"""


class FractalityError(Exception):
    """Anything this project raises on purpose."""


class RefusedError(FractalityError):
    """The request cannot be carried out; nothing was changed."""


class InvalidError(RefusedError):
    """A value breaks the rules of its field."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        """Name of the field at fault, as the API calls it."""
        self.detail = detail


class NotFoundError(RefusedError):
    """There is no such node, edge or trash entry."""


class ConflictError(RefusedError):
    """The present state of the graph forbids the request."""


class SearchBudgetError(RefusedError):
    """The search was stopped at its budget before it could answer."""


class PeerError(FractalityError):
    """Foreign bytes break a protocol. They are dropped and counted."""


class MalformedError(PeerError):
    """The bytes do not decode within their limits."""


class ForgedError(PeerError):
    """The bytes decode, but a signature, hash or owner does not fit."""


class StoreError(FractalityError):
    """The store cannot serve until a person acts."""


class KeyUnavailableError(StoreError):
    """The key of the store is missing or cannot be read."""


class WrongKeyError(StoreError):
    """The key does not open the store."""


class DamagedError(StoreError):
    """The files of the store were changed or cut short."""


class StoreInUseError(StoreError):
    """Another process holds this home."""


class NewerStoreError(StoreError):
    """The store was written by a newer version of this program."""


class DiskFullError(StoreError):
    """There is no room for the write; nothing of it was written."""
