//! The cluster as the pool sees it: the latest map, and which older ones are still written by.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use chunk_api::ChunkService;
use metadata_api::ClusterMap;
use types::NodeId;

use crate::{follow::Refreshes, snapshot::Snapshot};

/// The latest cluster map, with a chunk service for every node that can be reached.
pub struct ClusterView {
    in_process: HashMap<NodeId, Arc<dyn ChunkService>>,
    connect: Option<Box<Connect>>,
    current: RwLock<Arc<Snapshot>>,
    held: Arc<Held>,
    pub(crate) refreshes: Refreshes,
}

type Connect = dyn Fn(&str) -> Arc<dyn ChunkService> + Send + Sync;

impl ClusterView {
    /// A view of nodes inside this process; other nodes are not reached.
    pub fn in_process(services: HashMap<NodeId, Arc<dyn ChunkService>>) -> Self {
        Self {
            in_process: services,
            connect: None,
            current: RwLock::default(),
            held: Arc::default(),
            refreshes: Refreshes::default(),
        }
    }

    /// A view of nodes over the network: `connect` makes the client of an address, once per node and address. It
    /// must not block; a client connects when it is first used.
    pub fn networked(connect: impl Fn(&str) -> Arc<dyn ChunkService> + Send + Sync + 'static) -> Self {
        Self { connect: Some(Box::new(connect)), ..Self::in_process(HashMap::new()) }
    }

    /// The same view with some nodes inside this process.
    #[must_use]
    pub fn with_in_process(mut self, services: HashMap<NodeId, Arc<dyn ChunkService>>) -> Self {
        self.in_process = services;
        self
    }

    /// Takes a map in, unless a later one is there already. Reads and writes that have begun go on with theirs.
    pub fn update(&self, map: &ClusterMap) {
        let previous = self.snapshot();
        let next = Arc::new(Snapshot::new(map, |node, address| self.reach(&previous, node, address)));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.epoch <= next.epoch {
            *current = next;
        }
    }

    /// The epoch of the map in use; 0 before the first.
    pub fn epoch(&self) -> i64 {
        self.snapshot().epoch
    }

    /// Epoch of the oldest map by which this process may still put or delete a shard: the one in use, or an older one
    /// by which a chunk was begun, or a clean-up, that has not ended. Whoever moves shards waits until this has passed
    /// the move's beginning. Reads do not count.
    pub fn oldest_epoch_in_use(&self) -> i64 {
        // Under the lock no map is taken for a write, so none is between being chosen and being counted.
        let epochs = self.held.epochs();
        let current = self.epoch();
        epochs.first_key_value().map_or(current, |(oldest, _)| current.min(*oldest))
    }

    /// The map in use, for something that puts or deletes shards by it: it counts for
    /// [`ClusterView::oldest_epoch_in_use`] until it is dropped.
    pub(crate) fn hold(&self) -> HeldSnapshot {
        let mut epochs = self.held.epochs();
        let snapshot = self.snapshot();
        *epochs.entry(snapshot.epoch).or_default() += 1;
        drop(epochs);
        HeldSnapshot { snapshot, held: Arc::clone(&self.held) }
    }

    /// The map in use, for reading by it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn reach(&self, previous: &Snapshot, node: NodeId, address: &str) -> Option<Arc<dyn ChunkService>> {
        if let Some(service) = self.in_process.get(&node) {
            return Some(Arc::clone(service));
        }
        match previous.service_at(node, address) {
            Some(service) => Some(Arc::clone(service)),
            None if address.is_empty() => None,
            None => self.connect.as_ref().map(|connect| connect(address)),
        }
    }
}

impl std::fmt::Debug for ClusterView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterView(epoch {})", self.epoch())
    }
}

/// How many writers use each epoch's map. Whoever takes the lock of the view's current map too takes it second.
#[derive(Debug, Default)]
struct Held(Mutex<BTreeMap<i64, usize>>);

impl Held {
    fn epochs(&self) -> MutexGuard<'_, BTreeMap<i64, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map that is written by.
pub(crate) struct HeldSnapshot {
    snapshot: Arc<Snapshot>,
    held: Arc<Held>,
}

impl std::ops::Deref for HeldSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl std::fmt::Debug for HeldSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeldSnapshot(epoch {})", self.snapshot.epoch)
    }
}

impl Drop for HeldSnapshot {
    fn drop(&mut self) {
        let mut epochs = self.held.epochs();
        if let Some(count) = epochs.get_mut(&self.snapshot.epoch) {
            *count -= 1;
            if *count == 0 {
                epochs.remove(&self.snapshot.epoch);
            }
        }
    }
}
