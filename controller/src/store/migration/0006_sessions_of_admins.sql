-- The uid of the Admin for whom it was made; empty for the operator of the host. Whoever is declared later under the
-- same name is somebody else.
ALTER TABLE sign_in_links ADD COLUMN uid TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN uid TEXT NOT NULL DEFAULT '';
