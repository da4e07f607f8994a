//! Disks that are lost, emptied and added.

use std::{sync::Arc, time::Duration};

use metadata_api::{DiskState, Intent, Metadata};
use types::{ChunkId, LeaseId, MissingShard, ShardId, ShardIndex};

use crate::{
    gateway::Gateway,
    harness::{Cluster, INLINE},
};

/// Writes objects until told to stop, and answers them.
struct Writer {
    task: env::Task<Vec<(String, usize)>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Writer {
    fn start(cluster: &Cluster, gateway: &Arc<Gateway>) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (env, gateway) = (cluster.env.clone(), gateway.clone());
        let task = cluster.env.spawn(async move {
            let mut written = Vec::new();
            while !*stopped.borrow() {
                let number = written.len();
                let (name, length) = (format!("later-{number}"), 150 + number * 997 % 90_000);
                assert!(gateway.put(&name, length).await, "{name} was not written");
                written.push((name, length));
                env.sleep(Duration::from_millis(300)).await;
            }
            written
        });
        Self { task, stop }
    }

    async fn stop(self) -> Vec<(String, usize)> {
        self.stop.send_replace(true);
        self.task.await.expect("the writer wrote everything")
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_disk_is_rebuilt_elsewhere_at_once_and_then_taken_away() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = Arc::new(cluster.gateway().await);
    let mut objects = cluster.fill(&gateway, 24).await;
    let worker = cluster.worker();
    let writer = Writer::start(&cluster, &gateway);
    let failed = cluster.nodes[2].clone();
    failed.fail();
    let begun = cluster.env.now();
    cluster.until("moves begin", async || cluster.moves().await > 0).await;
    // A node that is silent is given half a minute.
    assert!(cluster.env.now().since(begun) < Duration::from_secs(10));
    cluster
        .until("no group is on the failed disk", async || {
            cluster.moves().await == 0 && !cluster.named_disks().await.contains(&failed.disk)
        })
        .await;
    objects.extend(writer.stop().await);
    // What it still has cannot be evicted, and nobody is asked to.
    assert_eq!(metadata_api::all_evictions(&*cluster.metadata).await.unwrap(), []);

    cluster.metadata.set_disk_intent(failed.disk, Intent::Remove).await.unwrap();
    cluster
        .until("it is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().any(|disk| disk.disk == failed.disk && disk.state == DiskState::Gone)
        })
        .await;
    failed.set_away(true);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_disk_is_rebuilt_elsewhere_while_clients_write() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = Arc::new(cluster.gateway().await);
    let mut objects = cluster.fill(&gateway, 36).await;
    let _workers = [cluster.worker(), cluster.worker()];
    let writer = Writer::start(&cluster, &gateway);

    let lost = cluster.nodes[2].clone();
    lost.set_away(true);
    cluster
        .until("no group is on the lost disk", async || {
            cluster.moves().await == 0 && !cluster.named_disks().await.contains(&lost.disk)
        })
        .await;
    objects.extend(writer.stop().await);
    let audit = cluster.until_clean().await;
    assert!(audit.shards > 300, "{audit:?}");

    // As good as new: any two others may go.
    for first in [0, 1, 3, 4] {
        for second in [0, 1, 3, 4].into_iter().filter(|second| *second > first) {
            let pair = [first, second].map(|number: usize| cluster.nodes[number].clone());
            pair.iter().for_each(|node| node.set_away(true));
            cluster.check(&gateway, &objects).await;
            pair.iter().for_each(|node| node.set_away(false));
        }
    }

    // When it comes back it is cleared of what it had.
    lost.set_away(false);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
}

/// What was written without the lost disk and deleted again waits for it as garbage, and the disk's moves wait for nothing
/// of that.
#[tokio::test(start_paused = true)]
async fn a_lost_disk_is_rebuilt_elsewhere_though_objects_that_it_missed_were_deleted() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = cluster.gateway().await;
    let lost = cluster.nodes[2].clone();
    lost.set_away(true);
    for (name, _) in cluster.fill(&gateway, 36).await {
        gateway.delete(&name).await;
    }
    let objects = cluster.fill(&gateway, 12).await;
    let worker = cluster.worker();
    cluster
        .until("no group is on the lost disk", async || {
            cluster.moves().await == 0 && !cluster.named_disks().await.contains(&lost.disk)
        })
        .await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// What a gateway that died had written without the lost disk is freed as soon as its lease is reaped, and then nobody but
