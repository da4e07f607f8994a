//! Writes, reads and deletes while shards are on their way to other disks, and what the map says of disks.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use chunk_api::{ChunkService, Error, Purpose, ShardBody};
use futures_util::stream;
use metadata_api::{DiskState, FormerTarget, Intent, Metadata, NodeState};
use types::{Content, Extent, ShardId, ShardIndex};

use super::harness::{BodyError, Cluster, Fault, bytes};
use crate::{BadShardReason, Look, ReadError, Restore, Restored, UnreachedReason, WriteError};

const MIB: u64 = 1 << 20;

fn extent(content: &Content) -> Extent {
    let Content::Stored(manifest) = content else { panic!("not inline") };
    manifest.extents[0]
}

/// How often each node was read from since this was last asked.
fn reads(cluster: &Cluster) -> Vec<usize> {
    cluster.nodes.iter().map(|node| node.reads.swap(0, Ordering::Relaxed)).collect()
}

fn indexes(shards: &[ShardId]) -> Vec<u8> {
    shards.iter().map(|shard| shard.index.0).collect()
}

#[tokio::test(start_paused = true)]
async fn writes_put_a_moving_shard_to_its_new_place_alone() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    cluster.begin_move(2, 6).await;
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    assert_eq!(stored.missing, []);
    assert_eq!(indexes(&cluster.nodes[6].shards().await), [2]);
    assert_eq!(cluster.nodes[2].shards().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_moving_shard_is_looked_for_at_both_places_before_parity_is_used() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let original = bytes(MIB);
    let before = cluster.write(&original).await.unwrap();
    cluster.begin_move(2, 6).await;
    let after = cluster.write(&original).await.unwrap();

    assert!(cluster.read_all(&before.content).await.unwrap() == original);
    assert_eq!(reads(&cluster), [1, 1, 1, 1, 0, 0, 0], "it has not moved yet");
    assert!(cluster.read_all(&after.content).await.unwrap() == original);
    assert_eq!(reads(&cluster), [1, 1, 1, 1, 0, 0, 1], "it was never at its old place");
    assert_eq!(*cluster.bad.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_moving_shard_is_first_looked_for_at_its_new_place_when_the_old_one_is_down() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let original = bytes(MIB);
    cluster.begin_move(2, 6).await;
    let after = cluster.write(&original).await.unwrap();
    cluster.set_fault(2, Fault::Hang);
    cluster
        .change_map(|map| {
            map.disks[2].state = DiskState::Down;
            map.classes[0].groups[0].moves.push(metadata_api::ShardMove {
                index: ShardIndex(2),
                to: cluster.nodes[6].disk,
                since: 1,
                redirected: false,
            });
        })
        .await;
    let began = cluster.env.now();
    assert!(cluster.read_all(&after.content).await.unwrap() == original);
    assert_eq!(reads(&cluster), [1, 1, 0, 1, 0, 0, 1]);
    assert_eq!(cluster.env.now().since(began), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_moving_shard_is_bad_when_no_place_has_it_and_all_were_asked() {
    for (old, new, reported) in [
        (Fault::Forgetful, Fault::Forgetful, Some(BadShardReason::Missing)),
        (Fault::Corrupt, Fault::Forgetful, Some(BadShardReason::Corrupt)),
        // It may well be there; the move will tell.
        (Fault::Refuse, Fault::Forgetful, None),
    ] {
        let cluster = Cluster::new(7, "4+2", 1).await;
        let original = bytes(MIB);
        let stored = cluster.write(&original).await.unwrap();
        cluster.begin_move(2, 6).await;
        cluster.set_fault(2, old);
        cluster.set_fault(6, new);
        assert!(cluster.read_all(&stored.content).await.unwrap() == original);
        let bad: Vec<_> = cluster.bad.lock().unwrap().iter().map(|bad| (bad.disk, bad.reason)).collect();
        let expected: Vec<_> = reported.map(|reason| (cluster.nodes[6].disk, reason)).into_iter().collect();
        assert_eq!(bad, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_reach_both_places_whether_or_not_a_shard_is_there() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    let extent = extent(&stored.content);
    let listed = cluster.pool.find_chunk(extent.group, extent.chunk).await.unwrap();
    let epoch = cluster.begin_move(2, 6).await;
    let deletion = cluster.pool.delete(&[extent]).await;
    assert_eq!((deletion.epoch, deletion.unreached), (epoch, vec![]));
    assert_eq!(cluster.shard_count().await, 0);
    // A copy that was under way comes too late at either place.
    let header = listed.shards[2].header.clone();
    for node in [2, 6] {
        let node = &cluster.nodes[node];
        let late = node.put_shard(node.disk, header.clone(), ShardBody::Whole(vec![]), Purpose::Repair).await;
        assert_eq!(late, Err(Error::ShardDeleted { shard: header.shard }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_deletes_do_not_reach_is_listed_unless_it_is_gone() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    let extent = extent(&stored.content);
    cluster.begin_move(2, 6).await;
    cluster.set_fault(6, Fault::Refuse);
    let unreached = cluster.pool.delete(&[extent]).await.unreached;
    let [unreached] = &unreached[..] else { panic!("{unreached:?}") };
    assert_eq!(unreached.disk, Some(cluster.nodes[6].disk));
    assert!(matches!(unreached.reason, UnreachedReason::Failed(Error::Unavailable { .. })));
    cluster.change_map(|map| map.disks[6].state = DiskState::Gone).await;
    assert_eq!(cluster.pool.delete(&[extent]).await.unreached, []);
}

#[tokio::test(start_paused = true)]
async fn writes_avoid_disks_that_the_map_doubts_while_there_is_a_quorum_without() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.change_map(|map| map.nodes[1].state = NodeState::Suspect).await;
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    assert_eq!(stored.missing.iter().map(|shard| shard.shard.index.0).collect::<Vec<_>>(), [1]);
    // Heartbeats may be late because the metadata service is far away; nothing else is known against these disks.
    cluster
        .change_map(|map| {
            map.nodes[1].state = NodeState::Suspect;
            map.disks[3].state = DiskState::Down;
        })
        .await;
    assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing, []);
}

#[tokio::test(start_paused = true)]
async fn groups_without_draining_disks_are_preferred_and_those_with_still_written_whole() {
    let cluster = Cluster::new(12, "4+2", 16).await;
    cluster.change_map(|map| map.nodes[3].intent = Intent::Drain).await;
    for _ in 0..32 {
        assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing, []);
    }
    assert_eq!(cluster.nodes[3].puts.load(Ordering::Relaxed), 0);
    cluster.change_map(|map| map.disks.iter_mut().for_each(|disk| disk.intent = Intent::Drain)).await;
    assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing, []);
}

#[tokio::test(start_paused = true)]
async fn an_old_map_is_in_use_as_long_as_a_chunk_is_written_by_it() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let old = cluster.view.epoch();
    let (gate, opened) = tokio::sync::oneshot::channel::<()>();
    let sent = AtomicUsize::new(0);
    let all = bytes(2 * MIB);
    let (first, second) = (all.slice(..1 << 20), all.slice(1 << 20..));
    let body = stream::once(async {
        sent.fetch_add(1, Ordering::Relaxed);
        Ok::<Bytes, BodyError>(first)
    });
    let rest = stream::once(async {
        opened.await.unwrap();
        Ok(second)
    });
    let write = cluster.write_body(2 * MIB, futures_util::StreamExt::chain(body, rest));
    let watch = async {
        while sent.load(Ordering::Relaxed) == 0 {
            cluster.env.sleep(Duration::from_millis(1)).await;
        }
        let new = cluster.begin_move(2, 6).await;
        assert_eq!((cluster.view.epoch(), cluster.view.oldest_epoch_in_use()), (new, old));
        gate.send(()).unwrap();
    };
    let (stored, ()) = tokio::join!(write, watch);
    stored.unwrap();
    assert_eq!(indexes(&cluster.nodes[2].shards().await), [2], "it was begun by the old map");
    assert_eq!(cluster.view.oldest_epoch_in_use(), cluster.view.epoch());
}

#[tokio::test(start_paused = true)]
async fn an_old_map_is_in_use_until_the_outcome_of_a_commit_is_known() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let old = cluster.view.epoch();
    let stored = cluster.write_unnamed(MIB, stream::iter([Ok(bytes(MIB))])).await.unwrap();
    let new = cluster.begin_move(2, 6).await;
    cluster.env.sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), old);
    stored.claim.named();
    assert_eq!(cluster.view.oldest_epoch_in_use(), new);
}

