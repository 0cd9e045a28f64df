-- Circles: who belongs to them, what their members hold in common, and what this
-- person's device notes about them.

-- founding: the statement of which id is the hash. state: 0 active, 1 left.
-- keys: those of the epochs, kept as the keys of a space are.
CREATE TABLE circle (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    founding BLOB NOT NULL,
    state INTEGER NOT NULL,
    keys BLOB NOT NULL
);

CREATE TABLE circle_statement (
    circle INTEGER NOT NULL,
    hash BLOB NOT NULL,
    encoded BLOB NOT NULL,
    PRIMARY KEY (circle, hash)
) WITHOUT ROWID;

-- The records that stand, one for each author and slot; also those of authors who are
-- no members now, in case that is undone. kind: 1 card, 2 contribution, 3 vote.
-- slot: what a newer record replaces: the device of a card, the reference of a
-- contribution, the consensus node of a vote. sequence: 8 bytes, most significant
-- first, for it may use all of them. hash: SHA-256 of the record.
CREATE TABLE circle_item (
    id INTEGER PRIMARY KEY,
    circle INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    author BLOB NOT NULL,
    slot BLOB NOT NULL,
    sequence BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    hash BLOB NOT NULL,
    content BLOB NOT NULL,
    UNIQUE (circle, kind, author, slot)
);

-- Records that are signed but of which the vector does not fit the text.
CREATE TABLE circle_quarantine (
    circle INTEGER NOT NULL,
    hash BLOB NOT NULL,
    author BLOB NOT NULL,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY (circle, hash)
) WITHOUT ROWID;

-- Tickets that this device gave out, by the hash of what is secret in them.
CREATE TABLE circle_invitation (
    secret_hash BLOB PRIMARY KEY,
    circle INTEGER NOT NULL,
    uses_left INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Which nodes of this person's graph are published, by what the circle calls them.
CREATE TABLE circle_ledger (
    circle INTEGER NOT NULL,
    reference BLOB NOT NULL,
    node_key TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (circle, reference)
) WITHOUT ROWID;

-- Consensus nodes as they were last seen. members: hashes, 32 bytes each, sorted.
CREATE TABLE circle_node (
    circle INTEGER NOT NULL,
    key BLOB NOT NULL,
    members BLOB NOT NULL,
    label TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    PRIMARY KEY (circle, key)
) WITHOUT ROWID;

CREATE TABLE circle_history (
    circle INTEGER NOT NULL,
    key BLOB NOT NULL,
    time_ms INTEGER NOT NULL,
    score INTEGER NOT NULL,
    counted_authors INTEGER NOT NULL,
    authors INTEGER NOT NULL,
    members INTEGER NOT NULL,
    PRIMARY KEY (circle, key, time_ms)
) WITHOUT ROWID;

-- Which consensus node goes on what another was.
CREATE TABLE circle_alias (
    circle INTEGER NOT NULL,
    former BLOB NOT NULL,
    present BLOB NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (circle, former)
) WITHOUT ROWID;
CREATE INDEX circle_alias_by_present ON circle_alias (circle, present);

-- Contributions of which the vector was found to fit the text.
CREATE TABLE circle_checked (
    circle INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (circle, hash)
) WITHOUT ROWID;
