//! Random calls and restarts, compared with a model that is a few sets.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chunk_api::{CellRange, Error, ListShards, Purpose, ShardSummary, conformance::Sample};
use proptest::prelude::*;
use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{DiskOptions, DiskStore, options, sim::SimDisk};
use crate::ShardStore;

#[derive(Debug, Clone)]
enum Call {
    Put { name: u64, length: u64, epoch: i64, streamed: bool },
    Read { name: u64 },
    Delete { names: Vec<u64> },
    Evict { group: i32, index: u8, epoch: i64 },
    Fence { lease: i64 },
    List { after: Option<u64>, limit: usize },
    Restart { closed: bool },
}

fn call() -> impl Strategy<Value = Call> {
    let name = 0..24u64;
    let length = prop_oneof![4 => 0..3000u64, 2 => 60_000..200_000u64, 1 => 300_000..800_000u64];
    prop_oneof![
        6 => (name.clone(), length, 0..4i64, any::<bool>())
            .prop_map(|(name, length, epoch, streamed)| Call::Put { name, length, epoch, streamed }),
        4 => name.clone().prop_map(|name| Call::Read { name }),
        2 => prop::collection::vec(name.clone(), 0..5).prop_map(|names| Call::Delete { names }),
        1 => (0..GROUPS, 0..2u8, 0..4i64).prop_map(|(group, index, epoch)| Call::Evict { group, index, epoch }),
        1 => (0..LEASES).prop_map(|lease| Call::Fence { lease }),
        2 => (prop::option::of(name), 1..30usize).prop_map(|(after, limit)| Call::List { after, limit }),
        1 => any::<bool>().prop_map(|closed| Call::Restart { closed }),
    ]
}

const GROUPS: i32 = 3;
const LEASES: i64 = 6;

#[derive(Default)]
struct Model {
    /// `Some` is a shard, `None` a name that was deleted.
    shards: BTreeMap<ShardId, Option<Sample>>,
    /// The greatest epoch that each group was evicted at.
    evicted: BTreeMap<GroupId, i64>,
    fenced: BTreeSet<LeaseId>,
}

impl Model {
    fn kept(&self) -> impl Iterator<Item = &Sample> {
        self.shards.values().flatten()
    }

    fn delete(&mut self, shards: Vec<ShardId>) {
        self.shards.extend(shards.into_iter().map(|shard| (shard, None)));
    }

    /// Every shard of the group up to the epoch goes, and its name may be put again at a later one.
    fn evict(&mut self, group: GroupId, epoch: i64) {
        let known = self.evicted.entry(group).or_insert(epoch);
        *known = epoch.max(*known);
        let stays = |sample: &Sample| sample.header.group != group || sample.header.epoch > epoch;
        self.shards.retain(|_, shard| shard.as_ref().is_none_or(stays));
    }

    /// What a put is told.
    fn put(&mut self, sample: &Sample) -> Result<(), Error> {
        let (shard, lease) = (sample.shard(), sample.shard().chunk.lease);
        let evicted = self.evicted.get(&sample.header.group);
        let is_evicted = evicted.is_some_and(|end| sample.header.epoch <= *end);
        if is_evicted || matches!(self.shards.get(&shard), Some(None)) {
            return Err(Error::ShardDeleted { shard });
        }
        if self.fenced.contains(&lease) {
            return Err(Error::LeaseFenced { lease });
        }
        if self.shards.contains_key(&shard) {
            return Err(Error::ShardExists { shard });
        }
        self.shards.insert(shard, Some(sample.clone()));
        Ok(())
    }
}

/// The names of a lease follow each other.
fn sample(name: u64, length: u64, epoch: i64) -> Sample {
    let mut sample = Sample::single(i64::try_from(name / 4).unwrap(), name, length);
    sample.header.group = GroupId(i32::try_from(name).unwrap() % GROUPS);
    sample.header.epoch = epoch;
    sample
}

fn shard(name: u64) -> ShardId {
    sample(name, 0, 0).shard()
}

async fn open(disk: &SimDisk) -> DiskStore {
    let options = DiskOptions { segment_bytes: 256 << 10, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await.unwrap()
}

async fn run(calls: Vec<Call>) {
    let mut disk = SimDisk::new(1 << 30);
    let mut store = open(&disk).await;
    let mut model = Model::default();
    for call in calls {
        match call {
            Call::Put { name, length, epoch, streamed } => {
                let sample = sample(name, length, epoch);
                let body = if streamed { sample.stream() } else { sample.whole() };
                let put = store.put(sample.header.clone(), body, Purpose::Write).await;
                assert_eq!(put, model.put(&sample));
            }
            Call::Read { name } => read(&store, &model, name).await,
            Call::Delete { names } => {
                let shards: Vec<ShardId> = names.iter().map(|name| shard(*name)).collect();
                assert_eq!(store.delete(&shards).await, Ok(()));
                model.delete(shards);
            }
            Call::Evict { group, index, epoch } => {
                assert_eq!(store.evict_group(GroupId(group), ShardIndex(index), epoch).await, Ok(()));
                // Of other indexes there is nothing.
                if index == 0 {
                    model.evict(GroupId(group), epoch);
                }
            }
            Call::Fence { lease } => {
                assert_eq!(store.fence(&[LeaseId(lease)]).await, Ok(()));
                model.fenced.insert(LeaseId(lease));
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
    assert_eq!(store.status().await.shards, model.kept().count() as u64);
}

async fn read(store: &DiskStore, model: &Model, name: u64) {
    let shard = shard(name);
    match model.shards.get(&shard) {
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
    let kept = model.kept().filter(|sample| after.is_none_or(|after| sample.shard() > after));
    let wanted: Vec<_> = kept
        .take(limit)
        .map(|sample| ShardSummary { header: sample.header.clone(), is_damaged: false })
        .collect();
    assert_eq!(store.list(ListShards::all(after, limit)).await, Ok(wanted));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_as_its_model(calls in prop::collection::vec(call(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(calls));
    }
}
