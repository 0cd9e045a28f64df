"""A key under which nothing was kept goes again."""

import os
from pathlib import Path

import pytest

from crdt.key_sources import Source, create_store_key, discard_store_key
from crdt.os_keyring import OsKeyring


class Keyring:
    """A keyring that may refuse to let go of what it holds."""

    def __init__(self, *, is_locked: bool) -> None:
        self.is_locked = is_locked
        self.entries: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.is_locked:
            raise PermissionError
        del self.entries[username]


@pytest.mark.parametrize("source", ["keyring", "key-file"])
@pytest.mark.parametrize("is_locked", [False, True])
def test_a_discarded_key_leaves_no_file(
    tmp_path: Path, source: Source, *, is_locked: bool
) -> None:
    """The entry of a keyring goes with the record, unless the keyring is locked."""
    backend = Keyring(is_locked=is_locked)
    keyring = OsKeyring(backend)
    create_store_key(
        tmp_path, {}, None, os.urandom, preference=source, open_keyring=lambda: keyring
    )

    discard_store_key(tmp_path, open_keyring=lambda: keyring)
    discard_store_key(tmp_path, open_keyring=lambda: keyring)

    assert list(tmp_path.iterdir()) == []
    assert bool(backend.entries) == (is_locked and source == "keyring")
