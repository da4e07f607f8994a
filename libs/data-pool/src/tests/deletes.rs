//! What deletes reach and what they say of the rest.

use std::time::Duration;

use chunk_api::Error;
use metadata_api::DiskState;
use types::{Content, Extent, GroupId};

use super::harness::{Cluster, Fault, WHOLE, bytes};
use crate::UnreachedReason;

#[tokio::test(start_paused = true)]
async fn deleted_chunks_leave_no_shard() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    let mut extents = Vec::new();
    for length in [WHOLE, 3 << 20, 300_000] {
        let Content::Stored(manifest) = cluster.write(&bytes(length)).await.unwrap().content else {
            panic!("not inline")
        };
        extents.extend(manifest.extents);
    }
    assert_eq!(cluster.shard_count().await, 3 + 6 + 6);
    // Two extents of one chunk are one chunk.
    extents.push(extents[1]);
    assert_eq!(cluster.pool.delete(&extents).await.unreached, []);
    assert_eq!(cluster.shard_count().await, 0);
    let deletion = cluster.pool.delete(&extents).await;
    assert_eq!((deletion.epoch, deletion.unreached), (cluster.view.epoch(), vec![]), "may be repeated");
}

#[tokio::test(start_paused = true)]
async fn shards_that_cannot_be_reached_are_listed() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let Content::Stored(manifest) = cluster.write(&bytes(300_000)).await.unwrap().content else {
        panic!("not inline")
    };
    cluster.set_fault(1, Fault::Refuse);
    cluster.set_fault(4, Fault::Hang);
    let mut unreached = cluster.pool.delete(&manifest.extents).await.unreached;
    unreached.sort_by_key(|unreached| unreached.shard);
    let found: Vec<_> = unreached.iter().map(|shard| (shard.shard.index.0, shard.reason.clone())).collect();
    let refused = UnreachedReason::Failed(Error::Unavailable { reason: "refused".to_owned() });
    assert_eq!(found, [(1, refused), (4, UnreachedReason::Failed(Error::TimedOut))]);
    assert_eq!(unreached[0].disk, Some(cluster.nodes[1].disk));
    assert_eq!(cluster.shard_count().await, 2);

    let mut elsewhere = manifest.extents[0];
    elsewhere.group = GroupId(77);
    let unreached = cluster.pool.delete(&[elsewhere]).await.unreached;
    assert_eq!(unreached.len(), 6);
    assert!(unreached.iter().all(|shard| shard.reason == UnreachedReason::NotInMap && shard.disk.is_none()));
}

async fn write(cluster: &Cluster) -> Vec<Extent> {
    let Content::Stored(manifest) = cluster.write(&bytes(300_000)).await.unwrap().content else {
        panic!("not inline")
    };
    manifest.extents
}

/// The indexes of the shards of which a deletion says that they are left.
async fn left_by_delete(cluster: &Cluster, extents: &[Extent]) -> Vec<u8> {
    let unreached = cluster.pool.delete(extents).await.unreached;
    unreached.into_iter().map(|unreached| unreached.shard.index.0).collect()
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_answer_is_waited_for_now_and_then() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let mut chunks = Vec::new();
    for _ in 0..4 {
        chunks.push(write(&cluster).await);
    }
    cluster.set_fault(4, Fault::Hang);
    let began = cluster.env.now();
    let passed = || cluster.env.now().since(began);
    assert_eq!(left_by_delete(&cluster, &chunks[0]).await, [4]);
    let waited = passed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    for extents in &chunks {
        assert_eq!(left_by_delete(&cluster, extents).await, [4]);
    }
    assert_eq!(passed(), waited, "it is not waited for again at once");

    // Its mark has run out: one call finds out, and no other waits.
    cluster.env.sleep(Duration::from_secs(2)).await;
    let again = passed();
    let trying = cluster.pool.delete(&chunks[0]);
    let others = async {
        for extents in &chunks[1..] {
            assert_eq!(left_by_delete(&cluster, extents).await, [4]);
        }
        passed()
    };
    let (tried, others_done) = tokio::join!(trying, others);
    assert_eq!(tried.unreached.len(), 1);
    assert_eq!(others_done, again);
    assert!(passed() > again, "it was tried");

    cluster.set_fault(4, Fault::None);
    cluster.env.sleep(Duration::from_secs(60)).await;
    for extents in &chunks {
        assert_eq!(left_by_delete(&cluster, extents).await, [0; 0]);
    }
    assert_eq!(cluster.shard_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_down_by_the_map_is_not_waited_for() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let extents = write(&cluster).await;
    cluster.set_fault(2, Fault::Hang);
    cluster.change_map(|map| map.disks[2].state = DiskState::Down).await;
    let began = cluster.env.now();
    assert_eq!(left_by_delete(&cluster, &extents).await, [2]);
    assert_eq!(cluster.env.now(), began);
    cluster.set_fault(2, Fault::None);
    cluster.change_map(|map| map.disks[2].state = DiskState::Up).await;
    assert_eq!(left_by_delete(&cluster, &extents).await, [0; 0]);
}
