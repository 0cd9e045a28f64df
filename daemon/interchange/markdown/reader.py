"""Notes as commands: nodes and bodies as they come, edges once all notes are known.

Rules of this file:
1. A note that cannot be taken is a `Failure`; the others are imported.
2. A note that an export wrote says itself what it is (see `block`). Any other is a
   node of type `note` whose key is its path without `.md`; importing it again
   replaces that node.
3. What a link or tag names and no note is becomes a node of type `placeholder` or
   `tag`, unless the graph has one. A link's weight is how often it stands there.
"""

import posixpath
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from typing import Final

import msgspec

from crdt.commands import PutEdge, PutNode
from crdt.errors import InvalidError
from crdt.ids import NodeKey, check_key
from daemon.interchange import tar
from daemon.interchange.held import Held
from daemon.interchange.markdown import notes
from daemon.interchange.markdown.note_index import NoteIndex, absolute_target
from daemon.interchange.markdown.notes import Note, Pointers
from daemon.interchange.records import Failure, IfAbsent, Imported
from daemon.interchange.tar import ArchivedFile

MAX_NOTES: Final = 2_000_000
PLACEHOLDER_TYPE: Final = "placeholder"
TAG_TYPE: Final = "tag"
LINK: Final = "link"
TAGGED: Final = "tagged"
_POINTERS: Final = msgspec.json.Decoder(list[Pointers])


def read(chunks: Iterable[bytes]) -> Iterator[Imported]:
    """Yield what the notes in a tar archive say.

    Raises `InvalidError` if the archive is damaged; what was yielded until then
    stands.
    """
    return commands(tar.read(chunks, notes.SUFFIX, notes.MAX_NOTE_BYTES))


def commands(files: Iterable[ArchivedFile | Failure]) -> Iterator[Imported]:
    """Yield what `files` say; those that are no notes, or hidden, are passed over."""
    vault = _Vault()
    for file in files:
        if isinstance(file, Failure):
            yield file
        elif notes.is_note(file.path):
            try:
                note = notes.parse(file)
                vault.check_new(note)
            except InvalidError as error:
                yield Failure(file.path, str(error))
            else:
                vault.add(note)
                yield from note.commands
    yield from vault.connect()


class _Vault:
    """The notes read so far, and what they point at."""

    def __init__(self) -> None:
        self._index = NoteIndex()
        self._pointers: Held[Pointers] = Held(_POINTERS)
        self._made: dict[str, NodeKey] = {}
        """Placeholders and tags, by their names in one case."""

    def check_new(self, note: Note) -> None:
        """Raise `InvalidError` if another note has the same key."""
        if note.commands and note.pointers.source in self._index.keys:
            raise InvalidError("key", "another note has this key already")

    def add(self, note: Note) -> None:
        """Add a note; raise `InvalidError` if there are too many."""
        if note.commands:
            if len(self._index.keys) == MAX_NOTES:
                raise InvalidError("archive", f"it holds more than {MAX_NOTES} notes")
            self._index.add(note.pointers.path, note.pointers.source)
        self._pointers.add(note.pointers)

    def connect(self) -> Iterator[Imported]:
        """Yield the edges, each after the nodes that exist only because of it."""
        for pointers in self._pointers.drain():
            told = {(edge.type, edge.target) for edge in pointers.edges}
            yield from pointers.edges
            found: Counter[tuple[str, NodeKey]] = Counter()
            yield from self._find(pointers, found)
            for (kind, target), count in found.items():
                if target != pointers.source and (kind, target) not in told:
                    yield PutEdge(
                        source=pointers.source,
                        target=target,
                        type=kind,
                        weight=float(count),
                    )

    def _find(
        self, pointers: Pointers, found: Counter[tuple[str, NodeKey]]
    ) -> Iterator[IfAbsent | Failure]:
        """Count into `found` what is pointed at, yielding what has to be made."""
        for link, count in pointers.links:
            target = self._index.resolve(link, pointers.path)
            if target is None:
                name = absolute_target(link, pointers.path)
                label = posixpath.basename(name)
                node = PutNode(key=name, label=label, type=PLACEHOLDER_TYPE)
                target = yield from self._make(node, pointers)
            if target is not None:
                found[LINK, target] += count
        for tag in pointers.tags:
            node = PutNode(key=f"tag:{tag}", label=f"#{tag}", type=TAG_TYPE)
            target = yield from self._make(node, pointers)
            if target is not None:
                found[TAGGED, target] = 1

    def _make(
        self, node: PutNode, pointers: Pointers
    ) -> Generator[IfAbsent | Failure, None, NodeKey | None]:
        """Return the key of `node`, yielding it the first time, None if it has none."""
        try:
            key = check_key(node.key)
        except InvalidError as error:
            yield Failure(pointers.path + notes.SUFFIX, f"{node.type}: {error}")
            return None
        name = key.casefold()
        if key not in self._index.keys and name not in self._made:
            yield IfAbsent(node)
        return self._made.setdefault(name, key)
