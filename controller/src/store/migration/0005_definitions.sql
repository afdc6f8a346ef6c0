-- Of which making each kind's definition in the cluster was, when all that was in force of the kind was last there.
-- A definition that is made anew takes all objects with it, which nobody meant.
CREATE TABLE definitions (
    kind TEXT PRIMARY KEY,
    uid  TEXT NOT NULL
) STRICT;
