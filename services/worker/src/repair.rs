//! Rebuilds single shards that are missing or damaged: those that a write could not place, and those that reads, scrubs
//! and audits found bad.
//!
//! Whole disks are not this loop's business: shards whose disk is away wait, because either it comes back or the
//! planner moves its groups elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
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

/// How often it is looked whether something in the queue has become more urgent than what is being rebuilt.
const SURVEY_PERIOD: Duration = Duration::from_secs(30);

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

/// What was met in the queue.
#[derive(Debug, Default)]
struct Queue {
    /// Shards in it.
    found: usize,
    /// Shards that have left it.
    repaired: usize,
}

/// Goes through the queue once for each number of shards that chunks in it can still lose, from the fewest on, so that a
/// chunk that is about to be lost waits for none that is not, however long the queue is; those that cannot be read now are the
/// last. A page is in memory at a time.
///
/// What gets worse meanwhile, as everything does when one more disk is lost, is looked for now and then, and comes first.
async fn go_over_queue(context: &Context, throttle: &Throttle, progress: &Progress) -> Result<Queue, Error> {
    let mut survey = Survey::take(context).await?;
    let mut surveyed = context.env.now();
    let mut queue = Queue { found: survey.found(), repaired: 0 };
    progress.set_left(queue.found as u64);
    let mut queued = Queued::default();
    queued.add_away(survey.away);
    let mut due: BTreeSet<Turn> = survey.by_turn.keys().copied().collect();
    let mut refusing = HashSet::new();
    // What could not be repaired, by the same.
    let mut left: BTreeMap<Turn, usize> = BTreeMap::new();
    while let Some(turn) = due.pop_first() {
        let (mut pages, mut open) = (Pages::default(), 0);
        let mut is_urgent = false;
        while let Some(page) = pages.next(context).await? {
            let map = context.map().await?;
            let up = disks_up(context);
            let rows: Vec<MissingShard> = spares(context, &page, &map, &up)
                .filter(|(_, of)| of.map(Turn::of) == Some(turn))
                .map(|it| it.0)
                .collect();
            if rows.is_empty() {
                continue;
            }
            let before = rows.len();
            let repaired =
                repair_page(context, throttle, progress, rows, turn.spare(), &mut queued, &mut refusing)
                    .await?;
            queue.repaired += repaired;
            open += before.saturating_sub(repaired);
            context.counts.raise_queue(&queued);
            if context.env.now().since(surveyed) >= SURVEY_PERIOD {
                (survey, surveyed) = (Survey::take(context).await?, context.env.now());
                // They may be well again.
                refusing.clear();
                let worse = survey.by_turn.range(..turn);
                let worse = worse.filter(|(of, count)| **count > left.get(of).copied().unwrap_or(0));
                let worse: BTreeSet<Turn> = worse.map(|(of, _)| *of).collect();
                if !worse.is_empty() {
                    due.extend(worse);
                    due.insert(turn);
                    is_urgent = true;
                    break;
                }
            }
        }
        if !is_urgent {
            left.insert(turn, open);
        }
    }
    context.counts.set_queue(&queued);
    Ok(queue)
}

/// When chunks come that can lose so many shards more: the fewest first, and behind all of them those that cannot be read
/// until disks come back, the nearest to that first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    is_unreadable: bool,
    distance: usize,
}

impl Turn {
    fn of(spare: isize) -> Self {
        Self { is_unreadable: spare < 0, distance: spare.unsigned_abs() }
    }

    fn spare(self) -> isize {
        let distance = isize::try_from(self.distance).unwrap_or(isize::MAX);
        if self.is_unreadable { -distance } else { distance }
    }
}

/// How many shards of the queue come at which turn.
#[derive(Debug, Default)]
struct Survey {
    by_turn: BTreeMap<Turn, usize>,
    /// Shards that wait for their disks.
    away: usize,
}

impl Survey {
    /// Reads the whole queue; no disk is asked.
    async fn take(context: &Context) -> Result<Self, Error> {
        let (mut survey, mut pages) = (Self::default(), Pages::default());
        let map = context.map().await?;
        let up = disks_up(context);
        while let Some(page) = pages.next(context).await? {
            for (_, spare) in spares(context, &page, &map, &up) {
                match spare {
                    Some(spare) => *survey.by_turn.entry(Turn::of(spare)).or_default() += 1,
                    None => survey.away += 1,
                }
            }
        }
        Ok(survey)
    }

