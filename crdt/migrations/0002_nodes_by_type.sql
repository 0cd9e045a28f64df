-- Lists by type read the rare types only: nodes of the default type are so many that
-- reading them in key order finds enough of them at once.
CREATE INDEX node_by_type ON node (type, key)
    WHERE state = 1 AND type != 'thought';
