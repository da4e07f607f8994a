//! A chunk node: several disks behind one contract.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, ShardBody, ShardHeader,
    ShardSummary,
};
use env::Env;
use futures_util::future::join_all;
use metadata_api::{DiskRegistration, DiskState, Intent, MapDisk, Metadata, NodeRegistration};
use service_kit::Shutdown;
use shard_store::{DiskOptions, DiskStore, OpenError, ShardStore};
use shard_store_s3::{S3Options, S3Store};
use types::{DiskId, FailureDomain, GroupId, LeaseId, NodeId, ShardId, ShardIndex};

use crate::scrub::{BadShards, Progress, Scrub};

/// Remote buckets of a node, which have been opened or not.
#[derive(Default)]
pub struct Buckets {
    opened: Vec<S3Store>,
    /// How many could not be opened. The log says why.
    unopened: usize,
}

impl Buckets {
    /// Opens remote buckets, all at once. Those that cannot be opened are left out.
    pub async fn open(env: &Env, buckets: Vec<S3Options>) -> Self {
        let opening = buckets.into_iter().map(|options| async {
            let location = options.location.to_string();
            S3Store::open(env, options).await.map_err(|error| (location, error))
        });
        let mut all = Self::default();
        for result in join_all(opening).await {
            match result {
                Ok(store) => all.opened.push(store),
                Err((location, error)) => {
                    tracing::error!(location, error = chain(&error), "remote bucket not opened");
                    all.unopened += 1;
                }
            }
        }
        all
    }

    /// An identity for a node that has no folder to keep one in: that of its first remote bucket.
    pub fn identity(&self) -> Option<NodeId> {
        self.opened.first().map(|store| NodeId(store.disk().0))
    }
}

/// The chunk service's contract over the disks of this process. One bad disk does not take the others down.
pub struct ChunkNode {
    node: NodeId,
    disks: HashMap<DiskId, Arc<dyn ShardStore>>,
    scrubs: HashMap<DiskId, Arc<Progress>>,
    unopened: Vec<(PathBuf, OpenError)>,
}

impl ChunkNode {
    /// Opens the disks, all at once. Those that cannot be opened are left out; see [`ChunkNode::unopened`].
    pub async fn open(env: &Env, node: NodeId, disks: Vec<DiskOptions>) -> Self {
        let mut opened = Self { node, disks: HashMap::new(), scrubs: HashMap::new(), unopened: Vec::new() };
        opened.add(env, disks).await;
        opened
    }

    /// Opens the disks as [`ChunkNode::open`] does, but makes no new disk while one is missing that the node is known to
    /// have: an empty folder is then more likely a file system that is not mounted, and a disk made there would take the
    /// missing one's place on whatever is below. A disk that its operator removed, or is removing, is not missed. Remote
    /// buckets have been opened by then.
    ///
    /// Errors: those of reading the cluster map, which is done only when a folder has no disk.
    pub async fn open_known(
        env: &Env,
        node: NodeId,
        disks: Vec<DiskOptions>,
        buckets: Buckets,
        metadata: &dyn Metadata,
    ) -> Result<Self, metadata_api::Error> {
        let directories = disks.iter().map(|options| options.directory.clone()).collect();
        let empty = DiskStore::without_disk(env, directories).await;
        let (new, old): (Vec<_>, Vec<_>) =
            disks.into_iter().partition(|options| empty.contains(&options.directory));
        let known = if new.is_empty() { Vec::new() } else { known_disks(metadata, node).await? };
        let mut opened = Self::open(env, node, old).await;
        let unopened_buckets = buckets.unopened;
        opened.attach(buckets);
        let missing: Vec<DiskId> =
            known.into_iter().filter(|disk| !opened.disks.contains_key(disk)).collect();
        match missing.first() {
            // One that is there and cannot be opened may be the missing one.
            Some(missing_disk) if missing.len() > opened.unopened.len() + unopened_buckets => {
                for DiskOptions { directory, .. } in new {
                    let error =
                        OpenError::NotMounted { directory: directory.clone(), missing: *missing_disk };
                    opened.leave_out(directory, error);
                }
            }
            _ => opened.add(env, new).await,
        }
        Ok(opened)
    }

    /// Adds remote buckets to the node's disks.
    pub fn attach(&mut self, buckets: Buckets) {
        for store in buckets.opened {
            self.scrubs.insert(store.disk(), Arc::default());
            self.disks.insert(store.disk(), Arc::new(store));
        }
    }

