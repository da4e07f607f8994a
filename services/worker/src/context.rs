//! What every loop of the worker is given.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use data_pool::{ClusterView, Pool};
use encryption::Keyring;
use env::Env;
use metadata_api::{ClusterMap, Error, Metadata};
use service_kit::Shutdown;

use crate::Options;

/// The cluster and the machine as the loops reach them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) env: Env,
    pub(crate) metadata: Arc<dyn Metadata>,
    pub(crate) pool: Pool,
    pub(crate) options: Options,
    /// The master keys, for what it writes into buckets that encrypt.
    pub(crate) keys: Option<Arc<Keyring>>,
    /// Who this worker is, for showing to operators.
    pub(crate) name: Arc<str>,
    pub(crate) shutdown: Shutdown,
    view: Arc<ClusterView>,
    /// The latest map that a loop has asked for.
    map: Arc<Mutex<Arc<ClusterMap>>>,
}

impl Context {
    pub(crate) fn new(
        env: Env,
        metadata: Arc<dyn Metadata>,
        view: Arc<ClusterView>,
        pool: Pool,
        (options, keys): (Options, Option<Arc<Keyring>>),
        shutdown: Shutdown,
    ) -> Self {
        let name = format!("worker {:016x}", env.random_u64()).into();
        Self { env, metadata, pool, options, keys, name, shutdown, view, map: Arc::default() }
    }

    /// The cluster map as it is now; the pool acts by it, or a later one, from then on.
    pub(crate) async fn map(&self) -> Result<Arc<ClusterMap>, Error> {
        let known = self.known_map();
        let asked = self.metadata.cluster_map((known.epoch > 0).then_some(known.epoch)).await?;
        Ok(asked.map_or(known, |map| self.take_in(map)))
    }

    /// The same with the heartbeats as counted now, which the map's epoch does not tell of.
    pub(crate) async fn map_with_heartbeats(&self) -> Result<Arc<ClusterMap>, Error> {
        let asked = self.metadata.cluster_map(None).await?;
        Ok(asked.map_or_else(|| self.known_map(), |map| self.take_in(map)))
    }

    fn known_map(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.map.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the later of two maps: answers may overtake each other.
    fn take_in(&self, map: ClusterMap) -> Arc<ClusterMap> {
        let mut known = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch <= map.epoch {
            self.view.update(&map);
            *known = Arc::new(map);
        }
        Arc::clone(&known)
    }

    /// Waits for `period`, or until the stop begins.
    pub(crate) async fn pause(&self, period: Duration) {
        tokio::select! { () = self.env.sleep(period) => {}, () = self.shutdown.begun() => {} }
    }
}
