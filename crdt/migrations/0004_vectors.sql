-- Vectors of texts, and the nodes whose text has none yet. All of it is derived: it
-- can be dropped and embedded again.

-- folder: where the model was when it was last used.
CREATE TABLE embedding_model (
    id INTEGER PRIMARY KEY,
    tag BLOB NOT NULL UNIQUE,
    folder TEXT NOT NULL
);

-- id = model << 40 | node row. vector: 384 bytes; empty for a text that has none.
CREATE TABLE vector (
    id INTEGER PRIMARY KEY,
    text_hash BLOB NOT NULL,
    vector BLOB NOT NULL
);

CREATE TABLE embedding_queue (
    node INTEGER PRIMARY KEY
);
INSERT INTO embedding_queue (node) SELECT id FROM node WHERE state = 1;
