-- What the cluster has seen of its disks, by the database's clock in milliseconds: when each was first registered and when
-- it was declared gone, and every time that shards began to be rebuilt elsewhere because it was lost, until no group named
-- it any more. rebuilt_ms is NULL while that lasts; a disk that comes back before then was not lost, and has no row.
ALTER TABLE disks ADD COLUMN first_ms BIGINT;
ALTER TABLE disks ADD COLUMN gone_ms BIGINT;
CREATE TABLE disk_losses (
    disk_id BYTEA NOT NULL,
    lost_ms BIGINT NOT NULL,
    rebuilt_ms BIGINT,
    PRIMARY KEY (disk_id, lost_ms)
);
