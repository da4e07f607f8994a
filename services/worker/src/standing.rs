//! Whether anything names a chunk: what decides whether its shards may be put anew.
//!
//! A shard of a chunk that nothing names must not appear after the chunk was cleaned up, or nobody would ever free it. A
//! named chunk is freed through the garbage queue alone, which leaves tombstones at every place, so that its shards may
//! be put at any time. What is not named yet is its writer's business.

use std::collections::{BTreeSet, HashSet};

use data_pool::{ListedChunk, Pool, UnreachedShard};
use metadata_api::{Error, Metadata, PAGE_SIZE_MAX};
use types::{ChunkId, ChunkOwner, LeaseId, ShardId, ShardIndex};

/// The owner of a chunk by the tag of one of its shards.
pub(crate) fn owner(chunk: &ListedChunk) -> Option<ChunkOwner> {
    chunk.shards.iter().find_map(|shard| ChunkOwner::from_bytes(&shard.header.owner).ok())
}

/// Those of the chunks that something names now. One whose owner cannot be read counts as named: to leave a named one out
/// would lose data, and to look through all rows each time would be slow. Should the reaper free it meanwhile, a shard put
/// to a place that its tombstones do not reach is left, and an audit finds it.
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

/// Those chunks of a revoked lease that nothing names, when no disk can tell for which key they were written.
///
/// Every row is read, twice: from the first reading to the second a row that names a chunk can have moved behind the
/// reader only once, when an upload was completed. A chunk that no row named any more when it was looked at can still be
/// named by a copy made before, which then has a reference; those are asked for last. Nothing new is named, because the
/// lease is revoked.
pub(crate) async fn unnamed_anywhere(
    metadata: &dyn Metadata,
    lease: LeaseId,
    mut chunks: BTreeSet<ChunkId>,
) -> Result<BTreeSet<ChunkId>, Error> {
    let mut any_owner = None;
    for _ in 0..2 {
        let mut after = None;
        loop {
            let page = metadata.list_contents(after, PAGE_SIZE_MAX).await?;
            for row in page.rows {
                for extent in &row.extents {
                    chunks.remove(&extent.chunk);
                }
                if let (None, Some(bucket), Some(key)) = (&any_owner, row.bucket_name, row.key) {
                    any_owner = Some(ChunkOwner { bucket, key });
                }
            }
            after = page.next;
            if after.is_none() || chunks.is_empty() {
                break;
            }
        }
    }
    // Without a row that names anything there is no reference either. Which owner is given does not matter: it is one
    // more place to look at.
    let Some(owner) = any_owner else { return Ok(chunks) };
    let mut unnamed = BTreeSet::new();
    let chunks: Vec<ChunkId> = chunks.into_iter().collect();
    for page in chunks.chunks(PAGE_SIZE_MAX) {
        let asked: Vec<(ChunkId, ChunkOwner)> = page.iter().map(|chunk| (*chunk, owner.clone())).collect();
        unnamed.extend(metadata.unnamed_chunks(lease, &asked).await?);
    }
    Ok(unnamed)
}

/// Deletes chunks that nothing names, nor will, from every disk where a shard of them may be, and leaves tombstones.
/// Answers the shards that are not known to be deleted; nothing when the cluster is frozen, and nothing was deleted then.
///
/// Whatever no row of the queue of garbage says to delete is deleted here alone.
pub(crate) async fn delete_unnamed(
    metadata: &dyn Metadata,
    pool: &Pool,
    doomed: &[ListedChunk],
) -> Result<Option<Vec<UnreachedShard>>, Error> {
    // Asked after the names: what nothing named before a restore may be named after it.
    if metadata.cluster_map(None).await?.is_some_and(|map| map.is_frozen) {
        return Ok(None);
    }
    // Before, so that nothing is left by a worker that dies meanwhile, whose successor would not find them any more; and
    // after, for what a scrub or a reader reports meanwhile.
    forget_missing(metadata, doomed).await?;
    let unreached = pool.delete_everywhere(doomed).await.unreached;
    forget_missing(metadata, doomed).await?;
    Ok(Some(unreached))
}

/// Takes what the chunks lack out of the repair queue: moves off a disk that is silent would wait for shards of which that
/// disk alone could tell.
async fn forget_missing(metadata: &dyn Metadata, doomed: &[ListedChunk]) -> Result<(), Error> {
    let shards = doomed.iter().flat_map(|chunk| {
        let total = chunk.shards.first().map_or(0, |shard| shard.header.coding.total());
        (0..=u8::MAX).take(total).map(|index| ShardId { chunk: chunk.chunk, index: ShardIndex(index) })
    });
    let shards: Vec<ShardId> = shards.collect();
    for page in shards.chunks(PAGE_SIZE_MAX) {
        // What is never to be put again need not be put by any map.
        metadata.finish_missing(page, i64::MAX).await?;
    }
    Ok(())
}
