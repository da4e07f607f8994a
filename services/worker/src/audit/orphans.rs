//! Frees orphans: chunks on disks that no row names, nor will.
//!
//! There should be none. A fault that is not known yet leaves them, or a database that was set back, or a repair of a chunk
//! whose owner no disk could tell. They are freed as the reaper frees what gateways left: after a fence of their leases,
//! when the metadata service says for good that nothing names them, with tombstones, and only when two audits found them
//! orphaned that were some time apart, so that nobody has to rely on one look at a cluster that goes on meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use data_pool::{ListedChunk, Pool};
use env::Env;
use metadata_api::{Error, Metadata};
use types::{ChunkId, ChunkOwner, GroupId, LeaseId};

use super::{AuditError, AuditOptions, AuditProgress, AuditReport, audit_and_name, bytes_of, pace::Pace};
use crate::standing::{delete_unnamed, owner, unnamed_anywhere};

/// Chunks that are deleted together.
const BATCH: usize = 500;

/// What became of orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FreedOrphans {
    /// Chunks that both audits found.
    pub found: u64,
    /// Of these, chunks of which every shard was deleted.
    pub freed: u64,
    /// Bytes of the shards that were deleted.
    pub freed_bytes: u64,
}

/// Audits, waits, fences the leases of what is orphaned, audits again, and frees what is orphaned still. Answers what the
/// last of the audits found, and what became of it.
///
/// Chunks stay while the cluster is frozen, of groups that are moving, of leases that the reaper has to do with, and on disks that do not answer.
///
/// Errors: those of the metadata service. May be repeated.
pub async fn free_orphans(
    env: &Env,
    metadata: &dyn Metadata,
    pool: &Pool,
    options: AuditOptions,
    wait: Duration,
    progress: &mut (dyn FnMut(AuditProgress) + Send),
) -> Result<(AuditReport, FreedOrphans), AuditError> {
    let (report, first) = audit_and_name(metadata, pool, options, &Pace::unbounded(), progress).await?;
    if first.is_empty() {
        return Ok((report, FreedOrphans::default()));
    }
    env.sleep(wait).await;
    // None of these leases is live: no packet under them that is late may put back what is deleted.
    let leases: BTreeSet<LeaseId> = first.iter().map(|chunk| chunk.lease).collect();
    pool.fence(&leases.into_iter().collect::<Vec<_>>()).await;
    let (report, second) = audit_and_name(metadata, pool, options, &Pace::unbounded(), progress).await?;
    let mut doomed: BTreeMap<LeaseId, BTreeSet<ChunkId>> = BTreeMap::new();
    for chunk in second.intersection(&first) {
        doomed.entry(chunk.lease).or_default().insert(*chunk);
    }
    let mut freed = FreedOrphans::default();
    for (lease, chunks) in doomed {
        freed.found += chunks.len() as u64;
        free(metadata, pool, lease, &chunks, &mut freed).await?;
    }
    Ok((report, freed))
}

/// Frees those chunks of a lease that nothing names, as its shards are found now.
async fn free(
    metadata: &dyn Metadata,
    pool: &Pool,
    lease: LeaseId,
    chunks: &BTreeSet<ChunkId>,
    freed: &mut FreedOrphans,
) -> Result<(), Error> {
    if metadata.list_leases().await?.iter().any(|known| known.id == lease) {
        return Ok(());
    }
    let map = metadata.cluster_map(None).await?.unwrap_or_default();
    pool.take_in(&map);
    let groups = map.classes.iter().flat_map(|class| &class.groups);
    let moving: BTreeSet<GroupId> =
        groups.filter(|group| !group.moves.is_empty()).map(|group| group.id).collect();
    let mut list = pool.list_lease(lease);
    let mut batch = Vec::new();
    loop {
        let next = list.next().await;
        let is_over = next.is_none();
        let is_doomed = |chunk: &ListedChunk| {
            chunks.contains(&chunk.chunk)
                && !chunk.shards.iter().any(|shard| moving.contains(&shard.header.group))
        };
        batch.extend(next.filter(is_doomed));
        if batch.len() >= BATCH || is_over {
            free_batch(metadata, pool, lease, std::mem::take(&mut batch), freed).await?;
        }
        if is_over {
            return Ok(());
        }
    }
}

async fn free_batch(
    metadata: &dyn Metadata,
    pool: &Pool,
    lease: LeaseId,
    mut batch: Vec<ListedChunk>,
    freed: &mut FreedOrphans,
) -> Result<(), Error> {
    let owned: Vec<(ChunkId, ChunkOwner)> =
        batch.iter().filter_map(|chunk| Some((chunk.chunk, owner(chunk)?))).collect();
    let ownerless: BTreeSet<ChunkId> =
        batch.iter().filter(|chunk| owner(chunk).is_none()).map(|chunk| chunk.chunk).collect();
    let mut unnamed: BTreeSet<ChunkId> = BTreeSet::new();
    if !owned.is_empty() {
        unnamed.extend(metadata.unnamed_chunks(lease, &owned).await?);
    }
    if !ownerless.is_empty() {
        unnamed.extend(unnamed_anywhere(metadata, lease, ownerless).await?);
    }
    batch.retain(|chunk| unnamed.contains(&chunk.chunk));
    if batch.is_empty() {
        return Ok(());
    }
    let Some(unreached) = delete_unnamed(metadata, pool, &batch).await? else { return Ok(()) };
    let open: BTreeSet<ChunkId> = unreached.into_iter().map(|shard| shard.shard.chunk).collect();
    for chunk in batch.iter().filter(|chunk| !open.contains(&chunk.chunk)) {
        freed.freed += 1;
        freed.freed_bytes += bytes_of(chunk);
    }
    tracing::info!(lease = lease.0, chunks = batch.len(), open = open.len(), "freed orphaned chunks");
    Ok(())
}
