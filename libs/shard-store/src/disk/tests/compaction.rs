//! Sparse segments are rewritten: within bounds, on a full disk too, and without touching what is damaged.

use std::path::Path;

use chunk_api::{Error, ListShards, Purpose, ShardSummary, conformance::Sample};

use super::{
    super::compact::Rewritten,
    DiskOptions, DiskStore, Reserve, options,
    sim::{Rng, SimDisk},
};
use crate::{ShardStore, conformance::SingleDisk};

async fn open(disk: &SimDisk) -> DiskStore {
    let options = DiskOptions { segment_bytes: 128 << 10, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await.unwrap()
}

async fn put(store: &DiskStore, sample: &Sample) -> Result<(), Error> {
    store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
}

async fn rewrite_all(store: &DiskStore, tight: bool) -> Vec<Rewritten> {
    let mut all = Vec::new();
    while let Some(rewritten) = store.handle.rewrite_sparsest(tight, false).await.unwrap() {
        all.push(rewritten);
    }
    all
}

async fn expect_exactly(store: DiskStore, samples: &[Sample]) -> DiskStore {
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    let wanted: Vec<_> = samples
        .iter()
        .map(|sample| ShardSummary { header: sample.header.clone(), is_damaged: false })
        .collect();
    assert_eq!(listed, wanted);
    let disk = store.disk();
    let store = std::sync::Arc::new(store);
    for sample in samples {
        sample.expect_kept(&SingleDisk(store.clone()), disk).await;
    }
    std::sync::Arc::into_inner(store).unwrap()
}

#[tokio::test]
async fn rewriting_copies_no_more_than_it_frees_and_keeps_every_shard() {
    for (seed, tight) in [(1, false), (2, true), (3, false), (4, true)] {
        let mut rng = Rng(seed);
        let disk = SimDisk::new(1 << 30);
        let mut store = open(&disk).await;
        let (mut kept, mut put_bytes, mut copied_bytes) = (Vec::<Sample>::new(), 0, 0);
        let factor = if tight { 4 } else { 1 };
        for round in 0..6u64 {
            for name in 0..40 {
                let length = if rng.below(20) == 0 { 300_000 } else { rng.below(9000) };
                let sample = Sample::single(1, round * 100 + name, length);
                assert_eq!(put(&store, &sample).await, Ok(()));
                put_bytes += super::super::format::ShardRecord::from(&sample.header).layout().length;
                kept.push(sample);
            }
            let (gone, left): (Vec<_>, Vec<_>) = kept.drain(..).partition(|_| rng.below(2) == 0);
            kept = left;
            let names: Vec<_> = gone.iter().map(Sample::shard).collect();
            assert_eq!(store.delete(&names).await, Ok(()));
            for Rewritten { copied_bytes: copied, dead_bytes } in rewrite_all(&store, tight).await {
                assert!(copied <= factor * dead_bytes, "{copied} copied for {dead_bytes}");
                copied_bytes += copied;
            }
            // What is left is no sparser than the rule says, but for the segment that is open.
            let status = store.status().await;
            let open_segment = 2 * (128 << 10) + 310_000;
            assert!(status.dead_bytes * factor <= status.live_bytes + open_segment * factor, "{status:?}");
            let layout =
                |sample: &Sample| super::super::format::ShardRecord::from(&sample.header).layout().length;
            assert_eq!(status.live_bytes, kept.iter().map(layout).sum::<u64>());
            store = expect_exactly(store, &kept).await;
            if rng.below(2) == 0 {
                store.close().await;
                store = open(&disk).await;
                store = expect_exactly(store, &kept).await;
            }
        }
        assert!(copied_bytes > 0);
        // Padding of groups dies as well, so that it may be paid for by copies: a block for each put at most.
        assert!(copied_bytes <= factor * (put_bytes + 240 * 4096), "{copied_bytes} for {put_bytes}");
    }
}

#[tokio::test]
async fn a_full_disk_makes_room_by_deleting_and_rewriting() {
    let disk = SimDisk::new(24 << 20);
    let reserve = Reserve { bytes: 2 << 20, percent: 0 };
    let options = DiskOptions { segment_bytes: 512 << 10, reserve, ..options(Path::new("/disk")) };
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    let mut kept = Vec::new();
    let full = loop {
        let sample = Sample::single(1, kept.len() as u64, 20_000);
        match put(&store, &sample).await {
            Ok(()) => kept.push(sample),
            result => break result,
        }
    };
    assert_eq!(full, Err(Error::DiskFull { disk: store.disk() }));
    // Every third goes: no segment is empty, so that rewriting alone makes room.
    let (gone, left): (Vec<_>, Vec<_>) = kept.into_iter().enumerate().partition(|(turn, _)| turn % 3 == 0);
    let names: Vec<_> = gone.iter().map(|(_, sample)| sample.shard()).collect();
    assert_eq!(store.delete(&names).await, Ok(()));
    let large = Sample::single(2, 1, 3 << 20);
    assert_eq!(put(&store, &large).await, Err(Error::DiskFull { disk: store.disk() }));
    assert!(!rewrite_all(&store, true).await.is_empty());
    assert_eq!(put(&store, &large).await, Ok(()));
    let left: Vec<_> = left.into_iter().map(|(_, sample)| sample).chain([large]).collect();
    expect_exactly(store, &left).await;
}

#[tokio::test]
async fn a_damaged_shard_stays_where_it_is_until_it_is_repaired() {
    let disk = SimDisk::new(1 << 30);
    let store = open(&disk).await;
    let samples: Vec<_> = (0..8).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        assert_eq!(put(&store, sample).await, Ok(()));
    }
    let paths = || disk.files().into_iter().map(|(path, _)| path);
    let first = paths().find(|path| path.to_str().unwrap().contains("shards-")).unwrap();
    disk.tamper(&first, |data| data[4096 + 500] ^= 1);
    let gone: Vec<_> = samples[1..4].iter().map(Sample::shard).collect();
    assert_eq!(store.delete(&gone).await, Ok(()));
    assert!(!rewrite_all(&store, true).await.is_empty());
    assert!(paths().any(|path| path == first), "the damaged shard's segment stays");
    let shard = samples[0].shard();
    assert_eq!(
        store.verify(&[shard, samples[4].shard()]).await,
        Ok(vec![Err(Error::ShardCorrupt { shard, cell: 0 }), Ok(())])
    );
    let repaired = store.put(samples[0].header.clone(), samples[0].whole(), Purpose::Repair).await;
    assert_eq!(repaired, Ok(()));
    // Files are removed after the answer, and before the next request is looked at.
    assert_eq!(store.delete(&gone).await, Ok(()));
    assert!(paths().all(|path| path != first), "nothing is left in it");
    let left = samples.into_iter().enumerate().filter(|(turn, _)| !(1..4).contains(turn));
    let left: Vec<_> = left.map(|(_, sample)| sample).collect();
    expect_exactly(store, &left).await;
}
