//! Whether anything names a chunk: what decides whether its shards may be put anew.
//!
//! A shard of a chunk that nothing names must not appear after the chunk was cleaned up, or nobody would ever free it. A
//! named chunk is freed through the garbage queue alone, which leaves tombstones at every place, so that its shards may
//! be put at any time. What is not named yet is its writer's business.

use std::collections::HashSet;

use data_pool::ListedChunk;
use metadata_api::{Error, Metadata, PAGE_SIZE_MAX};
use types::{ChunkId, ChunkOwner};

/// The owner of a chunk by the tag of one of its shards.
pub(crate) fn owner(chunk: &ListedChunk) -> Option<ChunkOwner> {
    chunk.shards.iter().find_map(|shard| ChunkOwner::from_bytes(&shard.header.owner).ok())
}

/// Those of the chunks that something names now. One whose owner cannot be read counts as named, because nobody frees it.
pub(crate) async fn named<'a>(
    metadata: &dyn Metadata,
    chunks: impl IntoIterator<Item = &'a ListedChunk>,
) -> Result<HashSet<ChunkId>, Error> {
    let mut named = HashSet::new();
    let mut owned: Vec<(ChunkId, ChunkOwner)> = Vec::new();
    for chunk in chunks {
        match owner(chunk) {
            Some(owner) => owned.push((chunk.chunk, owner)),
            None => drop(named.insert(chunk.chunk)),
        }
    }
    for page in owned.chunks(PAGE_SIZE_MAX) {
        named.extend(metadata.named_chunks(page).await?);
    }
    Ok(named)
}
