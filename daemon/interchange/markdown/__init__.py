"""A graph as a folder of Markdown notes, such as an Obsidian or Foam vault.

One note is one node. `reader` and `writer` know the whole; `front_matter` is all that
knows YAML, `links` what a text points at, `note_index` which note is meant,
`file_names` how a key becomes a path, and `folder`, the edge, reads the disk.
"""
