-- Which key enrolled each node, by its uid and the digest of its token, and what the key said last of its revocation:
-- a key that is gone cannot be asked any more. Empty, with a token of one byte, where no key did.
ALTER TABLE bindings ADD COLUMN key TEXT NOT NULL DEFAULT '';
ALTER TABLE bindings ADD COLUMN token BLOB NOT NULL DEFAULT x'00';
ALTER TABLE bindings ADD COLUMN on_revoke TEXT NOT NULL DEFAULT 'Keep';
UPDATE bindings SET
    key = coalesce((SELECT key FROM key_uses WHERE public_key = bindings.public_key ORDER BY used_at DESC LIMIT 1), ''),
    token = coalesce((SELECT digest FROM key_uses WHERE public_key = bindings.public_key ORDER BY used_at DESC LIMIT 1), x'00');

-- From where each key was used last, and by what: `owner` may be gone by now.
ALTER TABLE key_uses ADD COLUMN remote TEXT NOT NULL DEFAULT '';
ALTER TABLE key_uses ADD COLUMN node TEXT NOT NULL DEFAULT '';
