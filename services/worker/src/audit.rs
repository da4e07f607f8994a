//! The audit: every shard on every disk against every row that names chunks.
//!
//! It may run while the cluster works: what looks wrong at first is looked at again, because rows and shards come and go
//! meanwhile. It changes nothing, unless it is asked to queue repairs; `orphans` frees what two audits found unnamed, and
//! `regular` is the job that audits by itself now and then. Memory is bounded by [`AuditOptions::chunks_max`]: of more chunks
//! than that a part at a time is compared, each in a pass of its own over rows and disks.

mod compare;
mod deep;
mod names;
mod orphans;
mod pace;
mod recheck;
mod regular;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chunk_api::ShardHeader;
use data_pool::{ListedChunk, Pool};
use metadata_api::{ClusterMap, DiskState, Eviction, Metadata, PAGE_SIZE_MAX, PlacementGroup};
use types::{ChunkId, DiskId, GroupId, MissingShard};

use self::{
    compare::Compare,
    deep::Deep,
    names::Part,
    pace::{Pace, Tally},
    recheck::Suspects,
};
use crate::presence;

pub use orphans::{FreedOrphans, free_orphans};
pub(crate) use regular::work;
pub use report::{AuditProgress, AuditReport, Finding, LostContent};

/// How to audit.
#[derive(Debug, Clone, Copy)]
pub struct AuditOptions {
    /// Whether every byte of every shard is read and verified, and every chunk against the checksum in its manifest.
    pub deep: bool,
    /// Most chunks that are compared in one pass. One takes about 100 bytes of memory.
    pub chunks_max: usize,
    /// Whether what is missing or corrupt is queued to be rebuilt.
    pub repair: bool,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { deep: false, chunks_max: 1 << 20, repair: false }
    }
}

/// The audit came to no result.
#[derive(Debug, thiserror::Error)]
#[error("the audit was given up: {0}")]
pub struct AuditError(#[from] metadata_api::Error);

/// Compares everything with everything, telling `progress` how far it is.
///
/// Errors: those of the metadata service. Disks that cannot be reached are part of the report.
pub async fn audit(
    metadata: &dyn Metadata,
    pool: &Pool,
    options: AuditOptions,
    progress: &mut (dyn FnMut(AuditProgress) + Send),
) -> Result<AuditReport, AuditError> {
    Ok(audit_and_name(metadata, pool, options, &Pace::unbounded(), progress).await?.0)
}

/// The same, with the chunks that are orphaned, as many as are kept.
async fn audit_and_name(
    metadata: &dyn Metadata,
    pool: &Pool,
    options: AuditOptions,
    pace: &Pace,
    progress: &mut (dyn FnMut(AuditProgress) + Send),
) -> Result<(AuditReport, BTreeSet<ChunkId>), AuditError> {
    let report = AuditReport { queues: options.repair, ..AuditReport::default() };
    let mut run = Run { metadata, pool, options, pace, report, told: AuditProgress::default() };
    let mut parts = vec![Part::whole()];
    while let Some(part) = parts.pop() {
        parts.extend(run.part(part, progress).await?);
    }
    recheck::name_lost(metadata, pace, &mut run.report).await?;
    let disks: BTreeSet<DiskId> = pool.disks().into_iter().map(|disk| disk.disk).collect();
    let statuses = pool.statuses(&disks).await;
    run.report.quarantined = statuses.values().map(|status| status.quarantined_records).sum();
    let orphans = std::mem::take(&mut run.report.orphans);
    Ok((run.report, orphans))
}

/// An audit under way.
struct Run<'a> {
    metadata: &'a dyn Metadata,
    pool: &'a Pool,
    options: AuditOptions,
    pace: &'a Pace,
    report: AuditReport,
    told: AuditProgress,
}

