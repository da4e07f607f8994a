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
use metadata_api::{DiskRegistration, NodeRegistration};
use service_kit::Shutdown;
use shard_store::{DiskOptions, DiskStore, OpenError, ShardStore};
use types::{DiskId, FailureDomain, GroupId, LeaseId, NodeId, ShardId, ShardIndex};

use crate::scrub::{BadShards, Progress, Scrub};

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
        let directories: Vec<PathBuf> = disks.iter().map(|options| options.directory.clone()).collect();
        let results = join_all(disks.into_iter().map(|options| DiskStore::open(env, options))).await;
        let mut opened: HashMap<DiskId, Arc<dyn ShardStore>> = HashMap::new();
        let mut unopened = Vec::new();
        for (directory, result) in directories.into_iter().zip(results) {
            let result = match result {
                // A copied disk: which of the two has the newer shards is not for a program to guess.
                Ok(store) if opened.contains_key(&store.disk()) => {
                    let disk = store.disk();
                    store.close().await;
                    Err(OpenError::Repeated { directory: directory.clone(), disk })
                }
                result => result,
            };
            match result {
                Ok(store) => {
                    opened.insert(store.disk(), Arc::new(store));
                }
                Err(error) => {
                    tracing::error!(directory = %directory.display(), error = chain(&error), "disk not opened");
                    unopened.push((directory, error));
                }
            }
        }
        let scrubs = opened.keys().map(|disk| (*disk, Arc::default())).collect();
        Self { node, disks: opened, scrubs, unopened }
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
