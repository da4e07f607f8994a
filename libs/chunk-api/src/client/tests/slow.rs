//! Disks that are slow and not hung. The client knows of an answer only that its head comes in time and is followed by
//! something, as clients of every release do.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use env::Env;
use types::{CELL_SIZE, DiskId, GroupId, LeaseId, ShardId, ShardIndex};

use super::{DISK, caller, serve};
use crate::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary,
    client::{Client, ClientOptions},
    conformance::Sample,
    fake::FakeChunkService,
};

/// What callers of these tests put up with.
const STALL: Duration = Duration::from_millis(3600);

/// How long a call for any number of shards takes, and a listing for each.
const CALL: Duration = Duration::from_millis(7000);
const SHARD: Duration = Duration::from_millis(24);

/// A service whose disk is slow, and in the end fails if it is told to.
struct Slow {
    env: Env,
    kept: FakeChunkService,
    fails: bool,
}

impl Slow {
    async fn wait(&self) -> Result<(), Error> {
        self.env.sleep(CALL).await;
        if self.fails { Err(Error::DiskFailed { disk: DISK, reason: "hung".to_owned() }) } else { Ok(()) }
    }
}

#[async_trait]
impl ChunkService for Slow {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.kept.put_shard(disk, header, body, purpose).await
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.kept.read_cells(disk, shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.wait().await?;
        self.kept.delete_shards(disk, shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.wait().await?;
        self.kept.evict_group(disk, group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.wait().await?;
        self.kept.fence_leases(disk, leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.wait().await?;
        self.kept.verify_shards(disk, shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        let page = self.kept.list_shards(disk, request).await?;
        self.env.sleep(SHARD * u32::try_from(page.len()).unwrap()).await;
        if self.fails && request.after.is_some() { self.wait().await.map(|()| page) } else { Ok(page) }
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.kept.list_quarantined(disk).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.kept.release_quarantined(disk, ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.kept.disks().await
    }
}

async fn slow(env: &Env, fails: bool, samples: &[Sample]) -> (super::Served, Client) {
    let kept = FakeChunkService::new([DISK]);
    for sample in samples {
        assert_eq!(kept.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    }
    let served = serve(env, Arc::new(Slow { env: env.clone(), kept, fails })).await;
    let options = ClientOptions { stall_timeout: STALL, ..ClientOptions::default() };
    let client = Client::new(env.clone(), served.address.to_string(), caller(), options);
    (served, client)
}

fn samples(count: u64) -> Vec<Sample> {
    (0..count).map(|counter| Sample::single(1, counter, 10)).collect()
}

#[tokio::test]
async fn a_disk_that_is_slow_is_waited_for() {
    let env = Env::real();
    let samples = samples(300);
    let (_served, client) = slow(&env, false, &samples).await;
    let absent = Sample::single(2, 1, CELL_SIZE as u64).shard();
    let names = [samples[0].shard(), absent];
    let leases = [LeaseId(9)];
    let (verified, deleted, evicted, fenced, listed) = tokio::join!(
        client.verify_shards(DISK, &names),
        client.delete_shards(DISK, &names[1..]),
        client.evict_group(DISK, GroupId(-5), ShardIndex(0), 1),
        client.fence_leases(DISK, &leases),
        client.list_shards(DISK, ListShards::all(None, 299)),
    );
    assert_eq!(verified, Ok(vec![Ok(()), Err(Error::ShardNotFound { shard: absent })]));
    assert_eq!((deleted, evicted, fenced), (Ok(()), Ok(()), Ok(())));
    let wanted =
        samples[..299].iter().map(|sample| ShardSummary { header: sample.header.clone(), is_damaged: false });
    assert_eq!(listed, Ok(wanted.collect()));
}

/// When the error is known the answer has begun, as one of success.
#[tokio::test]
async fn a_slow_call_that_fails_is_not_taken_for_a_success() {
    let env = Env::real();
    let samples = samples(70);
    let (_served, client) = slow(&env, true, &samples).await;
    let names = [samples[0].shard()];
    let leases = [LeaseId(9)];
    let (verified, deleted, evicted, fenced, listed) = tokio::join!(
        client.verify_shards(DISK, &names),
        client.delete_shards(DISK, &names),
        client.evict_group(DISK, GroupId(-5), ShardIndex(0), 1),
        client.fence_leases(DISK, &leases),
        client.list_shards(DISK, ListShards::all(None, 70)),
    );
    let unknown = Err(Error::TimedOut);
    assert_eq!(verified, Err(Error::TimedOut));
    assert_eq!((deleted, evicted, fenced), (unknown.clone(), unknown.clone(), unknown));
    assert_eq!(listed, Err(Error::TimedOut));
}
