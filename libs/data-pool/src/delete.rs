//! Deletes the shards of chunks.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chunk_api::{Error, SHARDS_PER_CALL_MAX};
use futures_util::{StreamExt, stream};
use types::{ChunkId, Coding, DiskId, Extent, GroupId, ShardId};

use crate::{
    ListedChunk, Pool,
    cluster::HeldSnapshot,
    health::{Health, Use},
    limits::{DELETE_DISKS_AT_ONCE, DELETE_TIMEOUT},
    pool::Shared,
    snapshot::{Home, Place, Snapshot, Standing, shard_index},
};

/// What became of shards that were to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Epoch of the cluster map that said where the shards may be. What has moved since may be elsewhere too.
    pub epoch: i64,
    /// Shards that were not deleted at some place; all others are deleted everywhere and for good.
    pub unreached: Vec<UnreachedShard>,
}

/// A shard that was not deleted at a place where it may be, or of which it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachedShard {
    /// The shard.
    pub shard: ShardId,
    /// The placement group of its chunk.
    pub group: GroupId,
    /// The place, when the map knows it.
    pub disk: Option<DiskId>,
    /// What stood in the way.
    pub reason: UnreachedReason,
}

/// Why a shard was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreachedReason {
    /// The cluster map does not know the group, the disk or the disk's node, or the group has fewer disks than the chunk has shards.
    NotInMap,
    /// The disk's service failed.
    Failed(Error),
}

/// A chunk to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Doomed {
    pub(crate) chunk: ChunkId,
    pub(crate) group: GroupId,
    pub(crate) coding: Coding,
}

impl Pool {
    /// Deletes every shard of the chunks that these extents are part of, on every disk where one may be: its group's,
    /// and those that the group's shards are on their way to. The caller has proved that nothing names the chunks.
    /// Durable for every shard that the answer does not list; those it lists may be tried again at any time. Disks that are
    /// known not to answer are not waited for: they are tried now and then, and their shards are listed meanwhile.
    pub async fn delete(&self, extents: &[Extent]) -> Deletion {
        let doomed = extents.iter().map(|extent| Doomed {
            chunk: extent.chunk,
            group: extent.group,
            coding: extent.coding,
        });
        let doomed: BTreeSet<Doomed> = doomed.collect();
        delete(self.shared(), &Vec::from_iter(doomed)).await
    }
}

impl Pool {
    /// Deletes chunks that a listing found and that nothing names: every shard on every disk where it may be, and on
    /// those where it was found. As [`Pool::delete`] otherwise.
    pub async fn delete_everywhere(&self, chunks: &[ListedChunk]) -> Deletion {
        let doomed = |listed: &ListedChunk| {
            let header = listed.shards.first().map(|shard| &shard.header)?;
            Some(Doomed { chunk: listed.chunk, group: header.group, coding: header.coding })
        };
        let doomed: Vec<Doomed> = chunks.iter().filter_map(doomed).collect();
        let shared = self.shared();
        let map = shared.view.hold();
        // Where they were found is enough for those of groups that are gone: nothing moves them any more.
        let mapped: Vec<Doomed> =
            doomed.into_iter().filter(|doomed| map.group(doomed.group).is_some()).collect();
        let mut plan = plan(&map, &mapped);
        for found in chunks.iter().flat_map(|listed| &listed.shards) {
            let (shard, group) = (found.header.shard, found.header.group);
            match map.home(found.disk) {
                Some(home) => plan.add(home, shard, group),
                None => plan.unreached.push(unmapped(shard, group, Some(found.disk))),
            }
        }
        carry_out(shared, &map, plan).await
    }
}

/// The shards to delete from one disk, each with its group.
struct Batch {
    place: Place,
    shards: Vec<(ShardId, GroupId)>,
}

impl Batch {
    fn unreached(&self, (shard, group): &(ShardId, GroupId), error: &Error) -> UnreachedShard {
        let (disk, reason) = (Some(self.place.disk), UnreachedReason::Failed(error.clone()));
        UnreachedShard { shard: *shard, group: *group, disk, reason }
    }
}

