-- Times (…_at) are milliseconds of Unix time. Digests and hashes are 32 bytes.
-- JSON is text that the planner wrote; the store does not look into it.

-- Counters of the store itself: epoch (raised when a store is restored), starts.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO meta (key, value) VALUES ('epoch', 1), ('starts', 0);

-- Each resource once. `source` and `locator` say who owns it, and no user can write them.
CREATE TABLE objects (
    uid        TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    generation INTEGER NOT NULL,
    source     TEXT NOT NULL,
    locator    TEXT NOT NULL,
    spec       TEXT NOT NULL,
    conditions TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    UNIQUE (kind, namespace, name)
) STRICT;

CREATE TABLE allocations (
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    owner   TEXT NOT NULL,
    PRIMARY KEY (network, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX allocations_by_owner ON allocations (owner);

-- The token that was made for a RegistrationKey or PersonalKey object with `generate: {}`, by the object's uid.
-- Digests are keyed: they are of no use without the pepper, which is not in the database.
CREATE TABLE issued_keys (
    uid    TEXT PRIMARY KEY,
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

-- How often each token was used. By digest, because a token stays spent when its object is declared again.
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    uses   INTEGER NOT NULL CHECK (uses >= 0)
) STRICT, WITHOUT ROWID;

-- Who used which token: the retry after a lost answer finds its row and uses nothing.
CREATE TABLE key_uses (
    digest     BLOB NOT NULL,
    public_key BLOB NOT NULL,
    key        TEXT NOT NULL,
    owner      TEXT NOT NULL,
    used_at    INTEGER NOT NULL,
    PRIMARY KEY (digest, public_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_uses_by_key ON key_uses (key);

-- Run-time facts of Server and Device objects, by their uid. One table, because a public key belongs to
-- one node, whatever its kind.
CREATE TABLE bindings (
    owner        TEXT PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('Server', 'Device')),
    public_key   BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    bound_at     INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    evidence     TEXT NOT NULL
) STRICT;

CREATE TABLE revisions (
    number     INTEGER PRIMARY KEY,
    epoch      INTEGER NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    summary    TEXT NOT NULL
) STRICT;

-- What gateways run, by content. An assignment cannot name a section that is not there.
CREATE TABLE sections (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE assignments (
    server   TEXT NOT NULL,
    revision INTEGER NOT NULL REFERENCES revisions (number),
    bytes    BLOB NOT NULL,
    PRIMARY KEY (server, revision)
) STRICT;
CREATE TABLE assignment_sections (
    server   TEXT NOT NULL,
    revision INTEGER NOT NULL,
    section  BLOB NOT NULL REFERENCES sections (hash),
    PRIMARY KEY (server, revision, section),
    FOREIGN KEY (server, revision) REFERENCES assignments (server, revision) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX assignment_sections_by_section ON assignment_sections (section);

-- Numbered without gaps; a number is never given twice.
CREATE TABLE revocations (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    owner      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;

-- Secrets of links and sessions are stored as hashes only.
CREATE TABLE sign_in_links (
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    subject    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    session    BLOB
) STRICT;
CREATE TABLE sessions (
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    subject    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE security_events (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 5),
    object   TEXT NOT NULL,
    remote   TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    seq   INTEGER PRIMARY KEY,
    prev  BLOB NOT NULL CHECK (length(prev) = 32),
    entry BLOB NOT NULL,
    hash  BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never changed');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an audit entry is never deleted');
END;
