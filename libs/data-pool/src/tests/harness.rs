//! A cluster in memory whose disks fail on demand, with time that only passes when nothing else happens.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chunk_api::{
    Cell, CellRange, ChunkService, DiskStatus, Error, ListShards, Purpose, QuarantinedRun,
    SHARDS_PER_CALL_MAX, ShardBody, ShardHeader, ShardSummary, fake::FakeChunkService,
};
use env::{Clock, Env, Instant, Random, RealDisk, RealNetwork};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use metadata_api::{
    ClusterMap, DiskRegistration, Metadata, NodeRegistration, ShardMove, StorageClassDefinition, fake::Fake,
};
use types::{ByteRange, Content, DiskId, GroupId, LeaseId, NodeId, ShardId, ShardIndex, StorageClassName};

use crate::{BadShard, ClusterView, LeaseHolder, Pool, ReadError, Stored, WriteError};

/// Time by tokio's clock, which tests pause.
#[derive(Debug)]
struct PausedClock {
    start: tokio::time::Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
impl Clock for PausedClock {
    fn now(&self) -> Instant {
        Instant::from_start(tokio::time::Instant::now() - self.start)
    }

    fn wall_clock_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct Counting(AtomicUsize);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        out.iter_mut().zip(next).for_each(|(out, byte)| *out = byte);
    }
}

/// An environment whose time is tokio's and whose randomness counts up.
#[expect(clippy::disallowed_methods, reason = "this is the environment")]
pub(crate) fn paused_env() -> Env {
    let clock = PausedClock { start: tokio::time::Instant::now() };
    Env::new(
        Arc::new(clock),
        Arc::new(Counting(AtomicUsize::new(0))),
        Arc::new(RealNetwork),
        Arc::new(RealDisk),
    )
}

/// Runs a test with paused time outside of `#[tokio::test]`.
pub(crate) fn run_paused<F: Future>(test: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap().block_on(test)
}

/// What a node does wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Refuses every call.
    Refuse,
    /// Answers no call.
    Hang,
    /// Takes so many cells of a streamed shard, and then does nothing while it holds on to the body.
    HangAfterCells(usize),
    /// Takes every cell and never answers that they are stable.
    NeverStable,
    /// Takes so long for each call.
    Slow(Duration),
    /// Takes so long for each cell of a streamed shard.
    SlowCells(Duration),
    /// Has no shard.
    Forgetful,
    /// Changes a bit of each cell that it answers.
    Corrupt,
    /// Cuts each cell that it answers short.
    Short,
    /// Changes a bit of each cell of so many answers, and is well after that.
    CorruptTimes(usize),
    /// Has no shard for so many calls, and is well after that.
    ForgetfulTimes(usize),
    /// Answers one cell too few.
    Few,
    /// Answers an intact cell of another place.
    Misplaced,
    /// Is full.
    Full,
    /// Says that a shard is stable and keeps nothing of it.
    Discard,
}

/// A chunk service with a fault that can be changed at any time, counting its calls.
pub(crate) struct Node {
    env: Env,
    pub(crate) disk: DiskId,
    pub(crate) kept: FakeChunkService,
    fault: Mutex<Fault>,
    pub(crate) puts: AtomicUsize,
    pub(crate) reads: AtomicUsize,
    pub(crate) cells_read: AtomicUsize,
}

impl Node {
    fn fault(&self) -> Fault {
        self.fault.lock().unwrap().clone()
    }

    /// The fault of this read: one that is counted passes with the last of its reads.
    fn next_fault(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        let (now, left) = match *fault {
            Fault::CorruptTimes(times) => (Fault::Corrupt, times.saturating_sub(1)),
            Fault::ForgetfulTimes(times) => (Fault::Forgetful, times.saturating_sub(1)),
            ref other => return other.clone(),
        };
        *fault = match now {
            _ if left == 0 => Fault::None,
            Fault::Corrupt => Fault::CorruptTimes(left),
            _ => Fault::ForgetfulTimes(left),
        };
        now
    }