/// Whoever may write could hold up every move of the cluster for as long as it keeps a body open.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_given_up_once_moves_have_waited_for_an_hour() {
    let hour = Duration::from_secs(3600);
    let cluster = Cluster::new(7, "4+2", 1).await;
    let old = cluster.view.epoch();
    let begun = cluster.env.now();
    let slow = || {
        let env = cluster.env.clone();
        stream::unfold(0_u64, move |sent| {
            let env = env.clone();
            async move {
                env.sleep(Duration::from_secs(10)).await;
                Some((Ok(bytes(1024)), sent + 1024))
            }
        })
    };
    let writing = cluster.write_unnamed(64 * MIB, slow());
    let moving = async {
        cluster.env.sleep(3 * hour).await;
        let new = cluster.begin_move(2, 6).await;
        assert_eq!(cluster.view.oldest_epoch_in_use(), old);
        new
    };
    let (written, new) = tokio::join!(writing, moving);
    assert_eq!(written.err(), Some(WriteError::Overtaken));
    let took = cluster.env.now().since(begun);
    assert!(took >= 4 * hour && took < 4 * hour + Duration::from_secs(180), "{took:?}");
    cluster.pool.settle().await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), new);

    // One that began by the map with the move is not waited for.
    let later = cluster.env.timeout(3 * hour, cluster.write_unnamed(64 * MIB, slow())).await;
    assert!(later.is_err(), "{later:?}");
}

