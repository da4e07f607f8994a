use chunk_api::{ChunkService, Error, Purpose, ShardBody, ShardHeader};
use metadata_api::DiskState;
use types::{ChunkId, GroupId, LeaseId, ShardId, ShardIndex};

use crate::{
    ChunkList, ListedChunk, Look, UnreachedReason,
    tests::harness::{Cluster, Fault, Node, bytes},
};

fn chunk(lease: i64, counter: u64) -> ChunkId {
    ChunkId { lease: LeaseId(lease), counter }
}

/// Puts an empty shard on a node.
async fn put(node: &Node, chunk: ChunkId, index: u8, group: GroupId) {
    let header = ShardHeader {
        shard: ShardId { chunk, index: ShardIndex(index) },
        coding: "4+2".parse().unwrap(),
        chunk_length: 0,
        group,
        epoch: 1,
        owner: "owner".into(),
    };
    node.kept.put_shard(node.disk, header, ShardBody::Whole(vec![]), Purpose::Write).await.unwrap();
}

async fn all(list: &mut ChunkList) -> Vec<ListedChunk> {
    let mut chunks = Vec::new();
    while let Some(chunk) = list.next().await {
        chunks.push(chunk);
    }
    chunks
}

fn places(cluster: &Cluster, chunk: &ListedChunk) -> Vec<(u8, usize)> {
    let node = |disk| cluster.nodes.iter().position(|node| node.disk == disk).unwrap();
    chunk.shards.iter().map(|shard| (shard.header.shard.index.0, node(shard.disk))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_chunks_of_a_group_come_in_order_with_every_place_of_their_shards() {
    let cluster = Cluster::new(9, "4+2", 1).await;
    let group = cluster.map().await.classes[0].groups[0].id;
    let length = 300_000;
    let mut expected = Vec::new();
    for _ in 0..40 {
        let stored = cluster.write(&bytes(length)).await.unwrap();
        let types::Content::Stored(manifest) = stored.content else { panic!("not inline") };
        expected.push(manifest.extents[0].chunk);
    }
    expected.sort_unstable();
    let epoch = cluster.begin_move(2, 7).await;
    put(&cluster.nodes[7], expected[5], 2, group).await;
    put(&cluster.nodes[7], expected[5], 3, GroupId(99)).await;
    put(&cluster.nodes[8], chunk(1, 0), 2, group).await;
    let mut list = cluster.pool.list_group(group).unwrap();
    let found = all(&mut list).await;
    assert_eq!((list.epoch(), list.asked(), list.unreached()), (epoch, 7, &[][..]));
    assert_eq!(found.iter().map(|found| found.chunk).collect::<Vec<_>>(), expected);
    assert_eq!(places(&cluster, &found[0]), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
    assert_eq!(places(&cluster, &found[5]), [(0, 0), (1, 1), (2, 2), (2, 7), (3, 3), (4, 4), (5, 5)]);
    let header = &found[0].on(ShardIndex(1), cluster.nodes[1].disk).unwrap().header;
    assert_eq!((header.chunk_length, &header.owner[..]), (length, &b"owner"[..]));
    assert!(found[0].on(ShardIndex(1), cluster.nodes[2].disk).is_none());
    assert!(cluster.pool.list_group(GroupId(77)).is_none());
}

/// Pages end anywhere, and disks differ in what they have.
#[tokio::test(start_paused = true)]
async fn pages_of_many_disks_are_merged() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    for counter in 0..3000 {
        for (index, node) in cluster.nodes.iter().enumerate() {
            if counter % (index as u64 + 2) == 0 || counter == 2999 {
                put(node, chunk(5, counter), index as u8, GroupId(1)).await;
                // A second index of the same chunk, so that a page may end between the two.
                put(node, chunk(5, counter), 5, GroupId(1)).await;
            }
        }
    }
    let found = all(&mut cluster.pool.list_all()).await;
    let expected = (0..3000).filter(|counter| [2, 3, 4].iter().any(|n| counter % n == 0) || *counter == 2999);
    assert_eq!(found.iter().map(|found| found.chunk.counter).collect::<Vec<_>>(), Vec::from_iter(expected));
    for found in &found {
        let on = [2, 3, 4].iter().filter(|n| found.chunk.counter % **n == 0 || found.chunk.counter == 2999);
        assert_eq!(found.shards.len(), 2 * on.count(), "{}", found.chunk.counter);
    }
}

#[tokio::test(start_paused = true)]
async fn the_chunks_of_a_lease_come_from_every_disk_and_no_others_do() {
    let cluster = Cluster::new(4, "1+1", 1).await;
    for (node, lease, counter) in
        [(0, 6, u64::MAX), (0, 7, 0), (1, 7, 0), (2, 7, 9), (3, 7, u64::MAX), (3, 8, 0), (1, 8, 3)]
    {
        put(&cluster.nodes[node], chunk(lease, counter), 0, GroupId(1)).await;
    }
    let found = all(&mut cluster.pool.list_lease(LeaseId(7))).await;
    let names: Vec<_> = found.iter().map(|found| (found.chunk.counter, found.shards.len())).collect();
    assert_eq!(names, [(0, 2), (9, 1), (u64::MAX, 1)]);
}

#[tokio::test(start_paused = true)]
async fn disks_that_cannot_be_listed_are_told_of_and_gone_ones_are_not_missed() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let group = cluster.map().await.classes[0].groups[0].id;
    let stored = cluster.write(&bytes(300_000)).await.unwrap();
    let types::Content::Stored(manifest) = stored.content else { panic!("not inline") };
    cluster
        .change_map(|map| {
            map.disks[0].state = DiskState::Down;
            map.disks[1].state = DiskState::Gone;
            map.nodes.remove(2);
        })
        .await;
    cluster.set_fault(3, Fault::Refuse);
    let mut list = cluster.pool.list_all();
    let found = all(&mut list).await;
    assert_eq!(found.len(), 1);
    assert_eq!(places(&cluster, &found[0]), [(4, 4), (5, 5)]);
    let mut unreached: Vec<_> = list.unreached().iter().map(|unreached| unreached.disk).collect();
    unreached.sort_unstable();
    assert_eq!(unreached, [0, 2, 3].map(|node| cluster.nodes[node].disk));
    assert!(list.unreached().iter().any(|unreached| unreached.reason == UnreachedReason::NotInMap));

    let chunk = manifest.extents[0].chunk;
    let one = cluster.pool.find_chunk(group, chunk).await.unwrap();
    assert_eq!(one, found[0]);
    let never = ChunkId { counter: chunk.counter + 1, ..chunk };
    let Look { found, shown, unreached } = cluster.pool.look_for_chunk(group, never).await.unwrap();
    assert_eq!(found.shards, []);
    assert_eq!(shown, [4, 5].map(ShardIndex).into(), "shards of these would have been found");
    let mut unreached: Vec<_> = unreached.iter().map(|unreached| unreached.disk).collect();
    unreached.sort_unstable();
    assert_eq!(unreached, [0, 2, 3].map(|node| cluster.nodes[node].disk), "it may be there");
}

#[tokio::test(start_paused = true)]
async fn a_fence_counts_when_every_disk_that_is_not_gone_has_answered() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    cluster.set_fault(1, Fault::Hang);
    let lease = cluster.pool.leases().lease().unwrap();
    let fence = cluster.pool.fence(&[lease]).await;
    let [unreached] = &fence.unreached[..] else { panic!("{fence:?}") };
    assert_eq!(unreached.disk, cluster.nodes[1].disk);
    assert_eq!(unreached.reason, UnreachedReason::Failed(Error::TimedOut));
    cluster.set_fault(1, Fault::None);
    let fence = cluster.pool.fence(&[lease]).await;
    assert_eq!((fence.epoch, fence.unreached), (cluster.view.epoch(), vec![]));
    assert!(cluster.write(&bytes(300_000)).await.is_err());
    assert_eq!(cluster.shard_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn chunks_are_deleted_where_they_were_found_too() {
    let cluster = Cluster::new(8, "4+2", 1).await;
    let stored = cluster.write(&bytes(300_000)).await.unwrap();
    let types::Content::Stored(manifest) = stored.content else { panic!("not inline") };
    let extent = manifest.extents[0];
    // Left behind by a move that is over.
    put(&cluster.nodes[7], extent.chunk, 4, extent.group).await;
    let found = all(&mut cluster.pool.list_lease(extent.chunk.lease)).await;
    let deletion = cluster.pool.delete_everywhere(&found).await;
    assert_eq!(deletion.unreached, []);
    assert_eq!(cluster.shard_count().await, 0);
}

/// A late packet of a write that was given up, which arrived when its group had been removed.
#[tokio::test(start_paused = true)]
async fn chunks_of_a_group_that_is_gone_are_deleted_where_they_were_found() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let lease = cluster.pool.leases().lease().unwrap();
    put(&cluster.nodes[3], ChunkId { lease, counter: 70 }, 4, GroupId(99)).await;
    let found = all(&mut cluster.pool.list_lease(lease)).await;
    assert_eq!(found.len(), 1);
    let deletion = cluster.pool.delete_everywhere(&found).await;
    assert_eq!(deletion.unreached, []);
    assert_eq!(cluster.shard_count().await, 0);
}
