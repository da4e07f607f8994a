//! The memory that one write and one read may hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use types::{ByteRange, CELL_SIZE, Content};

use super::harness::{BodyError, Cluster, Fault, bytes};
use crate::limits::{CHANNEL_CELLS, READ_CELLS_AT_ONCE};

/// Bytes that are counted as long as they live, with the highest count so far.
#[derive(Debug, Default)]
struct Alive {
    now: AtomicUsize,
    peak: AtomicUsize,
}

struct Counted {
    data: Vec<u8>,
    alive: Arc<Alive>,
}

impl Counted {
    fn new(data: Vec<u8>, alive: &Arc<Alive>) -> Self {
        let now = alive.now.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        alive.peak.fetch_max(now, Ordering::Relaxed);
        Self { data, alive: Arc::clone(alive) }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.now.fetch_sub(self.data.len(), Ordering::Relaxed);
    }
}

/// A body of full cells, so that the pool slices them and holds no copies of its own.
fn body(cells: usize, alive: &Arc<Alive>) -> impl Stream<Item = Result<Bytes, BodyError>> + use<> {
    let alive = Arc::clone(alive);
    stream::iter(0..cells).map(move |_| Ok(Bytes::from_owner(Counted::new(vec![7; CELL_SIZE], &alive))))
}

/// For each data shard the cells in its channel, one in its service's hands and one in work.
const CELLS_MAX: usize = 4 * (CHANNEL_CELLS + 2);

#[tokio::test(start_paused = true)]
async fn a_write_holds_a_few_cells_per_shard_whatever_its_length() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    (0..6).for_each(|node| cluster.set_fault(node, Fault::Discard));
    let alive = Arc::new(Alive::default());
    // More than one chunk: the second begins while the first becomes stable.
    let cells = 1024 + 256;
    let stored = cluster.write_body((cells * CELL_SIZE) as u64, body(cells, &alive)).await.unwrap();
    assert_eq!(stored.missing, []);
    let peak = alive.peak.load(Ordering::Relaxed) / CELL_SIZE;
    assert!(peak <= 2 * CELLS_MAX, "{peak} cells");
    assert_eq!(alive.now.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_held_up_does_not_gather_its_body() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    (0..6).for_each(|node| cluster.set_fault(node, Fault::Discard));
    cluster.set_fault(1, Fault::HangAfterCells(1));
    let alive = Arc::new(Alive::default());
    let write = cluster.write_body((512 * CELL_SIZE) as u64, body(512, &alive));
    assert!(cluster.env.timeout(Duration::from_millis(900), write).await.is_err());
    let peak = alive.peak.load(Ordering::Relaxed) / CELL_SIZE;
    assert!((CHANNEL_CELLS..=CELLS_MAX).contains(&peak), "{peak} cells");
}

/// Reads 16 MiB, a second for each run: the bytes that were fetched beyond those taken, at the most.
async fn held_for_a_slow_reader(cluster: &Cluster, content: &Content) -> usize {
    let before = fetched(cluster);
    let mut read = cluster.pool.read(content, ByteRange::new(0, 16 << 20).unwrap());
    let (mut consumed, mut most) = (0, 0);
    while let Some(run) = read.next().await {
        consumed += run.unwrap().len();
        // However long the reader takes, no more is fetched.
        cluster.env.sleep(Duration::from_secs(1)).await;
        most = most.max(fetched(cluster) - before - consumed);
    }
    assert_eq!((consumed, fetched(cluster) - before), (16 << 20, 16 << 20));
    most
}

fn fetched(cluster: &Cluster) -> usize {
    let cells = cluster.nodes.iter().map(|node| node.cells_read.load(Ordering::Relaxed));
    cells.sum::<usize>() * CELL_SIZE
}

#[tokio::test(start_paused = true)]
async fn a_read_fetches_one_window_ahead_of_a_slow_reader() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let stored = cluster.write(&bytes(16 << 20)).await.unwrap();
    (0..6).for_each(|node| cluster.set_fault(node, Fault::Slow(Duration::from_millis(1))));
    for _ in 0..2 {
        let most = held_for_a_slow_reader(&cluster, &stored.content).await;
        assert!(most >= 1 << 20, "nothing was fetched ahead");
        assert!(most <= 2 << 20, "{most} bytes were held");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_at_once_is_fetched_in_short_steps_and_not_ahead() {
    let cluster = Cluster::new(6, "1+2", 1).await;
    let stored = cluster.write(&bytes(16 << 20)).await.unwrap();
    let step = READ_CELLS_AT_ONCE as usize * CELL_SIZE;
    assert_eq!(held_for_a_slow_reader(&cluster, &stored.content).await, step - CELL_SIZE);
    // A read that has to wait for its first bytes makes the next one begin with more; what comes at once after all takes that back.
    let first = async |fault: Fault, length: u64| {
        (0..6).for_each(|node| cluster.set_fault(node, fault.clone()));
        let before = fetched(&cluster);
        let mut read = cluster.pool.read(&stored.content, ByteRange::new(0, length).unwrap());
        read.next().await.unwrap().unwrap();
        fetched(&cluster) - before
    };
    assert_eq!(first(Fault::Slow(Duration::from_millis(1)), 1).await, CELL_SIZE);
    assert_eq!(first(Fault::None, 512 << 10).await, 512 << 10);
    assert_eq!(first(Fault::None, 1).await, CELL_SIZE);
    assert_eq!(first(Fault::None, 512 << 10).await, step);
}

/// A reader that takes what it is given without an end, as over the fastest network, gives others their turn.
#[tokio::test]
async fn what_comes_at_once_does_not_keep_the_thread() {
    let cluster = Cluster::new(6, "1+2", 1).await;
    let stored = cluster.write(&bytes(16 << 20)).await.unwrap();
    let turns = Arc::new(AtomicUsize::new(0));
    let others = cluster.env.spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let mut read = cluster.pool.read(&stored.content, ByteRange::new(0, 16 << 20).unwrap());
    while let Some(run) = read.next().await {
        run.unwrap();
    }
    others.abort();
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns >= 15, "{turns} turns in 16 MiB");
}