/// A metadata service that was slow to answer may still carry out a commit that nobody waits for any more, and a move that
/// is finished in between leaves what the commit names one shard short.
#[tokio::test(start_paused = true)]
async fn an_old_map_is_in_use_until_a_commit_of_unknown_outcome_can_name_nothing_more() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let (old, lease) = (cluster.view.epoch(), cluster.pool.leases().lease().unwrap());
    let stored = cluster.write_unnamed(MIB, stream::iter([Ok(bytes(MIB))])).await.unwrap();
    let new = cluster.begin_move(2, 6).await;
    // A second write under the lease keeps it from being given back.
    let other = cluster.write_unnamed(MIB, stream::iter([Ok(bytes(MIB))])).await.unwrap();
    drop(stored);
    cluster.env.sleep(Duration::from_secs(60)).await;
    let is_revoked = async || {
        let leases = cluster.metadata.list_leases().await.unwrap();
        leases.iter().any(|state| state.id == lease && state.revoked)
    };
    assert!(!is_revoked().await);
    assert_eq!(cluster.view.oldest_epoch_in_use(), old);
    other.claim.named();
    cluster.env.sleep(Duration::from_secs(60)).await;
    assert!(is_revoked().await);
    assert_eq!(cluster.view.oldest_epoch_in_use(), new);
}

/// The write has its quorum and is over; a shard of it is still on its way.
#[tokio::test(start_paused = true)]
async fn an_old_map_is_in_use_until_the_last_shard_of_a_chunk_has_ended() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let old = cluster.view.epoch();
    cluster.set_fault(5, Fault::NeverStable);
    assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing.len(), 1);
    let new = cluster.begin_move(2, 6).await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), old);
    cluster.env.sleep(Duration::from_secs(11)).await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), new);
}

