//! A chunk that its group does not take is written to another.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use types::{ChunkId, Content, StorageClassName};

use super::harness::{BodyError, Cluster, Fault, WHOLE, bytes, pieces};
use crate::{
    WriteError,
    limits::{KEPT_BYTES_MAX, WRITE_QUORUM_WAIT_MAX},
};

const MIB: u64 = 1 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Twelve nodes with two groups of six of them each. The first two of one group have a fault.
async fn with_faults_in_one_group(fault: &Fault) -> Cluster {
    let cluster = Cluster::new(12, "4+2", 2).await;
    split(&cluster).await;
    (0..2).for_each(|node| cluster.set_fault(node, fault.clone()));
    cluster
}

async fn split(cluster: &Cluster) {
    let disks: Vec<_> = cluster.nodes.iter().map(|node| node.disk).collect();
    let split = |map: &mut metadata_api::ClusterMap| {
        for (group, disks) in map.classes[0].groups.iter_mut().zip(disks.chunks(6)) {
            group.disks = disks.to_vec();
        }
    };
    cluster.change_map(split).await;
}

fn chunks(content: &Content) -> BTreeSet<ChunkId> {
    let Content::Stored(manifest) = content else { panic!("not inline") };
    manifest.extents.iter().map(|extent| extent.chunk).collect()
}

/// The chunks of which any disk has a shard.
async fn kept_chunks(cluster: &Cluster) -> BTreeSet<ChunkId> {
    let mut kept = BTreeSet::new();
    for node in &cluster.nodes {
        kept.extend(node.shards().await.into_iter().map(|shard| shard.chunk));
    }
    kept
}

fn retried(cluster: &Cluster) -> u64 {
    cluster.pool.shared().counts.retried.get()
}

