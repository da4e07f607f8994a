//! What every loop of the worker is given.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use data_pool::{ClusterView, Pool};
use env::Env;
use kms::Keys;
use metadata_api::{ClusterMap, Error, Metadata};
use service_kit::Shutdown;

use crate::{
    Options,
    counts::{Counts, WorkerSource},
};

/// The cluster and the machine as the loops reach them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) env: Env,
    pub(crate) metadata: Arc<dyn Metadata>,
    pub(crate) pool: Pool,
    pub(crate) options: Options,
    /// The keys, for what it writes into buckets that encrypt.
    pub(crate) keys: Option<Arc<Keys>>,
    /// Who this worker is, for showing to operators.
    pub(crate) name: Arc<str>,
    pub(crate) shutdown: Shutdown,
    view: Arc<ClusterView>,
    map: KnownMap,
    pub(crate) counts: Arc<Counts>,
}

/// The latest map that a loop has asked for. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct KnownMap(Arc<Mutex<Arc<ClusterMap>>>);

impl KnownMap {
    pub(crate) fn get(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ClusterMap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    pub(crate) fn new(
        env: Env,
        metadata: Arc<dyn Metadata>,
        view: Arc<ClusterView>,
        pool: Pool,
        (options, keys): (Options, Option<Arc<Keys>>),
        shutdown: Shutdown,
        source: &WorkerSource,
    ) -> Self {
        let name = format!("worker {:016x}", env.random_u64()).into();
        let (map, counts) = (source.map.clone(), source.counts.clone());
        Self { env, metadata, pool, options, keys, name, shutdown, view, map, counts }
    }

    /// The cluster map as it is now; the pool acts by it, or a later one, from then on.
    pub(crate) async fn map(&self) -> Result<Arc<ClusterMap>, Error> {
        let known = self.map.get();
        let asked = self.metadata.cluster_map((known.epoch > 0).then_some(known.epoch)).await?;
        Ok(asked.map_or(known, |map| self.take_in(map)))
    }

    /// The same with the heartbeats as counted now, which the map's epoch does not tell of.
    pub(crate) async fn map_with_heartbeats(&self) -> Result<Arc<ClusterMap>, Error> {
        let asked = self.metadata.cluster_map(None).await?;
        Ok(asked.map_or_else(|| self.map.get(), |map| self.take_in(map)))
    }

    /// Keeps the later of two maps: answers may overtake each other.
    fn take_in(&self, map: ClusterMap) -> Arc<ClusterMap> {
        let mut known = self.map.lock();
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