impl Run<'_> {
    /// One pass over the rows and the disks. Answers the parts that it left to other passes.
    async fn part(
        &mut self,
        part: Part,
        progress: &mut (dyn FnMut(AuditProgress) + Send),
    ) -> Result<Vec<Part>, AuditError> {
        let (names, rest) =
            names::collect(self.metadata, self.pace, part, self.options.chunks_max, &mut self.told, progress)
                .await?;
        // The narrowest part that was collected; the others are in `rest`.
        let part = rest.last().map_or(part, |sibling| sibling.sibling());
        // After the names: the pool is to know every group that a name tells of, also of a coding that came meanwhile.
        let mut layout = Layout::load(self.metadata, self.pool).await?;
        let mut suspects = Suspects::default();
        let mut deep = self.options.deep.then(Deep::default);
        let mut list = self.pool.list_all();
        let mut tally = Tally::default();
        let mut compare = Compare { names, report: &mut self.report, suspects: &mut suspects };
        while let Some(chunk) = list.next().await {
            self.told.shards += chunk.shards.len() as u64;
            progress(self.told);
            self.pace.spent(&mut tally, chunk.shards.len() as u64).await;
            if !part.contains(chunk.chunk) {
                continue;
            }
            let named = compare.chunk(&layout, &chunk);
            if let (Some(deep), Some(named)) = (&mut deep, named) {
                deep.add(self.pool, compare.report, compare.suspects, &chunk, &named).await;
                compare.report.queue_repairs(self.metadata, self.pool, PAGE_SIZE_MAX).await?;
                self.told.verified_bytes = deep.verified_bytes();
            }
        }
        layout.unreached.extend(list.unreached().iter().map(|unreached| unreached.disk));
        compare.rest(&layout);
        if let Some(deep) = &mut deep {
            deep.finish(self.pool, &mut self.report).await;
        }
        self.report.unreached.extend(layout.unreached.iter().copied());
        recheck::recheck(self.metadata, self.pace, self.pool, &layout, suspects, &mut self.report).await?;
        self.report.queue_repairs(self.metadata, self.pool, 0).await?;
        Ok(rest)
    }
}

/// Where shards belong.
struct Layout {
    groups: HashMap<GroupId, PlacementGroup>,
    evictions: BTreeMap<(DiskId, GroupId, u8), Eviction>,
    /// Disks that cannot be looked at now.
    unreached: BTreeSet<DiskId>,
    gone: BTreeSet<DiskId>,
    /// Those that are away and to be removed: what is on them is lost for good.
    given_up: BTreeSet<DiskId>,
}

impl Layout {
    /// By the map as it is now, which the pool acts by from now on.
    async fn load(metadata: &dyn Metadata, pool: &Pool) -> Result<Self, AuditError> {
        let map: ClusterMap = metadata.cluster_map(None).await?.unwrap_or_default();
        pool.take_in(&map);
        let evictions = metadata_api::all_evictions(metadata).await?;
        let of_state = |state| map.disks.iter().filter(move |disk| disk.state == state).map(|disk| disk.disk);
        let (unreached, gone) = (of_state(DiskState::Down).collect(), of_state(DiskState::Gone).collect());
        let disks = map.disks.iter().map(|disk| disk.disk);
        let given_up = disks.filter(|disk| presence::is_given_up(&map, *disk)).collect();
        let groups = map.classes.into_iter().flat_map(|class| class.groups);
        Ok(Self {
            groups: groups.map(|group| (group.id, group)).collect(),
            evictions: evictions
                .into_iter()
                .map(|eviction| ((eviction.disk, eviction.group, eviction.index.0), eviction))
                .collect(),
            unreached,
            gone,
            given_up,
        })
    }

    /// The disks where shard `index` of the group's chunks may be.
    fn places(&self, group: GroupId, index: u8) -> Vec<DiskId> {
        let Some(group) = self.groups.get(&group) else { return Vec::new() };
        let at = group.disks.get(usize::from(index)).copied();
        at.into_iter().chain(group.move_of(types::ShardIndex(index)).map(|pending| pending.to)).collect()
    }

    /// The same, with those that its move was sent elsewhere from: it may be there alone.
    fn all_places(&self, group: GroupId, index: u8) -> Vec<DiskId> {
        let former = self.groups.get(&group).into_iter().flat_map(|group| &group.former_targets);
        let former = former.filter(|former| former.index.0 == index).map(|former| former.disk);
        self.places(group, index).into_iter().chain(former).collect()
    }

    /// Whether an eviction that is waiting will remove this shard.
    fn is_leaving(&self, disk: DiskId, shard: &chunk_api::ShardHeader) -> bool {
        let eviction = self.evictions.get(&(disk, shard.group, shard.shard.index.0));
        eviction.is_some_and(|eviction| shard.epoch <= eviction.epoch)
    }

    /// Whether a shard that is not found may be on a disk that cannot be looked at.
    fn may_be_unseen(&self, places: &[DiskId]) -> bool {
        places.iter().any(|disk| self.unreached.contains(disk) && !self.gone.contains(disk))
    }

    /// Whether it may be on one that may come back.
    fn may_come_back(&self, places: &[DiskId]) -> bool {
        let may = |disk: &&DiskId| !self.gone.contains(disk) && !self.given_up.contains(disk);
        places.iter().filter(may).any(|disk| self.unreached.contains(disk))
    }
}

/// How the queue of repairs calls a shard.
fn missing_shard(header: &ShardHeader) -> MissingShard {
    let ShardHeader { shard, group, coding, chunk_length, .. } = *header;
    MissingShard { shard, group, coding, chunk_length }
}

/// Bytes of a listed chunk's shards.
fn bytes_of(chunk: &ListedChunk) -> u64 {
    chunk.shards.iter().map(|shard| shard.header.length()).sum()
}