/// Writes until the group with the faults was begun with, at most twice.
async fn write_through_faults(cluster: &Cluster, original: &Bytes) -> (Content, Duration) {
    for _ in 0..2 {
        let began = cluster.env.now();
        let stored = cluster.write(original).await.unwrap();
        assert_eq!(stored.missing, []);
        assert!(cluster.read_all(&stored.content).await.unwrap() == *original);
        if retried(cluster) > 0 {
            return (stored.content, cluster.env.now().since(began));
        }
        let extents = chunks(&stored.content);
        // So that what is left on disks is of the other write alone.
        let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
        assert_eq!(cluster.pool.delete(&manifest.extents).await.unreached, [], "{extents:?}");
    }
    panic!("no write was tried again")
}

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_group_refuses_it_is_written_to_another_and_leaves_nothing() {
    for fault in [Fault::Refuse, Fault::Full, Fault::NeverStable, Fault::HangAfterCells(3)] {
        for length in [WHOLE, 300_000, 3 * MIB, 9 * MIB] {
            let cluster = with_faults_in_one_group(&fault).await;
            let original = bytes(length);
            if length <= 300_000 && matches!(fault, Fault::HangAfterCells(_)) {
                continue;
            }
            let lease = cluster.pool.leases().lease().unwrap();
            let (content, took) = write_through_faults(&cluster, &original).await;
            assert!(took <= Duration::from_secs(8), "{fault:?} {length} {took:?}");
            assert_eq!(retried(&cluster), 1, "{fault:?} {length}");
            (0..2).for_each(|node| cluster.set_fault(node, Fault::None));
            cluster.env.sleep(Duration::from_secs(60)).await;
            let is_left = kept_chunks(&cluster).await != chunks(&content);
            // What disks that do not answer may have is left to whoever looks through the lease.
            let may_be_left = !matches!(fault, Fault::Refuse | Fault::Full);
            assert!(!is_left || may_be_left, "{fault:?} {length}");
            assert!(!is_left || cluster.pool.leases().lease() != Some(lease), "{fault:?} {length}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_hung_disk_may_have_of_a_chunk_that_was_given_up_is_left_to_the_reaper() {
    let cluster = with_faults_in_one_group(&Fault::Hang).await;
    let lease = cluster.pool.leases().lease().unwrap();
    write_through_faults(&cluster, &bytes(3 * MIB)).await;
    cluster.env.sleep(Duration::from_secs(60)).await;
    assert_ne!(cluster.pool.leases().lease(), Some(lease), "its lease is given back, to be looked through");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_in_the_end_leaves_nothing_of_any_try() {
    let cluster = Cluster::new(24, "4+2", 4).await;
    split(&cluster).await;
    for node in (0..24).filter(|node| node % 6 < 2) {
        cluster.set_fault(node, Fault::Full);
    }
    let answer = cluster.write(&bytes(3 * MIB)).await;
    assert_eq!(answer, Err(WriteError::NotEnoughShards { reachable: 4, needed: 5 }));
    assert_eq!(retried(&cluster), 2);
    cluster.until_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_tried_three_times_at_most() {
    let cluster = Cluster::new(24, "4+2", 4).await;
    split(&cluster).await;
    for node in (0..24).filter(|node| node % 6 < 2) {
        cluster.set_fault(node, Fault::Refuse);
    }
    assert!(cluster.write(&bytes(300_000)).await.is_err());
    let puts: usize = cluster.nodes.iter().map(|node| node.puts.load(Ordering::Relaxed)).sum();
    assert_eq!((retried(&cluster), puts), (2, 18));
}

#[tokio::test(start_paused = true)]
async fn a_long_chunk_is_written_anew_only_while_all_of_it_is_kept() {
    for (cells, is_kept) in [(20, true), (80, false)] {
        let cluster = with_faults_in_one_group(&Fault::HangAfterCells(cells)).await;
        let original = bytes(40 * MIB);
        let answers = [cluster.write(&original).await, cluster.write(&original).await];
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(failed, usize::from(!is_kept), "{cells} {answers:?}");
        for stored in answers.into_iter().flatten() {
            assert!(cluster.read_all(&stored.content).await.unwrap() == original);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_loses_its_quorum_while_the_next_is_filled_is_written_anew() {
    let cluster = with_faults_in_one_group(&Fault::NeverStable).await;
    let original = bytes(20 * MIB);
    // The body pauses in the middle of each chunk, for longer than disks are waited for.
    for _ in 0..2 {
        let env = cluster.env.clone();
        let body = pieces(&original).scan(0, move |sent, piece| {
            *sent += piece.len() as u64;
            let (env, pauses) = (env.clone(), *sent % (5 * MIB) < piece.len() as u64);
            async move {
                if pauses {
                    env.sleep(Duration::from_secs(15)).await;
                }
                Some(Ok::<_, BodyError>(piece))
            }
        });
        let (class, owner) = (StorageClassName::standard(), Bytes::from_static(b"owner"));
        let mut stored = cluster.pool.write_undeclared(&class, owner, body).await.unwrap();
        std::mem::take(&mut stored.claim).named();
        assert_eq!(stored.missing, []);
        assert!(cluster.read_all(&stored.content).await.unwrap() == original);
    }
    assert!(retried(&cluster) > 0);
}

/// Of the memory for what is kept of chunks, what is free.
fn free_of_kept(cluster: &Cluster) -> usize {
    cluster.pool.shared().kept.free()
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_a_chunk_is_let_go_with_its_quorum_however_slow_the_rest_of_the_body_is() {
    let cluster = with_faults_in_one_group(&Fault::None).await;
    let original = bytes(20 * MIB);
    let (shared, env) = (Arc::clone(cluster.pool.shared()), cluster.env.clone());
    let (kept, until) = (Arc::new(Mutex::new(Vec::new())), 17 * MIB);
    let seen = Arc::clone(&kept);
    // The body pauses for long in the second chunk, and once more when so much of the second was read as makes a third.
    let body = pieces(&original).scan(0, move |sent, piece| {
        let before = *sent;
        *sent += piece.len() as u64;
        let pauses = [9 * MIB, until].into_iter().any(|at| before < at && at <= *sent);
        let (env, shared, seen) = (env.clone(), Arc::clone(&shared), Arc::clone(&seen));
        async move {
            if pauses {
                env.sleep(Duration::from_secs(60)).await;
                seen.lock().unwrap().push(KEPT_BYTES_MAX - shared.kept.free());
            }
            Some(Ok::<_, BodyError>(piece))
        }
    });
    let (class, owner) = (StorageClassName::standard(), Bytes::from_static(b"owner"));
    let mut stored = cluster.pool.write_undeclared(&class, owner, body).await.unwrap();
    std::mem::take(&mut stored.claim).named();
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
    let kept = std::mem::take(&mut *kept.lock().unwrap());
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|kept| *kept < 2 * MIB as usize), "of the chunk that is filled alone: {kept:?}");
    assert_eq!(free_of_kept(&cluster), KEPT_BYTES_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_of_a_chunk_is_let_go_with_its_quorum_and_not_with_its_last_shard() {
    let cluster = with_faults_in_one_group(&Fault::None).await;
    cluster.set_fault(0, Fault::NeverStable);
    cluster.set_fault(6, Fault::NeverStable);
    let original = bytes(4 * MIB);
    let mut writing = std::pin::pin!(cluster.write(&original));
    let waited = cluster.env.timeout(150 * MILLISECOND, &mut writing).await;
    assert!(waited.is_err(), "it waits for the last shard");
    assert_eq!(free_of_kept(&cluster), KEPT_BYTES_MAX);
    assert_eq!(writing.await.unwrap().missing.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_disks_of_a_quorum_are_given_up_for_a_group_without_them() {
    let cluster = with_faults_in_one_group(&Fault::NeverStable).await;
    let (_, took) = write_through_faults(&cluster, &bytes(300_000)).await;
    assert_eq!(took, WRITE_QUORUM_WAIT_MAX);
}

#[tokio::test(start_paused = true)]
async fn disks_that_are_all_slow_are_waited_for() {
    let cluster = with_faults_in_one_group(&Fault::None).await;
    (0..12).for_each(|node| cluster.set_fault(node, Fault::Slow(4000 * MILLISECOND)));
    assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing, []);
    // Without another group slow ones are waited for as well.
    let cluster = Cluster::new(6, "4+2", 1).await;
    (0..2).for_each(|node| cluster.set_fault(node, Fault::Slow(4000 * MILLISECOND)));
    assert_eq!(cluster.write(&bytes(300_000)).await.unwrap().missing, []);
    assert_eq!(retried(&cluster), 0);
}

#[tokio::test(start_paused = true)]
async fn new_chunks_go_to_groups_without_a_disk_that_is_slower_than_others() {
    for (fault, length) in
        [(Fault::Slow(120 * MILLISECOND), 300_000), (Fault::SlowCells(5 * MILLISECOND), 4 * MIB)]
    {
        let cluster = with_faults_in_one_group(&Fault::None).await;
        let original = bytes(length);
        cluster.set_fault(3, fault.clone());
        for _ in 0..6 {
            assert_eq!(cluster.write(&original).await.unwrap().missing, [], "it is in time, however slow");
        }
        let puts = || cluster.nodes[3].puts.load(Ordering::Relaxed);
        let (began, before) = (cluster.env.now(), puts());
        for _ in 0..50 {
            cluster.write(&original).await.unwrap();
        }
        assert_eq!((cluster.env.now().since(began), puts()), (Duration::ZERO, before), "{fault:?}");

        // It is tried again some time, and used when it is well.
        cluster.set_fault(3, Fault::None);
        cluster.env.sleep(Duration::from_secs(11)).await;
        for _ in 0..20 {
            cluster.write(&original).await.unwrap();
        }
        assert!(puts() >= before + 8, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn disks_that_are_as_slow_as_each_other_are_all_used() {
    for (fault, length) in
        [(Fault::Slow(120 * MILLISECOND), 300_000), (Fault::SlowCells(20 * MILLISECOND), 8 * MIB)]
    {
        let cluster = with_faults_in_one_group(&Fault::None).await;
        (0..12).for_each(|node| cluster.set_fault(node, fault.clone()));
        for _ in 0..8 {
            assert_eq!(cluster.write(&bytes(length)).await.unwrap().missing, []);
        }
        let puts: Vec<usize> = cluster.nodes.iter().map(|node| node.puts.load(Ordering::Relaxed)).collect();
        assert_eq!(puts, [4; 12], "{fault:?}");
        let shared = cluster.pool.shared();
        let map = shared.view.snapshot();
        let mut places = map.homes().filter_map(|home| home.place.as_ref());
        assert!(!places.any(|place| shared.health.is_sluggish(place)), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn writes_at_the_same_time_find_another_group_together() {
    let cluster = Arc::new(with_faults_in_one_group(&Fault::HangAfterCells(2)).await);
    let original = bytes(4 * MIB);
    let writes = (0..40).map(|_| cluster.write(&original));
    let answers = futures_util::future::join_all(writes).await;
    // Those beyond the memory for what is kept fail as they did before there was any.
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(failed <= 20 - 8, "{failed}");
}
