//! The power goes at a random moment of a random load, and again during recovery.
//!
//! Shown for each seed: an acknowledged shard is there, whole; an acknowledged delete holds; nothing else is visible
//! but whole shards that someone put; recovery never fails or panics, however often it is cut short.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

use chunk_api::{CellRange, Error, ListShards, Purpose, conformance::Sample};
use futures_util::future::join_all;
use types::ShardId;

use super::{
    DiskOptions, DiskStore, options,
    sim::{Rng, SimDisk},
};
use crate::ShardStore;

const SEEDS: u64 = 300;

/// What callers have been told.
#[derive(Clone, Default)]
struct Told {
    put: BTreeMap<ShardId, Sample>,
    acknowledged: BTreeSet<ShardId>,
    delete_asked: BTreeSet<ShardId>,
    deleted: BTreeSet<ShardId>,
}

async fn open(disk: &SimDisk) -> Result<DiskStore, super::OpenError> {
    let options = DiskOptions { segment_bytes: 96 << 10, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await
}

/// Eight callers put and delete until they are done or the power goes.
async fn load(store: Arc<DiskStore>, told: &Mutex<Told>, rng: &mut Rng, life: u64) {
    let callers = (0..8u64).map(|caller| {
        let (store, mut rng) = (store.clone(), Rng(rng.next()));
        async move {
            for turn in 0..8 {
                let name = life * 10_000 + caller * 100 + turn;
                // Records of one sector and of many: a group may lose some and keep others.
                let length = match rng.below(12) {
                    0 => 280_000,
                    1..6 => rng.below(6000),
                    _ => rng.below(300),
                };
                let sample = Sample::single(1, name, length);
                told.lock().unwrap().put.insert(sample.shard(), sample.clone());
                let body = if rng.below(2) == 0 { sample.stream() } else { sample.whole() };
                if store.put(sample.header.clone(), body, Purpose::Write).await.is_ok() {
                    told.lock().unwrap().acknowledged.insert(sample.shard());
                }
                if rng.below(4) == 0 {
                    // Of an earlier life, of this caller, or one that is put later.
                    let victim =
                        Sample::single(1, rng.below(life + 1) * 10_000 + caller * 100 + rng.below(10), 0)
                            .shard();
                    told.lock().unwrap().delete_asked.insert(victim);
                    if store.delete(&[victim]).await.is_ok() {
                        told.lock().unwrap().deleted.insert(victim);
                    }
                }
            }
        }
    });
    let rewriting = async {
        // Sparse segments are rewritten meanwhile, until the power goes.
        for _ in 0..12 {
            if store.handle.rewrite_sparsest(true, false).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(join_all(callers), rewriting);
}

async fn check(store: &DiskStore, told: &Told, seed: u64) {
    for shard in told.acknowledged.difference(&told.delete_asked) {
        let sample = &told.put[shard];
        let count = u32::try_from(sample.cells.len()).unwrap();
        if count > 0 {
            let read = store.read_cells(*shard, CellRange { first: 0, count }).await;
            assert_eq!(read.as_ref(), Ok(&sample.cells), "seed {seed}: acknowledged shard {shard}");
        }
    }
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    for line in listed {
        let shard = line.header.shard;
        let sample = told.put.get(&shard).unwrap_or_else(|| panic!("seed {seed}: {shard} was never put"));
        assert_eq!(line.header, sample.header, "seed {seed}");
        assert!(!told.deleted.contains(&shard), "seed {seed}: {shard} was deleted");
        let count = u32::try_from(sample.cells.len()).unwrap();
        if count > 0 {
            let read = store.read_cells(shard, CellRange { first: 0, count }).await;
            assert_eq!(read.as_ref(), Ok(&sample.cells), "seed {seed}: visible shard {shard}");
        }
    }
    for shard in &told.deleted {
        let sample = Sample::single(shard.chunk.lease.0, shard.chunk.counter, 0);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert_eq!(put, Err(Error::ShardDeleted { shard: *shard }), "seed {seed}");
    }
}

/// Recovers the disk; the power goes during some recoveries.
async fn recover(mut disk: SimDisk, rng: &mut Rng) -> (SimDisk, DiskStore) {
    for _ in 0..rng.below(4) {
        disk.cut_power_after(rng.below(12));
        // Fails when the power went too early for it; what matters is the next one.
        drop(open(&disk).await);
        disk = disk.after_power_cut(rng);
    }
    let store = open(&disk).await.unwrap();
    (disk, store)
}

fn snapshot(told: &Mutex<Told>) -> Told {
    told.lock().unwrap().clone()
}

async fn run(seed: u64) {
    let mut rng = Rng(seed);
    let mut disk = SimDisk::new(64 << 20);
    let told = Mutex::new(Told::default());
    for life in 0..3 {
        let (recovered, store) = recover(disk, &mut rng).await;
        check(&store, &snapshot(&told), seed).await;
        recovered.cut_power_after(rng.below(120));
        load(Arc::new(store), &told, &mut rng, life).await;
        disk = recovered.after_power_cut(&mut rng);
    }
    let (_, store) = recover(disk, &mut rng).await;
    check(&store, &snapshot(&told), seed).await;
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_nothing_partial() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for seed in 0..SEEDS {
        runtime.block_on(run(seed));
    }
}
