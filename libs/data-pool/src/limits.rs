//! Every bound and wait of the pool in one place.

use std::time::Duration;

/// Longest content that is kept inline, whatever a storage class says: it is held in memory and in a row.
pub(crate) const INLINE_LIMIT_MAX: u64 = 128 << 10;

/// Bytes that are held of a body whose length is not declared, and with them the length of its chunks.
pub(crate) const READ_AHEAD: u64 = 8 << 20;

/// Cells that wait for one shard's service while a chunk streams. With the stripe in work and what is kept of the chunk this bounds the memory of a
/// write to `(k + m) * (CHANNEL_CELLS + 1)` cells and [`KEPT_CHUNK_MAX`] per chunk, and two chunks are at most in work.
pub(crate) const CHANNEL_CELLS: usize = 4;

/// Object bytes of a streamed chunk that are kept until it is stable, so that it can be tried again in another group. A chunk
/// that gets longer is not kept any more.
pub(crate) const KEPT_CHUNK_MAX: usize = 16 << 20;

/// Object bytes of streamed chunks that are kept by all writes of a pool together. Chunks that find no room are not kept.
pub(crate) const KEPT_BYTES_MAX: usize = 64 << 20;

/// How often a chunk that lost its quorum is tried again, each time in another group.
pub(crate) const WRITE_RETRIES_MAX: usize = 2;

/// How long the last disks that a quorum takes are waited for, when most others have answered and another group has none of
/// them. A disk that takes longer counts as one that failed.
pub(crate) const WRITE_QUORUM_WAIT_MAX: Duration = Duration::from_secs(2);

/// Shards up to this length are handed over whole, so that their service can write many of them at once.
pub(crate) const WHOLE_SHARD_MAX: u64 = 256 << 10;

/// Bytes that may be hashed or coded before other tasks get a turn.
pub(crate) const WORK_SLICE: usize = 256 << 10;

/// How long a chunk service may leave a cell that is there for it untaken before its shard is given up.
pub(crate) const SHARD_STALL_MAX: Duration = Duration::from_secs(5);

/// How long a chunk service may take to make a shard stable once it has every cell.
pub(crate) const SHARD_ANSWER_MAX: Duration = Duration::from_secs(10);

/// The least time that shards are waited for once a write has its quorum; it grows with the time that the quorum
/// itself took.
pub(crate) const WRITE_HEDGE_MIN: Duration = Duration::from_millis(200);

/// The most that shards are waited for once a write has its quorum.
pub(crate) const WRITE_HEDGE_MAX: Duration = Duration::from_secs(1);

/// How long a write that has its quorum waits for the shards without which the loss of one host, rack, zone or region
/// would be the loss of the chunk. A disk that takes longer counts as one that failed.
pub(crate) const WRITE_DOMAIN_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a write may go on by a map whose groups have moved on: shards that move, and groups of a former coding, wait until
/// nothing is written by it any more.
pub(crate) const WRITE_AWAITED_MAX: Duration = Duration::from_secs(3600);

/// How often a write looks whether it is awaited.
pub(crate) const WRITE_AWAITED_PERIOD: Duration = Duration::from_secs(60);

/// How long a shard of which others of its chunk can do without may hold up a write that has a cell for it.
pub(crate) const WRITE_LAG_MAX: Duration = Duration::from_secs(1);

/// Bounds of how long a read waits for a shard before it reads another in its place: in between it is as long as
/// nineteen in twenty reads of this process take. A disk that exceeds the upper one is taken to have failed.
pub(crate) const READ_HEDGE_MIN: Duration = Duration::from_millis(10);
/// See [`READ_HEDGE_MIN`].
pub(crate) const READ_HEDGE_MAX: Duration = Duration::from_millis(300);

/// How long a read waits for any sufficient set of shards, and how long while no shard comes at all.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// See [`READ_TIMEOUT`].
pub(crate) const READ_PATIENCE: Duration = Duration::from_secs(4);

/// How long a read waits before it looks again for shards of a chunk that seems to be lost.
pub(crate) const READ_LOST_PAUSE: Duration = Duration::from_millis(200);

/// The least time that is left to read a window stripe by stripe.
pub(crate) const READ_STRIPES_MIN: Duration = Duration::from_secs(1);

/// How often a disk may be late with nothing on time in between before it is avoided.
pub(crate) const LATE_MAX: f32 = 2.5;

/// What remains of a disk's latenesses after an answer on time.
pub(crate) const LATE_DECAY: f32 = 0.75;

/// How much later than the quorum of its write a shard has to be stable, at least, for its disk to count as behind; and as
/// long again as the quorum took.
pub(crate) const WRITE_BEHIND_MIN: Duration = Duration::from_millis(50);

/// How often a disk may be behind with few writes in between where it was not, before groups without it are preferred.
pub(crate) const BEHIND_MAX: f32 = 1.5;

/// How long it is remembered that a disk was late.
pub(crate) const LATE_MEMORY: Duration = Duration::from_secs(10);

