//! Which chunks are there: the listings of many disks, merged.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use chunk_api::{Error, ListShards, SHARDS_PER_CALL_MAX, ShardHeader, ShardSummary};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use types::{ChunkId, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    Pool, UnreachedDisk, UnreachedReason,
    disks::reachable,
    health::Use,
    limits::{LIST_DISKS_AT_ONCE, LIST_SHARDS_MAX, LIST_TIMEOUT},
    pool::Shared,
    snapshot::{Home, Place, Standing},
};

/// A chunk of which some disk has a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChunk {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its shards that were found, in the order of their indexes. One that is on its way may be there twice.
    pub shards: Vec<ListedShard>,
}

/// A shard that a disk has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedShard {
    /// The disk.
    pub disk: DiskId,
    /// The shard's header.
    pub header: ShardHeader,
    /// Whether the disk knows that it is damaged.
    pub is_damaged: bool,
}

impl ListedChunk {
    /// The shard of this index on this disk, if it is there.
    pub fn on(&self, index: ShardIndex, disk: DiskId) -> Option<&ListedShard> {
        self.shards.iter().find(|shard| shard.disk == disk && shard.header.shard.index == index)
    }
}

/// What was found of one chunk.
#[derive(Debug)]
pub struct Look {
    /// The chunk, with the shards of it that were found.
    pub found: ListedChunk,
    /// Indexes of which every place answered: a shard of them would have been found.
    pub shown: BTreeSet<ShardIndex>,
    /// Disks that did not.
    pub unreached: Vec<UnreachedDisk>,
}

/// Chunks in the order of their ids, as they are asked for. It holds one page of each disk, and a few thousand headers
/// in all.
pub struct ChunkList {
    shared: Arc<Shared>,
    epoch: i64,
    asked: usize,
    disks: Vec<DiskList>,
    /// The places of each index of a group, without disks that are gone; none of an index whose move was redirected, because
    /// the lost target may have had shards that they do not have.
    places: Vec<Vec<DiskId>>,
    unreached: Vec<UnreachedDisk>,
}

impl Pool {
    /// The chunks of a placement group, by what is on every disk where one of its shards may be. Disks that are down
    /// are not asked. `None` when the cluster map in use has no such group.
    pub fn list_group(&self, group: GroupId) -> Option<ChunkList> {
        let snapshot = self.shared().view.snapshot();
        let mapped = snapshot.group(group)?;
        let homes = (0..mapped.width()).flat_map(|position| mapped.homes(position));
        let wanted = Wanted { group: Some(group), lease: None };
        let mut list = ChunkList::new(self.shared(), snapshot.epoch, homes, wanted);
        let former = (0..mapped.width()).flat_map(|position| mapped.former_targets(position));
        list.add_former_targets(former, wanted);
        let places = |position| {
            let homes =
                mapped.homes(position).filter(|home| !home.is_gone() && !mapped.is_redirected(position));
            homes.map(|home| home.disk).collect()
        };
        list.places = (0..mapped.width()).map(places).collect();
        Some(list)
    }

    /// The chunks that were named under a lease, by what is on every disk that is not gone.
    pub fn list_lease(&self, lease: LeaseId) -> ChunkList {
        let snapshot = self.shared().view.snapshot();
        let wanted = Wanted { group: None, lease: Some(lease) };
        ChunkList::new(self.shared(), snapshot.epoch, snapshot.homes(), wanted)
    }

    /// Every chunk on every disk that is not gone.
    pub fn list_all(&self) -> ChunkList {
        let snapshot = self.shared().view.snapshot();
        let wanted = Wanted { group: None, lease: None };
        ChunkList::new(self.shared(), snapshot.epoch, snapshot.homes(), wanted)
    }

    /// One chunk of a group, by what is on every disk where one of its shards may be and that answers; without shards
    /// when none has one. `None` when the cluster map in use has no such group.
    pub async fn find_chunk(&self, group: GroupId, chunk: ChunkId) -> Option<ListedChunk> {
        self.look_for_chunk(group, chunk).await.map(|look| look.found)
    }

