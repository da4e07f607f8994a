-- Disks that have failed for good, as their nodes report them.
ALTER TABLE disks ADD COLUMN failed SMALLINT NOT NULL DEFAULT 0;