/// the lost disk could tell what became of it.
#[tokio::test(start_paused = true)]
async fn a_lost_disk_is_rebuilt_elsewhere_though_chunks_that_it_missed_were_reaped() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let group = cluster.groups().await.swap_remove(0);
    let lost = cluster.nodes.iter().find(|node| node.disk == group.disks[2]).unwrap();
    lost.set_away(true);
    let dying = cluster.gateway().await;
    let mut missing = Vec::new();
    for number in 0..4 {
        missing.extend(dying.store(&format!("dying-{number}"), 50_000).await.unwrap().missing);
    }
    assert!(!missing.is_empty());
    cluster.metadata.report_missing(&missing).await.unwrap();
    drop(dying);
    let worker = cluster.worker();
    cluster
        .until("no group is on the lost disk", async || {
            cluster.moves().await == 0 && !cluster.named_disks().await.contains(&lost.disk)
        })
        .await;
    assert!(cluster.metadata.list_missing(None, None, 10).await.unwrap().is_empty());
    lost.set_away(false);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// Whoever had begun to read a chunk may report what it lacks after it was freed. That the other disks know nothing of it
/// tells that it was.
#[tokio::test(start_paused = true)]
async fn a_lost_disk_is_rebuilt_elsewhere_though_a_freed_chunk_was_reported() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 12).await;
    let group = cluster.groups().await.swap_remove(0);
    let lost = cluster.nodes.iter().find(|node| node.disk == group.disks[2]).unwrap();
    lost.set_away(true);
    let chunk = ChunkId { lease: LeaseId(1), counter: 1 << 40 };
    let late = MissingShard {
        shard: ShardId { chunk, index: ShardIndex(0) },
        group: group.id,
        coding: "2+2".parse().unwrap(),
        chunk_length: 100_000,
    };
    cluster.metadata.report_missing(&[late]).await.unwrap();
    let worker = cluster.worker();
    cluster
        .until("no group is on the lost disk, and nothing is reported", async || {
            !cluster.named_disks().await.contains(&lost.disk)
                && cluster.metadata.list_missing(None, None, 10).await.unwrap().is_empty()
        })
        .await;
    cluster.metadata.set_disk_intent(lost.disk, Intent::Remove).await.unwrap();
    cluster
        .until("it is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().any(|disk| disk.disk == lost.disk && disk.state == DiskState::Gone)
        })
        .await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_drained_ends_up_empty() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = Arc::new(cluster.gateway().await);
    let mut objects = cluster.fill(&gateway, 24).await;
    let worker = cluster.worker();
    let writer = Writer::start(&cluster, &gateway);

    let drained = cluster.nodes[1].clone();
    cluster.metadata.set_disk_intent(drained.disk, Intent::Remove).await.unwrap();
    cluster
        .until("the disk is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().any(|disk| disk.disk == drained.disk && disk.state == DiskState::Gone)
        })
        .await;
    objects.extend(writer.stop().await);
    drained.set_away(true);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// The target of a move dies while it takes a shard and comes back with the beginning of it, under its name. There is no
/// other copy once the disk that it moves from is cleared.
#[tokio::test(start_paused = true)]
async fn what_was_torn_on_its_way_is_not_taken_for_whole() {
    let cluster = Cluster::new(3, "1+0", 8).await;
    let gateway = Arc::new(cluster.gateway().await);
    let objects = cluster.fill(&gateway, 24).await;
    cluster.nodes.iter().for_each(|node| node.tear_repairs());
    let worker = cluster.worker();
    let drained = cluster.nodes[1].clone();
    cluster.metadata.set_disk_intent(drained.disk, Intent::Remove).await.unwrap();
    cluster
        .until("the disk is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().any(|disk| disk.disk == drained.disk && disk.state == DiskState::Gone)
        })
        .await;
    drained.set_away(true);
    let torn: usize = cluster.nodes.iter().map(|node| node.torn.lock().unwrap().len()).sum();
    assert!(torn > 0, "nothing was torn");
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// What was brought over rots before the move ends, a scrub finds that, and the only good copy is where it comes from.
#[tokio::test(start_paused = true)]
async fn what_is_reported_at_its_new_place_is_looked_at_before_the_old_one_is_given_up() {
    let cluster = Cluster::new(3, "1+0", 1).await;
    let gateway = Arc::new(cluster.gateway().await);
    let objects: Vec<_> = (0..6).map(|number| (format!("object-{number}"), INLINE + 1)).collect();
    for (name, length) in &objects {
        assert!(gateway.put(name, *length).await);
    }
    let group = cluster.groups().await.swap_remove(0);
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(3)));
    let worker = cluster.worker();
    cluster.metadata.set_disk_intent(group.disks[0], Intent::Remove).await.unwrap();
    cluster.until("some were brought over", async || cluster.repairs() >= 4).await;
    let to = cluster.groups().await[0].moves[0].to;
    let target = cluster.nodes.iter().find(|node| node.disk == to).unwrap();
    let mut rotten = Vec::new();
    for extent in
        cluster.metadata.list_contents(None, 10).await.unwrap().rows.iter().flat_map(|row| &row.extents)
    {
        let shard = ShardId { chunk: extent.chunk, index: ShardIndex(0) };
        if target.kept.corrupt_cell(to, shard, 0) {
            let (coding, chunk_length) = (extent.coding, extent.chunk_length);
            rotten.push(MissingShard { shard, group: extent.group, coding, chunk_length });
        }
    }
    assert!(!rotten.is_empty());
    cluster.metadata.report_missing(&rotten).await.unwrap();
    cluster
        .until("the disk is gone", async || {
            let map = cluster.map().await;
            map.disks.iter().any(|disk| disk.disk == group.disks[0] && disk.state == DiskState::Gone)
        })
        .await;
    cluster.nodes.iter().find(|node| node.disk == group.disks[0]).unwrap().set_away(true);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

