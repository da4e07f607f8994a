-- The schema of a metadata store, in the subset that Postgres and SQLite share.
--
-- Keys and names are BYTEA, so that their order is byte order on every engine, in every locale. Booleans are 0 and 1.
-- Tables that belong to a bucket lead with bucket_id in every primary key, unique index and foreign key, so that they
-- can be distributed by it. Columns of times end in _ms: milliseconds since 1970-01-01T00:00:00Z.

-- One row: the cluster. The epoch grows with every change of membership, address, writability, state, intent or
-- placement; places_epoch is the epoch of the last change that gave shards a place more: a disk was added, or a move
-- began.
CREATE TABLE cluster (
    singleton SMALLINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    epoch BIGINT NOT NULL,
    places_epoch BIGINT NOT NULL
);
INSERT INTO cluster (singleton, epoch, places_epoch) VALUES (1, 0, 0);

-- The last number that was given out of each series that spans buckets. Numbers are never reused.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('bucket', 0), ('group', 0);

-- The directory of buckets: global, because a name is.
CREATE TABLE bucket_names (
    name BYTEA NOT NULL PRIMARY KEY,
    bucket_id BIGINT NOT NULL,
    owner TEXT NOT NULL
);
CREATE INDEX bucket_names_by_owner ON bucket_names (owner, name);

-- The bucket row is the commit point: whoever changes what a bucket holds locks it first.
CREATE TABLE buckets (
    bucket_id BIGINT NOT NULL PRIMARY KEY,
    name BYTEA NOT NULL,
    owner TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    versioning SMALLINT NOT NULL,
    commit_seq BIGINT NOT NULL,
    object_count BIGINT NOT NULL,
    object_bytes BIGINT NOT NULL,
    version_count BIGINT NOT NULL,
    version_bytes BIGINT NOT NULL
);

-- Versions and delete markers. version_seq is the commit that made the version: its identity and its age. The row
-- itself was there from commit seq_from until commit seq_to, which is NULL while it is. A commit makes at most one
-- version with content, so (bucket_id, version_seq) names the owner of content.
-- is_current is a cache of "the greatest version_seq of the key's rows without a seq_to".
-- content_kind: 0 none, 1 inline_data, 2 manifest, 3 manifest in content_pages. parts_kind: 0 none, 1 parts, 2 parts
-- in content_pages. shared: chunk_refs has rows for every chunk of the manifest.
CREATE TABLE versions (
    bucket_id BIGINT NOT NULL,
    key BYTEA NOT NULL,
    version_seq BIGINT NOT NULL,
    seq_from BIGINT NOT NULL,
    seq_to BIGINT,
    is_current SMALLINT NOT NULL,
    is_delete_marker SMALLINT NOT NULL,
    is_null SMALLINT NOT NULL,
    nonce BIGINT NOT NULL,
    last_modified_ms BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag BYTEA,
    etag_parts BIGINT,
    checksum_algorithm SMALLINT,
    checksum_type SMALLINT,
    checksum_value BYTEA,
    storage_class TEXT,
    attributes BYTEA,
    content_kind SMALLINT NOT NULL,
    inline_data BYTEA,
    manifest BYTEA,
    parts_kind SMALLINT NOT NULL,
    parts BYTEA,
    shared SMALLINT NOT NULL,
    PRIMARY KEY (bucket_id, key, version_seq, seq_from)
);
-- What is there, newest first within a key: the current version, a key's history, a listing of versions.
CREATE UNIQUE INDEX versions_existing ON versions (bucket_id, key, version_seq DESC) WHERE seq_to IS NULL;
-- What a listing of objects shows. Unique, so that a key never has two current objects.
CREATE UNIQUE INDEX versions_listed ON versions (bucket_id, key)
    WHERE seq_to IS NULL AND is_current = 1 AND is_delete_marker = 0;
-- Null versions that newer ones lie upon; others are found as the current version.
CREATE UNIQUE INDEX versions_buried_null ON versions (bucket_id, key)
    WHERE seq_to IS NULL AND is_null = 1 AND is_current = 0;

-- Manifests (kind 1) and parts (kind 2) of versions that are too long for the row, cut into pages.
CREATE TABLE content_pages (
    bucket_id BIGINT NOT NULL,
    version_seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    page BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, version_seq, kind, page)
);

-- Who names a chunk that is shared: one row for each owner. Chunks that only one version names have none.
CREATE TABLE chunk_refs (
    chunk_id BYTEA NOT NULL,
    bucket_id BIGINT NOT NULL,
    version_seq BIGINT NOT NULL,
    PRIMARY KEY (chunk_id, bucket_id, version_seq)
);

-- Open multipart uploads and their parts. content_kind as in versions, without 3.
CREATE TABLE uploads (
    bucket_id BIGINT NOT NULL,
    key BYTEA NOT NULL,
    upload_id BYTEA NOT NULL,
    initiated_ms BIGINT NOT NULL,
    attributes BYTEA NOT NULL,
    storage_class TEXT NOT NULL,
    checksum_algorithm SMALLINT NOT NULL,
    checksum_type SMALLINT NOT NULL,
    checksum_named SMALLINT NOT NULL,
    PRIMARY KEY (bucket_id, key, upload_id)
);
CREATE TABLE parts (
    bucket_id BIGINT NOT NULL,
    upload_id BYTEA NOT NULL,
    part_number BIGINT NOT NULL,
    last_modified_ms BIGINT NOT NULL,
    size BIGINT NOT NULL,
    etag BYTEA NOT NULL,
    etag_parts BIGINT,
    checksum_algorithm SMALLINT NOT NULL,
    checksum_value BYTEA NOT NULL,
    content_kind SMALLINT NOT NULL,
    inline_data BYTEA,
    manifest BYTEA,
    PRIMARY KEY (bucket_id, upload_id, part_number)
);
-- Answers to completions, for their repetition. request is a digest of the request that was answered.
CREATE TABLE completed_uploads (
    bucket_id BIGINT NOT NULL,
    key BYTEA NOT NULL,
    upload_id BYTEA NOT NULL,
    completed_ms BIGINT NOT NULL,
    request BYTEA NOT NULL,
    answer BYTEA NOT NULL,
    PRIMARY KEY (bucket_id, key, upload_id)
);
CREATE INDEX completed_uploads_by_age ON completed_uploads (completed_ms);

