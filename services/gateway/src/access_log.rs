//! Server access logging: a record of each request to a bucket that is configured so, delivered as objects to the bucket that
//! its configuration names. Amazon S3 User Guide, "Logging requests with server access logging".
//!
//! Which buckets are logged is read from the metadata service every few seconds, so that a request to any other costs a look
//! into a set. The records of a bucket are held in memory until they are due, or are many, and are then written as any object
//! is: by the pool, and by a commit. Like S3's, this log is a best effort. A gateway that is killed loses what it has not
//! delivered; one that is stopped in order delivers it first.
//!
//! Invariant: what is held in memory is bounded; when it cannot be delivered the oldest is dropped, and counted.
//! Invariant: what this file writes by itself is not logged, so that a bucket may log into itself.

mod buffer;
mod deliver;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use env::Env;
use tokio::sync::Notify;
use types::{BucketName, Timestamp};

use self::buffer::{Buffers, Record};
pub(crate) use self::{
    deliver::{deliver_all, run},
    record::{BatchDeleted, DeletedEntry, Entrance, Watch, tell_sender},
};

/// The records that are held, and of which buckets there are any.
pub(crate) struct AccessLog {
    env: Env,
    /// How long a record waits for others.
    interval: Duration,
    /// The buckets that have a configuration, as far as is known.
    logged: RwLock<Logged>,
    buffers: Mutex<Buffers>,
    /// Told when more is held than needs to wait.
    full: Notify,
}

/// The buckets that have a configuration, and how often that was changed through this gateway.
#[derive(Debug, Clone, Default)]
struct Logged {
    buckets: Arc<BTreeSet<BucketName>>,
    changes: u64,
}

impl AccessLog {
    pub(crate) fn new(env: Env, interval: Duration) -> Self {
        Self { env, interval, logged: RwLock::default(), buffers: Mutex::default(), full: Notify::new() }
    }

    /// The buckets of which requests are recorded; `None` when there are none.
    fn logged(&self) -> Option<Arc<BTreeSet<BucketName>>> {
        let logged = self.logged.read().unwrap_or_else(PoisonError::into_inner);
        (!logged.buckets.is_empty()).then(|| Arc::clone(&logged.buckets))
    }

    /// How often a configuration was changed through this gateway.
    fn changes(&self) -> u64 {
        self.logged.read().unwrap_or_else(PoisonError::into_inner).changes
    }

    /// Takes in which buckets are logged, as it was read after so many changes. What was changed meanwhile may not be in it, so
    /// that it must be read again then: answers whether it was taken in.
    fn set_logged(&self, buckets: BTreeSet<BucketName>, changes: u64) -> bool {
        let mut logged = self.logged.write().unwrap_or_else(PoisonError::into_inner);
        let is_latest = logged.changes == changes;
        if is_latest {
            logged.buckets = Arc::new(buckets);
        }
        is_latest
    }

    /// Whether requests to the bucket are recorded.
    pub(crate) fn covers(&self, bucket: &BucketName) -> bool {
        self.logged().is_some_and(|logged| logged.contains(bucket))
    }

    /// Takes in that a bucket's configuration was set or removed through this gateway; others find out by themselves.
    pub(crate) fn note(&self, bucket: &BucketName, is_logged: bool) {
        let mut logged = self.logged.write().unwrap_or_else(PoisonError::into_inner);
        logged.changes += 1;
        let buckets = Arc::make_mut(&mut logged.buckets);
        if is_logged {
            buckets.insert(bucket.clone());
        } else {
            buckets.remove(bucket);
        }
    }

    /// Holds a record of a request that was made to the bucket at a time until it is delivered.
    fn push(&self, bucket: &BucketName, time: Timestamp, text: String) {
        let record = Record { time, text };
        if self.buffers().push(bucket, record, self.env.now()) {
            self.full.notify_one();
        }
    }

    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
