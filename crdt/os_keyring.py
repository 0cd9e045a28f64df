"""The keyring of the operating system, as a place for one secret text.

The only file that knows the `keyring` library. Rule: a secret goes only to back ends
known to encrypt; those that keep plain files, or drop what they get, do not count.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeAlias, TypeVar

from crdt.errors import KeyUnavailableError

_SERVICE: Final = "fractality"
_ENCRYPTING_MODULES: Final = frozenset(
    {
        "keyring.backends.SecretService",
        "keyring.backends.Windows",
        "keyring.backends.kwallet",
        "keyring.backends.libsecret",
        "keyring.backends.macOS",
    }
)
_Result = TypeVar("_Result")


class Backend(Protocol):
    """What this file needs of a back end of the `keyring` library."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """Return an entry, or None if there is none."""

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Keep an entry."""

    def delete_password(self, service: str, username: str, /) -> None:
        """Remove an entry."""


class OsKeyring:
    """One back end, with a single kind of error."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def read(self, entry: str) -> str | None:
        """Return the secret of an entry, None if there is none.

        Raises `KeyUnavailableError` if the keyring is locked or fails.
        """
        return _guarded(lambda: self._backend.get_password(_SERVICE, entry))

    def write(self, entry: str, secret: str) -> None:
        """Keep a secret; raise `KeyUnavailableError` unless it can be read back."""
        _guarded(lambda: self._backend.set_password(_SERVICE, entry, secret))
        if self.read(entry) != secret:
            msg = "The keyring of the system did not keep the key it was given."
            raise KeyUnavailableError(msg)

    def remove(self, entry: str) -> None:
        """Remove an entry; raise `KeyUnavailableError` if that fails."""
        _guarded(lambda: self._backend.delete_password(_SERVICE, entry))


OpenKeyring: TypeAlias = Callable[[], OsKeyring | None]


def open_os_keyring() -> OsKeyring | None:
    """Return the keyring of this login session, None if there is no safe one."""
    try:
        # Imported late: it takes 60 ms that other sources of the key need not pay.
        import keyring

        backend = keyring.get_keyring()
    except Exception:  # noqa: BLE001  a back end named in a user's configuration runs here and may raise anything; then there is no keyring
        return None
    chosen = encrypting_backend(backend)
    return None if chosen is None else OsKeyring(chosen)


def encrypting_backend(backend: Backend) -> Backend | None:
    """Return the back end, or the first of a chain, that is known to encrypt."""
    chain: Iterable[Backend] = getattr(backend, "backends", (backend,))
    return next(
        (link for link in chain if type(link).__module__ in _ENCRYPTING_MODULES), None
    )


def _guarded(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  each back end raises what its own library raises
        # The kind only: the text is a stranger's and may repeat what it was given.
        msg = (
            f"The keyring of the system refused ({type(error).__name__}): "
            "unlock it, or log in to a session that has one, and try again."
        )
        raise KeyUnavailableError(msg) from None