    fn found(&self) -> usize {
        self.by_turn.values().sum::<usize>() + self.away
    }
}

/// The queue in pages of whole chunks.
#[derive(Debug, Default)]
struct Pages {
    after: Option<ShardId>,
    is_over: bool,
}

impl Pages {
    async fn next(&mut self, context: &Context) -> Result<Option<Vec<MissingShard>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let mut page = context.metadata.list_missing(None, self.after, PAGE_SIZE_MAX).await?;
        self.is_over = page.len() < PAGE_SIZE_MAX;
        if !self.is_over {
            leave_last_chunk(&mut page);
        }
        self.after = page.last().map(|missing| missing.shard);
        Ok((!page.is_empty()).then_some(page))
    }
}

/// Leaves the last chunk to the next page, because there may be more of it, unless it is the only one.
fn leave_last_chunk(page: &mut Vec<MissingShard>) {
    let last = page.last().map(|missing| missing.shard.chunk);
    let whole = page.iter().take_while(|missing| Some(missing.shard.chunk) != last).count();
    if whole > 0 {
        page.truncate(whole);
    }
}

/// The shards of a page, each with how many more shards its chunk can lose; `None` of those whose disk is away, for which
/// nothing can be done now.
fn spares(
    context: &Context,
    page: &[MissingShard],
    map: &ClusterMap,
    up: &HashSet<DiskId>,
) -> impl Iterator<Item = (MissingShard, Option<isize>)> {
    let spares = spares_of(page, map, up);
    page.iter().zip(spares).map(|(missing, spare)| {
        let home = context.pool.home(missing.group, missing.shard.index);
        // A group that is not in the map has no home, and what is queued of it can be forgotten.
        let is_away = spare < isize::MAX && !home.is_some_and(|home| up.contains(&home.disk));
        (*missing, (!is_away).then_some(spare))
    })
}

