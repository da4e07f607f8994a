//! After a restore of older metadata: nothing is freed until an operator says so.

use std::{collections::BTreeSet, time::Duration};

use chunk_api::{CellRange, ChunkService, ListShards, Purpose, ShardBody, ShardHeader};
use metadata_api::{Intent, Metadata, NewMove, all_evictions};
use types::{DiskId, ShardId, ShardIndex};

use crate::harness::Cluster;

/// Every shard that is anywhere.
async fn shards(cluster: &Cluster) -> BTreeSet<(DiskId, ShardId)> {
    let mut found = BTreeSet::new();
    for node in &cluster.nodes {
        let listing = node.kept.list_shards(node.disk, ListShards::all(None, 1000)).await.unwrap();
        assert!(listing.len() < 1000, "one page has all");
        for listed in listing {
            found.insert((node.disk, listed.header.shard));
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn nothing_is_freed_while_all_is_frozen_and_everything_afterwards() {
    let cluster = Cluster::new(6, "2+2", 8).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    // What a lease left that the metadata does not know any more, as it was acquired after a backup.
    let later = cluster.gateway().await;
    let unknown = later.leases.lease().unwrap();
    let mut left = Vec::new();
    for number in 0..4 {
        left.push(later.store(&format!("later-{number}"), 50_000).await.unwrap());
    }
    drop(later);
    cluster.metadata.release_lease(unknown).await.unwrap();
    cluster.metadata.finish_lease(unknown, cluster.map().await.epoch).await.unwrap();

    cluster.metadata.set_frozen(true).await.unwrap();
    let worker = cluster.worker();
    let dying = cluster.gateway().await;
    for number in 0..4 {
        left.push(dying.store(&format!("dying-{number}"), 50_000).await.unwrap());
    }
    drop(dying);
    let (deleted, kept) = objects.split_at(12);
    for (name, _) in deleted {
        gateway.delete(name).await;
    }
    let before = shards(&cluster).await;
    let lost = cluster.nodes[1].clone();
    lost.set_away(true);
    cluster.metadata.set_disk_intent(cluster.nodes[2].disk, Intent::Drain).await.unwrap();
    cluster.env.sleep(Duration::from_secs(600)).await;
    assert_eq!(cluster.moves().await, 0, "nothing begins to move, nor what is lost");
    let named = cluster.named_disks().await;
    assert!(named.contains(&lost.disk) && named.contains(&cluster.nodes[2].disk));
    lost.set_away(false);
    assert!(cluster.metadata.list_leases().await.unwrap().iter().any(|lease| lease.revoked));
    let after = shards(&cluster).await;
    assert_eq!(before.difference(&after).count(), 0, "nothing was freed");
    cluster.check(&gateway, kept).await;

    assert_eq!(cluster.metadata.adopt_leases(&[unknown]).await, Ok(1));
    cluster.metadata.set_frozen(false).await.unwrap();
    cluster.until_clean().await;
    assert!(!cluster.named_disks().await.contains(&cluster.nodes[2].disk), "what was to be drained is");
    cluster
        .until("both leases are reaped", async || {
            cluster.metadata.list_leases().await.unwrap().iter().all(|lease| !lease.revoked)
        })
        .await;
    cluster.check(&gateway, kept).await;
    worker.stop().await;
}

/// What has moved since the backup may be on the disk alone that the metadata takes it to have left.
#[tokio::test(start_paused = true)]
async fn disks_are_not_cleared_of_what_has_moved_while_all_is_frozen() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let group = cluster.groups().await.swap_remove(0);
    let index = ShardIndex(0);
    let from = cluster.nodes.iter().find(|node| node.disk == group.disks[0]).unwrap();
    let to = cluster.nodes.iter().find(|node| !group.disks.contains(&node.disk)).unwrap();
    let wanted = [NewMove { group: group.id, index, to: to.disk }];
    let since = cluster.metadata.begin_moves(cluster.map().await.epoch, &wanted).await.unwrap();
    // All of them are of the one index of the one group.
    for listed in from.kept.list_shards(from.disk, ListShards::all(None, 1000)).await.unwrap() {
        let header = ShardHeader { epoch: since, ..listed.header };
        let cells = CellRange { first: 0, count: header.cells() as u32 };
        let cells = from.kept.read_cells(from.disk, header.shard, cells).await.unwrap();
        to.kept.put_shard(to.disk, header, ShardBody::Whole(cells), Purpose::Repair).await.unwrap();
    }
    cluster.metadata.finish_move(group.id, index, since).await.unwrap();
    assert_eq!(all_evictions(&*cluster.metadata).await.unwrap().len(), 1);

    cluster.metadata.set_frozen(true).await.unwrap();
    let worker = cluster.worker();
    let before = shards(&cluster).await;
    cluster.env.sleep(Duration::from_secs(600)).await;
    assert_eq!(shards(&cluster).await, before);
    cluster.metadata.set_frozen(false).await.unwrap();
    cluster.until_clean().await;
    assert!(shards(&cluster).await.len() < before.len(), "it is cleared afterwards");
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}
