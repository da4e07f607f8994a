//! The power goes at a random moment of a random load, and again during recovery.
//!
//! Shown for each seed: an acknowledged shard is there, whole; an acknowledged delete holds; nothing else is visible
//! but shards that someone put, whole or known to be damaged; nothing torn passes for rot; recovery never fails or
//! panics, however often it is cut short.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

use chunk_api::{CellRange, Error, ListShards, Purpose, ShardHeader, conformance::Sample};
use futures_util::future::join_all;
use types::ShardId;

use super::{
    DiskOptions, DiskStore, options,
    sim::{Rng, SimDisk},
};
use crate::ShardStore;

const SEEDS: u64 = 2000;

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

/// Four callers put and delete until they are done or the power goes.
async fn load(store: Arc<DiskStore>, told: &Mutex<Told>, rng: &mut Rng, life: u64) {
    let callers = (0..4u64).map(|caller| {
        let (store, mut rng) = (store.clone(), Rng(rng.next()));
        async move {
            for turn in 0..5 {
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
                        Sample::single(1, rng.below(life + 1) * 10_000 + caller * 100 + rng.below(7), 0)
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
        for _ in 0..6 {
            if store.handle.rewrite_sparsest(true, false).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(join_all(callers), rewriting);
}

/// What is wrong with what a store shows, of what callers were told.
async fn check(store: &DiskStore, told: &Told) -> Result<(), String> {
    for shard in told.acknowledged.difference(&told.delete_asked) {
        let sample = &told.put[shard];
        let count = u32::try_from(sample.cells.len()).unwrap();
        if count > 0 {
            let read = store.read_cells(*shard, CellRange { first: 0, count }).await;
            expect(read.as_ref() == Ok(&sample.cells), || {
                format!("acknowledged shard {shard}: {:?}", read.err())
            })?;
        }
    }
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    let suspects = store.list_damaged().await.unwrap();
    for line in &listed {
        let shard = line.header.shard;
        let sample = told.put.get(&shard).ok_or(format!("{shard} was never put"))?;
        let suspect = suspects.iter().any(|header| header.shard == shard);
        let owner_lost = suspect && line.header.owner.is_empty();
        let owner = if owner_lost { sample.header.owner.clone() } else { line.header.owner.clone() };
        let header = ShardHeader { owner, ..line.header.clone() };
        expect(header == sample.header, || format!("{shard} has another header"))?;
        expect(!told.deleted.contains(&shard), || format!("{shard} was deleted"))?;
        let count = u32::try_from(sample.cells.len()).unwrap();
        if suspect {
            let verdict = store.verify(&[shard]).await.unwrap().remove(0);
            let corrupt = matches!(verdict, Err(Error::ShardCorrupt { .. }));
            expect(corrupt, || format!("suspect {shard}: {verdict:?}"))?;
            continue;
        }
        if count > 0 {
            let read = store.read_cells(shard, CellRange { first: 0, count }).await;
            expect(read.as_ref() == Ok(&sample.cells), || {
                format!("visible shard {shard}: {:?}", read.err())
            })?;
        }
    }
    for shard in told.acknowledged.difference(&told.delete_asked) {
        expect(listed.iter().any(|line| line.header.shard == *shard), || format!("{shard} is not listed"))?;
    }
    for shard in &told.deleted {
        let sample = Sample::single(shard.chunk.lease.0, shard.chunk.counter, 0);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        expect(put == Err(Error::ShardDeleted { shard: *shard }), || {
            format!("{shard} is not deleted: {put:?}")
        })?;
    }
    let quarantined = store.status().await.quarantined_records;
    expect(quarantined == 0, || format!("{quarantined} runs of bytes pass for rot"))
}

fn expect(good: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise()) }
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

async fn run(seed: u64, sabotage: impl Fn(&SimDisk)) -> Result<(), String> {
    let mut rng = Rng(seed);
    let mut disk = SimDisk::new(64 << 20);
    let told = Mutex::new(Told::default());
    for life in 0..2 {
        let (recovered, store) = recover(disk, &mut rng).await;
        check(&store, &snapshot(&told)).await?;
        sabotage(&recovered);
        recovered.cut_power_after(rng.below(70));
        load(Arc::new(store), &told, &mut rng, life).await;
        disk = recovered.after_power_cut(&mut rng);
    }
    let (_, store) = recover(disk, &mut rng).await;
    check(&store, &snapshot(&told)).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs every fourth seed from `first`; four tests share them.
fn seeds(first: u64) {
    let runtime = runtime();
    for seed in (first..SEEDS).step_by(4) {
        if let Err(wrong) = runtime.block_on(run(seed, |_| {})) {
            panic!("seed {seed}: {wrong}");
        }
    }
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_nothing_partial_1() {
    seeds(0);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_nothing_partial_2() {
    seeds(1);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_nothing_partial_3() {
    seeds(2);
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_shows_nothing_partial_4() {
    seeds(3);
}

/// Whether one of a few hundred seeds loses a shard: what a check that finds loss must say of a disk that lies.
fn is_caught(sabotage: impl Fn(&SimDisk)) -> bool {
    let runtime = runtime();
    let is_loss = |wrong: String| wrong.starts_with("acknowledged");
    (0..300).any(|seed| runtime.block_on(run(seed, &sabotage)).is_err_and(is_loss))
}

#[test]
fn a_sync_that_does_nothing_is_caught() {
    assert!(is_caught(SimDisk::ignore_syncs));
}

#[test]
fn a_directory_sync_that_does_nothing_is_caught() {
    assert!(is_caught(SimDisk::ignore_directory_syncs));
}