/// Calls in progress for one disk. With so many reads others are asked first, and with twice as many it is not read;
/// with so many writes it is given none.
pub(crate) const READS_PER_DISK_MAX: usize = 256;
/// See [`READS_PER_DISK_MAX`].
pub(crate) const WRITES_PER_DISK_MAX: usize = 1024;

/// Writes in progress for one disk with which a slow one is still given shards that nobody waits for.
pub(crate) const WRITES_ALONG_MAX: usize = 8;

/// How long shards that nobody waits for may hold up the cells of a chunk, all in all, on disks that have nothing else to
/// write.
pub(crate) const WRITES_ALONG_LAG_MAX: Duration = Duration::from_millis(100);

/// Object bytes fetched at a time; while they are consumed as many are fetched ahead.
pub(crate) const READ_WINDOW: u64 = 1 << 20;

/// Cells of a shard that are fetched at a time while they come without being waited for, as from the system's memory. Nothing is fetched
/// ahead then, and what is read is sent before it has left the processor's cache.
pub(crate) const READ_CELLS_AT_ONCE: u32 = 4;

/// Object bytes that one answer is given without waiting before others have their turn.
pub(crate) const READ_TURN: u64 = 1 << 20;

/// How long a failed disk or node is avoided at first, and at most when it fails again and again.
pub(crate) const AVOID_MIN: Duration = Duration::from_secs(1);
/// See [`AVOID_MIN`].
pub(crate) const AVOID_MAX: Duration = Duration::from_secs(30);

/// How often a service is asked how it is while it, or a disk of it, is avoided, and how long it may take to answer. It
/// bounds how long a service goes unused after it has come back.
pub(crate) const PROBE_PERIOD: Duration = Duration::from_secs(1);
/// See [`PROBE_PERIOD`].
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Services that are asked at a time.
pub(crate) const PROBES_AT_ONCE: usize = 16;

/// How long one call that deletes shards may take.
pub(crate) const DELETE_TIMEOUT: Duration = Duration::from_secs(10);

/// Disks that shards are deleted from at a time.
pub(crate) const DELETE_DISKS_AT_ONCE: usize = 16;

/// How long a chunk service may take to say how its disks are.
pub(crate) const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one call that reads every byte of shards may take.
pub(crate) const VERIFY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a disk may take to remove all shards of one index of a group.
pub(crate) const EVICT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one page of a disk's listing may take.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Disks that are listed at a time.
pub(crate) const LIST_DISKS_AT_ONCE: usize = 16;

/// Headers that a merged listing holds at a time, over all its disks; each disk gets 16 in any case.
pub(crate) const LIST_SHARDS_MAX: usize = 4096;

/// Abandoned writes that wait to be deleted in the background; more are left on their disks.
pub(crate) const CLEANUP_QUEUE: usize = 1024;

/// Abandoned writes whose shards are deleted together.
pub(crate) const CLEANUP_AT_ONCE: usize = 64;

/// How often the lease is renewed, and the cluster map asked for.
pub(crate) const RENEWAL_PERIOD: Duration = Duration::from_secs(2);
/// See [`RENEWAL_PERIOD`].
pub(crate) const MAP_PERIOD: Duration = Duration::from_secs(2);

/// How long a read that found too few shards waits for a newer map.
pub(crate) const REFRESH_WAIT: Duration = Duration::from_secs(1);

/// The least time between two requests for the map, however many reads want one.
pub(crate) const REFRESH_GAP: Duration = Duration::from_millis(100);

/// The least time between two leases that are given up for what was left behind under them.
pub(crate) const RETIREMENT_PERIOD: Duration = Duration::from_secs(10);

/// Leases that are kept for writes that use them still, while new writes use another.
pub(crate) const RETIRED_LEASES_MAX: usize = 8;

/// Times that a lease is given back before it is left to be revoked.
pub(crate) const RELEASE_ATTEMPTS_MAX: u32 = 10;

/// How often it is looked, in an orderly stop, whether writes have let go of their leases.
pub(crate) const CLOSE_PERIOD: Duration = Duration::from_millis(200);

/// Bad shards that wait to be reported; more are left to be met again.
pub(crate) const REPORT_QUEUE: usize = 4096;

/// How long bad shards are gathered before the next are reported.
pub(crate) const REPORT_PERIOD: Duration = Duration::from_millis(200);

/// How long a bad shard that was reported is not reported again, and how many are remembered for it.
pub(crate) const REPORT_REPEAT_PERIOD: Duration = Duration::from_secs(60);
/// See [`REPORT_REPEAT_PERIOD`].
pub(crate) const REPORTED_SHARDS_KEPT: usize = 65_536;

/// Times that a batch of bad shards is reported before it is dropped.
pub(crate) const REPORT_ATTEMPTS_MAX: u32 = 5;

/// How long a call to the metadata service may take before it is given up and repeated.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