/// What is to be deleted where.
#[derive(Default)]
struct Plan {
    batches: HashMap<DiskId, Batch>,
    unreached: Vec<UnreachedShard>,
}

impl Plan {
    /// Gives up the disks that are known not to answer: what may be on them is unreached at once. One whose mark has run out
    /// is tried, and given up by others meanwhile.
    fn give_up_silent(&mut self, health: &Health) {
        let is_silent = |place: &Place| place.standing == Standing::Down || health.avoids(place, Use::Read);
        for (_, batch) in self.batches.extract_if(|_, batch| is_silent(&batch.place)) {
            let error = Error::Unavailable { reason: "the disk failed lately".to_owned() };
            self.unreached.extend(batch.shards.iter().map(|shard| batch.unreached(shard, &error)));
        }
    }

    /// What was on a disk that is gone is gone with it.
    fn add(&mut self, home: &Home, shard: ShardId, group: GroupId) {
        match &home.place {
            _ if home.is_gone() => {}
            None => self.unreached.push(unmapped(shard, group, Some(home.disk))),
            Some(place) => {
                let batch = || Batch { place: place.clone(), shards: Vec::new() };
                self.batches.entry(place.disk).or_insert_with(batch).shards.push((shard, group));
            }
        }
    }
}

fn unmapped(shard: ShardId, group: GroupId, disk: Option<DiskId>) -> UnreachedShard {
    UnreachedShard { shard, group, disk, reason: UnreachedReason::NotInMap }
}

pub(crate) async fn delete(shared: &Arc<Shared>, chunks: &[Doomed]) -> Deletion {
    // Held to the end: a mover must not take what is deleted here for something that nobody deletes any more.
    let map = shared.view.hold();
    let plan = plan(&map, chunks);
    carry_out(shared, &map, plan).await
}

/// Sorts shards by disk; those without a disk are unreached.
fn plan(map: &Snapshot, chunks: &[Doomed]) -> Plan {
    let mut plan = Plan::default();
    for doomed in chunks {
        let group = map.group(doomed.group);
        for position in 0..doomed.coding.total() {
            let shard = ShardId { chunk: doomed.chunk, index: shard_index(position) };
            match group.filter(|group| position < group.width()) {
                Some(group) => group.homes(position).for_each(|home| plan.add(home, shard, doomed.group)),
                None => plan.unreached.push(unmapped(shard, doomed.group, None)),
            }
        }
    }
    plan
}

async fn carry_out(shared: &Arc<Shared>, map: &HeldSnapshot, mut plan: Plan) -> Deletion {
    plan.give_up_silent(&shared.health);
    let Plan { batches, mut unreached } = plan;
    let calls = batches.into_values().map(|batch| delete_batch(shared, batch));
    let mut calls = stream::iter(calls).buffer_unordered(DELETE_DISKS_AT_ONCE);
    while let Some(failed) = calls.next().await {
        unreached.extend(failed);
    }
    Deletion { epoch: map.epoch, unreached }
}

/// Deletes one disk's shards, giving the disk up at the first failure.
async fn delete_batch(shared: &Arc<Shared>, mut batch: Batch) -> Vec<UnreachedShard> {
    batch.shards.sort_unstable();
    batch.shards.dedup();
    let Batch { place, shards } = &batch;
    for (call, page) in shards.chunks(SHARDS_PER_CALL_MAX).enumerate() {
        let names: Vec<ShardId> = page.iter().map(|(shard, _)| *shard).collect();
        shared.health.attempt(place, Use::Read);
        let answer =
            shared.env.timeout(DELETE_TIMEOUT, place.service.delete_shards(place.disk, &names)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            Ok(()) => shared.health.succeeded(place, Use::Read),
            Err(error) => {
                shared.health.failed(place, &error);
                let left = &shards[call * SHARDS_PER_CALL_MAX..];
                return left.iter().map(|shard| batch.unreached(shard, &error)).collect();
            }
        }
    }
    Vec::new()
}