-- Gateways' leases. Their numbers are random, so that no other database of the same disks has given them out. state: 0
-- active, 1 revoked and not reaped. oldest_epoch: of the oldest map that its holder may write by, as of its last renewal.
-- Commits share-lock the row's key; revoking locks it exclusively.
CREATE TABLE gateway_leases (
    lease_id BIGINT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    renewals BIGINT NOT NULL,
    oldest_epoch BIGINT NOT NULL,
    state SMALLINT NOT NULL
);

-- Chunk nodes, their disks, and where placement groups are. state: 0 up, 1 suspect, 2 down. intent: 0 serve, 1 drain,
-- 2 remove. attached: the disk was in its node's last report. gone: it was removed, for good.
CREATE TABLE nodes (
    node_id BYTEA NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    domain TEXT NOT NULL,
    state SMALLINT NOT NULL,
    intent SMALLINT NOT NULL,
    heartbeats BIGINT NOT NULL
);
CREATE TABLE disks (
    disk_id BYTEA NOT NULL PRIMARY KEY,
    node_id BYTEA NOT NULL,
    medium TEXT NOT NULL,
    capacity_bytes BIGINT NOT NULL,
    available_bytes BIGINT NOT NULL,
    writable SMALLINT NOT NULL,
    attached SMALLINT NOT NULL,
    intent SMALLINT NOT NULL,
    gone SMALLINT NOT NULL
);
CREATE INDEX disks_by_node ON disks (node_id, disk_id);
CREATE TABLE storage_classes (
    name TEXT NOT NULL PRIMARY KEY,
    coding TEXT NOT NULL,
    inline_limit_bytes BIGINT NOT NULL,
    whole_limit_bytes BIGINT NOT NULL,
    group_count BIGINT NOT NULL,
    medium TEXT
);
-- disks: the group's disk ids, 16 bytes each, in the order of their shards. changed_epoch: of the last change of these or
-- of the group's moves.
CREATE TABLE placement_groups (
    group_id BIGINT NOT NULL PRIMARY KEY,
    storage_class TEXT NOT NULL,
    disks BYTEA NOT NULL,
    changed_epoch BIGINT NOT NULL
);
CREATE INDEX placement_groups_by_class ON placement_groups (storage_class, group_id);
-- Shard indexes of groups on their way to other disks, since the map of an epoch.
CREATE TABLE shard_moves (
    group_id BIGINT NOT NULL,
    shard_index SMALLINT NOT NULL,
    to_disk BYTEA NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (group_id, shard_index)
);
-- What finished moves left on the disks that they came from: shards placed there up to an epoch.
CREATE TABLE evictions (
    disk_id BYTEA NOT NULL,
    group_id BIGINT NOT NULL,
    shard_index SMALLINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (disk_id, group_id, shard_index)
);

-- Work that one worker at a time does. job: 1 plan, 2 move, 3 repair, 4 reap. holder: NULL while nobody has it. token:
-- how often it was taken. renewals goes on from holder to holder.
CREATE TABLE jobs (
    job SMALLINT NOT NULL PRIMARY KEY,
    holder TEXT,
    token BIGINT NOT NULL,
    renewals BIGINT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL
);

-- The change feed: what each commit did, written by the commit. kind: 1 version made, 2 delete marker made, 3 version
-- removed, 4 delete marker removed.
CREATE TABLE feed (
    bucket_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    key BYTEA NOT NULL,
    version_seq BIGINT NOT NULL,
    nonce BIGINT NOT NULL,
    is_null SMALLINT NOT NULL,
    PRIMARY KEY (bucket_id, seq, ordinal)
);

-- What is to be freed once it is due. kind 1: the closed version row (key, version_seq, seq_from) and its content;
-- kind 2: the manifest in extents. state: 0 queued, 1 being deleted, after which extents is what to delete. Rows
-- outlive their bucket.
CREATE TABLE garbage (
    bucket_id BIGINT NOT NULL,
    number BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    key BYTEA,
    version_seq BIGINT,
    seq_from BIGINT,
    extents BYTEA,
    PRIMARY KEY (bucket_id, number)
);
CREATE INDEX garbage_by_due ON garbage (due_ms);

-- Shards that are missing or damaged, or were not stable when their write was acknowledged: the repair queue.
CREATE TABLE missing_shards (
    chunk_id BYTEA NOT NULL,
    shard_index SMALLINT NOT NULL,
    group_id BIGINT NOT NULL,
    coding TEXT NOT NULL,
    chunk_length BIGINT NOT NULL,
    queued_ms BIGINT NOT NULL,
    PRIMARY KEY (chunk_id, shard_index)
);
CREATE INDEX missing_shards_by_group ON missing_shards (group_id, chunk_id, shard_index);
