-- What a bucket may hold at most; NULL for any amount. Bytes are those of all versions, objects are the keys that are listed.
ALTER TABLE buckets ADD COLUMN quota_bytes BIGINT;
ALTER TABLE buckets ADD COLUMN quota_objects BIGINT;
