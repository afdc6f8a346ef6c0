-- Of which making each kind's definition in the cluster was, when all that was in force of the kind was last there.
-- A definition that is made anew takes all objects with it, which nobody meant.
CREATE TABLE definitions (
    kind TEXT PRIMARY KEY,
    uid  TEXT NOT NULL
) STRICT;

-- For which object of the cluster the secret with a key's token was made. Whoever deletes the object and declares it
-- again has the secret deleted with it, and wants another token.
CREATE TABLE token_secrets (
    key    TEXT PRIMARY KEY,
    object TEXT NOT NULL
) STRICT;