/// Repairs what it can of a page. Disks that do not answer or take nothing are added to `refusing`, and what belongs on those is
/// left for later: asked for each page anew they would hold up all others, and what was
/// rebuilt for them would be read for nothing.
async fn repair_page(
    context: &Context,
    throttle: &Throttle,
    progress: &Progress,
    page: Vec<MissingShard>,
    spare: isize,
    queued: &mut Queued,
    refusing: &mut HashSet<DiskId>,
) -> Result<usize, Error> {
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
        .filter(|(_, home)| up.contains(&home.disk) && !refusing.contains(&home.disk))
        .collect();
    let mut repair = Repair { context, throttle, progress, map: &map, homes, refusing, repaired: forgotten };
    let mut bad = Vec::new();
    let verifying = by_disk(&page, &repair.homes)
        .into_iter()
        .map(|(disk, shards)| async move { (disk, verify(context, disk, shards).await) });
    let mut verifying = stream::iter(verifying).buffer_unordered(AT_ONCE);
    while let Some((disk, Verified { whole, damaged, has_failed })) = verifying.next().await {
        repair.finish(&whole).await?;
        bad.extend(damaged);
        if has_failed {
            repair.refusing.insert(disk);
        }
    }
    bad.iter().for_each(|_| queued.add(spare));
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

/// Which of some shards are on their disk after all, and which are not. Those of a disk that fails are neither.
struct Verified {
    whole: Vec<ShardId>,
    damaged: Vec<MissingShard>,
    has_failed: bool,
}

async fn verify(context: &Context, disk: DiskId, shards: Vec<MissingShard>) -> Verified {
    let length =
        |missing: &MissingShard| missing.coding.shard_length(missing.chunk_length, missing.shard.index);
    let named: Vec<(ShardId, u64)> = shards.iter().map(|missing| (missing.shard, length(missing))).collect();
    let results = presence::verify(&context.pool, disk, &named).await;
    let (mut whole, mut damaged, mut failed) = (Vec::new(), Vec::new(), None);
    for (missing, result) in shards.into_iter().zip(results) {
        match result {
            Ok(()) => whole.push(missing.shard),
            Err(
                ChunkError::ShardNotFound { .. }
                | ChunkError::ShardCorrupt { .. }
                | ChunkError::ShardDeleted { .. },
            ) => damaged.push(missing),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = &failed {
        tracing::info!(%error, %disk, "missing shards wait for their disk");
    }
    Verified { whole, damaged, has_failed: failed.is_some() }
}

/// How many more shards the chunk of each shard of a page can lose.
fn spares_of(page: &[MissingShard], map: &ClusterMap, up: &HashSet<DiskId>) -> Vec<isize> {
    let missing: HashSet<ShardId> = page.iter().map(|missing| missing.shard).collect();
    let groups: HashMap<GroupId, &PlacementGroup> =
        map.classes.iter().flat_map(|class| &class.groups).map(|group| (group.id, group)).collect();
    page.iter().map(|shard| spare(shard, &missing, groups.get(&shard.group).copied(), up)).collect()
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
    /// Disks that take nothing now.
    refusing: &'a mut HashSet<DiskId>,
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
    async fn rebuild(&mut self, due: Vec<(MissingShard, ListedChunk)>) -> Vec<ShardId> {
        let (context, throttle) = (self.context, self.throttle);
        let (homes, refusing) = (&self.homes, &mut *self.refusing);
        let due: Vec<_> = due
            .into_iter()
            .filter_map(|(missing, chunk)| Some((missing, chunk, *homes.get(&missing.shard)?)))
            .filter(|(_, _, home)| !refusing.contains(&home.disk))
            .collect();
        let rebuilding = due.into_iter().map(|(missing, chunk, home)| {
            let target = Target { index: missing.shard.index, disk: home.disk, epoch: home.epoch };
            async move {
                let outcome = restore(context, &chunk, target).await;
                if let Outcome::Whole { bytes } = outcome {
                    throttle.spent(bytes).await;
                }
                (missing.shard, home.disk, outcome)
            }
        });
        let mut rebuilding = stream::iter(rebuilding).buffered(AT_ONCE);
        let mut whole = Vec::new();
        while let Some((shard, disk, outcome)) = rebuilding.next().await {
            match outcome {
                Outcome::Whole { bytes } => {
                    tracing::debug!(%shard, bytes, "rebuilt a shard");
                    context.counts.repair_bytes.add(bytes);
                    whole.push(shard);
                }
                Outcome::Freed => whole.push(shard),
                Outcome::Open { reason } => stays(shard, &reason),
                Outcome::Refused { reason } => {
                    stays(shard, &reason);
                    refusing.insert(disk);
                }
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

    use super::{Turn, leave_last_chunk, spares_of};
    use crate::tests::maps::{disk, map};

    fn missing(counter: u64, index: u8, coding: &str) -> MissingShard {
        let chunk = ChunkId { lease: LeaseId(1), counter };
        let shard = ShardId { chunk, index: ShardIndex(index) };
        MissingShard { shard, group: GroupId(1), coding: coding.parse().unwrap(), chunk_length: 10 }
    }

    #[test]
    fn a_chunk_is_as_endangered_as_the_shards_that_it_can_still_lose_are_few() {
        let map = map(4, &[[0, 1, 2, 3]]);
        let page = [
            missing(1, 0, "2+2"),
            missing(2, 0, "2+2"),
            missing(2, 1, "2+2"),
            missing(3, 0, "1+2"),
            missing(4, 0, "1+1"),
        ];
        let up: HashSet<_> = (0..4).map(disk).collect();
        assert_eq!(spares_of(&page, &map, &up), [1, 0, 0, 1, 0]);

        // With disks away, chunks that have a shard on them are worse off.
        let up: HashSet<_> = (0..2).map(disk).collect();
        assert_eq!(spares_of(&page, &map, &up), [-1, -2, -2, 0, 0]);
        let unmapped = crate::tests::maps::map(4, &[]);
        assert_eq!(spares_of(&page[..1], &unmapped, &up), [isize::MAX]);
    }

    #[test]
    fn a_page_ends_with_a_whole_chunk() {
        let mut page = vec![missing(1, 0, "2+2"), missing(1, 1, "2+2"), missing(2, 0, "2+2")];
        leave_last_chunk(&mut page);
        assert_eq!(page, [missing(1, 0, "2+2"), missing(1, 1, "2+2")]);
        leave_last_chunk(&mut page);
        assert_eq!(page.len(), 2, "there is nothing but one chunk");
    }

    #[test]
    fn chunks_that_can_be_saved_come_before_those_that_wait_for_disks() {
        let mut turns = [2, -2, 0, -1, 1].map(Turn::of);
        turns.sort_unstable();
        assert_eq!(turns.map(Turn::spare), [0, 1, 2, -1, -2]);
    }
}
