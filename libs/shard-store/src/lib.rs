//! Keeps shards on a medium: one trait, one implementation per medium, one conformance suite.
//!
//! A medium is one disk's worth of shards. [`ShardStore`] says what the chunk service says of a disk
//! ([`chunk_api::ChunkService`]), for one disk. [`DiskStore`] keeps shards in append-only segment files,
//! [`MemoryStore`] keeps them for as long as the process lives; both pass [`conformance`], as does the medium `s3`, which is
//! the crate `shard-store-s3`.
//!
//! The crate knows no bucket, no key, no network and no placement.

pub mod conformance;
mod disk;
mod memory;

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody, ShardHeader,
    ShardSummary, validate_runs,
};
use telemetry::Samples;
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

pub use disk::{ClusterId, DiskOptions, DiskStore, FORMAT_VERSION, METRICS, OpenError, Reserve, ScanTurns};
pub use memory::MemoryStore;

/// Most bytes of a note of how far a scrub is.
pub const SCRUB_NOTE_MAX: usize = 1024;

/// A part of what a medium keeps beside shards, as [`ShardStore::verify_beside`] leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Names the part, to go on behind it. Numbers ascend.
    pub number: u32,
    /// Bytes of it that were read.
    pub bytes: u64,
    /// Files in which damage was found that was not known.
    pub bad_files: u64,
}

/// Keeps shards on one medium. Semantics and errors are those of [`chunk_api::ChunkService`]'s calls of the same
/// meaning; after [`ShardStore::close`] every call answers `Unavailable`.
#[async_trait]
pub trait ShardStore: Send + Sync + 'static {
    /// The disk's identity.
    fn disk(&self) -> DiskId;

    /// Stores a shard and answers when it survives what the medium survives (a power cut, for disks).
    async fn put(&self, header: ShardHeader, body: ShardBody, purpose: Purpose) -> Result<(), Error>;

    /// Reads cells, each verified against its checksum.
    async fn read_cells(&self, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error>;

    /// Deletes shards for good: their names can never be put again. `DiskFull` when not even the few bytes that
    /// record a deletion fit; whether any was deleted is unknown then.
    async fn delete(&self, shards: &[ShardId]) -> Result<(), Error>;

    /// Ends a group's shards of one index that were put at `epoch` or before.
    async fn evict_group(&self, group: GroupId, index: ShardIndex, epoch: i64) -> Result<(), Error>;

    /// Refuses writes under these leases for ever.
    async fn fence(&self, leases: &[LeaseId]) -> Result<(), Error>;

    /// Reads every byte of these shards and says of each whether it is whole.
    async fn verify(&self, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error>;

    /// Verifies the next part of what the medium keeps beside shards, behind the part of this number or the first one, and
    /// mends what is damaged: names that were deleted, groups that were evicted and leases that were fenced, and what spares a
    /// start time. `None` when there is no more. A part is read at once, some mebibytes; what mending takes longer it takes
    /// slowly. What cannot be mended for want of room is logged, and tried again after the first part of the next pass. A
    /// medium that keeps nothing so that it can be damaged does nothing.
    async fn verify_beside(&self, _after: Option<u32>) -> Result<Option<Beside>, Error> {
        Ok(None)
    }

    /// About how many bytes [`ShardStore::verify_beside`] reads of all parts.
    fn beside_bytes(&self) -> u64 {
        0
    }

    /// A page of shards in the order of their ids.
    async fn list(&self, request: ListShards) -> Result<Vec<ShardSummary>, Error>;

    /// The shards that the last start found damaged and that are still there, in the order of their ids and without
    /// their owners: they answer `ShardCorrupt` until a repair replaces them.
    async fn list_damaged(&self) -> Result<Vec<ShardHeader>, Error>;

    /// Runs of bytes that are kept because no name can be told of them, the first [`QUARANTINED_MAX`](chunk_api::QUARANTINED_MAX). A
    /// medium that cannot lose names has none.
    async fn list_quarantined(&self) -> Result<Vec<QuarantinedRun>, Error> {
        Ok(Vec::new())
    }

    /// Forgets such runs by their ids; durable on return. Those that are not there are forgotten already.
    async fn release_quarantined(&self, ids: &[String]) -> Result<(), Error> {
        validate_runs(ids)
    }

    /// The medium's state.
    async fn status(&self) -> DiskStatus;

    /// Keeps a note of how far a scrub is, at most [`SCRUB_NOTE_MAX`] bytes, in place of the one before; durable on return.
    /// A medium that keeps none does nothing.
    async fn keep_scrub(&self, _note: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The note that was kept last, if there is one and it can be read.
    async fn kept_scrub(&self) -> Option<String> {
        None
    }

    /// Whether the medium is surely this process's. One that other processes can reach may have become theirs: it is not to
    /// be reported as this process's then.
    fn is_held(&self) -> bool {
        true
    }

    /// Tells what the medium counts beside its state.
    fn collect(&self, _samples: &mut Samples) {}

    /// Finishes what is under way and lets the medium go, so that it may be opened again. May be repeated.
    async fn close(&self);
}
