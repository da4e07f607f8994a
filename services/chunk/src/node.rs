//! A chunk node: several disks behind one contract.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
};
use env::Env;
use futures_util::{FutureExt, future::join_all};
use metadata_api::{DiskRegistration, DiskState, Intent, MapDisk, Metadata, NodeRegistration};
use service_kit::Shutdown;
use shard_store::{DiskOptions, DiskStore, OpenError, ScanTurns, ShardStore};
use telemetry::Samples;
use types::{DiskId, FailureDomain, GroupId, LeaseId, NodeId, ShardId, ShardIndex};

use crate::{
    scrub::{BadShards, Progress, Scrub},
    statuses::Statuses,
};

/// The chunk service's contract over the disks of this process. One bad disk does not take the others down.
pub struct ChunkNode {
    env: Env,
    /// Those that are open. The lock is held for no longer than it takes to look one up.
    disks: RwLock<BTreeMap<DiskId, Disk>>,
    unopened: Vec<(PathBuf, OpenError)>,
    scan_turns: ScanTurns,
}

/// A disk that is open.
#[derive(Clone)]
struct Disk {
    store: Arc<dyn ShardStore>,
    scrub: Arc<Progress>,
    statuses: Arc<Statuses>,
}

impl ChunkNode {
    /// A node without disks.
    pub fn new(env: &Env) -> Self {
        Self {
            env: env.clone(),
            disks: RwLock::default(),
            unopened: Vec::new(),
            scan_turns: ScanTurns::default(),
        }
    }

    /// Opens the disks, all at once. Those that cannot be opened are left out; see [`ChunkNode::unopened`].
    pub async fn open(env: &Env, disks: Vec<DiskOptions>) -> Self {
        let mut opened = Self::new(env);
        opened.add(env, disks).await;
        opened
    }

    /// Opens the disks as [`ChunkNode::open`] does, but makes no new disk while one is missing that the node is known to
    /// have: an empty folder is then more likely a file system that is not mounted, and a disk made there would take the
    /// missing one's place on whatever is below. A disk that its operator removed, or is removing, is not missed, nor is one
    /// in a remote bucket, which is no file system, nor one that is in a folder and cannot be opened. A folder that cannot be
    /// opened and does not say whose it is, as on a disk that is broken altogether, may be that of any of them.
    ///
    /// Errors: those of reading the cluster map, which is done only when a folder has no disk.
    pub async fn open_known(
        env: &Env,
        node: NodeId,
        disks: Vec<DiskOptions>,
        metadata: &dyn Metadata,
    ) -> Result<Self, metadata_api::Error> {
        let directories = disks.iter().map(|options| options.directory.clone()).collect();
        let empty = DiskStore::without_disk(env, directories).await;
        let (new, old): (Vec<_>, Vec<_>) =
            disks.into_iter().partition(|options| empty.contains(&options.directory));
        let known = if new.is_empty() { Vec::new() } else { known_disks(metadata, node).await? };
        let mut opened = Self::open(env, old).await;
        let unopened: Vec<_> = opened.unopened.iter().map(|(directory, _)| directory.clone()).collect();
        let unopened_count = unopened.len();
        let named = DiskStore::identities(env, unopened).await;
        let nameless = unopened_count.saturating_sub(named.len());
        let mut there = opened.open_disks();
        there.extend(named);
        let missing: Vec<DiskId> = known.into_iter().filter(|disk| !there.contains(disk)).collect();
        match missing.first() {
            Some(&missing_disk) if missing.len() > nameless => {
                for DiskOptions { directory, .. } in new {
                    let error = OpenError::NotMounted { directory: directory.clone(), missing: missing_disk };
                    opened.leave_out(directory, error);
                }
            }
            _ => opened.add(env, new).await,
        }
        Ok(opened)
    }

