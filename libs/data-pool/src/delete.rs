//! Deletes the shards of chunks.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chunk_api::{Error, SHARDS_PER_CALL_MAX};
use futures_util::{StreamExt, stream};
use types::{ChunkId, Coding, DiskId, Extent, GroupId, ShardId};

use crate::{
    Pool,
    cluster::{Place, shard_index},
    health::Use,
    limits::{DELETE_DISKS_AT_ONCE, DELETE_TIMEOUT},
    pool::Shared,
};

/// A shard that was not deleted, or of which it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreachedShard {
    /// The shard.
    pub shard: ShardId,
    /// The placement group of its chunk.
    pub group: GroupId,
    /// Where it should be, when the map says so.
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
    /// Deletes every shard of the chunks that these extents are part of. The caller has proved that nothing names
    /// them. Durable for every shard that the answer does not list; those it lists may be tried again at any time.
    pub async fn delete(&self, extents: &[Extent]) -> Vec<UnreachedShard> {
        let doomed = extents.iter().map(|extent| Doomed {
            chunk: extent.chunk,
            group: extent.group,
            coding: extent.coding,
        });
        let doomed: BTreeSet<Doomed> = doomed.collect();
        delete(self.shared(), &Vec::from_iter(doomed)).await
    }
}

/// The shards to delete from one disk, each with its group.
struct Batch {
    place: Place,
    shards: Vec<(ShardId, GroupId)>,
}

pub(crate) async fn delete(shared: &Arc<Shared>, chunks: &[Doomed]) -> Vec<UnreachedShard> {
    let (batches, mut unreached) = plan(shared, chunks);
    let calls = batches.into_iter().map(|batch| delete_batch(shared, batch));
    let mut calls = stream::iter(calls).buffer_unordered(DELETE_DISKS_AT_ONCE);
    while let Some(failed) = calls.next().await {
        unreached.extend(failed);
    }
    unreached
}

/// Sorts shards by disk; those without a disk are unreached.
fn plan(shared: &Shared, chunks: &[Doomed]) -> (Vec<Batch>, Vec<UnreachedShard>) {
    let snapshot = shared.view.snapshot();
    let mut batches: HashMap<DiskId, Batch> = HashMap::new();
    let mut unreached = Vec::new();
    for doomed in chunks {
        let group = snapshot.group(doomed.group);
        for position in 0..doomed.coding.total() {
            let shard = ShardId { chunk: doomed.chunk, index: shard_index(position) };
            match group.and_then(|group| group.place(position)) {
                Some(place) => batches
                    .entry(place.disk)
                    .or_insert_with(|| Batch { place: place.clone(), shards: Vec::new() })
                    .shards
                    .push((shard, doomed.group)),
                None => unreached.push(UnreachedShard {
                    shard,
                    group: doomed.group,
                    disk: group.and_then(|group| group.disks.get(position)).copied(),
                    reason: UnreachedReason::NotInMap,
                }),
            }
        }
    }
    (batches.into_values().collect(), unreached)
}

/// Deletes one disk's shards, giving the disk up at the first failure.
async fn delete_batch(shared: &Arc<Shared>, batch: Batch) -> Vec<UnreachedShard> {
    let Batch { place, shards } = batch;
    for (call, page) in shards.chunks(SHARDS_PER_CALL_MAX).enumerate() {
        let names: Vec<ShardId> = page.iter().map(|(shard, _)| *shard).collect();
        let answer =
            shared.env.timeout(DELETE_TIMEOUT, place.service.delete_shards(place.disk, &names)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            Ok(()) => shared.health.succeeded(&place, Use::Read),
            Err(error) => {
                shared.health.failed(&place, &error);
                let unreached = |(shard, group): &(ShardId, GroupId)| UnreachedShard {
                    shard: *shard,
                    group: *group,
                    disk: Some(place.disk),
                    reason: UnreachedReason::Failed(error.clone()),
                };
                return shards[call * SHARDS_PER_CALL_MAX..].iter().map(unreached).collect();
            }
        }
    }
    Vec::new()
}
