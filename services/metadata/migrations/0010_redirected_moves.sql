-- Moves that were sent elsewhere from a target that was lost.
ALTER TABLE shard_moves ADD COLUMN redirected SMALLINT NOT NULL DEFAULT 0;
