//! The service behind both transports.

use std::collections::HashMap;

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, CheckedCells, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun,
    ShardBody, ShardHeader, ShardSummary, conformance::Sample,
};
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

pub(crate) const DISK: DiskId = DiskId([7; 16]);

/// Verifies what is put and forgets it; reads give the samples.
pub(crate) struct Stub {
    samples: HashMap<ShardId, Vec<Cell>>,
}

impl Stub {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        Self { samples: samples.iter().map(|sample| (sample.shard(), sample.cells.clone())).collect() }
    }
}

#[async_trait]
impl ChunkService for Stub {
    async fn put_shard(
        &self,
        _: DiskId,
        header: ShardHeader,
        body: ShardBody,
        _: Purpose,
    ) -> Result<(), Error> {
        let mut cells = CheckedCells::new(header, body);
        while cells.next().await?.is_some() {}
        Ok(())
    }

    async fn read_cells(&self, _: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        let all = self.samples.get(&shard).ok_or(Error::ShardNotFound { shard })?;
        let first = usize::try_from(cells.first).unwrap();
        Ok(all[first..first + cells.count as usize].to_vec())
    }

    async fn delete_shards(&self, _: DiskId, _: &[ShardId]) -> Result<(), Error> {
        Ok(())
    }

    async fn evict_group(&self, _: DiskId, _: GroupId, _: ShardIndex, _: i64) -> Result<(), Error> {
        Err(not_measured())
    }

    async fn fence_leases(&self, _: DiskId, _: &[LeaseId]) -> Result<(), Error> {
        Err(not_measured())
    }

    async fn verify_shards(&self, _: DiskId, _: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        Err(not_measured())
    }

    async fn list_shards(&self, _: DiskId, _: ListShards) -> Result<Vec<ShardSummary>, Error> {
        Ok(Vec::new())
    }

    async fn list_quarantined(&self, _: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        Err(not_measured())
    }

    async fn release_quarantined(&self, _: DiskId, _: &[String]) -> Result<(), Error> {
        Err(not_measured())
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        Ok(Vec::new())
    }
}

pub(crate) fn not_measured() -> Error {
    Error::Unavailable { reason: "this call is not measured".to_owned() }
}
