-- Keys of a gateway beside the one that it is bound by: the one that is to follow, since when, and the one before.
CREATE TABLE gateway_keys (
    owner TEXT PRIMARY KEY, next BLOB, announced_at INTEGER NOT NULL, previous BLOB
) STRICT;
CREATE UNIQUE INDEX gateway_keys_next ON gateway_keys (next);
