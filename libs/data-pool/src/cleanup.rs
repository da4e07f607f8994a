//! Deletes in the background what writes left on disks without a name.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};
use types::{ChunkId, Coding, GroupId};

use crate::{
    delete::{self, Doomed},
    limits::CLEANUP_QUEUE,
    pool::Shared,
};

/// What is in the queue.
#[derive(Debug)]
enum Entry {
    /// Chunks to delete.
    Delete(Vec<Doomed>),
    /// Somebody who waits until all before it is done.
    Tell(oneshot::Sender<()>),
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
    /// Deletes these chunks some time. Best effort: what is missed stays on its disks, named by nobody.
    pub(crate) fn delete(&self, chunks: Vec<Doomed>) {
        let count = chunks.len();
        if count > 0 && self.queue.try_send(Entry::Delete(chunks)).is_err() {
            info!(chunks = count, "abandoned chunks are left on their disks");
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
    while let Some(entry) = queue.0.recv().await {
        let chunks = match entry {
            Entry::Delete(chunks) => chunks,
            Entry::Tell(waiting) => {
                let _ = waiting.send(());
                continue;
            }
        };
        let unreached = delete::delete(&shared, &chunks).await.unreached;
        if unreached.is_empty() {
            debug!(chunks = chunks.len(), "deleted abandoned chunks");
        } else {
            info!(shards = unreached.len(), "shards of abandoned chunks are left on their disks");
        }
    }
}

/// The chunks of a write until it succeeds; dropping it deletes them. A write that is given up half-way, because its
/// client is gone, drops it too.
#[derive(Debug)]
pub(crate) struct Unnamed {
    cleanup: Cleanup,
    chunks: Vec<Doomed>,
}

impl Unnamed {
    pub(crate) fn new(cleanup: Cleanup) -> Self {
        Self { cleanup, chunks: Vec::new() }
    }

    pub(crate) fn add(&mut self, chunk: ChunkId, group: GroupId, coding: Coding) {
        self.chunks.push(Doomed { chunk, group, coding });
    }

    /// The write succeeded: naming its chunks is now the caller's business.
    pub(crate) fn keep(mut self) {
        self.chunks.clear();
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        self.cleanup.delete(std::mem::take(&mut self.chunks));
    }
}
