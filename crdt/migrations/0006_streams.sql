-- Histories at three resolutions, old ones in sealed files beside the store; and
-- energies that decay at a pace of their own.

-- Sums over the hours and days (UTC) in which something happened to a node. Hours go
-- to the archive with the points that they gather; days stay.
CREATE TABLE stream_hour (
    node INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    count INTEGER NOT NULL,
    atp REAL NOT NULL,
    attention REAL NOT NULL,
    PRIMARY KEY (node, start_ms, type)
) WITHOUT ROWID;
CREATE TABLE stream_day (
    node INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    count INTEGER NOT NULL,
    atp REAL NOT NULL,
    attention REAL NOT NULL,
    PRIMARY KEY (node, start_ms, type)
) WITHOUT ROWID;
INSERT INTO stream_hour
    SELECT node, time_ms - time_ms % 3600000 AS start, type,
        count(*), sum(atp), sum(attention)
    FROM stream GROUP BY node, start, type;
INSERT INTO stream_day
    SELECT node, time_ms - time_ms % 86400000 AS start, type,
        count(*), sum(atp), sum(attention)
    FROM stream GROUP BY node, start, type;
CREATE INDEX stream_by_time ON stream (time_ms);
CREATE INDEX stream_hour_by_time ON stream_hour (start_ms);

-- Files of the archive, and of which nodes each has something.
CREATE TABLE archive_part (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    first_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL
);
CREATE TABLE archived_node (
    node INTEGER NOT NULL,
    part INTEGER NOT NULL,
    PRIMARY KEY (node, part)
) WITHOUT ROWID;

-- half_life: in hours; a pulse decays by the one that its network had.
CREATE TABLE paced_energy (
    node INTEGER NOT NULL,
    device INTEGER NOT NULL,
    half_life INTEGER NOT NULL,
    landmark REAL NOT NULL,
    PRIMARY KEY (node, device, half_life)
) WITHOUT ROWID;
INSERT INTO paced_energy SELECT node, device, 168, landmark FROM energy;
DROP TABLE energy;
ALTER TABLE paced_energy RENAME TO energy;
CREATE INDEX energy_at_other_pace ON energy (node) WHERE half_life != 168;

CREATE INDEX node_by_network ON node (network, key)
    WHERE state = 1 AND network != 'default';
