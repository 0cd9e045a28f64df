"""A graph as notes: one file for each node, in one tar archive."""

from collections.abc import Iterable, Iterator
from typing import Final

from crdt.records import Edge
from daemon.interchange import tar
from daemon.interchange.markdown import block, front_matter
from daemon.interchange.markdown.block import EdgeEntry
from daemon.interchange.markdown.file_names import FileNames
from daemon.interchange.records import ExportedGraph, ExportedNode
from daemon.interchange.tar import ArchivedFile

MAX_EDGES_PER_NOTE: Final = 1000
MAX_EDGE_TEXT_PER_NOTE: Final = 256 * 1024
"""Characters of keys and metadata; a node with more edges gets further notes."""


def write(graph: ExportedGraph) -> Iterator[bytes]:
    """Yield `graph` as chunks of one tar archive of notes."""
    return tar.write(notes(graph))


def notes(graph: ExportedGraph) -> Iterator[ArchivedFile]:
    """Yield the notes of `graph`; besides file names only one note is held."""
    names = FileNames()
    for exported in graph.nodes(with_bodies=True):
        yield from _notes_of(exported, graph.edges_from(exported.node.key), names)


def _notes_of(
    exported: ExportedNode, edges: Iterable[Edge], names: FileNames
) -> Iterator[ArchivedFile]:
    node, body = exported.node, exported.body or ""
    groups = _groups(edges)
    fields = block.node_fields(node, body, next(groups, []))
    content = f"---\n{front_matter.encode(fields)}---\n{body}".encode()
    yield ArchivedFile(names.path_for(node.key), content, node.updated_ms)
    for number, entries in enumerate(groups, start=2):
        fields = block.more_edges_fields(node.key, entries)
        content = f"---\n{front_matter.encode(fields)}---\n".encode()
        path = names.path_for(node.key, f"~edges-{number}")
        yield ArchivedFile(path, content, node.updated_ms)


def _groups(edges: Iterable[Edge]) -> Iterator[list[EdgeEntry]]:
    group: list[EdgeEntry] = []
    size = 0
    for edge in edges:
        entry = block.edge_entry(edge)
        group.append(entry)
        size += len(entry.to) + len(entry.metadata or "")
        if len(group) == MAX_EDGES_PER_NOTE or size > MAX_EDGE_TEXT_PER_NOTE:
            yield group
            group, size = [], 0
    if group:
        yield group
