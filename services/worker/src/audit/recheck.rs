//! A second look at what did not fit: the cluster goes on while it is audited.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use data_pool::{Look, Pool};
use metadata_api::{ContentKind, ContentRow, Error, Metadata, PAGE_SIZE_MAX};
use types::{ChunkId, ChunkOwner, DiskId, GroupId, LeaseId, MissingShard, ShardId};

use super::{AuditError, AuditReport, Finding, Layout, LostContent, deep, names::Named, pace::Pace};

/// Chunk that nothing names as far as rows were read.
pub(super) struct Lone {
    pub(super) chunk: ChunkId,
    pub(super) owner: Bytes,
    pub(super) shards: usize,
    pub(super) bytes: u64,
}

/// A shard of a named chunk where it does not belong.
pub(super) struct Stray {
    pub(super) shard: ShardId,
    pub(super) disk: DiskId,
    pub(super) group: GroupId,
    pub(super) epoch: i64,
}

/// What did not fit.
#[derive(Default)]
pub(super) struct Suspects {
    unnamed: BTreeMap<LeaseId, Vec<Lone>>,
    missing: BTreeMap<ChunkId, (Named, BTreeSet<u8>)>,
    unreadable: BTreeMap<ChunkId, Named>,
    misplaced: Vec<Stray>,
}

impl Suspects {
    pub(super) fn unnamed(&mut self, lone: Lone) {
        self.unnamed.entry(lone.chunk.lease).or_default().push(lone);
    }

    pub(super) fn missing(&mut self, shard: ShardId, named: Named) {
        let entry = self.missing.entry(shard.chunk).or_insert_with(|| (named, BTreeSet::new()));
        entry.1.insert(shard.index.0);
    }

    pub(super) fn unreadable(&mut self, chunk: ChunkId, named: Named) {
        self.unreadable.insert(chunk, named);
    }

    pub(super) fn misplaced(&mut self, stray: Stray) {
        self.misplaced.push(stray);
    }
}

/// Looks again, and counts what is still wrong.
pub(super) async fn recheck(
    metadata: &dyn Metadata,
    pace: &Pace,
    pool: &Pool,
    layout: &Layout,
    suspects: Suspects,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    unnamed(metadata, suspects.unnamed, report).await?;
    missing(metadata, pace, pool, layout, suspects.missing, &suspects.misplaced, report).await?;
    unreadable(metadata, pace, pool, suspects.unreadable, report).await?;
    misplaced(metadata, pool, suspects.misplaced, report).await
}

