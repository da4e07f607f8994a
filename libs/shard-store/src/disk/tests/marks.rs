//! Marks, groups and epochs outlive a restart; damaged shards are replaced by repairs alone.

use std::path::Path;

use chunk_api::{CellRange, Error, ListShards, Purpose, conformance::Sample};
use types::{GroupId, LeaseId};

use super::{open, sim::SimDisk};
use crate::{DiskStore, ShardStore};

fn sample(lease: i64, counter: u64, length: u64, epoch: i64) -> Sample {
    let mut sample = Sample::single(lease, counter, length);
    sample.header.epoch = epoch;
    sample.header.group = GroupId(i32::try_from(counter).unwrap());
    sample
}

async fn evict(store: &DiskStore, sample: &Sample, epoch: i64) {
    assert_eq!(store.evict_group(sample.header.group, sample.shard().index, epoch).await, Ok(()));
}

async fn put(store: &DiskStore, sample: &Sample, purpose: Purpose) -> Result<(), Error> {
    store.put(sample.header.clone(), sample.whole(), purpose).await
}

#[tokio::test]
async fn groups_epochs_evictions_and_fences_outlive_a_restart() {
    let disk = SimDisk::new(1 << 30);
    let store = open(&disk.env(), Path::new("/disk")).await;
    let early = sample(1, 1, 900, 5);
    let late = sample(1, 2, 400_000, 8);
    let back = sample(1, 3, 900, 6);
    for sample in [&early, &late, &back] {
        assert_eq!(put(&store, sample, Purpose::Write).await, Ok(()));
    }
    for sample in [&early, &late, &back] {
        evict(&store, sample, 7).await;
    }
    let again = sample(1, 3, 900, 9);
    assert_eq!(put(&store, &again, Purpose::Write).await, Ok(()));
    evict(&store, &back, 2).await;
    assert_eq!(store.fence(&[LeaseId(1), LeaseId(2)]).await, Ok(()));
    for closed in [true, false, true] {
        if closed {
            store.close().await;
        }
        let store = open(&disk.copy().env(), Path::new("/disk")).await;
        let listed = store.list(ListShards::all(None, 10)).await.unwrap();
        let headers: Vec<_> = listed.into_iter().map(|line| line.header).collect();
        assert_eq!(headers, [late.header.clone(), again.header.clone()]);
        let of_group = ListShards { after: None, limit: 1, group: Some(again.header.group) };
        assert_eq!(store.list(of_group).await.unwrap()[0].header, again.header);
        let deleted = Err(Error::ShardDeleted { shard: early.shard() });
        assert_eq!(put(&store, &early, Purpose::Repair).await, deleted);
        for lease in [1, 2] {
            let fenced = Err(Error::LeaseFenced { lease: LeaseId(lease) });
            assert_eq!(put(&store, &sample(lease, 9, 10, 9), Purpose::Write).await, fenced);
        }
        assert_eq!(put(&store, &sample(1, 9, 10, 9), Purpose::Repair).await, Ok(()));
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_shard_is_replaced_by_a_repair_and_by_nothing_else() {
    for length in [900, 400_000] {
        let disk = SimDisk::new(1 << 30);
        let store = open(&disk.env(), Path::new("/disk")).await;
        let kept = sample(1, 1, length, 5);
        let other = sample(1, 2, length, 5);
        for sample in [&kept, &other] {
            assert_eq!(put(&store, sample, Purpose::Write).await, Ok(()));
        }
        let shard = kept.shard();
        assert_eq!(store.verify(&[shard, other.shard()]).await, Ok(vec![Ok(()), Ok(())]));
        let path = disk.files().into_iter().map(|(path, _)| path);
        let path = path.into_iter().find(|path| path.to_str().unwrap().contains("shards-")).unwrap();
        // A byte of the first cell.
        disk.tamper(&path, |data| data[4096 + 200] ^= 4);
        let corrupt = Err(Error::ShardCorrupt { shard, cell: 0 });
        assert_eq!(store.verify(&[shard, other.shard()]).await, Ok(vec![corrupt.clone(), Ok(())]));
        assert_eq!(
            put(&store, &kept, Purpose::Write).await,
            Err(Error::ShardExists { shard }),
            "a write never replaces"
        );
        // By an older map than the shard's: the greater epoch stays, so that an eviction in between ends neither.
        let older = sample(1, 1, length, 3);
        assert_eq!(put(&store, &older, Purpose::Repair).await, Ok(()));
        assert_eq!(put(&store, &older, Purpose::Repair).await, Err(Error::ShardExists { shard }));
        evict(&store, &kept, 4).await;
        for closed in [false, true] {
            if closed {
                store.close().await;
            }
            let store = open(&disk.copy().env(), Path::new("/disk")).await;
            assert_eq!(store.verify(&[shard, other.shard()]).await, Ok(vec![Ok(()), Ok(())]));
            let count = u32::try_from(kept.cells.len()).unwrap();
            let read = store.read_cells(shard, CellRange { first: 0, count }).await;
            assert_eq!(read.as_ref(), Ok(&kept.cells));
            let listed = store.list(ListShards::all(None, 1)).await.unwrap();
            assert_eq!(listed[0].header, kept.header);
        }
    }
}
