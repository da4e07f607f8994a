//! One disk is slow or hangs: the others go on as if it were not there.

use std::{sync::atomic::Ordering, time::Duration};

use types::{Content, ShardId};

use super::harness::{Cluster, Fault, bytes};
use crate::{ReadError, limits::WRITES_ALONG_MAX};

const MIB: u64 = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Reads content so many times and answers how long each took.
async fn read(cluster: &Cluster, content: &Content, times: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..times {
        let began = cluster.env.now();
        cluster.read_all(content).await.unwrap();
        took.push(cluster.env.now().since(began));
    }
    took
}

fn cells_read(cluster: &Cluster) -> usize {
    cluster.nodes.iter().map(|node| node.cells_read.swap(0, Ordering::Relaxed)).sum()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_disk_does_not_slow_reads_down_twofold_nor_cost_many_extra_reads() {
    for stall in [Fault::Hang, Fault::Slow(200 * MILLISECOND)] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        let content = cluster.write(&bytes(MIB / 4)).await.unwrap().content;
        (0..6).for_each(|node| cluster.set_fault(node, Fault::Slow(20 * MILLISECOND)));
        let healthy = read(&cluster, &content, 50).await;
        assert_eq!(healthy.iter().max(), Some(&(20 * MILLISECOND)));
        assert_eq!(cells_read(&cluster), 50 * 4);

        cluster.set_fault(1, stall.clone());
        let mut took = read(&cluster, &content, 300).await;
        took.sort_unstable();
        // Most do not notice it; those that find out about it take as long as twice and a little.
        assert!(took[290] <= 21 * MILLISECOND, "{stall:?} {:?}", took[290]);
        assert!(took[299] <= 45 * MILLISECOND, "{stall:?} {:?}", took[299]);
        let cells = cells_read(&cluster);
        assert!(cells <= 300 * 4 * 11 / 10, "{stall:?} {cells}");
        assert!(cluster.bad.lock().unwrap().is_empty());

        // Once it is well again it is read again.
        cluster.set_fault(1, Fault::Slow(20 * MILLISECOND));
        cluster.env.sleep(Duration::from_secs(31)).await;
        read(&cluster, &content, 2).await;
        cluster.nodes[1].reads.store(0, Ordering::Relaxed);
        read(&cluster, &content, 10).await;
        assert_eq!(cluster.nodes[1].reads.load(Ordering::Relaxed), 10, "{stall:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_never_finishes_writes_costs_a_few_hedges_and_then_nothing() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(3, Fault::NeverStable);
    let mut waited = Vec::new();
    for _ in 0..20 {
        let began = cluster.env.now();
        assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing.len(), 1);
        waited.push(cluster.env.now().since(began));
    }
    assert!(waited.iter().all(|waited| *waited <= 250 * MILLISECOND), "{waited:?}");
    assert_eq!(waited.iter().filter(|waited| !waited.is_zero()).count(), 3, "{waited:?}");
}

/// A cluster of six whose fourth disk was too slow of late, while its service answers.
async fn with_a_slow_disk() -> Cluster {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(3, Fault::NeverStable);
    for _ in 0..4 {
        assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing.len(), 1);
    }
    // Its service is asked how it is.
    cluster.env.sleep(10 * MILLISECOND).await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_was_slow_stands_in_for_one_that_dies_during_a_write() {
    let cluster = with_a_slow_disk().await;
    cluster.set_fault(3, Fault::None);
    cluster.set_fault(1, Fault::HangAfterCells(2));
    let stored = cluster.write(&bytes(8 * MIB)).await.unwrap();
    let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
    let [missing] = stored.missing[..] else { panic!("{:?}", stored.missing) };
    let held = ShardId { chunk: manifest.extents[0].chunk, index: missing.shard.index };
    assert_eq!(missing.shard, held);
    assert!(!cluster.nodes[1].shards().await.contains(&held));
    assert!(cluster.nodes[3].shards().await.iter().any(|shard| shard.chunk == held.chunk));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_stable_in_time_is_not_missing_though_nobody_waited_for_it() {
    let cluster = with_a_slow_disk().await;
    cluster.set_fault(3, Fault::None);
    // The others come later.
    (0..6).filter(|node| *node != 3).for_each(|node| cluster.set_fault(node, Fault::Slow(MILLISECOND)));
    assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing, []);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_still_slow_is_hardly_waited_for() {
    for fault in [Fault::SlowCells(50 * MILLISECOND), Fault::HangAfterCells(2), Fault::Slow(90 * MILLISECOND)]
    {
        let cluster = with_a_slow_disk().await;
        cluster.set_fault(3, fault.clone());
        let puts = cluster.nodes[3].puts.load(Ordering::Relaxed);
        let began = cluster.env.now();
        for _ in 0..5 {
            cluster.write(&bytes(8 * MIB)).await.unwrap();
        }
        let took = cluster.env.now().since(began);
        assert!(took <= 5 * 100 * MILLISECOND, "{fault:?} {took:?}");
        assert_eq!(cluster.nodes[3].puts.load(Ordering::Relaxed), puts + 5, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_is_given_few_writes_at_a_time() {
    let cluster = with_a_slow_disk().await;
    let puts = cluster.nodes[3].puts.load(Ordering::Relaxed);
    for _ in 0..50 {
        assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing.len(), 1);
    }
    // Those that showed it to be slow are in progress as well.
    let given = cluster.nodes[3].puts.load(Ordering::Relaxed) - puts;
    assert!((1..=WRITES_ALONG_MAX).contains(&given), "{given}");
}

#[tokio::test(start_paused = true)]
async fn groups_without_a_disk_that_was_late_are_preferred() {
    let cluster = Cluster::new(12, "4+2", 16).await;
    cluster.set_fault(3, Fault::NeverStable);
    while cluster.write(&bytes(300_000)).await.unwrap().missing.is_empty() {}
    let puts = cluster.nodes[3].puts.load(Ordering::Relaxed);
    let began = cluster.env.now();
    for _ in 0..32 {
        assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing, []);
    }
    assert_eq!(cluster.env.now().since(began), Duration::ZERO);
    assert_eq!(cluster.nodes[3].puts.load(Ordering::Relaxed), puts);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_too_few_disks_answer_fails_within_five_seconds() {
    for length in [5000, MIB] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        let content = cluster.write(&bytes(length)).await.unwrap().content;
        (0..3).for_each(|node| cluster.set_fault(node, Fault::Hang));
        let began = cluster.env.now();
        let answer = cluster.read_all(&content).await;
        assert!(matches!(answer, Err(ReadError::NotEnoughShards { .. })), "{answer:?}");
        let took = cluster.env.now().since(began);
        assert!(took <= Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_for_the_shard_without_which_a_lost_host_would_lose_it() {
    for (slow, missing, least, most) in [(700, 0, 700, 700), (5000, 1, 2000, 2100)] {
        // Three hosts with two disks each.
        let cluster = Cluster::new(6, "4+2", 1).await;
        let share_hosts = |map: &mut metadata_api::ClusterMap| {
            for (number, node) in map.nodes.iter_mut().enumerate() {
                node.domain = format!("r/z/k/h{}", number / 2).parse().unwrap();
            }
        };
        cluster.change_map(share_hosts).await;
        cluster.set_fault(3, Fault::Slow(slow * MILLISECOND));
        let began = cluster.env.now();
        let stored = cluster.write(&bytes(300_000)).await.unwrap();
        let took = cluster.env.now().since(began);
        assert_eq!(stored.missing.len(), missing, "{slow}");
        assert!(took >= least * MILLISECOND && took <= most * MILLISECOND, "{slow} {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_last_shard_is_bounded_however_slow_the_others_are() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    (0..6).for_each(|node| cluster.set_fault(node, Fault::Slow(4000 * MILLISECOND)));
    cluster.set_fault(3, Fault::NeverStable);
    let began = cluster.env.now();
    assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing.len(), 1);
    let took = cluster.env.now().since(began);
    assert!(took <= 5000 * MILLISECOND, "{took:?}");
}