/// Chunks of a live lease are on their way; of others the metadata service says for good whether anything names them.
async fn unnamed(
    metadata: &dyn Metadata,
    suspects: BTreeMap<LeaseId, Vec<Lone>>,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    if suspects.is_empty() {
        return Ok(());
    }
    for (lease, lones) in suspects {
        for page in lones.chunks(PAGE_SIZE_MAX) {
            let owned: Vec<(ChunkId, ChunkOwner)> = page
                .iter()
                .filter_map(|lone| Some((lone.chunk, ChunkOwner::from_bytes(&lone.owner).ok()?)))
                .collect();
            let unnamed: HashSet<ChunkId> = match metadata.unnamed_chunks(lease, &owned).await {
                Ok(unnamed) => unnamed.into_iter().collect(),
                Err(Error::LeaseActive { .. }) => {
                    report.in_flight += page.len() as u64;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // Asked after the names: a lease that was reaped meanwhile is not waiting any more.
            let reaping =
                metadata.list_leases().await?.iter().any(|state| state.id == lease && state.revoked);
            for lone in page {
                let readable = ChunkOwner::from_bytes(&lone.owner);
                if readable.is_ok() && !unnamed.contains(&lone.chunk) {
                    continue;
                }
                if reaping {
                    report.awaiting_reaping += 1;
                    continue;
                }
                report.orphaned_bytes += lone.bytes;
                report.remember_orphan(lone.chunk);
                let owner = readable.map_or_else(
                    |_| "unreadable".to_owned(),
                    |owner| format!("{}/{}", owner.bucket, owner.key.as_bytes().escape_ascii()),
                );
                report.found(Finding::Orphaned { chunk: lone.chunk, shards: lone.shards, owner });
            }
        }
    }
    Ok(())
}

/// A shard is missing when its chunk is still named and it is still at none of its places, all of which answer. A chunk of which
/// too few shards are at their places is lost unless enough of them are on other disks.
async fn missing(
    metadata: &dyn Metadata,
    pace: &Pace,
    pool: &Pool,
    layout: &Layout,
    mut suspects: BTreeMap<ChunkId, (Named, BTreeSet<u8>)>,
    strays: &[Stray],
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    if suspects.is_empty() {
        return Ok(());
    }
    let mut elsewhere: BTreeMap<ChunkId, Vec<&Stray>> = BTreeMap::new();
    for stray in strays.iter().filter(|stray| suspects.contains_key(&stray.shard.chunk)) {
        elsewhere.entry(stray.shard.chunk).or_default().push(stray);
    }
    let named = still_named(metadata, pace, &suspects.keys().copied().collect()).await?;
    suspects.retain(|chunk, _| named.contains(chunk));
    let mut unmapped = BTreeMap::new();
    for (chunk, (Named { group, coding, length, .. }, indexes)) in suspects {
        let Some(Look { found, unreached, .. }) = pool.look_for_chunk(group, chunk).await else {
            unmapped.insert(chunk, indexes);
            continue;
        };
        let on_disks: BTreeSet<u8> = found.shards.iter().map(|shard| shard.header.shard.index.0).collect();
        // Disks of the group that answered the first time and do not now.
        let silent: BTreeSet<DiskId> = unreached.into_iter().map(|unreached| unreached.disk).collect();
        let silent_places = |index| -> Vec<DiskId> {
            let places = layout.places(group, index).into_iter();
            let may_come_back =
                |disk: &DiskId| !layout.gone.contains(disk) && !layout.given_up.contains(disk);
            places.filter(|disk| silent.contains(disk) && may_come_back(disk)).collect()
        };
        let may_be_there = |index: &u8| {
            on_disks.contains(index)
                || layout.may_come_back(&layout.all_places(group, *index))
                || !silent_places(*index).is_empty()
        };
        let mut left: BTreeSet<u8> = (0..=u8::MAX).take(coding.total()).filter(may_be_there).collect();
        if left.len() < coding.data() {
            for stray in elsewhere.remove(&chunk).unwrap_or_default() {
                let index = stray.shard.index.0;
                if !left.contains(&index) && pool.verify_shard(stray.disk, stray.shard).await.is_ok() {
                    left.insert(index);
                }
            }
            if left.len() < coding.data() {
                report.lost(chunk);
            } else {
                report.moved += 1;
            }
        }
        for index in indexes {
            if on_disks.contains(&index) {
                report.shards += 1;
                continue;
            }
            let silent = silent_places(index);
            if !silent.is_empty() {
                report.unseen += 1;
                report.unreached.extend(silent);
                continue;
            }
            let shard = ShardId { chunk, index: types::ShardIndex(index) };
            report.found(Finding::Missing { shard, disks: layout.places(group, index) });
            report.can_repair(MissingShard { shard, group, coding, chunk_length: length });
        }
        report.queue_repairs(metadata, pool, PAGE_SIZE_MAX).await?;
    }
    if unmapped.is_empty() {
        return Ok(());
    }
    // A group goes when nothing names a chunk of it. What still does is not lost, as far as can be known: nobody has looked.
    let named = still_named(metadata, pace, &unmapped.keys().copied().collect()).await?;
    unmapped.retain(|chunk, _| named.contains(chunk));
    for (chunk, indexes) in unmapped {
        for index in indexes {
            let shard = ShardId { chunk, index: types::ShardIndex(index) };
            report.found(Finding::Missing { shard, disks: Vec::new() });
        }
    }
    Ok(())
}

/// A chunk is unreadable when it still is and is still named afterwards.
async fn unreadable(
    metadata: &dyn Metadata,
    pace: &Pace,
    pool: &Pool,
    suspects: BTreeMap<ChunkId, Named>,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    let mut again = BTreeMap::new();
    for (chunk, named) in suspects {
        if let Err(error) = deep::read(pool, chunk, &named).await {
            again.insert(chunk, error.to_string());
        }
    }
    if again.is_empty() {
        return Ok(());
    }
    let named = still_named(metadata, pace, &again.keys().copied().collect()).await?;
    again.retain(|chunk, _| named.contains(chunk));
    for (chunk, reason) in again {
        report.found(Finding::Unreadable { chunk, reason });
    }
    Ok(())
}

/// Which of these chunks a row names that is there to stay.
async fn still_named(
    metadata: &dyn Metadata,
    pace: &Pace,
    chunks: &HashSet<ChunkId>,
) -> Result<HashSet<ChunkId>, AuditError> {
    let mut named = HashSet::new();
    let mut after = None;
    loop {
        let page = pace.rows(metadata, after).await?;
        let rows = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
        let extents = rows.flat_map(|row| &row.extents).map(|extent| extent.chunk);
        named.extend(extents.filter(|chunk| chunks.contains(chunk)));
        after = page.next;
        if after.is_none() {
            return Ok(named);
        }
    }
}

/// Finds out which versions and parts name chunks that are lost or cannot be read.
pub(super) async fn name_lost(
    metadata: &dyn Metadata,
    pace: &Pace,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    let mut after = None;
    while !report.lost_chunks.is_empty() && report.has_room_for_lost_contents() {
        let page = pace.rows(metadata, after).await?;
        for row in page.rows.into_iter().filter(|row| row.kind != ContentKind::Garbage) {
            let mut chunks = row.extents.iter().map(|extent| extent.chunk);
            let lost = chunks.find(|chunk| report.lost_chunks.contains(chunk));
            if let Some(chunk) = lost.filter(|_| report.has_room_for_lost_contents()) {
                let ContentRow { kind, bucket, bucket_name, key, .. } = row;
                report.lost_contents.push(LostContent { kind, bucket, bucket_name, key, chunk });
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

/// A shard is misplaced when by the map of now it belongs elsewhere and no eviction will remove it.
async fn misplaced(
    metadata: &dyn Metadata,
    pool: &Pool,
    suspects: Vec<Stray>,
    report: &mut AuditReport,
) -> Result<(), AuditError> {
    if suspects.is_empty() {
        return Ok(());
    }
    let layout = Layout::load(metadata, pool).await?;
    for stray in suspects {
        let index = stray.shard.index;
        if layout.places(stray.group, index.0).contains(&stray.disk) {
            continue;
        }
        let found = pool.verify_shard(stray.disk, stray.shard).await;
        if let Err(chunk_api::Error::ShardNotFound { .. }) = found {
            continue;
        }
        let eviction = layout.evictions.get(&(stray.disk, stray.group, index.0));
        if eviction.is_some_and(|eviction| stray.epoch <= eviction.epoch) {
            report.awaiting_eviction += 1;
        } else {
            report.strays.insert((stray.group, index), stray.disk);
            report.found(Finding::Misplaced { shard: stray.shard, disk: stray.disk });
        }
    }
    Ok(())
}
