//! Rebuilds single shards that are missing or damaged: those that a write could not place, and those that reads, scrubs
//! and audits found bad.
//!
//! Whole disks are not this loop's business: shards whose disk is away wait, because either it comes back or the
//! planner moves its groups elsewhere.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use chunk_api::Error as ChunkError;
use data_pool::{ListedChunk, ShardHome};
use futures_util::{StreamExt, stream};
use metadata_api::{ClusterMap, Error, PAGE_SIZE_MAX, PlacementGroup};
use types::{ChunkId, ChunkOwner, DiskId, GroupId, LeaseId, MissingShard, ShardId, ShardIndex};

use crate::{
    context::Context,
    counts::Queued,
    jobs::Progress,
    presence,
    restore::{Outcome, Target, restore},
    standing,
    throttle::Throttle,
};

/// Pause between passes over the queue when there was something to do.
const PERIOD: Duration = Duration::from_secs(2);

/// Pause when there was nothing that could be done.
const IDLE_PERIOD: Duration = Duration::from_secs(10);

/// Shards that are rebuilt at a time.
const AT_ONCE: usize = 8;

/// Shards that are looked up together.
const BATCH: usize = 64;

/// Repairs as long as this worker has the job.
pub(crate) async fn work(context: Context, progress: Progress) {
    let throttle = Throttle::new(context.env.clone(), context.options.repair_rate_bytes);
    let mut left_before = 0;
    loop {
        let period = match go_over_queue(&context, &throttle, &progress).await {
            Ok(Queue { found, repaired }) => {
                let left = found.saturating_sub(repaired);
                if repaired > 0 {
                    tracing::info!(shards = repaired, left, "repaired missing shards");
                } else if left != left_before {
                    tracing::info!(shards = left, "missing shards cannot be repaired now");
                }
                left_before = left;
                if repaired > 0 { PERIOD } else { IDLE_PERIOD }
            }
            Err(error) => {
                tracing::warn!(%error, "missing shards were not repaired");
                IDLE_PERIOD
            }
        };
        context.pause(period).await;
    }
}

/// What a pass over the queue met.
#[derive(Debug, Default)]
struct Queue {
    /// Shards in it.
    found: usize,
    /// Shards that have left it.
    repaired: usize,
}

/// One pass over the queue, a page at a time.
async fn go_over_queue(context: &Context, throttle: &Throttle, progress: &Progress) -> Result<Queue, Error> {
    let mut after = None;
    let (mut queue, mut queued) = (Queue::default(), Queued::default());
    loop {
        let page = context.metadata.list_missing(None, after, PAGE_SIZE_MAX).await?;
        after = page.last().map(|missing| missing.shard);
        let is_last = page.len() < PAGE_SIZE_MAX;
        progress.set_left(page.len() as u64);
        queue.found += page.len();
        queue.repaired += repair_page(context, throttle, progress, page, &mut queued).await?;
        if is_last {
            context.counts.set_queue(&queued);
            return Ok(queue);
        }
        context.counts.raise_queue(&queued);
    }
}

async fn repair_page(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    page: Vec<MissingShard>,
    queued: &mut Queued,
) -> Result<usize, Error> {
    if page.is_empty() {
        return Ok(0);
    }
    let map = context.map().await?;
    let gone = of_removed_groups(&page, &map);
    let mut forgotten = 0;
    if !gone.is_empty() {
        forgotten = context.metadata.finish_missing(&gone, map.epoch).await?;
        context.counts.repaired.add(forgotten as u64);
    }
    let up = disks_up(context);
    let homes: HashMap<ShardId, ShardHome> = page
        .iter()
        .filter_map(|missing| Some((missing.shard, context.pool.home(missing.group, missing.shard.index)?)))
        .filter(|(_, home)| up.contains(&home.disk))
        .collect();
    let homes_found = homes.len();
    let mut repair = Repair { context, throttle, progress, map: &map, homes, repaired: forgotten };
    let mut bad = Vec::new();
    for (disk, shards) in by_disk(&page, &repair.homes) {
        let (whole, damaged) = verify(context, disk, shards).await;
        repair.finish(&whole).await?;
        bad.extend(damaged);
    }
    queued.add_away(page.len().saturating_sub(gone.len() + homes_found));
    sort_by_spare(&mut bad, &page, &map, &up, queued);
    for batch in bad.chunks(BATCH) {
        repair.go_over(batch).await?;
    }
    Ok(repair.repaired)
}

/// Shards of groups that are not in the map, which is younger than the page: the groups were removed with all that was in
/// them, and whoever missed the shards had begun to read before.
fn of_removed_groups(page: &[MissingShard], map: &ClusterMap) -> Vec<ShardId> {
    let groups: HashSet<GroupId> =
        map.classes.iter().flat_map(|class| &class.groups).map(|group| group.id).collect();
    page.iter().filter(|missing| !groups.contains(&missing.group)).map(|missing| missing.shard).collect()
}

