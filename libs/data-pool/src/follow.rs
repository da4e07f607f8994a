//! Keeps a cluster view up to date in the background.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use env::{Env, Task};
use metadata_api::Metadata;
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::{
    ClusterView,
    limits::{MAP_PERIOD, METADATA_TIMEOUT, REFRESH_GAP, REFRESH_WAIT},
    snapshot::Snapshot,
};

/// Asks the metadata service for a newer cluster map every two seconds, and when a read finds too few shards by the one
/// in use, until dropped.
#[derive(Debug)]
pub struct Follower {
    view: Arc<ClusterView>,
    task: Task<()>,
}

/// The refreshes of a view.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    /// How many have begun.
    begun: AtomicU64,
    /// The latest to begin of those that have succeeded.
    completed: watch::Sender<u64>,
    /// Somebody wants one now.
    wanted: Notify,
    followers: AtomicUsize,
}

/// What the latest cluster map is, compared with one in use.
pub(crate) enum Latest {
    /// This one.
    Newer(Arc<Snapshot>),
    /// The one in use, by an answer to a question that was asked just now.
    Same,
    /// The metadata service has not answered in time, or nobody asks it.
    Unknown,
}

impl Follower {
    /// Starts to follow. The view has its first map a moment later; [`ClusterView::refresh`] waits for one.
    pub fn start(env: &Env, metadata: Arc<dyn Metadata>, view: Arc<ClusterView>) -> Self {
        view.refreshes.followers.fetch_add(1, Ordering::Relaxed);
        let task = env.spawn(follow(env.clone(), metadata, Arc::clone(&view)));
        Self { view, task }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
        self.view.refreshes.followers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClusterView {
    /// Asks for a newer map and takes it in. Whether there was one.
    ///
    /// Errors: those of [`Metadata::cluster_map`].
    pub async fn refresh(&self, metadata: &dyn Metadata) -> Result<bool, metadata_api::Error> {
        let number = self.refreshes.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let epoch = self.epoch();
        let known = (epoch > 0).then_some(epoch);
        let map = metadata.cluster_map(known).await?;
        if let Some(map) = &map {
            self.update(map);
        }
        self.refreshes.completed.send_modify(|completed| *completed = number.max(*completed));
        Ok(map.is_some())
    }

    /// A newer map than that of `epoch`, if the metadata service has one and a follower can have it soon.
    pub(crate) async fn newer_than(&self, env: &Env, epoch: i64) -> Latest {
        let is_old = || self.epoch() <= epoch;
        let mut is_asked = false;
        if is_old() && self.refreshes.followers.load(Ordering::Relaxed) > 0 {
            let begun = self.refreshes.begun.load(Ordering::Relaxed);
            let mut completed = self.refreshes.completed.subscribe();
            self.refreshes.wanted.notify_one();
            // An error means that there is no answer yet; the map may be newer all the same.
            let asked = env.timeout(REFRESH_WAIT, completed.wait_for(|completed| *completed > begun)).await;
            is_asked = matches!(asked, Ok(Ok(_)));
        }
        match (is_old(), is_asked) {
            (false, _) => Latest::Newer(self.snapshot()),
            (true, true) => Latest::Same,
            (true, false) => Latest::Unknown,
        }
    }
}

async fn follow(env: Env, metadata: Arc<dyn Metadata>, view: Arc<ClusterView>) {
    let mut reached = true;
    loop {
        let asked = env.timeout(METADATA_TIMEOUT, view.refresh(&*metadata)).await;
        let answer = asked.unwrap_or(Err(metadata_api::Error::TimedOut));
        match answer {
            Ok(newer) => {
                if newer {
                    debug!(epoch = view.epoch(), "took in a cluster map");
                }
                reached = true;
            }
            // The map in use stays good for what does not change, so this is worth one line, not one every period.
            Err(error) if reached => {
                warn!(%error, "cluster map not refreshed");
                reached = false;
            }
            Err(_) => {}
        }
        env.sleep(REFRESH_GAP).await;
        // An error means that nobody wants one sooner.
        let _ = env.timeout(MAP_PERIOD - REFRESH_GAP, view.refreshes.wanted.notified()).await;
    }
}
