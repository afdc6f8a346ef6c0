-- How far servers are believed, by the uid of their objects: a record of the crate that judges, which nobody else reads.
CREATE TABLE server_trust (
    owner  TEXT PRIMARY KEY,
    record BLOB NOT NULL
) STRICT;

-- The newest challenges of each server. `failure` is empty where the answer was good and in time.
CREATE TABLE verification_log (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT NOT NULL,
    at         INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    failure    TEXT NOT NULL
) STRICT;
CREATE INDEX verification_log_by_owner ON verification_log (owner, number);
