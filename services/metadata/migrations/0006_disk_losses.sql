-- What the cluster has seen of its disks, by the database's clock in milliseconds: since when each has been there, NULL when
-- it is lost or gone, and for how long it was there before; and every time that shards began to be rebuilt elsewhere because
-- it was lost, until no group named it any more. rebuilt_ms is NULL while that lasts; a disk that comes back before then was
-- not lost, and has no row.
ALTER TABLE disks ADD COLUMN there_since_ms BIGINT;
ALTER TABLE disks ADD COLUMN was_there_ms BIGINT NOT NULL DEFAULT 0;
CREATE TABLE disk_losses (
    disk_id BYTEA NOT NULL,
    lost_ms BIGINT NOT NULL,
    rebuilt_ms BIGINT,
    PRIMARY KEY (disk_id, lost_ms)
);