fn disks_up(context: &Context) -> HashSet<DiskId> {
    let disks = context.pool.disks().into_iter();
    let up = disks.filter(|disk| disk.reachable && disk.state == metadata_api::DiskState::Up);
    up.map(|disk| disk.disk).collect()
}

fn by_disk(
    page: &[MissingShard],
    homes: &HashMap<ShardId, ShardHome>,
) -> BTreeMap<DiskId, Vec<MissingShard>> {
    let mut disks: BTreeMap<DiskId, Vec<MissingShard>> = BTreeMap::new();
    for missing in page {
        if let Some(home) = homes.get(&missing.shard) {
            disks.entry(home.disk).or_default().push(*missing);
        }
    }
    disks
}

/// Which of these shards are on the disk after all, and which are not. Those of a disk that fails are neither.
async fn verify(
    context: &Context,
    disk: DiskId,
    shards: Vec<MissingShard>,
) -> (Vec<ShardId>, Vec<MissingShard>) {
    let length =
        |missing: &MissingShard| missing.coding.shard_length(missing.chunk_length, missing.shard.index);
    let named: Vec<(ShardId, u64)> = shards.iter().map(|missing| (missing.shard, length(missing))).collect();
    let results = presence::verify(&context.pool, disk, &named).await;
    let (mut whole, mut bad, mut failed) = (Vec::new(), Vec::new(), None);
    for (missing, result) in shards.into_iter().zip(results) {
        match result {
            Ok(()) => whole.push(missing.shard),
            Err(
                ChunkError::ShardNotFound { .. }
                | ChunkError::ShardCorrupt { .. }
                | ChunkError::ShardDeleted { .. },
            ) => bad.push(missing),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        tracing::info!(%error, %disk, "missing shards wait for their disk");
    }
    (whole, bad)
}

/// Puts the shards whose chunks can lose the fewest others first, and counts them by that.
fn sort_by_spare(
    bad: &mut [MissingShard],
    page: &[MissingShard],
    map: &ClusterMap,
    up: &HashSet<DiskId>,
    queued: &mut Queued,
) {
    let missing: HashSet<ShardId> = page.iter().map(|missing| missing.shard).collect();
    let groups: HashMap<GroupId, &PlacementGroup> =
        map.classes.iter().flat_map(|class| &class.groups).map(|group| (group.id, group)).collect();
    bad.sort_by_cached_key(|shard| {
        let spare = spare(shard, &missing, groups.get(&shard.group).copied(), up);
        queued.add(spare);
        spare
    });
}

/// Shards of the same chunk that can be lost before it cannot be read, as far as is known; negative when it cannot be
/// read now.
fn spare(
    shard: &MissingShard,
    missing: &HashSet<ShardId>,
    group: Option<&PlacementGroup>,
    up: &HashSet<DiskId>,
) -> isize {
    let Some(group) = group else { return isize::MAX };
    let there = (0..=u8::MAX).zip(&group.disks).take(shard.coding.total()).filter(|(index, disk)| {
        let index = ShardIndex(*index);
        let at_target = group.move_of(index).is_some_and(|pending| up.contains(&pending.to));
        let is_missing = missing.contains(&ShardId { chunk: shard.shard.chunk, index });
        !is_missing && (up.contains(disk) || at_target)
    });
    there.count().cast_signed() - shard.coding.data().cast_signed()
}

/// One page's work.
struct Repair<'a> {
    context: &'a Context,
    throttle: &'a Throttle,
    progress: &'a Progress,
    map: &'a ClusterMap,
    /// Where each shard of the page should be. Shards whose disk is away are not in it.
    homes: HashMap<ShardId, ShardHome>,
    /// Shards that have left the queue.
    repaired: usize,
}

