-- Bytes that were in use on a lost disk when its shards began to be rebuilt, as it last reported; NULL of losses before this.
ALTER TABLE disk_losses ADD COLUMN held_bytes BIGINT;