/// One copy waits to be repaired, of one the name has rotted, and the last is on a disk that is silent for now: that disk's
/// move waits for it, because what it leaves behind is cleared.
#[tokio::test(start_paused = true)]
async fn the_last_copy_of_a_chunk_is_not_given_up_because_another_lost_its_name() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    assert!(gateway.put("object", INLINE + 1).await);
    let group = cluster.groups().await.swap_remove(0);
    let page = cluster.metadata.list_contents(None, 10).await.unwrap();
    let extent = page.rows[0].extents[0];
    assert_eq!(extent.coding.to_string(), "1+2");
    let shard = |index| ShardId { chunk: extent.chunk, index: ShardIndex(index) };
    let node = |index: usize| cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
    node(0).rot_name(shard(0));
    assert!(node(1).kept.lose_shard(group.disks[1], shard(1)));
    let (coding, chunk_length) = (extent.coding, extent.chunk_length);
    let missing = MissingShard { shard: shard(1), group: group.id, coding, chunk_length };
    cluster.metadata.report_missing(&[missing]).await.unwrap();

    node(2).set_away(true);
    let worker = cluster.worker();
    cluster.until("the disk's move has begun", async || cluster.moves().await > 0).await;
    cluster.env.sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.moves().await, 1, "its last copy may be on the disk that is silent");
    node(2).set_away(false);
    cluster.until("the move is finished", async || cluster.moves().await == 0).await;
    cluster.env.sleep(Duration::from_secs(60)).await;
    cluster.check(&gateway, &[("object".to_owned(), INLINE + 1)]).await;
    worker.stop().await;
}

