//! Chunks of which too little is left.

use std::{collections::BTreeSet, time::Duration};

use chunk_api::{CellRange, ChunkService, ListShards, Purpose, READ_CELLS_MAX, ShardBody};
use metadata_api::{ContentKind, DiskState, Intent, Metadata};
use types::{ShardId, ShardIndex};
use worker::{AuditOptions, AuditProgress, AuditReport, audit};

use crate::{
    gateway::{Gateway, bucket, key},
    harness::Cluster,
};

async fn audited(cluster: &Cluster, gateway: &Gateway) -> AuditReport {
    gateway.view.refresh(&*cluster.metadata).await.unwrap();
    audit(&*cluster.metadata, &gateway.pool, AuditOptions::default(), &mut |_| ()).await.unwrap()
}

/// Takes the shards of these indexes of one group off their disks, as disks do that lose what they were given.
async fn lose(cluster: &Cluster, indexes: &[u8]) {
    let group = cluster.groups().await.swap_remove(0);
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    for extent in page.rows.iter().flat_map(|row| &row.extents).filter(|extent| extent.group == group.id) {
        for index in indexes.iter().filter(|index| usize::from(**index) < extent.coding.total()) {
            let disk = group.disks[usize::from(*index)];
            let node = cluster.nodes.iter().find(|node| node.disk == disk).unwrap();
            node.kept.lose_shard(disk, ShardId { chunk: extent.chunk, index: ShardIndex(*index) });
        }
    }
}

/// Brings the shards of these indexes of one group to a disk where the map does not look for them, as a move does that the
/// metadata has forgotten. Answers how many they were.
async fn carry_off(cluster: &Cluster, indexes: &[u8]) -> usize {
    let group = cluster.groups().await.swap_remove(0);
    let to = cluster.nodes.iter().find(|node| !group.disks.contains(&node.disk)).unwrap();
    let mut carried = 0;
    for index in indexes {
        let node = cluster.nodes.iter().find(|node| node.disk == group.disks[usize::from(*index)]).unwrap();
        for listed in node.kept.list_shards(node.disk, ListShards::all(None, 1000)).await.unwrap() {
            let shard = listed.header.shard;
            let count = listed.header.cells() as u32;
            assert!(count <= READ_CELLS_MAX, "one read has all");
            let cells = CellRange { first: 0, count };
            let cells = node.kept.read_cells(node.disk, shard, cells).await.unwrap();
            let body = ShardBody::Whole(cells);
            to.kept.put_shard(to.disk, listed.header, body, Purpose::Repair).await.unwrap();
            assert!(node.kept.lose_shard(node.disk, shard));
            carried += 1;
        }
    }
    carried
}

#[tokio::test(start_paused = true)]
async fn chunks_that_have_only_moved_are_not_lost() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    cluster.fill(&gateway, 24).await;
    let carried = carry_off(&cluster, &[0, 1, 3]).await;
    let report = audited(&cluster, &gateway).await;
    assert_eq!((report.lost, report.lost_contents.len()), (0, 0), "{report:#?}");
    assert!(report.moved > 0 && report.misplaced as usize == carried, "{report:#?}");
    assert!(!report.is_clean());

    // What was carried off and is lost there is lost.
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let disks = cluster.groups().await.swap_remove(0).disks;
    let to = cluster.nodes.iter().find(|node| !disks.contains(&node.disk)).unwrap();
    let mut extents = page.rows.iter().flat_map(|row| &row.extents);
    let chunk = extents.find(|extent| extent.coding.data() > 1).unwrap().chunk;
    for index in [0, 1, 3] {
        assert!(to.kept.lose_shard(to.disk, ShardId { chunk, index: ShardIndex(index) }));
    }
    let after = audited(&cluster, &gateway).await;
    assert_eq!((after.lost, after.moved, after.lost_contents.len()), (1, report.moved - 1, 1));
}

#[tokio::test(start_paused = true)]
async fn objects_that_are_lost_are_named_and_leave_nothing_when_they_are_deleted() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    let group = cluster.groups().await[0].id;
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let of_group = |erasure_coded: bool| -> BTreeSet<Vec<u8>> {
        let rows = page.rows.iter().filter(|row| {
            let mut extents = row.extents.iter();
            extents.any(|extent| extent.group == group && (extent.coding.data() > 1) == erasure_coded)
        });
        rows.map(|row| row.key.as_ref().unwrap().as_bytes().to_vec()).collect()
    };
    assert!(!of_group(true).is_empty() && !of_group(false).is_empty());

    lose(&cluster, &[0]).await;
    let report = audited(&cluster, &gateway).await;
    assert!(report.missing > 0);
    assert_eq!((report.lost, report.lost_contents.len()), (0, 0), "one shard less can be borne");

    // Whole copies have three places, of which one is left.
    lose(&cluster, &[1, 3]).await;
    let report = audited(&cluster, &gateway).await;
    let named: BTreeSet<Vec<u8>> =
        report.lost_contents.iter().map(|lost| lost.key.as_ref().unwrap().as_bytes().to_vec()).collect();
    assert_eq!(named, of_group(true));
    assert!(report.lost as usize >= named.len());
    for lost in &report.lost_contents {
        assert_eq!((lost.kind, lost.bucket_name.as_ref()), (ContentKind::Version, Some(&bucket())));
    }
    cluster.metadata.report_missing(&report.repairable).await.unwrap();
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(30)).await;

    let (gone, left): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|(name, _)| named.contains(key(name).as_bytes()));
    for (name, _) in &gone {
        assert!(gateway.get(name).await.is_err(), "{name}");
        gateway.delete(name).await;
    }
    cluster.until_clean().await;
    cluster.check(&gateway, &left).await;
    worker.stop().await;
}

