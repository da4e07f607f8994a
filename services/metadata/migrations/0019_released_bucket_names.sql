-- Names of buckets that were deleted lately, and whose they were: for a while no other account is given them, so that what was
-- decided on for the bucket before reaches no other account's bucket.
CREATE TABLE released_bucket_names (
    name BYTEA NOT NULL,
    owner TEXT NOT NULL,
    released_ms BIGINT NOT NULL,
    PRIMARY KEY (name)
);

CREATE INDEX released_bucket_names_by_time ON released_bucket_names (released_ms);
