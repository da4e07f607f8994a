//! For whom a chunk was written.

use data_pool::ListedChunk;
use types::ChunkOwner;

/// The owner of a chunk by the tag of one of its shards.
pub(crate) fn owner(chunk: &ListedChunk) -> Option<ChunkOwner> {
    chunk.shards.iter().find_map(|shard| ChunkOwner::from_bytes(&shard.header.owner).ok())
}
