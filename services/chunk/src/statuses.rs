//! What a disk says of itself, asked so that one which does not answer holds up nobody: neither the heartbeat, nor
//! gateways that ask how the service is, nor metrics.
//!
//! A disk is asked once at a time, however many want to know, so that one that hangs holds one thread. Who asks waits a
//! little, and then has what the disk said last. A disk that has said nothing for long takes no shards, as far as
//! anybody is told; one that has never said anything is not there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chunk_api::DiskStatus;
use env::{Env, Instant};
use shard_store::ShardStore;
use tokio::sync::watch;
use tracing::{info, warn};

/// How long a disk is waited for that has answered before. Well below what gateways wait for a service that they probe, which
/// is a second.
const WAIT: Duration = Duration::from_millis(700);

/// How long one is waited for that has not.
const FIRST_WAIT: Duration = Duration::from_secs(3);

/// How long what a disk said last is taken for how it is.
const STALE: Duration = Duration::from_secs(10);

/// What one disk said of itself.
#[derive(Default)]
pub(crate) struct Statuses {
    told: watch::Sender<Option<Told>>,
    /// Whether it is being asked.
    is_asked: AtomicBool,
    /// Whether it was said in the log that it does not answer.
    is_silent: AtomicBool,
}

struct Told {
    status: DiskStatus,
    at: Instant,
}

impl Statuses {
    /// How the disk is, or was when it last said it.
    pub(crate) async fn ask(self: &Arc<Self>, env: &Env, store: &Arc<dyn ShardStore>) -> Option<DiskStatus> {
        let mut told = self.told.subscribe();
        let wait = if told.borrow().is_some() { WAIT } else { FIRST_WAIT };
        if !self.is_asked.swap(true, Ordering::AcqRel) {
            let (statuses, store, clock) = (Arc::clone(self), Arc::clone(store), env.clone());
            env.spawn(async move {
                let status = store.status().await;
                // Before it is told: who hears it and asks again is to have a new answer.
                statuses.is_asked.store(false, Ordering::Release);
                statuses.told.send_replace(Some(Told { status, at: clock.now() }));
            });
        }
        // Without an answer the last one is given.
        let _ = env.timeout(wait, told.changed()).await;
        let last = self.told.borrow().as_ref().map(|told| (told.status.clone(), told.at));
        let (status, at) = last?;
        let is_silent = env.now().since(at) >= STALE;
        if self.is_silent.swap(is_silent, Ordering::Relaxed) != is_silent {
            let disk = status.disk;
            if is_silent {
                warn!(%disk, "the disk does not say how it is; it counts as one that takes no shards");
            } else {
                info!(%disk, "the disk says again how it is");
            }
        }
        Some(DiskStatus { writable: status.writable && !is_silent, ..status })
    }
}