#[tokio::test(start_paused = true)]
async fn an_old_map_is_in_use_as_long_as_something_is_deleted_by_it() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let body = stream::iter([Ok(bytes(MIB))]);
    let stored = cluster.write_unnamed(MIB, body).await.unwrap();
    let old = cluster.view.epoch();
    cluster.set_fault(1, Fault::Slow(Duration::from_secs(3)));
    stored.claim.refused();
    cluster.env.sleep(Duration::from_secs(1)).await;
    let new = cluster.begin_move(2, 6).await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), old);
    cluster.pool.settle().await;
    assert_eq!(cluster.view.oldest_epoch_in_use(), new);
}

#[tokio::test(start_paused = true)]
async fn an_index_whose_target_was_lost_shows_no_chunk() {
    let cluster = Cluster::new(7, "4+2", 1).await;
    let group = cluster.map().await.classes[0].groups[0].id;
    let shown = async || {
        let mut list = cluster.pool.list_group(group).unwrap();
        while list.next().await.is_some() {}
        list.shown_indexes().into_iter().map(|index| index.0).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, [0, 1, 2, 3, 4, 5]);
    cluster.begin_move(2, 6).await;
    assert_eq!(shown().await, [0, 1, 2, 3, 4, 5], "its shards are at the one place or the other");
    cluster.change_map(|map| map.classes[0].groups[0].moves.push(redirected(2, cluster.nodes[6].disk))).await;
    assert_eq!(shown().await, [0, 1, 3, 4, 5], "they may have been at the lost target alone");
}

/// The target that was given up has what no other disk has: it is read from, as long as it answers.
#[tokio::test(start_paused = true)]
async fn a_shard_that_only_the_former_target_of_its_move_has_is_read_and_brought_over() {
    let cluster = Cluster::new(8, "4+2", 1).await;
    let group = cluster.map().await.classes[0].groups[0].id;
    cluster.begin_move(2, 6).await;
    let original = bytes(MIB);
    let stored = cluster.write(&original).await.unwrap();
    let chunk = extent(&stored.content).chunk;
    for lost in [0, 1] {
        cluster.set_fault(lost, Fault::Forgetful);
    }
    let disks = [6, 7].map(|node| cluster.nodes[node].disk);
    let redirect = async || {
        cluster
            .change_map(|map| {
                let group = &mut map.classes[0].groups[0];
                group.moves.push(redirected(2, disks[1]));
                group.former_targets.push(FormerTarget { index: ShardIndex(2), disk: disks[0] });
            })
            .await
    };
    redirect().await;
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);

    // Two of the four that it takes beside the others: without it nothing is whole.
    cluster.set_fault(6, Fault::Refuse);
    assert!(matches!(cluster.read_all(&stored.content).await, Err(ReadError::NotEnoughShards { .. })));
    let Look { found, unreached, .. } = cluster.pool.look_for_chunk(group, chunk).await.unwrap();
    assert!(unreached.is_empty(), "nobody waits for it: {unreached:?}");
    assert_eq!(found.shards.len(), 5);
    let mut list = cluster.pool.list_group(group).unwrap();
    while list.next().await.is_some() {}
    assert!(!list.listed().contains(&disks[0]), "what it has was not gone over");
    cluster.set_fault(6, Fault::None);
    // It is asked for again after a while.
    cluster.env.sleep(Duration::from_secs(60)).await;
    let mut list = cluster.pool.list_group(group).unwrap();
    while list.next().await.is_some() {}
    assert_eq!(list.listed().len(), 8);

    let Look { found, shown, .. } = cluster.pool.look_for_chunk(group, chunk).await.unwrap();
    assert_eq!(found.shards.len(), 6);
    assert!(!shown.contains(&ShardIndex(2)), "another may have been lost with it");
    let listed = found.on(ShardIndex(2), disks[0]).unwrap();
    let request = Restore {
        header: listed.header.clone(),
        index: ShardIndex(2),
        to: disks[1],
        epoch: cluster.view.epoch(),
    };
    assert!(matches!(cluster.pool.restore_shard(request).await, Restored::Copied { .. }));
    cluster.set_fault(6, Fault::Refuse);
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
}

fn redirected(index: u8, to: types::DiskId) -> metadata_api::ShardMove {
    metadata_api::ShardMove { index: ShardIndex(index), to, since: 1, redirected: true }
}
