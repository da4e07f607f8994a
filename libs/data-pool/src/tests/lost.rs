//! Chunks of which too few shards are anywhere are told from those that may be read later.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use metadata_api::{DiskState, Metadata};
use types::{Content, ShardId, ShardIndex};

use super::harness::{Cluster, Fault, WHOLE, bytes};
use crate::{Follower, ReadError};

const MIB: u64 = 1 << 20;

fn follow(cluster: &Cluster) -> Follower {
    let metadata = Arc::clone(&cluster.metadata) as Arc<dyn Metadata>;
    Follower::start(&cluster.env, metadata, Arc::clone(&cluster.view))
}

fn is_lost(answer: &Result<Vec<u8>, ReadError>) -> bool {
    match answer {
        Err(ReadError::Lost { available, needed, .. }) => available < needed,
        Err(ReadError::NotEnoughShards { .. }) => false,
        other => panic!("{:?}", other.as_ref().map(Vec::len)),
    }
}

/// Reads while these nodes have these faults, by a map that was changed like this.
async fn read(
    length: u64,
    faults: &[(usize, Fault)],
    change: impl FnOnce(&mut metadata_api::ClusterMap),
) -> (Result<Vec<u8>, ReadError>, u64) {
    let cluster = Cluster::new(8, "4+2", 1).await;
    let _follower = follow(&cluster);
    let disks: Vec<_> = cluster.nodes.iter().map(|node| node.disk).collect();
    cluster.change_map(|map| map.classes[0].groups[0].disks = disks[..6].to_vec()).await;
    let content = cluster.write(&bytes(length)).await.unwrap().content;
    for (node, fault) in faults {
        cluster.set_fault(*node, fault.clone());
    }
    cluster.change_map(change).await;
    let answer = cluster.read_all(&content).await;
    (answer, cluster.pool.shared().counts.lost.get())
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_every_disk_has_lost_or_damaged_is_lost_and_counted() {
    for length in [WHOLE, 300_000, 3 * MIB] {
        for fault in [Fault::Forgetful, Fault::Corrupt] {
            let faults = [(0, fault.clone()), (1, fault.clone()), (2, fault.clone())];
            let (answer, counted) = read(length, &faults, |_| ()).await;
            assert!(is_lost(&answer), "{length} {fault:?}");
            assert_eq!(counted, 1);
        }
        // A disk that was removed for good has nothing.
        let faults = [(0, Fault::Forgetful), (1, Fault::Refuse), (2, Fault::Forgetful)];
        let (answer, _) = read(length, &faults, |map| map.disks[1].state = DiskState::Gone).await;
        assert!(is_lost(&answer), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_a_silent_disk_may_have_is_not_lost() {
    for length in [WHOLE, 300_000, 3 * MIB] {
        for silent in [Fault::Refuse, Fault::Hang] {
            let faults = [(0, Fault::Forgetful), (1, silent), (2, Fault::Corrupt)];
            let (answer, counted) = read(length, &faults, |_| ()).await;
            assert!(!is_lost(&answer));
            assert_eq!(counted, 0);
        }
        let all_forget = [(0, Fault::Forgetful), (1, Fault::Forgetful), (2, Fault::Forgetful)];
        // The map does not say how a disk is reached.
        let (answer, _) = read(length, &all_forget, |map| drop(map.disks.remove(1))).await;
        assert!(!is_lost(&answer));
        // It may have been put to a disk that a move was redirected from.
        let (answer, _) = read(length, &all_forget, |map| {
            let to = map.disks[7].disk;
            let pending =
                metadata_api::ShardMove { index: ShardIndex(1), to, since: map.epoch, redirected: true };
            map.classes[0].groups[0].moves.push(pending);
        })
        .await;
        assert!(!is_lost(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_can_look_up_what_is_named_counts_what_is_lost() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let _follower = follow(&cluster);
    let content = cluster.write(&bytes(300_000)).await.unwrap().content;
    (0..3).for_each(|node| cluster.set_fault(node, Fault::Forgetful));
    let counted = || cluster.pool.shared().counts.lost.get();
    let pool = cluster.pool.leaving_losses();
    let range = types::ByteRange::new(0, content.length()).unwrap();
    let error = pool.read(&content, range).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(counted(), 0);
    pool.count_lost(&error);
    assert_eq!(counted(), 1);
    let ReadError::Lost { chunk, .. } = error else { panic!("{error}") };
    pool.count_lost(&ReadError::NotEnoughShards { chunk, available: 3, needed: 4 });
    assert_eq!(counted(), 1);
    assert!(is_lost(&cluster.read_all(&content).await));
    assert_eq!(counted(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_misread_for_a_moment_is_read() {
    // Of two stripes the first is read by itself when both together were not to be had.
    for (length, times) in [(WHOLE, 1), (300_000, 2)] {
        for fault in [Fault::CorruptTimes(times), Fault::ForgetfulTimes(times)] {
            let faults = [(0, fault.clone()), (1, fault.clone()), (2, fault.clone())];
            let (answer, counted) = read(length, &faults, |_| ()).await;
            assert!(answer.unwrap() == bytes(length), "{length} {fault:?}");
            assert_eq!(counted, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_lost_by_a_map_that_nobody_knows_to_be_the_latest() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let content = cluster.write(&bytes(MIB)).await.unwrap().content;
    (0..3).for_each(|node| cluster.set_fault(node, Fault::Forgetful));
    assert!(!is_lost(&cluster.read_all(&content).await));
    let follower = follow(&cluster);
    cluster.env.sleep(Duration::from_secs(3)).await;
    assert!(is_lost(&cluster.read_all(&content).await));
    drop(follower);
    assert!(!is_lost(&cluster.read_all(&content).await));
}

#[tokio::test(start_paused = true)]
async fn only_stripes_that_are_lost_are_called_so() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let _follower = follow(&cluster);
    let original = bytes(3 * MIB);
    let content = cluster.write(&original).await.unwrap().content;
    let Content::Stored(manifest) = &content else { panic!("not inline") };
    for (node, stripe) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let shard = ShardId { chunk: manifest.extents[0].chunk, index: ShardIndex(node) };
        let node = &cluster.nodes[usize::from(node)];
        assert!(node.kept.corrupt_cell(node.disk, shard, stripe));
    }
    assert!(cluster.read_all(&content).await.unwrap() == original);
    // Where there is no time to look at each stripe by itself nothing is called lost.
    (0..6).for_each(|node| cluster.set_fault(node, Fault::Slow(Duration::from_millis(3900))));
    assert!(!is_lost(&cluster.read_all(&content).await));
    (0..6).for_each(|node| cluster.set_fault(node, Fault::None));
    cluster.env.sleep(Duration::from_secs(60)).await;
    let shard = ShardId { chunk: manifest.extents[0].chunk, index: ShardIndex(3) };
    assert!(cluster.nodes[3].kept.corrupt_cell(cluster.nodes[3].disk, shard, 0));
    assert!(is_lost(&cluster.read_all(&content).await));
}