/// A disk that answered the listing and does not answer when it is asked again says nothing of its shards.
#[tokio::test(start_paused = true)]
async fn a_shard_whose_disk_falls_silent_in_the_middle_of_an_audit_is_unseen_and_not_missing() {
    let cluster = Cluster::new(4, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    lose(&cluster, &[0]).await;
    let known = audited(&cluster, &gateway).await;
    assert!(known.missing > 0 && known.unseen == 0, "{known:#?}");

    let disk = cluster.groups().await[0].disks[0];
    let node = cluster.nodes.iter().find(|node| node.disk == disk).unwrap();
    // Each disk has one page of shards: all of them are listed when the first is told of.
    let mut fall_silent = |told: AuditProgress| node.set_away(told.shards > 0);
    let report =
        audit(&*cluster.metadata, &gateway.pool, AuditOptions::default(), &mut fall_silent).await.unwrap();
    assert_eq!((report.missing, report.unseen), (0, known.missing), "{report:#?}");
    assert_eq!((report.lost, report.repairable.len()), (0, 0), "{report:#?}");
    assert_eq!(report.unreached, BTreeSet::from([disk]));
    assert!(!report.is_clean());
    node.set_away(false);
    cluster.check(&gateway, &objects).await;
}

/// A dead disk whose groups have no other place can be removed: its operator is told which objects are lost, and it goes when these
/// are deleted, and not before.
#[tokio::test(start_paused = true)]
async fn a_dead_disk_that_has_the_last_of_objects_goes_when_these_are_deleted() {
    let mut cluster = Cluster::new(3, "1+0", 8).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    let dead = cluster.nodes[0].disk;
    let groups = cluster.groups().await.into_iter().filter(|group| group.disks == [dead]);
    let groups: BTreeSet<_> = groups.map(|group| group.id).collect();
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let on_dead =
        page.rows.iter().filter(|row| row.extents.iter().any(|extent| groups.contains(&extent.group)));
    let expected: BTreeSet<Vec<u8>> =
        on_dead.map(|row| row.key.as_ref().unwrap().as_bytes().to_vec()).collect();
    assert!(!expected.is_empty());
    cluster.nodes[0].set_away(true);
    cluster.add_node().await;
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(120)).await;
    let report = audited(&cluster, &gateway).await;
    assert_eq!((report.lost, report.missing), (0, 0), "it may come back: {report:#?}");
    assert!(report.unseen > 0);

    cluster.metadata.set_disk_intent(dead, Intent::Remove).await.unwrap();
    let state = async || {
        let map = cluster.map().await;
        map.disks.iter().find(|disk| disk.disk == dead).unwrap().state
    };
    cluster.env.sleep(Duration::from_secs(1200)).await;
    assert_eq!(state().await, DiskState::Down, "objects name what it has");
    let report = audited(&cluster, &gateway).await;
    let named: BTreeSet<Vec<u8>> =
        report.lost_contents.iter().map(|lost| lost.key.as_ref().unwrap().as_bytes().to_vec()).collect();
    assert_eq!((named, report.unseen), (expected.clone(), 0));

    let (gone, left): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|(name, _)| expected.contains(key(name).as_bytes()));
    for (name, _) in &gone {
        assert_eq!(state().await, DiskState::Down);
        gateway.delete(name).await;
    }
    cluster.until("the dead disk is gone", async || state().await == DiskState::Gone).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &left).await;
    worker.stop().await;
}

/// A disk that was given up, and comes back while rows are read for what it had, is emptied before it is cleared.
#[tokio::test(start_paused = true)]
async fn a_disk_that_comes_back_while_rows_are_read_is_emptied_first() {
    let mut cluster = Cluster::new(3, "1+0", 8).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    let back = cluster.nodes[0].clone();
    back.set_away(true);
    cluster.metadata.set_disk_intent(back.disk, Intent::Remove).await.unwrap();
    cluster.add_node().await;
    cluster.metadata.slow_contents(Duration::from_secs(20));
    let worker = cluster.worker();
    // For the second time, twice each: after the first every writer knows of the move, so that one pass is enough to end it.
    cluster.until("rows are read again", async || cluster.metadata.contents_asked() > 2).await;
    back.set_away(false);
    cluster
        .until("the disk is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().find(|disk| disk.disk == back.disk).unwrap().state == DiskState::Gone
        })
        .await;
    // What is there is there without it.
    back.set_away(true);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// What can be rebuilt is no reason to call anything lost.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_with_a_disk_that_was_given_up_while_the_others_have_enough() {
    let cluster = Cluster::new(4, "2+2", 2).await;
    let gateway = cluster.gateway().await;
    let _objects = cluster.fill(&gateway, 12).await;
    for number in [0, 1] {
        cluster.nodes[number].set_away(true);
        cluster.metadata.set_disk_intent(cluster.nodes[number].disk, Intent::Remove).await.unwrap();
    }
    // A worker says that they are down, and no disk is there to rebuild on.
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(120)).await;
    let report = audited(&cluster, &gateway).await;
    assert_eq!((report.lost, report.missing), (0, 0), "{report:#?}");
    assert!(report.unseen > 0);
    worker.stop().await;
}
