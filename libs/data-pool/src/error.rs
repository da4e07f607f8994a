//! What can go wrong in writes and reads.

use types::{ChunkId, GroupId, StorageClassName};

/// A failed write. Nothing is named and nothing needs to be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<E> {
    /// The body broke off or was found wrong by whoever supplies it.
    #[error("the body failed")]
    Body(#[source] E),
    /// The body is not as long as declared.
    #[error("the body has {received} bytes or more where {declared} were declared")]
    BodyTooLong {
        /// Bytes declared.
        declared: u64,
        /// Bytes received before the write stopped.
        received: u64,
    },
    /// The body ended before the declared length.
    #[error("the body has {received} bytes where {declared} were declared")]
    BodyTooShort {
        /// Bytes declared.
        declared: u64,
        /// Bytes received.
        received: u64,
    },
    /// The owner's description is longer than a shard can carry.
    #[error("the owner has {length} bytes where a shard carries {maximum}")]
    OwnerTooLong {
        /// Its length in bytes.
        length: usize,
        /// The most bytes there may be.
        maximum: usize,
    },
    /// The cluster map has no such storage class.
    #[error("storage class {class} is not defined")]
    UnknownClass {
        /// The class.
        class: StorageClassName,
    },
    /// Too few disks take shards. May be repeated later; when it was known from the start, no body was read.
    #[error("{reachable} shards could be made stable where {needed} are needed")]
    NotEnoughShards {
        /// Shards that were or might have become stable.
        reachable: usize,
        /// The write quorum.
        needed: usize,
    },
    /// This process holds no lease at the moment, so it may not name chunks. May be repeated later.
    #[error("no lease is held")]
    LeaseNotHeld,
    /// It took so long that shards which are to move waited for it. May be repeated, in smaller parts.
    #[error("what is to move has waited for the write for too long")]
    Overtaken,
}

/// A failed read. Bytes that were answered before are right; those that follow cannot be proved or reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The range goes beyond the content: a fault of the caller.
    #[error("the range ends at {end} in content of {length} bytes")]
    RangeBeyondEnd {
        /// The range's end.
        end: u64,
        /// The content's length.
        length: u64,
    },
    /// What was read is not what was encrypted. The pool knows nothing of that: whoever decrypts answers it.
    #[error("what is kept was not encrypted by the object's key")]
    NotDecrypted,
    /// The manifest contradicts itself.
    #[error("the manifest's entry for chunk {chunk} is malformed")]
    MalformedExtent {
        /// The chunk.
        chunk: ChunkId,
    },
    /// The cluster map has no such group. The map may be old.
    #[error("placement group {group} of chunk {chunk} is not in the cluster map", group = group.0)]
    UnknownGroup {
        /// The chunk.
        chunk: ChunkId,
        /// Its group.
        group: GroupId,
    },
    /// Too few good shards answered.
    #[error("{available} good shards of chunk {chunk} answered where {needed} are needed")]
    NotEnoughShards {
        /// The chunk.
        chunk: ChunkId,
        /// Shards that answered with good cells.
        available: usize,
        /// Shards needed, k.
        needed: usize,
    },
    /// Too few good shards are anywhere: every place that may have one, by a cluster map that was the latest afterwards, was looked at and has none.
    #[error(
        "chunk {chunk} is lost: it has {available} good shards where {needed} are needed, and no disk that may have another is away"
    )]
    Lost {
        /// The chunk.
        chunk: ChunkId,
        /// Good shards that there are.
        available: usize,
        /// Shards needed, k.
        needed: usize,
    },
    /// Every cell is good by itself, yet the chunk is not the one that the manifest names.
    #[error("chunk {chunk} does not match the checksum in its manifest")]
    ChunkChecksumMismatch {
        /// The chunk.
        chunk: ChunkId,
    },
}
