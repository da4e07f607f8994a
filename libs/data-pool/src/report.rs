//! What reads find wrong, for repair.

use std::sync::Arc;

use types::{Coding, DiskId, GroupId, ShardId};

/// A shard that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadShard {
    /// The shard.
    pub shard: ShardId,
    /// The placement group of its chunk.
    pub group: GroupId,
    /// The coding of its chunk.
    pub coding: Coding,
    /// Bytes in the whole chunk.
    pub chunk_length: u64,
    /// Where it should be.
    pub disk: DiskId,
    /// What is wrong.
    pub reason: BadShardReason,
}

/// What is wrong with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadShardReason {
    /// Its disk does not have it.
    Missing,
    /// A cell fails its checksum or has the wrong length.
    Corrupt,
}

/// Called for each bad shard that a read meets, as it meets it and as often. Must not block.
pub type Reporter = Arc<dyn Fn(BadShard) + Send + Sync>;