/// How much is left is told by what disks keep, which is asked again every half minute; nothing stands still for that.
#[tokio::test(start_paused = true)]
async fn moves_go_on_while_a_disk_does_not_say_how_much_it_keeps() {
    let cluster = Cluster::new(5, "2+2", 1).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 300).await;
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(1)));
    let group = cluster.groups().await.swap_remove(0);
    let node = |index: usize| cluster.nodes.iter().find(|node| node.disk == group.disks[index]).unwrap();
    node(1).keep_silent();
    let worker = cluster.worker();
    cluster.metadata.set_disk_intent(node(0).disk, Intent::Drain).await.unwrap();
    cluster.until("the move is under way", async || cluster.repairs() > 0).await;
    let (begun, mut before, mut last) = (cluster.env.now(), cluster.repairs(), cluster.env.now());
    while cluster.env.now().since(begun) < Duration::from_secs(45) {
        cluster.env.sleep(Duration::from_millis(250)).await;
        let (repairs, now) = (cluster.repairs(), cluster.env.now());
        if repairs > before {
            (before, last) = (repairs, now);
        }
        assert!(now.since(last) < Duration::from_secs(4), "it stands still after {before} shards");
    }
    assert!(cluster.moves().await > 0, "it was to take longer than that");
    cluster.until("the move is finished", async || cluster.moves().await == 0).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_disk_that_stays_is_cleared() {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 24).await;
    let worker = cluster.worker();
    cluster.metadata.set_node_intent(cluster.nodes[0].id(), Intent::Drain).await.unwrap();
    cluster
        .until("the disk is not used", async || {
            cluster.moves().await == 0 && !cluster.named_disks().await.contains(&cluster.nodes[0].disk)
        })
        .await;
    cluster.until_clean().await;

    // And takes its share again.
    cluster.metadata.set_node_intent(cluster.nodes[0].id(), Intent::Serve).await.unwrap();
    cluster
        .until("the disk is used again", async || {
            cluster.named_disks().await.contains(&cluster.nodes[0].disk)
        })
        .await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn new_disks_take_their_share() {
    let mut cluster = Cluster::new(4, "2+2", 16).await;
    let gateway = Arc::new(cluster.gateway().await);
    let mut objects = cluster.fill(&gateway, 24).await;
    let worker = cluster.worker();
    let writer = Writer::start(&cluster, &gateway);
    cluster.add_node().await;
    cluster.add_node().await;
    // 64 slots on 6 disks.
    cluster
        .until("the new disks have their share", async || {
            let groups = cluster.groups().await;
            let on = |number: usize| {
                let disk = cluster.nodes[number].disk;
                groups.iter().filter(|group| group.disks.contains(&disk)).count()
            };
            on(4) >= 9 && on(5) >= 9
        })
        .await;
    objects.extend(writer.stop().await);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_killed_half_way_is_replaced() {
    let cluster = Cluster::new(5, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 36).await;
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(2)));
    let first = cluster.worker();
    cluster.nodes[3].set_away(true);
    cluster.until("a move is half done", async || cluster.repairs() >= 8 && cluster.moves().await > 0).await;
    first.kill();
    // What was on its way may arrive.
    cluster.env.sleep(Duration::from_secs(10)).await;
    let arrived = cluster.repairs();
    cluster.env.sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.repairs(), arrived, "nobody works");
    assert!(cluster.moves().await > 0);

    let second = cluster.worker();
    cluster.until("the moves are finished", async || cluster.moves().await == 0).await;
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    second.stop().await;
    assert!(cluster.metadata.list_jobs().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_move_whose_target_is_lost_goes_elsewhere() {
    let cluster = Cluster::new(7, "2+2", 4).await;
    let gateway = Arc::new(cluster.gateway().await);
    let mut objects = cluster.fill(&gateway, 24).await;
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(6)));
    let worker = cluster.worker();
    let writer = Writer::start(&cluster, &gateway);
    cluster.nodes[3].set_away(true);
    cluster.until("moves have begun", async || cluster.moves().await > 0).await;
    let groups = cluster.groups().await;
    let target = groups.iter().flat_map(|group| &group.moves).next().unwrap().to;
    let target = cluster.nodes.iter().find(|node| node.disk == target).unwrap();
    target.set_away(true);
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::ZERO));
    cluster
        .until("no group is on either lost disk", async || {
            let named = cluster.named_disks().await;
            !named.contains(&target.disk) && !named.contains(&cluster.nodes[3].disk)
        })
        .await;
    objects.extend(writer.stop().await);
    cluster.until_clean().await;
    target.set_away(false);
    cluster.nodes[3].set_away(false);
    cluster.until_clean().await;
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deletes_during_a_move_leave_nothing() {
    let cluster = Cluster::new(5, "2+2", 4).await;
    let gateway = cluster.gateway().await;
    let objects = cluster.fill(&gateway, 36).await;
    cluster.nodes.iter().for_each(|node| node.slow_repairs(Duration::from_secs(5)));
    let worker = cluster.worker();
    cluster.metadata.set_disk_intent(cluster.nodes[0].disk, Intent::Drain).await.unwrap();
    cluster.until("a move is half done", async || cluster.repairs() >= 4).await;
    let (deleted, kept): (Vec<_>, Vec<_>) =
        objects.into_iter().enumerate().partition(|(number, _)| number % 4 < 3);
    for (_, (name, _)) in &deleted {
        gateway.delete(name).await;
        cluster.env.sleep(Duration::from_millis(100)).await;
    }
    assert!(cluster.moves().await > 0, "the moves went on while objects were deleted");
    let kept: Vec<_> = kept.into_iter().map(|(_, object)| object).collect();
    cluster.until_clean().await;
    cluster.check(&gateway, &kept).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_with_an_old_map_holds_a_move_up_and_loses_nothing() {
    let cluster = Cluster::new(5, "2+2", 4).await;
    let mut gateway = cluster.gateway().await;
    let mut objects = cluster.fill(&gateway, 12).await;
    gateway.stop_following();
    let worker = cluster.worker();
    cluster.metadata.set_disk_intent(cluster.nodes[0].disk, Intent::Drain).await.unwrap();
    cluster.until("moves have begun", async || cluster.moves().await > 0).await;
    cluster.env.sleep(Duration::from_secs(120)).await;
    assert!(cluster.named_disks().await.contains(&cluster.nodes[0].disk));
    // By a map that knows nothing of the moves.
    assert!(gateway.put("old-map", 50_000).await);
    objects.push(("old-map".to_owned(), 50_000));
    gateway.view.refresh(&*cluster.metadata).await.unwrap();
    cluster.until_clean().await;
    assert!(!cluster.named_disks().await.contains(&cluster.nodes[0].disk));
    cluster.check(&gateway, &objects).await;
    worker.stop().await;
}
