-- How many peppers lie over each digest of a token; their bytes are in files.
INSERT INTO meta (key, value) VALUES ('peppers', 1);
