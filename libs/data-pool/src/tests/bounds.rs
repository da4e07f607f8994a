//! The memory that one write and one read may hold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use types::{ByteRange, CELL_SIZE};

use super::harness::{Cluster, Fault, bytes};

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

#[tokio::test(start_paused = true)]
async fn a_write_holds_a_few_cells_per_shard_however_slow_a_disk_is() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    // The others drop what they are given once they refuse; this one takes its time and keeps a single cell.
    let alive = Arc::new(Alive::default());
    let counter = Arc::clone(&alive);
    // Whole cells, so that the pool slices them and holds no copies of its own.
    let body = stream::iter(0..512)
        .map(move |i| Ok(Bytes::from_owner(Counted::new(vec![i as u8; CELL_SIZE], &counter))));
    cluster.set_fault(1, Fault::HangAfterCells(1));
    let write = cluster.write_body(512 * CELL_SIZE as u64, body);
    // Held up by one disk for five seconds, the write waits and does not gather what the body offers.
    assert!(cluster.env.timeout(Duration::from_secs(4), write).await.is_err());
    let peak = alive.peak.load(Ordering::Relaxed) / CELL_SIZE;
    // Four data shards: the cells in the hung shard's channel, as many stripes of the others (which the services of
    // this harness keep), and the cell in work.
    assert!((4 * 4..=4 * 7).contains(&peak), "{peak} cells");
}

#[tokio::test(start_paused = true)]
async fn a_read_fetches_one_window_ahead_of_a_slow_reader() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let original = bytes(16 << 20);
    let stored = cluster.write(&original).await.unwrap();
    let mut read = cluster.pool.read(&stored.content, ByteRange::new(0, 16 << 20).unwrap());
    let fetched = || -> usize {
        let cells = cluster.nodes.iter().map(|node| node.cells_read.load(Ordering::Relaxed));
        cells.sum::<usize>() * CELL_SIZE
    };
    let mut consumed = 0;
    let mut most = 0;
    while let Some(run) = read.next().await {
        consumed += run.unwrap().len();
        // However long the reader takes, no more is fetched.
        cluster.env.sleep(Duration::from_secs(1)).await;
        most = most.max(fetched() - consumed);
    }
    assert_eq!(consumed, 16 << 20);
    assert!(most >= 1 << 20, "nothing was fetched ahead");
    assert!(most <= 2 << 20, "{most} bytes were held");
}
