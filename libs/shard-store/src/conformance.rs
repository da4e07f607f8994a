//! What every implementation of [`ShardStore`] must do: the chunk service's suite on one disk, and what a medium adds.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
    conformance::{self, Sample, Subject},
};
use env::Env;
use types::{DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::ShardStore;

/// Runs every check on stores that `make` makes: empty, with the identity it is given and room for 64 MiB.
pub async fn run<F, M>(make: F)
where
    F: Fn(DiskId) -> M,
    M: Future<Output = Arc<dyn ShardStore>>,
{
    let disk = DiskId([0xd1; 16]);
    let store = make(disk).await;
    assert_eq!(store.disk(), disk);
    let service = Arc::new(SingleDisk(store.clone()));
    conformance::run(&Subject { env: Env::real(), service, disk }).await;
    a_closed_medium_is_unavailable(store.as_ref()).await;
}

/// After `close` calls answer `Unavailable` and the status says that the medium takes nothing.
async fn a_closed_medium_is_unavailable(store: &dyn ShardStore) {
    let sample = Sample::single(9001, 1, 10);
    store.close().await;
    store.close().await;
    let unavailable = |error: &Error| matches!(error, Error::Unavailable { .. });
    for body in [sample.whole(), sample.stream()] {
        assert!(
            store
                .put(sample.header.clone(), body, Purpose::Write)
                .await
                .is_err_and(|error| unavailable(&error))
        );
    }
    let range = CellRange { first: 0, count: 1 };
    assert!(store.read_cells(sample.shard(), range).await.is_err_and(|error| unavailable(&error)));
    assert!(store.delete(&[sample.shard()]).await.is_err_and(|error| unavailable(&error)));
    assert!(store.list(ListShards::all(None, 1)).await.is_err_and(|error| unavailable(&error)));
    assert!(!store.status().await.writable);
}

/// Fills a medium and checks that it refuses cleanly, keeps what it acknowledged, and goes on reading and deleting.
/// For an empty store with room for at most 64 MiB.
pub async fn full_medium(store: &dyn ShardStore) {
    let mut kept = Vec::new();
    let mut refused = None;
    for counter in 0..2000 {
        // Small and large shards in turn, so that both ways of putting meet the end of the medium.
        let length = if counter % 8 == 7 { 1 << 20 } else { 30 << 10 };
        let sample = Sample::single(9002, counter, length);
        match store.put(sample.header.clone(), sample.whole(), Purpose::Write).await {
            Ok(()) => kept.push(sample),
            Err(Error::DiskFull { disk }) => {
                assert_eq!(disk, store.disk());
                refused = Some(sample);
                break;
            }
            Err(error) => assert_eq!(error, Error::DiskFull { disk: store.disk() }),
        }
    }
    let refused = refused.expect("the medium fills up");
    // Whatever room the refused shard did not fit into is used up by ever smaller ones.
    for (counter, length) in (10_000..).zip([500_000, 100_000, 20_000, 5000, 1000, 100]) {
        let mut room = true;
        let mut turn = 0;
        while room {
            turn += 1;
            let sample = Sample::single(9003, counter * 1000 + turn, length);
            let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
            room = put.is_ok();
            assert!(room || put == Err(Error::DiskFull { disk: store.disk() }), "{put:?}");
            if room {
                kept.push(sample);
            }
        }
    }
    let range = CellRange { first: 0, count: 1 };
    let absent = store.read_cells(refused.shard(), range).await;
    assert_eq!(absent, Err(Error::ShardNotFound { shard: refused.shard() }));
    let first = kept.remove(0);
    assert_eq!(store.delete(&[first.shard()]).await, Ok(()));
    assert!(store.read_cells(first.shard(), range).await.is_err());
    for sample in &kept {
        let count = u32::try_from(sample.cells.len()).unwrap_or(u32::MAX);
        let read = store.read_cells(sample.shard(), CellRange { first: 0, count }).await;
        assert_eq!(read.as_ref(), Ok(&sample.cells));
    }
    assert_eq!(store.status().await.shards, kept.len() as u64);
}

/// A chunk service of one disk: what lets a medium be tested, or served, as a service.
#[derive(Clone)]
pub struct SingleDisk(pub Arc<dyn ShardStore>);

impl std::fmt::Debug for SingleDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SingleDisk({})", self.0.disk())
    }
}

impl SingleDisk {
    fn store(&self, disk: DiskId) -> Result<&dyn ShardStore, Error> {
        if disk == self.0.disk() { Ok(self.0.as_ref()) } else { Err(Error::DiskNotFound { disk }) }
    }
}

#[async_trait]
impl ChunkService for SingleDisk {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.store(disk)?.put(header, body, purpose).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.store(disk)?.read_cells(shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.store(disk)?.delete(shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.store(disk)?.evict_group(group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.store(disk)?.fence(leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.store(disk)?.verify(shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.store(disk)?.list(request).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.store(disk)?.list_quarantined().await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.store(disk)?.release_quarantined(ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        Ok(vec![self.0.status().await])
    }
}
