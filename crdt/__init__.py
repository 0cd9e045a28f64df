"""The graph as an encrypted, mergeable document, and the store that holds it.

Here live ids, keys, envelopes, the shard schema, the Yjs update parser, energy,
the digest, the graph index and the encrypted SQLite store, in two rings:

* *cores* compute: bytes, values and `now` in, values out;
* *edges* act: `document` (pycrdt), `database` and what reads or writes through it
  (apsw), `key_sources` (files, keyring, systemd credentials).

What must not live here: sockets, asyncio, HTTP, command lines; and nothing here
imports `daemon`, `transport`, `consensus` or `relay`.
"""