    /// Adds a disk that is open; whether there was none of its identity.
    pub(crate) fn attach(&self, store: Arc<dyn ShardStore>) -> bool {
        match self.disks_mut().entry(store.disk()) {
            Entry::Vacant(entry) => {
                entry.insert(Disk { store, scrub: Arc::default(), statuses: Arc::default() });
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// Takes a disk out: calls that name it answer `DiskNotFound` from now on.
    pub(crate) fn detach(&self, disk: DiskId) {
        self.disks_mut().remove(&disk);
    }

    async fn add(&mut self, env: &Env, disks: Vec<DiskOptions>) {
        let directories: Vec<PathBuf> = disks.iter().map(|options| options.directory.clone()).collect();
        let opening = disks.into_iter().map(|options| {
            let options = DiskOptions { scan_turns: self.scan_turns.clone(), ..options };
            DiskStore::open(env, options)
        });
        let results = join_all(opening).await;
        for (directory, result) in directories.into_iter().zip(results) {
            let error = match result {
                // A copied disk: which of the two has the newer shards is not for a program to guess.
                Ok(store) => {
                    let store = Arc::new(store);
                    if self.attach(store.clone()) {
                        continue;
                    }
                    store.close().await;
                    OpenError::Repeated { directory: directory.clone(), disk: store.disk() }
                }
                Err(error) => error,
            };
            self.leave_out(directory, error);
        }
    }

    fn leave_out(&mut self, directory: PathBuf, error: OpenError) {
        tracing::error!(directory = %directory.display(), error = chain(&error), "disk not opened");
        self.unopened.push((directory, error));
    }

    /// The directories that could not be opened, and why.
    pub fn unopened(&self) -> impl Iterator<Item = (&Path, &OpenError)> {
        self.unopened.iter().map(|(directory, error)| (directory.as_path(), error))
    }

    /// Number of disks that are open.
    pub fn len(&self) -> usize {
        self.disks().len()
    }

    /// Whether no disk is open.
    pub fn is_empty(&self) -> bool {
        self.disks().is_empty()
    }

    /// The disks that are open.
    pub(crate) fn open_disks(&self) -> BTreeSet<DiskId> {
        self.disks().keys().copied().collect()
    }

    /// What the node tells the metadata service of itself now, by which identity. A disk that another process may have by
    /// now is left out: that process reports it, and would be refused while this one does too. So is one that has not said
    /// yet how it is.
    pub async fn registration(
        &self,
        node: NodeId,
        address: &str,
        domain: &FailureDomain,
    ) -> NodeRegistration {
        let held = self.all().into_iter().filter(|disk| disk.store.is_held());
        let registered = |status: DiskStatus| DiskRegistration {
            disk: status.disk,
            medium: status.medium,
            capacity_bytes: status.capacity_bytes,
            available_bytes: status.available_bytes,
            writable: status.writable,
            failed: status.failed,
        };
        let disks = self.statuses(held).await.into_iter().map(registered).collect();
        NodeRegistration { node, address: address.to_owned(), domain: domain.clone(), disks }
    }

    /// How these disks are, all asked at once; without those that have never said it.
    async fn statuses(&self, disks: impl Iterator<Item = Disk>) -> Vec<DiskStatus> {
        let asked = disks.map(|Disk { store, scrub, statuses }| async move {
            let status = statuses.ask(&self.env, &store).await?;
            Some(DiskStatus { scrub: scrub.status(), ..status })
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Reads every byte of the disks that are open now within each `period` and reports what is damaged, until the stop
    /// begins.
    pub fn scrub(
        &self,
        env: &Env,
        period: Duration,
        bad: Arc<dyn BadShards>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let scrubs = self.all().into_iter().map(|Disk { store, scrub: progress, .. }| {
            let scrub = Scrub { env: env.clone(), store, progress, period, bad: bad.clone() };
            scrub.run(shutdown.clone())
        });
        join_all(scrubs).map(drop)
    }

    /// The same for one disk.
    pub(crate) async fn scrub_disk(
        &self,
        disk: DiskId,
        env: &Env,
        period: Duration,
        bad: Arc<dyn BadShards>,
        shutdown: Shutdown,
    ) {
        let found = self.disks().get(&disk).cloned();
        if let Some(Disk { store, scrub: progress, .. }) = found {
            Scrub { env: env.clone(), store, progress, period, bad }.run(shutdown).await;
        }
    }

    /// Tells what the disks count beside their states.
    pub(crate) fn collect(&self, samples: &mut Samples) {
        self.all().iter().for_each(|disk| disk.store.collect(samples));
    }

    /// Finishes what is under way and lets the disks go.
    pub async fn close(&self) {
        join_all(self.all().iter().map(|disk| disk.store.close())).await;
    }

    fn disk(&self, disk: DiskId) -> Result<Arc<dyn ShardStore>, Error> {
        self.disks().get(&disk).map(|found| found.store.clone()).ok_or(Error::DiskNotFound { disk })
    }

    /// The disks that are open, in the order of their identities.
    fn all(&self) -> Vec<Disk> {
        self.disks().values().cloned().collect()
    }

    fn disks(&self) -> RwLockReadGuard<'_, BTreeMap<DiskId, Disk>> {
        self.disks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn disks_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<DiskId, Disk>> {
        self.disks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disks that a node is to have in folders, as far as the metadata service knows.
async fn known_disks(metadata: &dyn Metadata, node: NodeId) -> Result<Vec<DiskId>, metadata_api::Error> {
    let map = metadata.cluster_map(None).await?.unwrap_or_default();
    if map.nodes.iter().any(|known| known.node == node && known.intent == Intent::Remove) {
        return Ok(Vec::new());
    }
    let stays = |disk: &&MapDisk| {
        disk.node == node
            && disk.state != DiskState::Gone
            && disk.intent != Intent::Remove
            && disk.medium != shard_store_s3::MEDIUM
    };
    Ok(map.disks.iter().filter(stays).map(|disk| disk.disk).collect())
}

#[async_trait]
impl ChunkService for ChunkNode {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.disk(disk)?.put(header, body, purpose).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.disk(disk)?.read_cells(shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.disk(disk)?.delete(shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.disk(disk)?.evict_group(group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.disk(disk)?.fence(leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.disk(disk)?.verify(shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.disk(disk)?.list(request).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.disk(disk)?.list_quarantined().await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.disk(disk)?.release_quarantined(ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        Ok(self.statuses(self.all().into_iter()).await)
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

impl std::fmt::Debug for ChunkNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkNode({} disks)", self.len())
    }
}

#[cfg(test)]
mod tests;
