//! A chunk service with one disk in memory, which can be cut off.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun, ShardBody,
    ShardHeader, ShardSummary, fake::FakeChunkService,
};
use env::Env;
use metadata_api::{DiskRegistration, Metadata, NodeRegistration};
use types::{DiskId, GroupId, LeaseId, NodeId, ShardId, ShardIndex};

/// Size that each disk claims.
const CAPACITY: u64 = 1 << 40;

pub(crate) struct Node {
    env: Env,
    pub(crate) number: u8,
    pub(crate) disk: DiskId,
    pub(crate) kept: FakeChunkService,
    away: AtomicBool,
    failed: AtomicBool,
    available: AtomicU64,
    quarantined: AtomicU64,
    /// Whether it never says how its disk is.
    mute: AtomicBool,
    /// Whether it has no room for repairs, which its reports do not say.
    refuses: AtomicBool,
    /// Whether it dies in the middle of the first repair of each shard, and is back at once.
    tears: AtomicBool,
    /// Repairs that it died of. The start found those damaged that were not put since.
    pub(crate) torn: Mutex<BTreeSet<ShardId>>,
    damaged: Mutex<BTreeSet<ShardId>>,
    /// Whether it lists nothing, while it does everything else.
    lists_nothing: AtomicBool,
    /// Milliseconds that a repair takes to be put.
    repair_delay_ms: AtomicU64,
    pub(crate) repairs: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Milliseconds that a write takes to be put.
    write_delay_ms: AtomicU64,
    writes_now: AtomicU64,
    /// Most writes that were under way at a time.
    pub(crate) writes_at_once_max: AtomicU64,
}

impl Node {
    pub(crate) fn new(env: &Env, number: u8) -> Self {
        let disk = DiskId([number; 16]);
        Self {
            env: env.clone(),
            number,
            disk,
            kept: FakeChunkService::new([disk]),
            away: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            available: AtomicU64::new(CAPACITY),
            quarantined: AtomicU64::new(0),
            mute: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            tears: AtomicBool::new(false),
            torn: Mutex::default(),
            damaged: Mutex::default(),
            lists_nothing: AtomicBool::new(false),
            repair_delay_ms: AtomicU64::new(0),
            repairs: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            write_delay_ms: AtomicU64::new(0),
            writes_now: AtomicU64::new(0),
            writes_at_once_max: AtomicU64::new(0),
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId([self.number; 16])
    }

    /// Cuts the node off from everybody, or brings it back.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Lets the disk fail: from now on it takes nothing, and is read from only.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Lets the disk report so much free space, in hundredths of its size.
    pub(crate) fn set_available_percent(&self, percent: u64) {
        self.available.store(CAPACITY / 100 * percent, Ordering::SeqCst);
    }

    /// Lets the name of a shard rot: its disk has something of which it does not know what it is.
    pub(crate) fn rot_name(&self, shard: ShardId) {
        assert!(self.kept.lose_shard(self.disk, shard));
        self.quarantined.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets it never say how its disk is, while it does everything else.
    pub(crate) fn keep_silent(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }

    /// Lets it have no room for repairs, or have some again.
    pub(crate) fn refuse_repairs(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Lets it die in the middle of the first repair of each shard.
    pub(crate) fn tear_repairs(&self) {
        self.tears.store(true, Ordering::SeqCst);
    }

    /// Lets it fail to list what it has, while it does everything else.
    pub(crate) fn fail_listings(&self, fails: bool) {
        self.lists_nothing.store(fails, Ordering::SeqCst);
    }

    /// Makes every repair take this long.
    pub(crate) fn slow_repairs(&self, delay: Duration) {
        self.repair_delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// Makes every write take this long.
    pub(crate) fn slow_writes(&self, delay: Duration) {
        self.write_delay_ms.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    fn enter(&self) -> Result<(), Error> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable { reason: "cut off".to_owned() }),
            false => Ok(()),
        }
    }

    fn enter_to_write(&self) -> Result<(), Error> {
        self.enter()?;
        if self.has_failed() {
            Err(Error::DiskFailed { disk: self.disk, reason: "Input/output error".to_owned() })
        } else {
            Ok(())
        }
    }

    pub(crate) fn registration(&self) -> NodeRegistration {
        let disk = DiskRegistration {
            disk: self.disk,
            medium: "memory".to_owned(),
            capacity_bytes: CAPACITY,
            available_bytes: self.available.load(Ordering::SeqCst),
            writable: !self.has_failed(),
            failed: self.has_failed(),
        };
        let domain = format!("r/z/k/h{}", self.number).parse().unwrap();
        // An address, because a node without one is taken to be part of a process.
        let address = format!("node-{}:1", self.number);
        NodeRegistration { node: self.id(), address, domain, disks: vec![disk] }
    }

    /// Sends heartbeats while the node is not cut off.
    pub(crate) async fn beat(self: Arc<Self>, metadata: Arc<dyn Metadata>) {
        loop {
            if self.enter().is_ok() {
                metadata.register_node(self.registration()).await.unwrap();
            }
            self.env.sleep(Duration::from_secs(2)).await;
        }
    }
}

#[async_trait]
impl ChunkService for Node {
    async fn put_shard(
        &self,
        disk: DiskId,
        header: ShardHeader,
        body: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.enter_to_write()?;
        if purpose == Purpose::Repair {
            self.env.sleep(Duration::from_millis(self.repair_delay_ms.load(Ordering::SeqCst))).await;
            self.repairs.fetch_add(1, Ordering::SeqCst);
            if self.refuses.load(Ordering::SeqCst) {
                return Err(Error::DiskFull { disk });
            }
        } else {
            let now = self.writes_now.fetch_add(1, Ordering::SeqCst) + 1;
            self.writes_at_once_max.fetch_max(now, Ordering::SeqCst);
            self.env.sleep(Duration::from_millis(self.write_delay_ms.load(Ordering::SeqCst))).await;
            self.writes_now.fetch_sub(1, Ordering::SeqCst);
        }
        let shard = header.shard;
        self.kept.put_shard(disk, header, body, purpose).await?;
        self.damaged.lock().unwrap().remove(&shard);
        let is_torn = purpose == Purpose::Repair && self.tears.load(Ordering::SeqCst);
        if is_torn && self.torn.lock().unwrap().insert(shard) {
            assert!(self.kept.corrupt_cell(disk, shard, 0));
            self.damaged.lock().unwrap().insert(shard);
            return Err(Error::TimedOut);
        }
        // Cut off meanwhile: it is there, and nobody hears of it.
        self.enter().map_err(|_| Error::TimedOut)
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.enter()?;
        self.kept.read_cells(disk, shard, cells).await
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.enter_to_write()?;
        self.kept.delete_shards(disk, shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.enter_to_write()?;
        self.kept.evict_group(disk, group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.enter_to_write()?;
        self.kept.fence_leases(disk, leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.enter()?;
        self.kept.verify_shards(disk, shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.enter()?;
        if self.lists_nothing.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { reason: "a page cannot be read".to_owned() });
        }
        let mut page = self.kept.list_shards(disk, request).await?;
        let damaged = self.damaged.lock().unwrap();
        for summary in &mut page {
            summary.is_damaged = damaged.contains(&summary.header.shard);
        }
        Ok(page)
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.kept.list_quarantined(disk).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.kept.release_quarantined(disk, ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.enter()?;
        if self.mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let mut disks = self.kept.disks().await?;
        for disk in &mut disks {
            disk.quarantined_records = self.quarantined.load(Ordering::SeqCst);
        }
        Ok(disks)
    }
}