    async fn enter(&self) -> Result<(), Error> {
        match self.fault() {
            Fault::Refuse => Err(Error::Unavailable { reason: "refused".to_owned() }),
            Fault::Hang => std::future::pending().await,
            Fault::Slow(time) => {
                self.env.sleep(time).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The names of all shards on the disk.
    pub(crate) async fn shards(&self) -> Vec<ShardId> {
        let all = self.kept.list_shards(self.disk, ListShards::all(None, SHARDS_PER_CALL_MAX)).await.unwrap();
        all.into_iter().map(|summary| summary.header.shard).collect()
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
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.enter().await?;
        let fault = self.fault();
        match (fault, body) {
            (Fault::Full, _) => Err(Error::DiskFull { disk }),
            (Fault::HangAfterCells(count), ShardBody::Stream(mut cells)) => {
                for _ in 0..count {
                    cells.next().await;
                }
                std::future::pending().await
            }
            (Fault::SlowCells(time), ShardBody::Stream(cells)) => {
                let env = self.env.clone();
                let cells = cells.then(move |cell| {
                    let env = env.clone();
                    async move {
                        env.sleep(time).await;
                        cell
                    }
                });
                self.kept.put_shard(disk, header, ShardBody::Stream(Box::pin(cells)), purpose).await
            }
            (Fault::Discard, ShardBody::Stream(mut cells)) => {
                while let Some(cell) = cells.next().await {
                    drop(cell?);
                    self.env.sleep(Duration::from_millis(1)).await;
                }
                Ok(())
            }
            (Fault::NeverStable, body) => {
                self.kept.put_shard(disk, header, body, purpose).await?;
                std::future::pending().await
            }
            (_, body) => self.kept.put_shard(disk, header, body, purpose).await,
        }
    }

    async fn read_cells(&self, disk: DiskId, shard: ShardId, cells: CellRange) -> Result<Vec<Cell>, Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.cells_read.fetch_add(cells.count as usize, Ordering::Relaxed);
        self.enter().await?;
        let fault = self.next_fault();
        if fault == Fault::Forgetful {
            return Err(Error::ShardNotFound { shard });
        }
        let mut found = self.kept.read_cells(disk, shard, cells).await?;
        match fault {
            Fault::Corrupt => found.iter_mut().filter(|cell| !cell.data().is_empty()).for_each(|cell| {
                let mut data = cell.data().to_vec();
                let middle = data.len() / 2;
                data[middle] ^= 4;
                *cell = Cell::received(data.into(), cell.checksum());
            }),
            Fault::Short => found.iter_mut().filter(|cell| !cell.data().is_empty()).for_each(|cell| {
                let number = cells.first;
                *cell = Cell::new(shard, number, cell.data().slice(..cell.data().len() - 1));
            }),
            Fault::Few => {
                found.pop();
            }
            Fault::Misplaced => found.iter_mut().for_each(|cell| {
                *cell = Cell::new(shard, u64::MAX, cell.data().clone());
            }),
            _ => {}
        }
        Ok(found)
    }

    async fn delete_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<(), Error> {
        self.enter().await?;
        self.kept.delete_shards(disk, shards).await
    }

    async fn evict_group(
        &self,
        disk: DiskId,
        group: GroupId,
        index: ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.enter().await?;
        self.kept.evict_group(disk, group, index, epoch).await
    }

    async fn fence_leases(&self, disk: DiskId, leases: &[LeaseId]) -> Result<(), Error> {
        self.enter().await?;
        self.kept.fence_leases(disk, leases).await
    }

    async fn verify_shards(&self, disk: DiskId, shards: &[ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.enter().await?;
        self.kept.verify_shards(disk, shards).await
    }

    async fn list_shards(&self, disk: DiskId, request: ListShards) -> Result<Vec<ShardSummary>, Error> {
        self.enter().await?;
        self.kept.list_shards(disk, request).await
    }

    async fn list_quarantined(&self, disk: DiskId) -> Result<Vec<QuarantinedRun>, Error> {
        self.enter().await?;
        self.kept.list_quarantined(disk).await
    }

    async fn release_quarantined(&self, disk: DiskId, ids: &[String]) -> Result<(), Error> {
        self.enter().await?;
        self.kept.release_quarantined(disk, ids).await
    }

    async fn disks(&self) -> Result<Vec<DiskStatus>, Error> {
        self.enter().await?;
        self.kept.disks().await
    }
}

/// A cluster of nodes with one disk each, in one storage class, and a pool over it.
pub(crate) struct Cluster {
    pub(crate) env: Env,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) metadata: Arc<Fake>,
    pub(crate) view: Arc<ClusterView>,
    pub(crate) pool: Pool,
    pub(crate) bad: Arc<Mutex<Vec<BadShard>>>,
}

/// Inline up to this many bytes in the harness's class, whole up to the other.
pub(crate) const INLINE: u64 = 1 << 10;
pub(crate) const WHOLE: u64 = 64 << 10;

impl Cluster {
    /// `nodes` healthy nodes and a class of this coding with `groups` groups.
    pub(crate) async fn new(nodes: usize, coding: &str, groups: u32) -> Self {
        let env = paused_env();
        let metadata = Arc::new(Fake::new(env.clone()));
        let mut services: HashMap<NodeId, Arc<dyn ChunkService>> = HashMap::new();
        let mut all = Vec::new();
        for number in 0..nodes {
            let (node, disk) = (NodeId([number as u8; 16]), DiskId([number as u8; 16]));
            let service = Arc::new(Node {
                env: env.clone(),
                disk,
                kept: FakeChunkService::new([disk]),
                fault: Mutex::new(Fault::None),
                puts: AtomicUsize::new(0),
                reads: AtomicUsize::new(0),
                cells_read: AtomicUsize::new(0),
            });
            let disks = vec![DiskRegistration {
                disk,
                medium: "memory".to_owned(),
                capacity_bytes: 1 << 40,
                available_bytes: 1 << 40,
                writable: true,
                failed: false,
            }];
            let domain = format!("r/z/k/h{number}").parse().unwrap();
            let registration = NodeRegistration { node, address: String::new(), domain, disks };
            metadata.register_node(registration).await.unwrap();
            services.insert(node, Arc::clone(&service) as Arc<dyn ChunkService>);
            all.push(service);
        }
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: coding.parse().unwrap(),
            inline_limit_bytes: INLINE,
            whole_limit_bytes: WHOLE,
            groups,
            medium: None,
        };
        metadata.define_storage_class(definition).await.unwrap();
        let view = Arc::new(ClusterView::in_process(services));
        view.refresh(&*metadata).await.unwrap();
        let leases =
            Arc::new(LeaseHolder::start(&env, Arc::clone(&metadata) as Arc<dyn Metadata>, &view, "test"));
        leases.held().await;
        let bad = Arc::new(Mutex::new(Vec::new()));
        let reported = Arc::clone(&bad);
        let pool = Pool::new(
            &env,
            Arc::clone(&view),
            leases,
            Arc::new(move |bad| reported.lock().unwrap().push(bad)),
        );
        Self { env, nodes: all, metadata, view, pool, bad }
    }

    pub(crate) fn set_fault(&self, node: usize, fault: Fault) {
        *self.nodes[node].fault.lock().unwrap() = fault;
    }

    pub(crate) async fn map(&self) -> ClusterMap {
        self.metadata.cluster_map(None).await.unwrap().unwrap()
    }

    /// Has the pool take in a map that differs from the service's in this way, at the next epoch.
    pub(crate) async fn change_map(&self, change: impl FnOnce(&mut ClusterMap)) -> i64 {
        let mut map = self.map().await;
        change(&mut map);
        map.epoch = self.view.epoch() + 1;
        self.view.update(&map);
        map.epoch
    }

    /// Has shards of an index of the first group move to a node's disk by the pool's map.
    pub(crate) async fn begin_move(&self, index: u8, to: usize) -> i64 {
        let to = self.nodes[to].disk;
        let since = self.view.epoch() + 1;
        let pending = ShardMove { index: ShardIndex(index), to, since, redirected: false };
        self.change_map(|map| map.classes[0].groups[0].moves.push(pending)).await
    }

    /// Writes `bytes` in pieces of uneven sizes, and takes what was written for named.
    pub(crate) async fn write(&self, bytes: &Bytes) -> Result<Stored, WriteError<BodyError>> {
        self.write_body(bytes.len() as u64, pieces(bytes).map(Ok)).await
    }

    pub(crate) async fn write_body(
        &self,
        length: u64,
        body: impl Stream<Item = Result<Bytes, BodyError>>,
    ) -> Result<Stored, WriteError<BodyError>> {
        let mut stored = self.write_unnamed(length, body).await?;
        std::mem::take(&mut stored.claim).named();
        Ok(stored)
    }

    /// Writes `bytes` as a body whose length is not declared, and takes it for named.
    pub(crate) async fn write_undeclared(&self, bytes: &Bytes) -> Result<Stored, WriteError<BodyError>> {
        let (class, owner) = (StorageClassName::standard(), Bytes::from_static(b"owner"));
        let mut stored = self.pool.write_undeclared(&class, owner, pieces(bytes).map(Ok)).await?;
        std::mem::take(&mut stored.claim).named();
        Ok(stored)
    }

    /// Writes `bytes` as a part of an upload, and takes it for named.
    pub(crate) async fn write_part(&self, bytes: &Bytes) -> Stored {
        let body = pieces(bytes).map(Ok::<_, BodyError>);
        let (class, owner) = (StorageClassName::standard(), Bytes::from_static(b"owner"));
        let mut stored = self.pool.write_part(&class, owner, bytes.len() as u64, body).await.unwrap();
        std::mem::take(&mut stored.claim).named();
        stored
    }

    pub(crate) async fn write_unnamed(
        &self,
        length: u64,
        body: impl Stream<Item = Result<Bytes, BodyError>>,
    ) -> Result<Stored, WriteError<BodyError>> {
        self.pool.write(&StorageClassName::standard(), Bytes::from_static(b"owner"), length, body).await
    }

    pub(crate) async fn read(&self, content: &Content, start: u64, end: u64) -> Result<Vec<u8>, ReadError> {
        let runs: Vec<Bytes> =
            self.pool.read(content, ByteRange::new(start, end).unwrap()).try_collect().await?;
        assert!(runs.iter().all(|run| !run.is_empty()));
        Ok(runs.concat())
    }

    pub(crate) async fn read_all(&self, content: &Content) -> Result<Vec<u8>, ReadError> {
        self.read(content, 0, content.length()).await
    }

    /// Waits until no disk has any shard.
    pub(crate) async fn until_empty(&self) {
        for _ in 0..100 {
            let mut left = 0;
            for node in &self.nodes {
                left += node.shards().await.len();
            }
            if left == 0 {
                return;
            }
            self.env.sleep(Duration::from_secs(1)).await;
        }
        panic!("shards are left on disks");
    }

    /// Shards on all disks.
    pub(crate) async fn shard_count(&self) -> usize {
        let mut count = 0;
        for node in &self.nodes {
            count += node.shards().await.len();
        }
        count
    }
}

/// What a body fails with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyError;

/// Bytes of which every run of some length is different from every other.
pub(crate) fn bytes(length: u64) -> Bytes {
    let mut bytes = vec![0; length as usize];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for word in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
    }
    bytes.into()
}

/// The same bytes in pieces: empty ones, small ones, and some longer than a cell.
pub(crate) fn pieces(bytes: &Bytes) -> impl Stream<Item = Bytes> + use<> {
    let mut left = bytes.clone();
    let mut sizes = [0, 1, 1000, 16 << 10, 200_000, 65_536, 3].into_iter().cycle();
    stream::iter(std::iter::from_fn(move || {
        (!left.is_empty()).then(|| left.split_to(sizes.next().unwrap().min(left.len())))
    }))
}

/// The lengths at which something changes, and their neighbours.
pub(crate) fn boundary_lengths(data_shards: u64) -> Vec<u64> {
    let cell = types::CELL_SIZE as u64;
    let stripe = cell * data_shards;
    let at = [0, INLINE, WHOLE, cell, stripe, 2 * stripe, 4 * cell * data_shards, 16 * stripe];
    let mut lengths: Vec<u64> = at
        .iter()
        .flat_map(|at| [at.saturating_sub(1), *at, at + 1])
        .chain([17 * stripe + 5 * cell + 77])
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}
