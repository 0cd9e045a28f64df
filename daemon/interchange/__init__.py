"""A graph on its way out of and into files that other programs read.

Every format is a pair of pure functions: `write` turns a graph into chunks of bytes,
`read` turns chunks of bytes into commands. Neither knows the store nor HTTP, and
neither touches the disk: what is imported must not lie there in clear.

`formats` lists them; docs/formats.md says what each of them keeps.
"""
