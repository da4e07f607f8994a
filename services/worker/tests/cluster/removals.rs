//! Lost disks that are removed though what they had can be rebuilt from nowhere.

use std::{collections::BTreeSet, time::Duration};

use data_pool::ReadError;
use metadata_api::{ContentKind, DiskState, Intent, Metadata};
use types::{ChunkId, DiskId};
use worker::{Options, losses};

use crate::{gateway::Gateway, harness::Cluster};

async fn is_gone(cluster: &Cluster, disk: DiskId) -> bool {
    cluster.map().await.disks.iter().any(|known| known.disk == disk && known.state == DiskState::Gone)
}

/// The chunks of a group that are on record.
async fn chunks_of(cluster: &Cluster, wanted: impl Fn(&types::Extent) -> bool) -> BTreeSet<ChunkId> {
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let rows = page.rows.iter().filter(|row| row.kind != ContentKind::Garbage);
    rows.flat_map(|row| &row.extents).filter(|extent| wanted(extent)).map(|extent| extent.chunk).collect()
}

/// Objects that can be read, and those that are lost; whatever else fails is a failure of the test.
async fn sort(gateway: &Gateway, objects: &[(String, usize)]) -> (Vec<(String, usize)>, Vec<String>) {
    let (mut good, mut lost) = (Vec::new(), Vec::new());
    for (name, length) in objects {
        match gateway.get(name).await {
            Ok(_) => good.push((name.clone(), *length)),
            Err(ReadError::Lost { .. }) => lost.push(name.clone()),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    (good, lost)
}

async fn given_up(source: &dyn telemetry::Source) -> u64 {
    let mut samples = telemetry::Samples::default();
    source.collect(&mut samples).await;
    let text = samples.text();
    let line = text.lines().find(|line| line.starts_with("ashlar_moves_given_up_chunks_total")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lost_disk_that_nothing_on_record_needs_is_removed() {
    let cluster = Cluster::new(3, "1+0", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let group = cluster.groups().await.swap_remove(0);
    let lost = cluster.nodes.iter().find(|node| node.disk == group.disks[0]).unwrap();
    let groups = cluster.groups().await;
    let on_it: BTreeSet<_> =
        groups.iter().filter(|group| group.disks[0] == lost.disk).map(|group| group.id).collect();
    lost.set_away(true);
    let count_lost = async || {
        let is_lost = |disk| disk == lost.disk;
        losses(&*cluster.metadata, &gateway.pool, &on_it, &is_lost).await.unwrap().chunks.len()
    };
    assert!(count_lost().await > 0);
    // What it has is deleted, and waits to be freed, which nobody does yet.
    let page = cluster.metadata.list_contents(None, 1000).await.unwrap();
    let mut kept = objects.clone();
    for row in page.rows.iter().filter(|row| row.extents.iter().any(|extent| on_it.contains(&extent.group))) {
        let name = row.key.as_ref().unwrap().as_str().to_owned();
        gateway.delete(&name).await;
        kept.retain(|(other, _)| *other != name);
    }
    assert!(kept.len() < objects.len());
    assert_eq!(count_lost().await, 0);
    let worker = cluster.worker();
    cluster.metadata.set_disk_intent(lost.disk, Intent::Remove).await.unwrap();
    cluster.until("it is gone", async || is_gone(&cluster, lost.disk).await).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &kept).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_with_a_disk_holds_its_removal_up_until_that_is_accepted() {
    let cluster = Cluster::new(3, "1+0", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    let group = cluster.groups().await.swap_remove(0);
    let lost = cluster.nodes.iter().find(|node| node.disk == group.disks[0]).unwrap();
    let groups = cluster.groups().await;
    let on_it: BTreeSet<_> =
        groups.iter().filter(|group| group.disks[0] == lost.disk).map(|group| group.id).collect();
    let expected = chunks_of(&cluster, |extent| on_it.contains(&extent.group)).await;
    assert!(!expected.is_empty());
    lost.set_away(true);
    let (worker, counts) = cluster.counted_worker(Options::default()).await;
    cluster.metadata.set_disk_intent(lost.disk, Intent::Remove).await.unwrap();
    cluster.env.sleep(Duration::from_secs(1800)).await;
    assert!(!is_gone(&cluster, lost.disk).await);
    assert_eq!(given_up(&*counts).await, 0);
    let mut away = 0;
    for (name, _) in &objects {
        match gateway.get(name).await {
            Ok(_) => {}
            Err(ReadError::NotEnoughShards { .. }) => away += 1,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert_eq!(away, expected.len(), "they may come back");

    cluster.metadata.set_disk_intent(lost.disk, Intent::RemoveAcceptingLoss).await.unwrap();
    let began = cluster.env.now();
    cluster.until("it is gone", async || is_gone(&cluster, lost.disk).await).await;
    assert!(cluster.env.now().since(began) < Duration::from_secs(120), "nobody waits for another try");
    assert_eq!(given_up(&*counts).await, expected.len() as u64);
    let (good, gone) = sort(&gateway, &objects).await;
    assert_eq!(gone.len(), expected.len());
    cluster.check(&gateway, &good).await;
    for name in &gone {
        gateway.delete(name).await;
    }
    cluster.until_clean().await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn chunks_with_too_few_shards_left_hold_up_no_removal_whose_losses_are_accepted() {
    let cluster = Cluster::new(8, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let group = cluster.groups().await.swap_remove(0);
    // Of whole copies the third is left.
    let lost: Vec<DiskId> = [0, 1, 3].map(|index| group.disks[index]).to_vec();
    let coded = chunks_of(&cluster, |extent| extent.coding.data() > 1).await;
    for node in cluster.nodes.iter().filter(|node| lost.contains(&node.disk)) {
        node.set_away(true);
    }
    let (worker, counts) = cluster.counted_worker(Options::default()).await;
    for disk in &lost[..2] {
        cluster.metadata.set_disk_intent(*disk, Intent::RemoveAcceptingLoss).await.unwrap();
    }
    cluster.metadata.set_disk_intent(lost[2], Intent::Remove).await.unwrap();
    cluster.env.sleep(Duration::from_secs(1200)).await;
    assert_eq!(given_up(&*counts).await, 0, "the third may come back");
    cluster.metadata.set_disk_intent(lost[2], Intent::RemoveAcceptingLoss).await.unwrap();
    for disk in &lost {
        cluster.until("it is gone", async || is_gone(&cluster, *disk).await).await;
    }
    assert!(given_up(&*counts).await >= coded.len() as u64);
    let (good, gone) = sort(&gateway, &objects).await;
    assert_eq!(gone.len(), coded.len());
    cluster.check(&gateway, &good).await;
    for name in &gone {
        gateway.delete(name).await;
    }
    cluster.until_clean().await;
    worker.stop().await;
}
