//! A gateway's or worker's calls of chunk services: late repetitions that nobody waits for, and sabotage.

use std::sync::Arc;

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
};
use env::Env;
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{rng::SharedRng, sabotage::Sabotage};

/// The calls of one service. Some are made a second time, up to seconds later, as a network that repeats packets or a
/// caller that was asleep would do: every call may be repeated, says the contract.
pub(crate) struct Calls {
    pub(crate) env: Env,
    pub(crate) rng: SharedRng,
    pub(crate) service: Arc<dyn ChunkService>,
    /// Once in this many times a call is repeated.
    pub(crate) repeat_once_in: u64,
    pub(crate) sabotage: Option<Sabotage>,
}

impl Calls {
    /// When this call is to be repeated, if it is.
    fn repeat_after(&self) -> Option<std::time::Duration> {
        let delay = self.rng.with(|rng| rng.once_in(self.repeat_once_in).then(|| rng.between(0, 5000)));
        delay.map(std::time::Duration::from_millis)
    }

    fn later<F>(&self, after: std::time::Duration, call: F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let env = self.env.clone();
        drop(self.env.spawn(async move {
            env.sleep(after).await;
            // Whatever it answers, nobody waits for it.
            let _ = call.await;
        }));
    }
}

#[async_trait]
impl ChunkService for Calls {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        if let ShardBody::Whole(cells) = &body {
            let again = |after| {
                let (service, header, cells) = (self.service.clone(), header.clone(), cells.clone());
                let put =
                    async move { service.put_shard(disk, header, ShardBody::Whole(cells), purpose).await };
                self.later(after, put);
            };
            if self.sabotage == Some(Sabotage::EarlyAck) {
                again(std::time::Duration::from_millis(self.rng.with(|rng| rng.between(0, 2000))));
                return Ok(());
            }
            if let Some(after) = self.repeat_after() {
                again(after);
            }
        }
        self.service.put_shard(disk, header, body, purpose).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.service.read_cells(disk, shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        if self.sabotage == Some(Sabotage::ForgottenDeletes) {
            return Ok(());
        }
        if let Some(after) = self.repeat_after() {
            let (service, shards) = (self.service.clone(), shards.to_vec());
            self.later(after, async move { service.delete_shards(disk, &shards).await });
        }
        self.service.delete_shards(disk, shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        if let Some(after) = self.repeat_after() {
            let service = self.service.clone();
            self.later(after, async move { service.evict_group(disk, group, index, epoch).await });
        }
        self.service.evict_group(disk, group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.service.fence_leases(disk, leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.service.verify_shards(disk, shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.service.list_shards(disk, request).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.service.list_quarantined(disk).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.service.release_quarantined(disk, ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.service.disks().await
    }
}
