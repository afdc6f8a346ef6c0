-- What the texts said that a person approved, as JSON: an approval is kept until all that it is for has come into force.
ALTER TABLE plans ADD COLUMN texts TEXT NOT NULL DEFAULT '';
