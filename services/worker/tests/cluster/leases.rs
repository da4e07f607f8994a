//! Gateways that die before they commit.

use std::time::Duration;

use chunk_api::{ChunkService, ListShards};
use metadata_api::Metadata;

use crate::harness::Cluster;

#[tokio::test(start_paused = true)]
async fn what_a_dead_gateway_never_committed_is_reaped_exactly() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let living = cluster.gateway().await;
    let objects = cluster.fill(&living, 12).await;
    let worker = cluster.worker();
    let dying = cluster.gateway().await;
    let lease = dying.leases.lease().unwrap();
    let (mut committed, mut abandoned) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let (name, length) = (format!("dying-{number}"), 200 + number * 10_000);
        let stored = dying.store(&name, length).await.unwrap();
        if number % 2 == 0 {
            assert!(dying.commit(&name, stored).await);
            committed.push((name, length));
        } else {
            abandoned.push(stored);
        }
    }
    // It dies before it says what became of these.
    drop(dying);
    cluster
        .until("the lease is reaped", async || {
            cluster.metadata.list_leases().await.unwrap().iter().all(|state| state.id != lease)
        })
        .await;
    cluster.until_clean().await;
    cluster.check(&living, &objects).await;
    cluster.check(&living, &committed).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_stays_until_every_disk_was_cleared_of_it() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let worker = cluster.worker();
    let dying = cluster.gateway().await;
    let lease = dying.leases.lease().unwrap();
    let mut abandoned = Vec::new();
    for number in 0..8 {
        abandoned.push(dying.store(&format!("dying-{number}"), 50_000).await.unwrap());
    }
    drop(dying);
    cluster.nodes[1].set_away(true);
    cluster.env.sleep(Duration::from_secs(600)).await;
    let leases = cluster.metadata.list_leases().await.unwrap();
    assert!(leases.iter().any(|state| state.id == lease && state.revoked));
    cluster.nodes[1].set_away(false);
    cluster
        .until("the lease is reaped", async || {
            cluster.metadata.list_leases().await.unwrap().iter().all(|state| state.id != lease)
        })
        .await;
    assert_eq!(cluster.until_clean().await.shards, 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn chunks_whose_owner_no_disk_can_tell_are_reaped_unless_something_names_them() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let dying = cluster.gateway().await;
    let lease = dying.leases.lease().unwrap();
    let objects = cluster.fill(&dying, 12).await;
    let mut abandoned = Vec::new();
    for number in 0..4 {
        abandoned.push(dying.store(&format!("dying-{number}"), 50_000).await.unwrap());
    }
    for node in &cluster.nodes {
        let request = ListShards::all(None, 1000);
        for header in node.kept.list_shards(node.disk, request).await.unwrap() {
            assert!(node.kept.lose_owner(node.disk, header.header.shard));
        }
    }
    drop(dying);
    let worker = cluster.worker();
    cluster
        .until("the lease is reaped", async || {
            cluster.metadata.list_leases().await.unwrap().iter().all(|state| state.id != lease)
        })
        .await;
    assert!(cluster.until_clean().await.shards > 0);
    cluster.check(&cluster.gateway().await, &objects).await;
    worker.stop().await;
}
