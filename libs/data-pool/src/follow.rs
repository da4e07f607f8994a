//! Keeps a cluster view up to date in the background.

use std::sync::Arc;

use env::{Env, Task};
use metadata_api::Metadata;
use tracing::{debug, warn};

use crate::{
    ClusterView,
    limits::{MAP_PERIOD, METADATA_TIMEOUT},
};

/// Asks the metadata service for a newer cluster map every two seconds, until dropped.
#[derive(Debug)]
pub struct Follower {
    task: Task<()>,
}

impl Follower {
    /// Starts to follow. The view has its first map a moment later; [`ClusterView::refresh`] waits for one.
    pub fn start(env: &Env, metadata: Arc<dyn Metadata>, view: Arc<ClusterView>) -> Self {
        let own_env = env.clone();
        Self { task: env.spawn(async move { follow(own_env, metadata, view).await }) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ClusterView {
    /// Asks for a newer map and takes it in. Whether there was one.
    ///
    /// Errors: those of [`Metadata::cluster_map`].
    pub async fn refresh(&self, metadata: &dyn Metadata) -> Result<bool, metadata_api::Error> {
        let epoch = self.epoch();
        let known = (epoch > 0).then_some(epoch);
        let map = metadata.cluster_map(known).await?;
        if let Some(map) = &map {
            self.update(map);
        }
        Ok(map.is_some())
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
        env.sleep(MAP_PERIOD).await;
    }
}
