-- What a cluster's backups are told apart by; since when nothing is freed because the database was restored, NULL when all is; and
-- when its rows were migrated to another database, NULL while it is the one that services use.
ALTER TABLE cluster ADD COLUMN cluster_id BYTEA;
ALTER TABLE cluster ADD COLUMN garbage_frozen_ms BIGINT;
ALTER TABLE cluster ADD COLUMN migrated_ms BIGINT;
