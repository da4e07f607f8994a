-- Object lock of buckets. object_lock: 1 for a bucket that has it, else NULL. The default retention of what is written, if
-- there is one: a persistent number of types::RetentionMode, and days or years. What locks a version is among its
-- attributes.
ALTER TABLE buckets ADD COLUMN object_lock SMALLINT;
ALTER TABLE buckets ADD COLUMN default_retention_mode SMALLINT;
ALTER TABLE buckets ADD COLUMN default_retention_days BIGINT;
ALTER TABLE buckets ADD COLUMN default_retention_years BIGINT;