    async fn add(&mut self, env: &Env, disks: Vec<DiskOptions>) {
        let directories: Vec<PathBuf> = disks.iter().map(|options| options.directory.clone()).collect();
        let results = join_all(disks.into_iter().map(|options| DiskStore::open(env, options))).await;
        for (directory, result) in directories.into_iter().zip(results) {
            let result = match result {
                // A copied disk: which of the two has the newer shards is not for a program to guess.
                Ok(store) if self.disks.contains_key(&store.disk()) => {
                    let disk = store.disk();
                    store.close().await;
                    Err(OpenError::Repeated { directory: directory.clone(), disk })
                }
                result => result,
            };
            match result {
                Ok(store) => {
                    self.scrubs.insert(store.disk(), Arc::default());
                    self.disks.insert(store.disk(), Arc::new(store));
                }
                Err(error) => self.leave_out(directory, error),
            }
        }
    }

    fn leave_out(&mut self, directory: PathBuf, error: OpenError) {
        tracing::error!(directory = %directory.display(), error = chain(&error), "disk not opened");
        self.unopened.push((directory, error));
    }

    /// The node's identity.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The directories that could not be opened, and why.
    pub fn unopened(&self) -> impl Iterator<Item = (&Path, &OpenError)> {
        self.unopened.iter().map(|(directory, error)| (directory.as_path(), error))
    }

    /// Number of disks that are open.
    pub fn len(&self) -> usize {
        self.disks.len()
    }

    /// Whether no disk is open.
    pub fn is_empty(&self) -> bool {
        self.disks.is_empty()
    }

    /// What the node tells the metadata service of itself now.
    pub async fn registration(&self, address: &str, domain: &FailureDomain) -> NodeRegistration {
        let mut disks = Vec::with_capacity(self.disks.len());
        for store in self.disks.values() {
            let status = store.status().await;
            disks.push(DiskRegistration {
                disk: status.disk,
                medium: status.medium,
                capacity_bytes: status.capacity_bytes,
                available_bytes: status.available_bytes,
                writable: status.writable,
                failed: status.failed,
            });
        }
        disks.sort_by_key(|disk| disk.disk);
        NodeRegistration { node: self.node, address: address.to_owned(), domain: domain.clone(), disks }
    }

    /// Reads every byte of the disks within each `period` and reports what is damaged, until the stop begins.
    pub async fn scrub(&self, env: &Env, period: Duration, bad: Arc<dyn BadShards>, shutdown: Shutdown) {
        let scrubs = self.disks.values().map(|store| {
            let progress = self.scrubs.get(&store.disk()).cloned().unwrap_or_default();
            let scrub = Scrub { env: env.clone(), store: store.clone(), progress, period, bad: bad.clone() };
            scrub.run(shutdown.clone())
        });
        join_all(scrubs).await;
    }

    /// Finishes what is under way and lets the disks go.
    pub async fn close(&self) {
        for store in self.disks.values() {
            store.close().await;
        }
    }

    fn disk(&self, disk: DiskId) -> Result<&Arc<dyn ShardStore>, Error> {
        self.disks.get(&disk).ok_or(Error::DiskNotFound { disk })
    }
}

/// The disks that a node is to have, as far as the metadata service knows.
async fn known_disks(metadata: &dyn Metadata, node: NodeId) -> Result<Vec<DiskId>, metadata_api::Error> {
    let map = metadata.cluster_map(None).await?.unwrap_or_default();
    if map.nodes.iter().any(|known| known.node == node && known.intent == Intent::Remove) {
        return Ok(Vec::new());
    }
    let stays =
        |disk: &&MapDisk| disk.node == node && disk.state != DiskState::Gone && disk.intent != Intent::Remove;
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

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        let mut statuses = Vec::with_capacity(self.disks.len());
        for store in self.disks.values() {
            let mut status = store.status().await;
            if let Some(progress) = self.scrubs.get(&status.disk) {
                status.scrub = progress.status();
            }
            statuses.push(status);
        }
        statuses.sort_by_key(|status| status.disk);
        Ok(statuses)
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

impl std::fmt::Debug for ChunkNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkNode({}, {} disks)", self.node, self.disks.len())
    }
}

#[cfg(test)]
mod tests;
