//! Writes and reads object bytes across chunk services.
//!
//! A [`Pool`] turns a body into content that a metadata commit can name (inline bytes, copies, or coded chunks), and
//! content back into bytes. It knows shards, disks and leases; it knows no bucket, no key and no protocol. What it
//! needs of the cluster it reads from a [`ClusterView`], and the names of its chunks come from a [`LeaseHolder`].
//!
//! Invariant: what [`Pool::write`] answers is stable on at least the coding's write quorum of disks.
//! Invariant: a write that fails leaves nothing named; what it left on disks is deleted in the background, and when that
//! misses anything the write's lease is given back, so that a worker finds the rest.
//! Invariant: no byte leaves [`Pool::read`] whose cell was not verified, and no whole chunk ends unverified.
//! Invariant: a chunk that is written anew in another group has another name; the former is never named, and what is left of it is deleted as that of a write that failed.
//! Invariant: memory per write and per read is bounded, whatever the object's length (`limits`).

mod claim;
mod cleanup;
mod cluster;
mod counts;
mod delete;
mod disks;
mod error;
mod follow;
mod health;
mod latency;
mod lease;
mod limits;
mod listing;
mod load;
mod pool;
mod read;
mod report;
mod restore;
mod snapshot;
mod write;

pub use claim::Claim;
pub use cluster::ClusterView;
pub use counts::METRICS;
pub use delete::{Deletion, UnreachedReason, UnreachedShard};
pub use disks::{Fence, PoolDisk, ShardHome, UnreachedDisk};
pub use error::{ReadError, WriteError};
pub use follow::Follower;
pub use lease::{LeaseHolder, LeaseNotHeld};
pub use listing::{ChunkList, ListedChunk, ListedShard, Look};
pub use pool::Pool;
pub use read::ByteStream;
pub use report::{BadShard, BadShardReason, Reporter, report_to};
pub use restore::{Restore, Restored};
pub use write::Stored;

#[cfg(test)]
mod tests;
