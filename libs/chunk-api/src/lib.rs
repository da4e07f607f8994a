//! The contract of the chunk service: shards of chunks on disks, and nothing else.
//!
//! A chunk service knows no bucket and no key and never decides placement. Whoever calls it has coded the bytes into
//! cells and checksummed each ([`Cell`]); the service keeps cells as they came, so that the checksum made at one end
//! is checked at the other. [`ChunkService`] has an in-process implementation (`services/chunk`), a network client
//! and server ([`client`], [`server`]) and an in-memory fake ([`fake`]); all pass the [`conformance`] suite.
//!
//! Invariant: a shard is never overwritten and its name never reused.
//! Invariant: `put_shard` answers `Ok` only when the shard survives a power cut.

mod body;
mod capability;
mod cell;
pub mod client;
pub mod conformance;
mod error;
pub mod fake;
mod incoming;
mod outgoing;
pub mod server;
mod span;
mod wire;

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use types::{Coding, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

pub use body::{CheckedCells, validate_leases, validate_limit, validate_names, validate_runs};
#[doc(hidden)]
pub use capability::read_capability;
pub use cell::{Cell, cell_seed};
pub use error::Error;

/// Most bytes in [`ShardHeader::owner`].
pub const OWNER_LENGTH_MAX: usize = 2048;

/// Most cells in one [`ChunkService::read_cells`].
pub const READ_CELLS_MAX: u32 = 64;

/// Most shards in one [`ChunkService::delete_shards`] or page of [`ChunkService::list_shards`].
pub const SHARDS_PER_CALL_MAX: usize = 1000;

/// Most runs in one [`ChunkService::list_quarantined`] and [`ChunkService::release_quarantined`].
pub const QUARANTINED_MAX: usize = 1000;

/// Bytes on a disk that were stable once and whose shards cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRun {
    /// What names it on its disk: a file, and where in it.
    pub id: String,
    /// How many bytes; 0 where the end is lost.
    pub bytes: u64,
    /// What was found.
    pub reason: String,
}

/// What a shard is, kept in front of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardHeader {
    /// The shard's name.
    pub shard: ShardId,
    /// How its chunk is coded. With `chunk_length` this gives the number and length of the shard's cells.
    pub coding: Coding,
    /// Bytes in the whole chunk.
    pub chunk_length: u64,
    /// The placement group of the chunk, so that a group's shards can be listed. The service does not know what it means.
    pub group: GroupId,
    /// Epoch of the cluster map by which the shard was placed here. An eviction ends the shards of its epoch and before.
    pub epoch: i64,
    /// Opaque to the service: who wrote the chunk and for what, so that an orphan can be traced and metadata rebuilt
    /// from shards in the worst case. At most [`OWNER_LENGTH_MAX`] bytes.
    pub owner: Bytes,
}

impl ShardHeader {
    /// Number of cells.
    pub fn cells(&self) -> u64 {
        self.coding.stripes(self.chunk_length)
    }

    /// Length in bytes of cell number `cell`.
    pub fn cell_length(&self, cell: u64) -> usize {
        self.coding.cell_length(self.chunk_length, self.shard.index, cell)
    }

    /// Bytes of data in the shard, without checksums.
    pub fn length(&self) -> u64 {
        self.coding.shard_length(self.chunk_length, self.shard.index)
    }
}

/// A shard's cells in order, as they are produced. An error means that no more will come: the shard is abandoned.
pub type CellStream = Pin<Box<dyn Stream<Item = Result<Cell, Error>> + Send>>;

/// The cells of a shard that is being put.
pub enum ShardBody {
    /// All cells at once: small shards, which the service writes in one group.
    Whole(Vec<Cell>),
    /// Cells as they come: large shards, of which only a few cells are in memory at a time.
    Stream(CellStream),
}

impl std::fmt::Debug for ShardBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(cells) => write!(f, "Whole({} cells)", cells.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// What a put is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A new chunk on its way from a client. Refused when the chunk's lease is fenced.
    Write,
    /// A shard of a chunk that is there already, rebuilt or copied from another disk. Fences do not concern it. The
    /// shard that has its name is verified first: `ShardExists` when it is whole, otherwise it is replaced, and the new
    /// one keeps the greater of both epochs. `Unavailable` while another put of the name is under way: what comes of
    /// that is not known yet.
    Repair,
}

/// Asks for a page of a disk's shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListShards {
    /// The page begins behind this name.
    pub after: Option<ShardId>,
    /// Most shards in the page, from 1 to [`SHARDS_PER_CALL_MAX`].
    pub limit: usize,
    /// Shards of this placement group alone.
    pub group: Option<GroupId>,
}

impl ListShards {
    /// A page of shards of every group.
    pub fn all(after: Option<ShardId>, limit: usize) -> Self {
        Self { after, limit, group: None }
    }
}

/// How far the disk's scrub is: the reading of every byte that looks for damage before a client does.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScrubStatus {
    /// Passes over the whole disk that were completed since the service started.
    pub passes: u64,
    /// Bytes verified since the service started.
    pub verified_bytes: u64,
    /// Damaged shards found since the service started.
    pub bad_shards: u64,
    /// Damaged files found beside shards since the service started: what the medium knows of deletions, evictions and fences, and
    /// what spares a start time. The medium mends them itself.
    pub bad_files: u64,
    /// Share of the pass under way that is done, from 0 to 1.
    pub progress: f32,
}

