//! Single shards that are missing or damaged.

use std::{sync::atomic::Ordering, time::Duration};

use metadata_api::{ContentKind, Intent, Metadata, PAGE_SIZE_MAX};
use types::{ChunkId, LeaseId, MissingShard, ShardId, ShardIndex};

use crate::harness::Cluster;

#[tokio::test(start_paused = true)]
async fn shards_that_a_write_could_not_place_are_rebuilt_when_the_disk_is_back() {
    let cluster = Cluster::new(4, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    cluster.nodes[1].set_away(true);
    let objects = cluster.fill(&gateway, 24).await;
    assert!(!cluster.metadata.list_missing(None, None, 1000).await.unwrap().is_empty());
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(15)).await;
    cluster.nodes[1].set_away(false);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_shard_that_was_reported_is_replaced() {
    let cluster = Cluster::new(4, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let mut damaged = Vec::new();
    for extent in page.rows.iter().flat_map(|row| &row.extents) {
        let shard = ShardId { chunk: extent.chunk, index: ShardIndex(1) };
        let groups = cluster.groups().await;
        let group = groups.iter().find(|group| group.id == extent.group).unwrap();
        let node = cluster.nodes.iter().find(|node| node.disk == group.disks[1]).unwrap();
        if node.kept.corrupt_cell(node.disk, shard, 0) {
            let (coding, chunk_length) = (extent.coding, extent.chunk_length);
            damaged.push(MissingShard { shard, group: extent.group, coding, chunk_length });
        }
    }
    assert!(damaged.len() >= 8);
    cluster.metadata.report_missing(&damaged).await.unwrap();
    let worker = cluster.worker();
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn missing_shards_of_deleted_objects_leave_the_queue() {
    let cluster = Cluster::new(4, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    cluster.nodes[1].set_away(true);
    let objects = cluster.fill(&gateway, 12).await;
    let worker = cluster.worker();
    for (name, _) in &objects {
        gateway.delete(name).await;
    }
    cluster.env.sleep(Duration::from_secs(10)).await;
    cluster.nodes[1].set_away(false);
    assert_eq!(cluster.until_clean().await.shards, 0);
    worker.stop().await;
}

/// Rebuilding reads from other disks what a full one refuses in the end: that is tried with a few shards, and not with all
/// that wait for it, before others get their turn.
#[tokio::test(start_paused = true)]
async fn a_disk_without_room_costs_little_and_holds_up_no_others() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects: Vec<(String, usize)> = (0..400).map(|number| (format!("object-{number:03}"), 200)).collect();
    for (name, length) in &objects {
        assert!(gateway.put(name, *length).await);
    }
    let group = cluster.groups().await.swap_remove(0);
    let node = |index: usize| cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
    let page = cluster.metadata.list_contents(None, PAGE_SIZE_MAX).await.unwrap();
    let mut missing = Vec::new();
    for extent in page.rows.iter().flat_map(|row| &row.extents) {
        for index in [0, 1] {
            let shard = ShardId { chunk: extent.chunk, index: ShardIndex(index) };
            assert!(node(index.into()).kept.lose_shard(group.disks[usize::from(index)], shard));
            let (coding, chunk_length) = (extent.coding, extent.chunk_length);
            missing.push(MissingShard { shard, group: extent.group, coding, chunk_length });
        }
    }
    for page in missing.chunks(PAGE_SIZE_MAX) {
        cluster.metadata.report_missing(page).await.unwrap();
    }
    node(0).refuse_repairs(true);
    let worker = cluster.worker();
    cluster
        .until("what belongs on other disks is rebuilt", async || {
            let left = cluster.metadata.list_missing(None, None, PAGE_SIZE_MAX).await.unwrap();
            left.iter().all(|missing| missing.shard.index == ShardIndex(0))
        })
        .await;
    let before = node(0).repairs.load(Ordering::SeqCst);
    cluster.env.sleep(Duration::from_secs(60)).await;
    let tried = node(0).repairs.load(Ordering::SeqCst) - before;
    // Each ten seconds a batch of 64 at most.
    assert!(tried > 0 && tried <= 7 * 64, "{tried}");
    node(0).refuse_repairs(false);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// Whoever had begun to read a chunk may report what it lacks after it was freed.
#[tokio::test(start_paused = true)]
async fn a_report_of_a_chunk_that_no_disk_has_leaves_the_queue() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let late = MissingShard {
        shard: ShardId { chunk: ChunkId { lease: LeaseId(1), counter: 1 << 40 }, index: ShardIndex(0) },
        group: cluster.groups().await[0].id,
        coding: "2+2".parse().unwrap(),
        chunk_length: 100_000,
    };
    cluster.metadata.report_missing(&[late]).await.unwrap();
    let worker = cluster.worker();
    cluster
        .until("the queue is empty", async || {
            cluster.metadata.list_missing(None, None, 10).await.unwrap().is_empty()
        })
        .await;
    worker.stop().await;
}

/// Of more shards than a page of the queue has.
#[tokio::test(start_paused = true)]
async fn what_is_about_to_be_lost_is_repaired_first_wherever_it_is_in_the_queue() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let mut objects = Vec::new();
    for number in 0..1100 {
        objects.push((format!("object-{number:04}"), 200));
        assert!(gateway.put(&objects[number].0, 200).await);
    }
    let group = cluster.groups().await.swap_remove(0);
    let page = cluster.metadata.list_contents(None, PAGE_SIZE_MAX).await.unwrap();
    let rest = cluster.metadata.list_contents(page.next, PAGE_SIZE_MAX).await.unwrap();
    let rows = page.rows.iter().chain(&rest.rows).flat_map(|row| &row.extents);
    let mut extents: Vec<_> = rows.copied().collect();
    extents.sort_by_key(|extent| extent.chunk);
    assert_eq!(extents.len(), 1100);
    let mut missing = Vec::new();
    let last = extents.len() - 1;
    for (number, extent) in extents.iter().enumerate() {
        // Three copies: of the last chunk one is left.
        for index in if number == last { vec![0, 2] } else { vec![0] } {
            let shard = ShardId { chunk: extent.chunk, index: ShardIndex(index) };
            let disk = group.disks[usize::from(index)];
            let node = cluster.nodes.iter().find(|node| node.disk == disk).unwrap();
            assert!(node.kept.lose_shard(disk, shard));
            let (coding, chunk_length) = (extent.coding, extent.chunk_length);
            missing.push(MissingShard { shard, group: group.id, coding, chunk_length });
        }
    }
    for page in missing.chunks(PAGE_SIZE_MAX) {
        cluster.metadata.report_missing(page).await.unwrap();
    }
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(1)));
    let worker = cluster.worker();
    let endangered = extents[last].chunk;
    cluster
        .until("the endangered chunk is whole", async || {
            let mut after = None;
            loop {
                let page = cluster.metadata.list_missing(None, after, PAGE_SIZE_MAX).await.unwrap();
                if page.iter().any(|missing| missing.shard.chunk == endangered) {
                    return false;
                }
                after = page.last().map(|missing| missing.shard);
                if page.len() < PAGE_SIZE_MAX {
                    return true;
                }
            }
        })
        .await;
    assert!(cluster.repairs() < 100, "{} were repaired before it", cluster.repairs());
    cluster.until_clean().await;
    cluster.check(&gateway, &objects[1090..]).await;
    worker.stop().await;
}