    /// The same, and which disks answered: what is not found may be on others.
    pub async fn look_for_chunk(&self, group: GroupId, chunk: ChunkId) -> Option<Look> {
        let mut list = self.list_group(group)?;
        for disk in &mut list.disks {
            disk.start_at(chunk);
        }
        let found = list.next().await.filter(|found| found.chunk == chunk);
        let found = found.unwrap_or(ListedChunk { chunk, shards: Vec::new() });
        Some(Look { found, shown: list.shown_indexes(), unreached: list.unreached })
    }
}

/// What is listed.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    group: Option<GroupId>,
    lease: Option<LeaseId>,
}

impl ChunkList {
    fn new<'a>(
        shared: &Arc<Shared>,
        epoch: i64,
        homes: impl Iterator<Item = &'a Home>,
        wanted: Wanted,
    ) -> Self {
        let (mut places, mut unreached) = reachable(homes);
        // A group may come back to a disk that another of its indexes leaves.
        places.sort_by_key(|place| place.disk);
        places.dedup_by_key(|place| place.disk);
        let asked = places.len();
        let down = |place: &Place| place.standing == Standing::Down;
        unreached.extend(places.iter().filter(|place| down(place)).map(|place| {
            let reason = Error::Unavailable { reason: "the disk is down".to_owned() };
            UnreachedDisk { disk: place.disk, reason: UnreachedReason::Failed(reason) }
        }));
        places.retain(|place| !down(place));
        let limit = (LIST_SHARDS_MAX / places.len().max(1)).clamp(16, SHARDS_PER_CALL_MAX);
        let disks = places.into_iter().map(|place| DiskList::new(place, limit, wanted)).collect();
        Self { shared: Arc::clone(shared), epoch, asked, disks, places: Vec::new(), unreached }
    }

    /// Lists these as well, as far as they answer: nobody has to know what they have.
    fn add_former_targets<'a>(&mut self, former: impl Iterator<Item = &'a Place>, wanted: Wanted) {
        let limit = self.disks.first().map_or(16, |disk| disk.request.limit);
        let health = &self.shared.health;
        let answers = |place: &&Place| place.standing != Standing::Down && !health.avoids(place, Use::Read);
        for place in former.filter(answers) {
            if !self.disks.iter().any(|disk| disk.place.disk == place.disk) {
                let list = DiskList::new(place.clone(), limit, wanted);
                self.disks.push(DiskList { is_optional: true, ..list });
            }
        }
    }

    /// Epoch of the cluster map that says which disks are listed.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// How many disks there are to list.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Disks that could not be listed to their end: shards that only they have may not have been answered. Complete once
    /// the list has ended.
    pub fn unreached(&self) -> &[UnreachedDisk] {
        &self.unreached
    }

    /// Disks that were listed to their end, those that a move was sent elsewhere from among them. Complete once the list has ended.
    pub fn listed(&self) -> BTreeSet<DiskId> {
        self.disks.iter().filter(|disk| !disk.has_failed).map(|disk| disk.place.disk).collect()
    }

    /// Of a group's list, the indexes of which every place was listed to its end, by the map of [`epoch`](Self::epoch): each
    /// of their shards that is anywhere was answered. Without indexes whose move was redirected. Complete once the list has
    /// ended.
    pub fn shown_indexes(&self) -> BTreeSet<ShardIndex> {
        let away: HashSet<DiskId> = self.unreached.iter().map(|unreached| unreached.disk).collect();
        let shown = |(_, disks): &(u8, &Vec<DiskId>)| {
            !disks.is_empty() && disks.iter().all(|disk| !away.contains(disk))
        };
        (0..=u8::MAX).zip(&self.places).filter(shown).map(|(index, _)| ShardIndex(index)).collect()
    }

    /// The next chunk; `None` after the last.
    pub async fn next(&mut self) -> Option<ListedChunk> {
        self.refill().await;
        let chunk = self.disks.iter().filter_map(DiskList::chunk).min()?;
        let mut shards = Vec::new();
        loop {
            for disk in &mut self.disks {
                while disk.chunk() == Some(chunk) {
                    let summary = disk.page.pop_front();
                    shards.extend(summary.map(|ShardSummary { header, is_damaged }| ListedShard {
                        disk: disk.place.disk,
                        header,
                        is_damaged,
                    }));
                }
            }
            // A page may end between two shards of a chunk.
            if !self.disks.iter().any(DiskList::is_hungry) {
                break;
            }
            self.refill().await;
        }
        shards.sort_by_key(|shard| (shard.header.shard.index, shard.disk));
        Some(ListedChunk { chunk, shards })
    }

    /// Asks each disk whose page is used up for the next.
    async fn refill(&mut self) {
        if !self.disks.iter().any(DiskList::is_hungry) {
            return;
        }
        let shared = &self.shared;
        let hungry = self.disks.iter_mut().filter(|disk| disk.is_hungry());
        // Boxed, because the compiler does not see otherwise that a task which awaits this may be spawned.
        let calls: Vec<BoxFuture<'_, Option<UnreachedDisk>>> =
            hungry.map(|disk| disk.refill(shared).boxed()).collect();
        let failed: Vec<Option<UnreachedDisk>> =
            stream::iter(calls).buffer_unordered(LIST_DISKS_AT_ONCE).collect().await;
        self.unreached.extend(failed.into_iter().flatten());
    }
}

