//! What deletes reach and what they say of the rest.

use chunk_api::Error;
use types::{Content, GroupId};

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
