//! What can go wrong in a chunk service.

use types::{DiskId, LeaseId, ShardId};

/// A failed call. [`ChunkService`](crate::ChunkService) says which call answers which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The service has no such disk.
    #[error("disk {disk} is not on this service")]
    DiskNotFound {
        /// The disk asked for.
        disk: DiskId,
    },
    /// No room for new shards; reads and deletes work.
    #[error("disk {disk} is full")]
    DiskFull {
        /// The full disk.
        disk: DiskId,
    },
    /// The disk answered with an error; the service no longer trusts it with new shards.
    #[error("disk {disk} failed: {reason}")]
    DiskFailed {
        /// The failed disk.
        disk: DiskId,
        /// The operating system's message.
        reason: String,
    },
    /// The disk has no such shard.
    #[error("shard {shard} is not on the disk")]
    ShardNotFound {
        /// The shard asked for.
        shard: ShardId,
    },
    /// A cell does not match its checksum.
    #[error("cell {cell} of shard {shard} is corrupt")]
    ShardCorrupt {
        /// The corrupt shard.
        shard: ShardId,
        /// The cell.
        cell: u64,
    },
    /// The name is taken.
    #[error("shard {shard} exists")]
    ShardExists {
        /// The shard.
        shard: ShardId,
    },
    /// The name was deleted, or its group and index evicted at the put's epoch or later.
    #[error("shard {shard} was deleted")]
    ShardDeleted {
        /// The shard.
        shard: ShardId,
    },
    /// The chunk's lease was revoked and fenced: what is written under it can never be named.
    #[error("the lease {lease:?} is fenced")]
    LeaseFenced {
        /// The lease.
        lease: LeaseId,
    },
    /// The body ended before all cells had come.
    #[error("the shard's body ended early")]
    Interrupted,
    /// The call breaks a bound or rule of the contract: a fault of the caller.
    #[error("malformed call: {reason}")]
    Malformed {
        /// Which rule.
        reason: String,
    },
    /// The caller did not prove to be of this cluster.
    #[error("not authenticated")]
    Unauthenticated,
    /// The caller is a service of this cluster that may not make this call.
    #[error("the call is not for this service: {reason}")]
    Forbidden {
        /// What it is, and whom the call is for.
        reason: String,
    },
    /// The service could not be reached or refused to begin. Nothing happened.
    #[error("the chunk service is unavailable: {reason}")]
    Unavailable {
        /// What stood in the way.
        reason: String,
    },
    /// All connections to the service that this client may have were in use for too long. Nothing happened, and it says nothing of
    /// the service.
    #[error("all connections to the chunk service are in use")]
    Busy,
    /// No answer in time. Whether anything happened is unknown.
    #[error("the chunk service did not answer in time")]
    TimedOut,
}
