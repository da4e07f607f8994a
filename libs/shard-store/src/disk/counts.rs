//! What a disk counts of its syncs.

use env::Env;
use telemetry::{Counter, Histogram, Samples, metrics};
use types::DiskId;

metrics! {
    SYNC: histogram("ashlar_disk_sync_duration_seconds", ["disk"], "Time of each sync that makes writes stable; its count is the number of syncs.");
    FAILED: counter("ashlar_disk_sync_failures_total", ["disk"], "Syncs that failed; after one a disk takes nothing more.");
}

#[derive(Debug)]
pub(super) struct Syncs {
    duration: Histogram,
    failed: Counter,
}

impl Default for Syncs {
    fn default() -> Self {
        Self { duration: Histogram::seconds(), failed: Counter::default() }
    }
}

impl Syncs {
    /// Counts one that is made by `sync`.
    pub(super) fn count<E>(&self, env: &Env, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let began = env.now();
        let done = sync();
        self.duration.took(env.now().since(began));
        if done.is_err() {
            self.failed.increment();
        }
        done
    }

    pub(super) fn collect(&self, disk: DiskId, samples: &mut Samples) {
        let disk = disk.to_string();
        samples.add_histogram(&SYNC, &[&disk], &self.duration);
        samples.add(&FAILED, &[&disk], &self.failed);
    }
}
