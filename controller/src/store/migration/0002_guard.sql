-- What is between a text and its effect.

-- Objects that admins took out of force. By name and not by uid: an object that is declared again stays held.
CREATE TABLE holds (
    object  TEXT PRIMARY KEY,
    reason  TEXT NOT NULL,
    held_by TEXT NOT NULL,
    held_at INTEGER NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

-- Changes beyond a limit, by the hash of their content, until they are gone or in force. `approved_by` is empty
-- until a person lets one pass.
CREATE TABLE plans (
    hash        BLOB PRIMARY KEY CHECK (length(hash) = 32),
    breach      TEXT NOT NULL,
    message     TEXT NOT NULL,
    held_at     INTEGER NOT NULL,
    approved_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Texts that were taken back because nobody confirmed them, by their hash.
CREATE TABLE reverted (
    object TEXT PRIMARY KEY,
    text   BLOB NOT NULL CHECK (length(text) = 32)
) STRICT;

-- One row at most: the next change, or the one in force, must be confirmed. `revision` is 0 while nothing has
-- changed; `before` is what was in force until then, as JSON.
CREATE TABLE armed (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    armed_by  TEXT NOT NULL,
    armed_at  INTEGER NOT NULL,
    within    INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    revert_at INTEGER NOT NULL,
    before    TEXT NOT NULL
) STRICT;
