//! Gateways that die before they commit.

use std::time::Duration;

use chunk_api::{CellRange, ChunkService, ListShards, Purpose, ShardBody};
use metadata_api::{Intent, Metadata};
use types::ShardIndex;

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

/// A move whose target was lost and went elsewhere leaves such a shard, which no garbage frees: the place is none any more.
/// Moves take it for named, so that those off the silent disk wait for it, and the disk is never gone before they end.
#[tokio::test(start_paused = true)]
async fn a_chunk_whose_owner_no_disk_can_tell_is_looked_at_again_while_a_disk_is_away() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let dying = cluster.gateway().await;
    let lease = dying.leases.lease().unwrap();
    assert!(dying.put("copies", 2000).await);
    let group = cluster.groups().await.swap_remove(0);
    let at = |index: usize| cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
    let (lost, kept, stray) = (at(0), at(2), at(3));
    let listed = kept.kept.list_shards(kept.disk, ListShards::all(None, 10)).await.unwrap().swap_remove(0);
    assert_eq!(listed.header.shard.index, ShardIndex(2));
    let cells = CellRange { first: 0, count: listed.header.cells() as u32 };
    let cells = kept.kept.read_cells(kept.disk, listed.header.shard, cells).await.unwrap();
    let body = ShardBody::Whole(cells);
    stray.kept.put_shard(stray.disk, listed.header, body, Purpose::Repair).await.unwrap();
    for node in &cluster.nodes {
        for listed in node.kept.list_shards(node.disk, ListShards::all(None, 10)).await.unwrap() {
            assert!(node.kept.lose_owner(node.disk, listed.header.shard));
        }
    }
    drop(dying);
    lost.set_away(true);
    cluster.metadata.set_disk_intent(lost.disk, Intent::Remove).await.unwrap();
    let worker = cluster.worker();
    let is_revoked = async || {
        let leases = cluster.metadata.list_leases().await.unwrap();
        leases.iter().any(|state| state.id == lease && state.revoked)
    };
    cluster.until("the lease is revoked", is_revoked).await;
    cluster.env.sleep(Duration::from_secs(100)).await;
    assert_eq!(stray.kept.list_shards(stray.disk, ListShards::all(None, 10)).await.unwrap().len(), 1);
    cluster.gateway().await.delete("copies").await;
    cluster
        .until("nothing is left of it", async || {
            for node in cluster.nodes.iter().filter(|node| !node.is_away()) {
                if !node.kept.list_shards(node.disk, ListShards::all(None, 10)).await.unwrap().is_empty() {
                    return false;
                }
            }
            true
        })
        .await;
    assert!(is_revoked().await, "one disk has not been cleared of it");
    worker.stop().await;
}
