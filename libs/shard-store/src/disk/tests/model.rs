//! Random calls and restarts, compared with a model that is two sets.

use std::{collections::BTreeMap, path::Path};

use chunk_api::{CellRange, Error, ListShards, Purpose, ShardSummary, conformance::Sample};
use proptest::prelude::*;
use types::ShardId;

use super::{DiskOptions, DiskStore, options, sim::SimDisk};
use crate::ShardStore;

#[derive(Debug, Clone)]
enum Call {
    Put { name: u64, length: u64, streamed: bool },
    Read { name: u64 },
    Delete { names: Vec<u64> },
    List { after: Option<u64>, limit: usize },
    Restart { closed: bool },
}

fn call() -> impl Strategy<Value = Call> {
    let name = 0..24u64;
    let length = prop_oneof![4 => 0..3000u64, 2 => 60_000..200_000u64, 1 => 300_000..800_000u64];
    prop_oneof![
        6 => (name.clone(), length, any::<bool>()).prop_map(|(name, length, streamed)| Call::Put { name, length, streamed }),
        4 => name.clone().prop_map(|name| Call::Read { name }),
        2 => prop::collection::vec(name.clone(), 0..5).prop_map(|names| Call::Delete { names }),
        2 => (prop::option::of(name), 1..30usize).prop_map(|(after, limit)| Call::List { after, limit }),
        1 => any::<bool>().prop_map(|closed| Call::Restart { closed }),
    ]
}

/// `Some` is a shard, `None` a name that was deleted.
type Model = BTreeMap<ShardId, Option<Sample>>;

fn shard(name: u64) -> ShardId {
    Sample::single(1, name, 0).shard()
}

async fn open(disk: &SimDisk) -> DiskStore {
    let options = DiskOptions { segment_bytes: 256 << 10, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await.unwrap()
}

async fn run(calls: Vec<Call>) {
    let mut disk = SimDisk::new(1 << 30);
    let mut store = open(&disk).await;
    let mut model = Model::new();
    for call in calls {
        match call {
            Call::Put { name, length, streamed } => put(&store, &mut model, name, length, streamed).await,
            Call::Read { name } => read(&store, &model, name).await,
            Call::Delete { names } => {
                let shards: Vec<ShardId> = names.iter().map(|name| shard(*name)).collect();
                assert_eq!(store.delete(&shards).await, Ok(()));
                model.extend(shards.into_iter().map(|shard| (shard, None)));
            }
            Call::List { after, limit } => list(&store, &model, after, limit).await,
            Call::Restart { closed } => {
                if closed {
                    store.close().await;
                } else {
                    // The process is killed: its writer goes on with a file system that nobody sees.
                    disk = disk.copy();
                }
                store = open(&disk).await;
                assert_eq!(store.status().await.damaged_records, 0);
            }
        }
    }
    for name in 0..24 {
        read(&store, &model, name).await;
    }
    list(&store, &model, None, 1000).await;
    assert_eq!(store.status().await.shards, model.values().flatten().count() as u64);
}

async fn put(store: &DiskStore, model: &mut Model, name: u64, length: u64, streamed: bool) {
    let sample = Sample::single(1, name, length);
    let body = if streamed { sample.stream() } else { sample.whole() };
    let put = store.put(sample.header.clone(), body, Purpose::Write).await;
    match model.get(&sample.shard()) {
        Some(Some(_)) => assert_eq!(put, Err(Error::ShardExists { shard: sample.shard() })),
        Some(None) => assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() })),
        None => {
            assert_eq!(put, Ok(()));
            model.insert(sample.shard(), Some(sample));
        }
    }
}

async fn read(store: &DiskStore, model: &Model, name: u64) {
    let shard = shard(name);
    match model.get(&shard) {
        Some(Some(sample)) if !sample.cells.is_empty() => {
            let count = u32::try_from(sample.cells.len()).unwrap();
            assert_eq!(
                store.read_cells(shard, CellRange { first: 0, count }).await.as_ref(),
                Ok(&sample.cells)
            );
        }
        Some(Some(_)) => {}
        Some(None) | None => {
            let read = store.read_cells(shard, CellRange { first: 0, count: 1 }).await;
            assert_eq!(read, Err(Error::ShardNotFound { shard }));
        }
    }
}

async fn list(store: &DiskStore, model: &Model, after: Option<u64>, limit: usize) {
    let after = after.map(shard);
    let kept = model.values().flatten().filter(|sample| after.is_none_or(|after| sample.shard() > after));
    let wanted: Vec<_> =
        kept.take(limit).map(|sample| ShardSummary { header: sample.header.clone() }).collect();
    assert_eq!(store.list(ListShards::all(after, limit)).await, Ok(wanted));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_as_its_model(calls in prop::collection::vec(call(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(calls));
    }
}
