//! What the parts of an open store share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use chunk_api::Error;
use env::{Env, Instant};
use s3_client::Bucket;
use tokio::sync::{Notify, Semaphore, watch};
use types::DiskId;

use crate::{
    index::Index,
    name::{ObjectName, Turn},
    open::Timings,
    tail::Tail,
};

/// Bytes of shards in memory at a time, on their way to the bucket, in units of [`BUFFER_UNIT`].
pub(crate) const BUFFER_UNITS: usize = (256 << 20) / BUFFER_UNIT;
pub(crate) const BUFFER_UNIT: usize = 1 << 10;

/// What background tasks are told. They end too when nobody is left to tell them anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    Release,
}

pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) bucket: Bucket,
    /// What all keys begin with: empty, or with a slash at its end.
    pub(crate) prefix: String,
    pub(crate) disk: DiskId,
    pub(crate) generation: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) timings: Timings,
    pub(crate) index: Mutex<Index>,
    /// Until when the claim holds by this process's clock; `None` when it was lost.
    pub(crate) held_until: Mutex<Option<Instant>>,
    pub(crate) lost: watch::Sender<bool>,
    pub(crate) counter: AtomicU64,
    pub(crate) tail: tokio::sync::Mutex<Tail>,
    pub(crate) buffers: Arc<Semaphore>,
    /// An upload has ended.
    pub(crate) upload_ended: Notify,
    /// There is something to void or to remove.
    pub(crate) sweep: Notify,
}

impl Shared {
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of a store that is open and holds its claim.
    pub(crate) fn open_index(&self) -> Result<MutexGuard<'_, Index>, Error> {
        let index = self.index();
        let reason = if index.closed {
            "the disk is closed"
        } else if self.is_held() {
            return Ok(index);
        } else {
            "the claim on the remote bucket is lost or was not renewed in time"
        };
        drop(index);
        Err(Error::Unavailable { reason: reason.to_owned() })
    }

    /// Whether the claim surely holds: nobody else has taken the prefix yet.
    pub(crate) fn is_held(&self) -> bool {
        self.held_until().is_some_and(|until| self.env.now() < until)
    }

    /// The claim was renewed by a request that was sent at `sent`. Another process takes the claim over no sooner than one
    /// expiry after; a quarter of it is left for clocks that do not run alike.
    pub(crate) fn hold_from(&self, sent: Instant) {
        *self.held_until() = Some(sent.after(self.timings.claim / 4 * 3));
    }

    /// The claim is lost for good.
    pub(crate) fn lose(&self) {
        *self.held_until() = None;
        self.lost.send_replace(true);
    }

    pub(crate) fn held_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing that was put can still appear unmarked, and no marks can.
    pub(crate) fn is_settled(&self) -> bool {
        let index = self.index();
        index.settled && index.uploads == 0 && index.doubtful.is_empty() && !index.marks_unstored
    }

    pub(crate) fn next_turn(&self) -> Turn {
        Turn { generation: self.generation, counter: self.counter.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn claim_key(&self) -> String {
        format!("{}claim", self.prefix)
    }

    pub(crate) fn shards_prefix(&self) -> String {
        format!("{}shards/", self.prefix)
    }

    pub(crate) fn marks_prefix(&self) -> String {
        format!("{}marks/", self.prefix)
    }

    pub(crate) fn shard_key(&self, name: &ObjectName) -> String {
        format!("{}shards/{name}", self.prefix)
    }
}