impl Repair<'_> {
    /// Rebuilds shards that are not where they should be.
    async fn go_over(&mut self, batch: &[MissingShard]) -> Result<(), Error> {
        let mut found = Vec::with_capacity(batch.len());
        for missing in batch {
            found.push((*missing, self.context.pool.find_chunk(missing.group, missing.shard.chunk).await));
        }
        // One of which no shard is found tells no owner, and would count as named.
        let chunks = found.iter().filter_map(|(_, found)| found.as_ref());
        let chunks = chunks.filter(|chunk| !chunk.shards.is_empty());
        let named = standing::named(&*self.context.metadata, chunks).await?;
        let abandoned = self.abandoned(&found, &named).await?;

        let mut whole = Vec::new();
        let mut due = Vec::new();
        for (missing, chunk) in found {
            match chunk {
                Some(chunk) if named.contains(&chunk.chunk) => due.push((missing, chunk)),
                Some(chunk) if abandoned.contains(&chunk.chunk) => whole.push(missing.shard),
                // It is being written, and may be named next.
                Some(chunk) if !chunk.shards.is_empty() => {}
                _ if self.is_nowhere(&missing).await => whole.push(missing.shard),
                _ => stays(missing.shard, "no disk that answers has a shard of its chunk"),
            }
        }
        whole.extend(self.rebuild(due).await);
        self.finish(&whole).await
    }

    /// Chunks that nothing names or ever will.
    async fn abandoned(
        &self,
        found: &[(MissingShard, Option<ListedChunk>)],
        named: &HashSet<ChunkId>,
    ) -> Result<HashSet<ChunkId>, Error> {
        let mut leases: BTreeMap<LeaseId, Vec<(ChunkId, ChunkOwner)>> = BTreeMap::new();
        for chunk in found.iter().filter_map(|(_, found)| found.as_ref()) {
            if let Some(owner) = standing::owner(chunk).filter(|_| !named.contains(&chunk.chunk)) {
                leases.entry(chunk.chunk.lease).or_default().push((chunk.chunk, owner));
            }
        }
        let mut abandoned = HashSet::new();
        for (lease, chunks) in leases {
            match self.context.metadata.unnamed_chunks(lease, &chunks).await {
                Ok(unnamed) => abandoned.extend(unnamed),
                Err(Error::LeaseActive { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(abandoned)
    }

    async fn is_nowhere(&self, missing: &MissingShard) -> bool {
        let mut groups = self.map.classes.iter().flat_map(|class| &class.groups);
        match groups.find(|group| group.id == missing.group) {
            Some(group) => {
                presence::is_nowhere(&self.context.pool, self.map, group, missing.shard.chunk).await
            }
            None => false,
        }
    }

    /// Answers the shards that are whole now, or whose chunks are freed.
    async fn rebuild(&self, due: Vec<(MissingShard, ListedChunk)>) -> Vec<ShardId> {
        let (context, throttle) = (self.context, self.throttle);
        let rebuilding = due.into_iter().filter_map(|(missing, chunk)| {
            let home = *self.homes.get(&missing.shard)?;
            let target = Target { index: missing.shard.index, disk: home.disk, epoch: home.epoch };
            Some(async move {
                let outcome = restore(context, &chunk, target).await;
                if let Outcome::Whole { bytes } = outcome {
                    throttle.spent(bytes).await;
                }
                (missing.shard, outcome)
            })
        });
        let mut rebuilding = stream::iter(rebuilding).buffered(AT_ONCE);
        let mut whole = Vec::new();
        while let Some((shard, outcome)) = rebuilding.next().await {
            match outcome {
                Outcome::Whole { bytes } => {
                    tracing::debug!(%shard, bytes, "rebuilt a shard");
                    context.counts.repair_bytes.add(bytes);
                    whole.push(shard);
                }
                Outcome::Freed => whole.push(shard),
                Outcome::Open { reason } => stays(shard, &reason),
            }
        }
        whole
    }

    /// Takes shards out of the queue, unless their group has changed since the map by which they were put.
    async fn finish(&mut self, shards: &[ShardId]) -> Result<(), Error> {
        let Some(epoch) = self.homes.values().map(|home| home.epoch).min() else { return Ok(()) };
        for page in shards.chunks(PAGE_SIZE_MAX) {
            let finished = self.context.metadata.finish_missing(page, epoch).await?;
            self.repaired += finished;
            self.context.counts.repaired.add(finished as u64);
            self.progress.add(finished as u64);
        }
        Ok(())
    }
}

fn stays(shard: ShardId, reason: &str) {
    tracing::debug!(%shard, reason, "a missing shard stays in the queue");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use types::{ChunkId, GroupId, LeaseId, MissingShard, ShardId, ShardIndex};

    use super::sort_by_spare;
    use crate::counts::Queued;
    use crate::tests::maps::{disk, map};

    fn missing(counter: u64, index: u8, coding: &str) -> MissingShard {
        let chunk = ChunkId { lease: LeaseId(1), counter };
        let shard = ShardId { chunk, index: ShardIndex(index) };
        MissingShard { shard, group: GroupId(1), coding: coding.parse().unwrap(), chunk_length: 10 }
    }

    #[test]
    fn the_most_endangered_chunk_comes_first() {
        let map = map(4, &[[0, 1, 2, 3]]);
        let page = [
            missing(1, 0, "2+2"),
            missing(2, 0, "2+2"),
            missing(2, 1, "2+2"),
            missing(3, 0, "1+2"),
            missing(4, 0, "1+1"),
        ];
        let mut bad = page.to_vec();
        let up: HashSet<_> = (0..4).map(disk).collect();
        sort_by_spare(&mut bad, &page, &map, &up, &mut Queued::default());
        let order: Vec<u64> = bad.iter().map(|missing| missing.shard.chunk.counter).collect();
        assert_eq!(order, [2, 2, 4, 1, 3]);

        // With a disk away, chunks that have a shard on it are worse off.
        let up: HashSet<_> = (0..2).map(disk).collect();
        sort_by_spare(&mut bad, &page, &map, &up, &mut Queued::default());
        let order: Vec<u64> = bad.iter().map(|missing| missing.shard.chunk.counter).collect();
        assert_eq!(order, [2, 2, 1, 4, 3]);
    }
}
