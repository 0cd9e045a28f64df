"""One large Yjs update as several small ones, which make the same document.

Specification: docs/protocol/yjs-update.md. The update is cut between structs, so a
struct that is larger stays whole, and what is deleted comes last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from crdt.yjs_bytes import encode_number, read_number
from crdt.yjs_profile import Profile
from crdt.yjs_structs import SKIP, Findings, read_struct

_NO_DELETES: Final = b"\x00"
_NO_CLIENTS: Final = b"\x00"


@dataclass(slots=True)
class _Run:
    """Structs of one client that follow each other."""

    client: int
    clock: int
    count: int
    first: int
    """Where they begin in the update."""

    def encoded(self, update: bytes, end: int) -> bytes:
        """Return an update of these structs alone."""
        numbers = (1, self.count, self.client, self.clock)
        head = b"".join(map(encode_number, numbers))
        return head + update[self.first : end] + _NO_DELETES


def split_update(update: bytes, profile: Profile, max_bytes: int) -> Iterator[bytes]:
    """Yield updates of about `max_bytes` that together are `update`.

    `update` is one that the strict parser accepts.
    """
    if len(update) <= max_bytes:
        yield update
        return
    sections, at = read_number(update, 0)
    for _ in range(sections):
        count, at = read_number(update, at)
        client, at = read_number(update, at)
        clock, at = read_number(update, at)
        run = _Run(client, clock, 0, at)
        for _ in range(count):
            length, end = read_struct(update, at, (client, clock), profile, Findings())
            is_skip = update[at] == SKIP
            if run.count and (is_skip or end - run.first > max_bytes):
                yield run.encoded(update, at)
                run = _Run(client, clock, 0, at)
            clock += length
            at = end
            if is_skip:
                run = _Run(client, clock, 0, at)
            else:
                run.count += 1
        if run.count:
            yield run.encoded(update, at)
    if update[at:] != _NO_DELETES:
        yield _NO_CLIENTS + update[at:]