/// What it has that nothing names leaves it with its groups.
#[tokio::test(start_paused = true)]
async fn a_disk_that_was_given_up_and_comes_back_keeps_nothing_that_was_deleted_meanwhile() {
    let mut cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let mut objects = cluster.fill(&gateway, 12).await;
    let lost = cluster.nodes[1].clone();
    lost.set_away(true);
    for (name, _) in objects.drain(..6) {
        gateway.delete(&name).await;
    }
    let worker = cluster.worker();
    cluster.metadata.set_node_intent(lost.id(), Intent::Remove).await.unwrap();
    cluster
        .until("what is deleted is forgotten", async || {
            let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
            page.rows.iter().all(|row| row.kind != ContentKind::Garbage)
        })
        .await;
    lost.set_away(false);
    cluster.env.sleep(Duration::from_secs(10)).await;
    let answer = cluster.metadata.set_node_intent(lost.id(), Intent::Serve).await;
    assert!(matches!(answer, Err(metadata_api::Error::Malformed { .. })), "{answer:?}");

    // The way on.
    cluster.metadata.set_disk_intent(lost.disk, Intent::Drain).await.unwrap();
    cluster.metadata.set_node_intent(lost.id(), Intent::Serve).await.unwrap();
    cluster.add_node().await;
    cluster
        .until("nothing is left on it", async || {
            !cluster.named_disks().await.contains(&lost.disk)
                && metadata_api::all_evictions(&*cluster.metadata).await.unwrap().is_empty()
        })
        .await;
    cluster.until_clean().await;
    cluster.metadata.set_disk_intent(lost.disk, Intent::Serve).await.unwrap();
    cluster.until("it is used again", async || cluster.named_disks().await.contains(&lost.disk)).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// No disk is left for the lost one's shards, so that it cannot go; what is free of it is freed all the same.
#[tokio::test(start_paused = true)]
async fn garbage_waits_for_a_silent_disk_until_that_is_to_be_removed() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let lost = cluster.nodes[1].clone();
    lost.set_away(true);
    for (name, _) in &objects {
        gateway.delete(name).await;
    }
    let worker = cluster.worker();
    let has_garbage = async || {
        let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
        page.rows.iter().any(|row| row.kind == ContentKind::Garbage)
    };
    cluster.env.sleep(Duration::from_secs(120)).await;
    assert!(has_garbage().await, "the disk may come back");
    cluster.metadata.set_disk_intent(lost.disk, Intent::Remove).await.unwrap();
    cluster.until("what is deleted is freed", async || !has_garbage().await).await;
    worker.stop().await;
}
