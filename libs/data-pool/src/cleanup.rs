//! Deletes in the background what writes left on disks without a name.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};
use types::ChunkId;

use crate::{
    cluster::HeldSnapshot,
    delete::{self, Doomed, UnreachedShard},
    lease::Grant,
    limits::{CLEANUP_AT_ONCE, CLEANUP_QUEUE},
    pool::Shared,
    write::choose::Part,
};

/// A chunk that a write gave up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abandoned {
    pub(crate) doomed: Doomed,
    /// Epoch of the map by which it was placed.
    pub(crate) epoch: i64,
    /// One bit for each shard: whether the write never tried to put it.
    pub(crate) untried: u64,
}

impl Abandoned {
    pub(crate) fn new(doomed: Doomed, epoch: i64, parts: &[Part]) -> Self {
        let bit = |(position, part): (usize, &Part)| u64::from(*part == Part::Out) << position;
        Self { doomed, epoch, untried: parts.iter().take(64).enumerate().map(bit).sum() }
    }

    /// Whether an unreached place matters. Where nothing was put, and to which nothing can have moved since, there is
    /// nothing.
    fn is_left_at(&self, unreached: &UnreachedShard, changed_epoch: i64) -> bool {
        let tried = self.untried.checked_shr(u32::from(unreached.shard.index.0)).unwrap_or(0) & 1 == 0;
        tried || changed_epoch > self.epoch
    }
}

/// What is in the queue.
#[derive(Debug)]
enum Entry {
    /// Chunks to delete, named under this grant; the map by which they were placed counts as in use until they are.
    Delete(Vec<Abandoned>, Arc<Grant>, Option<Arc<HeldSnapshot>>),
    /// Somebody who waits until all before it is done.
    Tell(oneshot::Sender<()>),
}

impl Entry {
    fn chunks(&self) -> &[Abandoned] {
        match self {
            Self::Delete(chunks, ..) => chunks,
            Self::Tell(_) => &[],
        }
    }
}

/// Takes chunks to delete, without waiting.
#[derive(Debug, Clone)]
pub(crate) struct Cleanup {
    queue: mpsc::Sender<Entry>,
}

/// The other end of the queue.
#[derive(Debug)]
pub(crate) struct CleanupQueue(mpsc::Receiver<Entry>);

pub(crate) fn channel() -> (Cleanup, CleanupQueue) {
    let (sender, receiver) = mpsc::channel(CLEANUP_QUEUE);
    (Cleanup { queue: sender }, CleanupQueue(receiver))
}

impl Cleanup {
    /// Deletes these chunks some time. What is missed is found by whoever reaps the lease, which is marked for it.
    pub(crate) fn delete(&self, chunks: Vec<Abandoned>, grant: &Arc<Grant>, map: Option<Arc<HeldSnapshot>>) {
        let count = chunks.len();
        if count > 0 && self.queue.try_send(Entry::Delete(chunks, Arc::clone(grant), map)).is_err() {
            info!(chunks = count, "abandoned chunks are left on their disks");
            grant.mark_dirty();
        }
    }

    /// Waits until everything that was given before has been tried.
    pub(crate) async fn settle(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Entry::Tell(tell)).await.is_ok() {
            // An error means that the queue is gone, and all in it.
            let _ = told.await;
        }
    }
}

/// Deletes what comes through the queue, until the pool is gone.
pub(crate) async fn run(shared: Arc<Shared>, mut queue: CleanupQueue) {
    let mut entries = Vec::new();
    while queue.0.recv_many(&mut entries, CLEANUP_AT_ONCE).await > 0 {
        let doomed: Vec<Doomed> = entries.iter().flat_map(Entry::chunks).map(|chunk| chunk.doomed).collect();
        let unreached = delete::delete(&shared, &doomed).await.unreached;
        for entry in entries.drain(..) {
            match entry {
                Entry::Delete(chunks, grant, map) => {
                    drop(map);
                    let left = left_behind(&shared, &chunks, &unreached);
                    if left == 0 {
                        debug!(chunks = chunks.len(), "deleted abandoned chunks");
                    } else {
                        info!(shards = left, "shards of abandoned chunks are left on their disks");
                        grant.mark_dirty();
                    }
                }
                Entry::Tell(waiting) => {
                    // Nobody may be waiting any more.
                    let _ = waiting.send(());
                }
            }
        }
    }
}

/// How many of the unreached shards may be there.
fn left_behind(shared: &Shared, chunks: &[Abandoned], unreached: &[UnreachedShard]) -> usize {
    let map = shared.view.snapshot();
    let chunks: HashMap<ChunkId, &Abandoned> =
        chunks.iter().map(|chunk| (chunk.doomed.chunk, chunk)).collect();
    let is_left = |shard: &&UnreachedShard| {
        // A group that is not in the map may be anywhere.
        let changed = map.group(shard.group).map_or(i64::MAX, |group| group.changed_epoch);
        chunks.get(&shard.shard.chunk).is_some_and(|chunk| chunk.is_left_at(shard, changed))
    };
    unreached.iter().filter(is_left).count()
}