/// A run of a shard's cells: `first..first + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellRange {
    /// The first cell's number.
    pub first: u64,
    /// How many, from 1 to [`READ_CELLS_MAX`].
    pub count: u32,
}

/// One line of a listing of a disk's shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardSummary {
    /// The shard's header.
    pub header: ShardHeader,
    /// Whether the start found it torn or rotted: it answers `ShardCorrupt` until it is repaired. One of which this is not
    /// known need not be whole.
    pub is_damaged: bool,
}

/// A disk's state.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskStatus {
    /// The disk.
    pub disk: DiskId,
    /// What the operator calls this kind of medium: `nvme`, `hdd`, `memory`, ...
    pub medium: String,
    /// Size of the medium in bytes.
    pub capacity_bytes: u64,
    /// Bytes that new shards may still take.
    pub available_bytes: u64,
    /// Number of shards kept.
    pub shards: u64,
    /// Whether the disk takes shards; a failed or full disk does not.
    pub writable: bool,
    /// Whether a write or sync failed, after which nothing is written any more, or has not been answered for ten minutes: what is
    /// kept should be rebuilt elsewhere while it can still be read.
    pub failed: bool,
    /// Damage that the last start found: shards that answer `ShardCorrupt` until they are repaired, what is quarantined, and
    /// ends of segments that were torn, as a power cut leaves them.
    pub damaged_records: u64,
    /// Bytes of shards that are kept.
    pub live_bytes: u64,
    /// Bytes that deleted and evicted shards still take until compaction frees them.
    pub dead_bytes: u64,
    /// Of these, runs of bytes that were stable once and whose shards cannot be named: they are kept for inspection.
    pub quarantined_records: u64,
    /// The scrub.
    pub scrub: ScrubStatus,
}

/// Keeps shards on disks.
///
/// Over the network every call may fail with [`Error::Forbidden`] too: the caller's certificate or token is not for it.
///
/// Every call may be repeated. A call that fails with [`Error::Unavailable`] or, of a client alone, [`Error::Busy`] did nothing;
/// after [`Error::TimedOut`] the outcome is unknown and the call is repeated or its effect is undone with `delete_shards`.
#[async_trait]
pub trait ChunkService: Send + Sync + 'static {
    /// Stores a shard and answers when it survives a power cut.
    ///
    /// Each cell's checksum is verified before it is written. When the body ends early, has a cell of the wrong
    /// length or checksum, or yields an error, nothing is kept. Cells of length zero are sent too.
    ///
    /// Errors: `DiskNotFound`, `DiskFull`, `DiskFailed`, `ShardExists` (the name is taken, whoever took it),
    /// `ShardDeleted` (the name was deleted before, or its group evicted at the header's epoch or later; a late packet),
    /// `LeaseFenced` (a write under a fenced lease), `ShardCorrupt`, `Interrupted`, `Malformed`, `Unauthenticated`,
    /// `Unavailable`, `TimedOut`.
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error>;

    /// Reads cells, each verified against its checksum by the service; the caller verifies again with
    /// [`Cell::verify`]. `cells.first + cells.count` must not exceed the shard's number of cells.
    ///
    /// Errors: `DiskNotFound`, `DiskFailed`, `ShardNotFound`, `ShardCorrupt`, `Malformed`, `Unauthenticated`,
    /// `Unavailable`, `TimedOut`.
    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error>;

    /// Deletes shards; those that are not there are deleted already. Durable on return: a deleted name can never be
    /// put again. At most [`SHARDS_PER_CALL_MAX`].
    ///
    /// Errors: `DiskNotFound`, `DiskFailed`, `Malformed`, `Unauthenticated`, `Unavailable`, `TimedOut`.
    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error>;

    /// Ends a placement group's shards of one index that were put at `epoch` or before: they have moved to another
    /// disk. Durable on return: puts of that group and index at `epoch` or before are refused from now on, whether or
    /// not their names were known here; puts at a later one are taken.
    ///
    /// Errors: as `delete_shards`.
    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error>;

    /// Refuses writes under these leases for ever. Durable on return; a put under one of them that was in progress
    /// has either been completed, and is listed, or fails with `LeaseFenced`. At most [`SHARDS_PER_CALL_MAX`].
    ///
    /// Errors: as `delete_shards`.
    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error>;

    /// Reads every byte of these shards and says of each whether it is whole: `ShardNotFound` or `ShardCorrupt` when
    /// not. At most [`SHARDS_PER_CALL_MAX`].
    ///
    /// Errors: as `delete_shards`.
    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error>;

    /// A page of the disk's shards in the order of their ids. Fewer than `limit` means that there are no more.
    ///
    /// Errors: as `delete_shards`.
    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error>;

    /// What is quarantined on a disk, the first [`QUARANTINED_MAX`] runs of bytes; nothing where no name can be lost.
    ///
    /// Errors: `DiskNotFound`, `Unauthenticated`, `Unavailable`, `TimedOut`.
    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error>;

    /// Forgets what is quarantined under these ids, at most [`QUARANTINED_MAX`]: their disk no longer counts as one that may have
    /// shards without showing them, and its room is used again. Those that are not there are forgotten already. Durable on return.
    ///
    /// Errors: as `list_quarantined`, and `Malformed`.
    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error>;

    /// The service's disks.
    ///
    /// Errors: `Unauthenticated`, `Unavailable`, `TimedOut`.
    async fn disks(&self) -> Result<Vec<DiskStatus>, Error>;
}
