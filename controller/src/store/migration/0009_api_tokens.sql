-- What may be shown of a token, from where it may be used (prefixes between spaces, from everywhere when empty), and its
-- last use. `keyed` says whether the digest is under the pepper; those of before are put under it at the next start.
ALTER TABLE api_tokens ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE api_tokens ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE api_tokens ADD COLUMN last_used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_tokens ADD COLUMN last_remote TEXT NOT NULL DEFAULT '';
ALTER TABLE api_tokens ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;
UPDATE api_tokens SET id = 'old-' || lower(substr(hex(digest), 1, 10));
