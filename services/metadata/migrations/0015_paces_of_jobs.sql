-- What a job would do in an hour at the pace of its last minutes; 0 when it did nothing in them.
ALTER TABLE jobs ADD COLUMN per_hour BIGINT NOT NULL DEFAULT 0;
