-- The devices of one space: what they say about each other, how far their envelopes
-- are held here, and how far they hold this device's and each other's.

CREATE TABLE statement (
    hash BLOB PRIMARY KEY,
    encoded BLOB NOT NULL
) WITHOUT ROWID;

-- The last envelope that is held of each other device; this device's own is in totals.
CREATE TABLE chain (
    device INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
);

-- Two envelopes that one device signed and that cannot both belong to one history.
CREATE TABLE fork (
    device INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL,
    held BLOB NOT NULL,
    other BLOB NOT NULL,
    found_ms INTEGER NOT NULL
);

-- What peer said that it holds durably of device.
CREATE TABLE acknowledged (
    peer INTEGER NOT NULL,
    device INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (peer, device)
) WITHOUT ROWID;

CREATE TABLE heard (
    peer INTEGER PRIMARY KEY,
    last_ms INTEGER NOT NULL
);

-- The envelope of a node's last change, until every reader has it. Sequence 0 of
-- device 0 is not sealed yet.
CREATE TABLE node_change (
    node INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    sequence INTEGER NOT NULL
);
CREATE INDEX node_change_by_envelope ON node_change (device, sequence);

-- A checkpoint that is being installed.
CREATE TABLE checkpoint (
    id BLOB PRIMARY KEY,
    giver BLOB NOT NULL,
    next INTEGER NOT NULL,
    header BLOB NOT NULL
) WITHOUT ROWID;

-- Edges of which a change came before the edge itself.
CREATE TABLE early_edge (
    id TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE address (
    peer BLOB NOT NULL,
    address TEXT NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, address)
) WITHOUT ROWID;
