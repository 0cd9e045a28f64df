"""The formats a graph can be exported to and imported from, by their API names."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from daemon.interchange import graphml, graphml_reader, jsonl
from daemon.interchange.markdown import reader as markdown_reader
from daemon.interchange.markdown import writer as markdown_writer
from daemon.interchange.records import ExportedGraph, Imported


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a graph as bytes and read it back."""

    media_type: str
    suffix: str
    """Of the file, with its dot."""
    write: Callable[[ExportedGraph], Iterator[bytes]]
    read: Callable[[Iterable[bytes]], Iterator[Imported]]


FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": Format("application/x-ndjson", ".jsonl", jsonl.write, jsonl.read),
    "graphml": Format(
        "application/graphml+xml", ".graphml", graphml.write, graphml_reader.read
    ),
    "markdown": Format(
        "application/x-tar", ".tar", markdown_writer.write, markdown_reader.read
    ),
}
