-- What the resource API shows, one row an object: its version, and who wrote it. The text is empty where everything
-- that is shown follows from the rest of the store; its hash tells whether that is still the same.
CREATE TABLE documents (
    resource  TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    uid       TEXT NOT NULL,
    version   INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    author    TEXT NOT NULL,
    text      TEXT NOT NULL,
    PRIMARY KEY (resource, namespace, name)
) STRICT;

-- When each kind last changed there, by a delete too.
CREATE TABLE shelves (
    resource TEXT PRIMARY KEY,
    version  INTEGER NOT NULL
) STRICT;

CREATE TABLE api_tokens (
    digest     BLOB PRIMARY KEY,
    subject    TEXT NOT NULL,
    -- Of the Admin for whom it was made; empty for the operator of the host.
    uid        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