impl std::fmt::Debug for ChunkList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkList({} disks at epoch {})", self.asked, self.epoch)
    }
}

/// The listing of one disk.
struct DiskList {
    place: Place,
    request: ListShards,
    lease: Option<LeaseId>,
    page: VecDeque<ShardSummary>,
    ended: bool,
    /// Whether it could not be listed to its end.
    has_failed: bool,
    /// Whether that does not matter.
    is_optional: bool,
}

impl DiskList {
    fn new(place: Place, limit: usize, wanted: Wanted) -> Self {
        let request = ListShards { after: None, limit, group: wanted.group };
        let mut list = Self {
            place,
            request,
            lease: wanted.lease,
            page: VecDeque::new(),
            ended: false,
            has_failed: false,
            is_optional: false,
        };
        if let Some(lease) = wanted.lease {
            list.start_at(ChunkId { lease, counter: 0 });
        }
        list
    }

    fn start_at(&mut self, chunk: ChunkId) {
        self.request.after = last_before(chunk);
    }

    fn chunk(&self) -> Option<ChunkId> {
        self.page.front().map(|summary| summary.header.shard.chunk)
    }

    fn is_hungry(&self) -> bool {
        self.page.is_empty() && !self.ended
    }

    /// Takes the next page in; after a failure the disk is listed no further.
    async fn refill(&mut self, shared: &Shared) -> Option<UnreachedDisk> {
        let answer = self.place.service.list_shards(self.place.disk, self.request);
        let answer = shared.env.timeout(LIST_TIMEOUT, answer).await.unwrap_or(Err(Error::TimedOut));
        match answer.and_then(|page| self.check(&page).map(|()| page)) {
            Ok(page) => {
                shared.health.succeeded(&self.place, Use::Read);
                self.request.after = page.last().map(|summary| summary.header.shard).or(self.request.after);
                let beyond = |summary: &ShardSummary| {
                    self.lease.is_some_and(|lease| summary.header.shard.chunk.lease > lease)
                };
                self.ended = page.len() < self.request.limit || page.last().is_some_and(beyond);
                self.page = page.into_iter().filter(|summary| !beyond(summary)).collect();
                None
            }
            Err(error) => {
                (self.ended, self.has_failed) = (true, true);
                shared.health.failed(&self.place, &error);
                (!self.is_optional).then_some(UnreachedDisk {
                    disk: self.place.disk,
                    reason: UnreachedReason::Failed(error),
                })
            }
        }
    }

    /// A page that is not in order could make a listing go on for ever.
    fn check(&self, page: &[ShardSummary]) -> Result<(), Error> {
        let names = self.request.after.into_iter().chain(page.iter().map(|summary| summary.header.shard));
        if page.len() <= self.request.limit && names.is_sorted_by(|before, after| before < after) {
            Ok(())
        } else {
            Err(Error::Malformed { reason: "the page is too long or not in order".to_owned() })
        }
    }
}

/// The last name that a shard before those of this chunk can have.
fn last_before(chunk: ChunkId) -> Option<ShardId> {
    let before = match chunk.counter.checked_sub(1) {
        Some(counter) => ChunkId { counter, ..chunk },
        None => ChunkId { lease: LeaseId(chunk.lease.0.checked_sub(1)?), counter: u64::MAX },
    };
    Some(ShardId { chunk: before, index: ShardIndex(u8::MAX) })
}

#[cfg(test)]
mod tests;
