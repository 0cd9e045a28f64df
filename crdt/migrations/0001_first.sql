-- Everything a device keeps, in one encrypted file.
-- The journal and the shards are the truth; node, edge and node_text are the read
-- model, which can be dropped and built again from them.

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Devices are numbered locally, so that rows name them in a byte or two.
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    device_id BLOB NOT NULL UNIQUE
);

-- Batches of changes in the order they were made durable. A row leaves when its
-- updates stand in shard_tail (frozen) and, for this device's own, in an envelope.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    changes BLOB NOT NULL
);

CREATE TABLE envelope (
    device INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (device, sequence)
);

-- own_clock: how many changes of this device's client id the shard holds in
-- snapshot and tail together.
CREATE TABLE shard (
    number INTEGER PRIMARY KEY,
    own_clock INTEGER NOT NULL,
    snapshot BLOB,
    tail_count INTEGER NOT NULL,
    tail_bytes INTEGER NOT NULL
);

-- id = shard number << 40 | running number
CREATE TABLE shard_tail (
    id INTEGER PRIMARY KEY,
    pieces BLOB NOT NULL
);

-- state: 0 named by an edge only, 1 visible, 2 in the trash
CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    label TEXT,
    type TEXT,
    network TEXT,
    metadata TEXT,
    created_ms INTEGER,
    updated_ms INTEGER,
    version INTEGER,
    deleted_ms INTEGER,
    has_body INTEGER
);

CREATE TABLE edge_type (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- state: 1 present, 2 removed; hidden ends hide an edge without changing its row
CREATE TABLE edge (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL,
    target INTEGER NOT NULL,
    type INTEGER NOT NULL,
    state INTEGER NOT NULL,
    weight REAL NOT NULL,
    metadata TEXT,
    created_ms INTEGER NOT NULL,
    version INTEGER NOT NULL
);

CREATE VIRTUAL TABLE node_text USING fts5 (
    label, body,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE body (
    node INTEGER PRIMARY KEY,
    snapshot BLOB NOT NULL,
    text_hash BLOB
);

-- landmark: base 2 logarithm of the landmark energy, see crdt.energy
CREATE TABLE energy (
    node INTEGER NOT NULL,
    device INTEGER NOT NULL,
    landmark REAL NOT NULL,
    PRIMARY KEY (node, device)
) WITHOUT ROWID;

CREATE TABLE stream (
    node INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    atp REAL NOT NULL,
    attention REAL NOT NULL,
    type TEXT NOT NULL,
    PRIMARY KEY (node, time_ms, type)
) WITHOUT ROWID;

-- Writes that came with an idempotency key, so that a repeated one is answered and
-- not made twice.
CREATE TABLE receipt (
    key BLOB PRIMARY KEY,
    request BLOB NOT NULL,
    answer BLOB NOT NULL,
    time_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The graph index as it was when saved, and the rows whose state changed since.
CREATE TABLE index_column (
    name TEXT NOT NULL,
    part INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (name, part)
);
CREATE TABLE index_change (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    row INTEGER NOT NULL
);
