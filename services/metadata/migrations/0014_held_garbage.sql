-- The key of a queued part, so that its chunks count as named until they are freed; NULL of other garbage, and of parts before this.
ALTER TABLE garbage ADD COLUMN part_key BYTEA;
CREATE INDEX garbage_by_part ON garbage (bucket_id, part_key, number) WHERE part_key IS NOT NULL;

-- Buckets that were deleted, while something of theirs waits in the garbage queue.
CREATE TABLE former_buckets (
    bucket_id BIGINT NOT NULL PRIMARY KEY,
    name BYTEA NOT NULL
);
CREATE INDEX former_buckets_by_name ON former_buckets (name, bucket_id);
