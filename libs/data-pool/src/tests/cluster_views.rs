//! How the pool learns of the cluster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use chunk_api::{ChunkService, fake::FakeChunkService};
use metadata_api::{DiskRegistration, Metadata, NodeRegistration, StorageClassDefinition, fake::Fake};
use types::{DiskId, NodeId, StorageClassName};

use super::harness::{Cluster, Fault, bytes, paused_env};
use crate::{ClusterView, Follower};

fn registration(number: u8, address: &str) -> NodeRegistration {
    let disk = DiskRegistration {
        disk: DiskId([number; 16]),
        medium: "memory".to_owned(),
        capacity_bytes: 1,
        available_bytes: 1,
        writable: true,
        failed: false,
    };
    let domain = format!("r/z/k/h{number}").parse().unwrap();
    NodeRegistration { node: NodeId([number; 16]), address: address.to_owned(), domain, disks: vec![disk] }
}

fn definition(coding: &str) -> StorageClassDefinition {
    StorageClassDefinition {
        name: StorageClassName::standard(),
        coding: coding.parse().unwrap(),
        inline_limit_bytes: 1,
        whole_limit_bytes: 2,
        groups: 1,
        medium: None,
    }
}

fn empty() -> Arc<dyn ChunkService> {
    Arc::new(FakeChunkService::new([]))
}

#[tokio::test(start_paused = true)]
async fn a_follower_takes_in_each_newer_map_until_dropped() {
    let env = paused_env();
    let metadata = Arc::new(Fake::new(env.clone()));
    let view = Arc::new(ClusterView::networked(|_| empty()));
    assert!(view.snapshot().class(&StorageClassName::standard()).is_none());
    let follower = Follower::start(&env, Arc::clone(&metadata) as Arc<dyn Metadata>, Arc::clone(&view));
    for number in 0..3 {
        metadata.register_node(registration(number, "a:1")).await.unwrap();
        metadata.define_storage_class(definition("2+1")).await.unwrap();
        env.sleep(Duration::from_secs(3)).await;
        let mapped = view.snapshot().class(&StorageClassName::standard()).unwrap().groups.len();
        assert_eq!(mapped, usize::from(number == 2));
    }
    let epoch = view.epoch();
    drop(follower);
    metadata.register_node(registration(3, "a:1")).await.unwrap();
    env.sleep(Duration::from_secs(30)).await;
    assert_eq!(view.epoch(), epoch);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_made_once_per_node_and_address() {
    let metadata = Fake::new(paused_env());
    let made = Arc::new(Mutex::new(Vec::new()));
    let addresses = Arc::clone(&made);
    let inside = HashMap::from([(NodeId([9; 16]), empty())]);
    let view = ClusterView::networked(move |address| {
        addresses.lock().unwrap().push(address.to_owned());
        empty()
    })
    .with_in_process(inside);
    for (number, address) in [(1, "a:1"), (2, "b:1"), (1, "a:1"), (1, "a:2"), (9, ""), (9, "c:1"), (3, "")] {
        metadata.register_node(registration(number, address)).await.unwrap();
        view.refresh(&metadata).await.unwrap();
    }
    assert_eq!(*made.lock().unwrap(), ["a:1", "b:1", "a:2"]);
}

#[tokio::test(start_paused = true)]
async fn an_older_map_is_not_taken_in() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    let epoch = cluster.view.epoch();
    let mut old = cluster.map().await;
    old.epoch -= 1;
    old.classes.clear();
    cluster.view.update(&old);
    assert_eq!(cluster.view.epoch(), epoch);
    assert!(cluster.write(&bytes(5000)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_meets_moved_shards_tries_again_by_the_newer_map() {
    let cluster = Cluster::new(6, "1+1", 1).await;
    let original = bytes(5000);
    let stored = cluster.write(&original).await.unwrap();
    let types::Content::Stored(manifest) = &stored.content else { panic!("not inline") };
    // The two shards move to disks 4 and 5 while a read by the old map waits for the old disks.
    let mut map = cluster.map().await;
    for (index, to) in [(0, 4), (1, 5)] {
        let (from, to) = (&cluster.nodes[index], &cluster.nodes[to]);
        let shard =
            types::ShardId { chunk: manifest.extents[0].chunk, index: types::ShardIndex(index as u8) };
        let cells = chunk_api::CellRange { first: 0, count: 1 };
        let cells = from.kept.read_cells(from.disk, shard, cells).await.unwrap();
        let header = from
            .kept
            .list_shards(from.disk, chunk_api::ListShards::all(None, 1))
            .await
            .unwrap()
            .remove(0)
            .header;
        to.kept
            .put_shard(to.disk, header, chunk_api::ShardBody::Whole(cells), chunk_api::Purpose::Repair)
            .await
            .unwrap();
        from.kept.delete_shards(from.disk, &[shard]).await.unwrap();
        cluster.set_fault(index, Fault::Slow(Duration::from_secs(1)));
        map.classes[0].groups[0].disks[index] = to.disk;
    }
    map.epoch += 1;
    let (env, view) = (cluster.env.clone(), Arc::clone(&cluster.view));
    let moved = async move {
        env.sleep(Duration::from_millis(500)).await;
        view.update(&map);
    };
    let (read, ()) = tokio::join!(cluster.read_all(&stored.content), moved);
    assert!(read.unwrap() == original);
}
