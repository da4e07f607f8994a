//! How reads find their bytes, and when they refuse.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt;
use types::{ByteRange, CELL_SIZE, Content, GroupId, Manifest, ShardId, ShardIndex};

use super::harness::{Cluster, Fault, WHOLE, bytes};
use crate::{BadShardReason, ReadError};

const MIB: u64 = 1 << 20;
const CELL: u64 = CELL_SIZE as u64;

fn manifest(content: &Content) -> &Manifest {
    let Content::Stored(manifest) = content else { panic!("not inline") };
    manifest
}

fn cells_read(cluster: &Cluster) -> Vec<usize> {
    cluster.nodes.iter().map(|node| node.cells_read.swap(0, Ordering::Relaxed)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_read_touches_the_cells_of_its_range_alone() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let original = bytes(3 * MIB);
    let stored = cluster.write(&original).await.unwrap();
    for (start, end, expected) in [
        (0, 1, [1, 0, 0, 0, 0, 0]),
        (CELL - 1, CELL + 1, [1, 1, 0, 0, 0, 0]),
        (5 * CELL, 6 * CELL, [0, 1, 0, 0, 0, 0]),
        (3 * CELL, 9 * CELL, [2, 1, 1, 2, 0, 0]),
        (0, 3 * MIB, [12, 12, 12, 12, 0, 0]),
        (7, 7, [0; 6]),
    ] {
        let read = cluster.read(&stored.content, start, end).await.unwrap();
        assert!(read == original[start as usize..end as usize]);
        assert_eq!(cells_read(&cluster), expected, "{start}..{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_object_is_one_read() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let original = bytes(5000);
    let stored = cluster.write(&original).await.unwrap();
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
    let reads: usize = cluster.nodes.iter().map(|node| node.reads.load(Ordering::Relaxed)).sum();
    assert_eq!(reads, 1);
}

#[tokio::test(start_paused = true)]
async fn a_hung_shard_costs_one_hedge_and_later_reads_nothing() {
    for length in [WHOLE, 8 * MIB] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        let original = bytes(length);
        let stored = cluster.write(&original).await.unwrap();
        cluster.set_fault(0, Fault::Hang);
        let began = cluster.env.now();
        assert!(cluster.read_all(&stored.content).await.unwrap() == original);
        let took = cluster.env.now().since(began);
        assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(310), "{length} {took:?}");
        let began = cluster.env.now();
        assert!(cluster.read_all(&stored.content).await.unwrap() == original);
        assert_eq!(cluster.env.now().since(began), Duration::ZERO);
        assert!(cluster.bad.lock().unwrap().is_empty(), "slow is not bad");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_shards_are_reported_with_what_is_wrong() {
    for (fault, reason) in [
        (Fault::Forgetful, BadShardReason::Missing),
        (Fault::Corrupt, BadShardReason::Corrupt),
        (Fault::Short, BadShardReason::Corrupt),
        (Fault::Few, BadShardReason::Corrupt),
        (Fault::Misplaced, BadShardReason::Corrupt),
    ] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        let original = bytes(300_000);
        let stored = cluster.write(&original).await.unwrap();
        cluster.set_fault(2, fault.clone());
        assert!(cluster.read_all(&stored.content).await.unwrap() == original);
        let bad = cluster.bad.lock().unwrap().clone();
        let [bad] = bad[..] else { panic!("{fault:?} {bad:?}") };
        let extent = manifest(&stored.content).extents[0];
        assert_eq!(bad.shard, ShardId { chunk: extent.chunk, index: ShardIndex(2) });
        assert_eq!((bad.disk, bad.reason), (cluster.nodes[2].disk, reason), "{fault:?}");
        assert_eq!((bad.group, bad.coding, bad.chunk_length), (extent.group, extent.coding, 300_000));
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_m_lost_shards_are_an_error_and_never_wrong_bytes() {
    for (length, needed) in [(WHOLE, 1), (3 * MIB, 4)] {
        for fault in [Fault::Corrupt, Fault::Forgetful, Fault::Refuse, Fault::Hang, Fault::Misplaced] {
            let cluster = Cluster::new(6, "4+2", 1).await;
            let stored = cluster.write(&bytes(length)).await.unwrap();
            [0, 1, 2].iter().for_each(|node| cluster.set_fault(*node, fault.clone()));
            let answer = cluster.read_all(&stored.content).await;
            let chunk = manifest(&stored.content).extents[0].chunk;
            let expected = ReadError::NotEnoughShards { chunk, available: needed - 1, needed };
            assert_eq!(answer, Err(expected), "{length} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn losses_in_different_stripes_do_not_add_up() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let original = bytes(3 * MIB);
    let stored = cluster.write(&original).await.unwrap();
    let extent = manifest(&stored.content).extents[0];
    // Every shard is corrupt somewhere, yet no stripe has more than two bad cells.
    for (node, stripe) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (0, 3)] {
        let shard = ShardId { chunk: extent.chunk, index: ShardIndex(node) };
        let node = &cluster.nodes[usize::from(node)];
        assert!(node.kept.corrupt_cell(node.disk, shard, stripe));
    }
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_not_the_one_named_never_ends() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    for length in [WHOLE, 300_000, 3 * MIB] {
        let original = bytes(length);
        let stored = cluster.write(&original).await.unwrap();
        let mut named = manifest(&stored.content).clone();
        named.extents[0].checksum ^= 1;
        let chunk = named.extents[0].chunk;
        let content = Content::Stored(named);
        let mut read = cluster.pool.read(&content, ByteRange::new(0, length).unwrap());
        let mut came = Vec::new();
        let error = loop {
            match read.next().await.unwrap() {
                Ok(run) => came.extend_from_slice(&run),
                Err(error) => break error,
            }
        };
        assert_eq!(error, ReadError::ChunkChecksumMismatch { chunk });
        assert!((came.len() as u64) < length && original.starts_with(&came));
        assert!(read.next().await.is_none());
        // A part of the chunk cannot be compared; its cells are still verified.
        assert!(cluster.read(&content, 1, length).await.unwrap() == original[1..]);
    }
}

#[tokio::test(start_paused = true)]
async fn content_made_of_parts_of_chunks_is_read_in_order() {
    let cluster = Cluster::new(5, "3+2", 4).await;
    let (first, second) = (bytes(MIB), bytes(300_000));
    let mut extents = Vec::new();
    for (original, offset, length) in [(&first, 200_000, 500_000), (&second, 0, 300_000), (&first, 0, 10)] {
        let stored = cluster.write(original).await.unwrap();
        let mut extent = manifest(&stored.content).extents[0];
        (extent.offset, extent.length) = (offset, length);
        extents.push(extent);
    }
    let expected = [&first[200_000..700_000], &second[..], &first[..10]].concat();
    let content = Content::Stored(Manifest { extents });
    assert!(cluster.read_all(&content).await.unwrap() == expected);
    for (start, end) in [(0, 1), (499_999, 500_001), (799_999, 800_010), (100, 800_005), (800_010, 800_010)] {
        let read = cluster.read(&content, start, end).await.unwrap();
        assert!(read == expected[start as usize..end as usize], "{start}..{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    let stored = cluster.write(&bytes(300_000)).await.unwrap();
    let beyond = cluster.read(&stored.content, 0, 300_001).await;
    assert_eq!(beyond, Err(ReadError::RangeBeyondEnd { end: 300_001, length: 300_000 }));

    let extent = manifest(&stored.content).extents[0];
    let read = async |change: &dyn Fn(&mut types::Extent)| {
        let mut extent = extent;
        change(&mut extent);
        cluster.read(&Content::Stored(Manifest { extents: vec![extent] }), 0, extent.length).await
    };
    let chunk = extent.chunk;
    let group = GroupId(77);
    assert_eq!(read(&|extent| extent.group = group).await, Err(ReadError::UnknownGroup { chunk, group }));
    let malformed = Err(ReadError::MalformedExtent { chunk });
    assert_eq!(read(&|extent| extent.offset = 1).await, malformed);
    assert_eq!(read(&|extent| extent.offset = u64::MAX).await, malformed);
    assert_eq!(read(&|extent| extent.chunk_length = u64::MAX).await, malformed);
    // A wrong length or coding makes cells of wrong lengths.
    let unreadable =
        |answer: Result<Vec<u8>, ReadError>| matches!(answer, Err(ReadError::NotEnoughShards { .. }));
    assert!(unreadable(read(&|extent| extent.chunk_length += 1).await));
    assert!(unreadable(read(&|extent| extent.coding = "3+3".parse().unwrap()).await));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_left_the_map_is_read_around() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let original = bytes(3 * MIB);
    let stored = cluster.write(&original).await.unwrap();
    let mut map = cluster.map().await;
    map.epoch += 1;
    map.disks.remove(1);
    map.nodes.remove(3);
    cluster.view.update(&map);
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
}

#[tokio::test(start_paused = true)]
async fn an_avoided_disk_is_read_when_nothing_else_is_left() {
    let cluster = Cluster::new(3, "1+2", 1).await;
    let original = bytes(5000);
    let stored = cluster.write(&original).await.unwrap();
    (0..3).for_each(|node| cluster.set_fault(node, Fault::Refuse));
    assert!(cluster.read_all(&stored.content).await.is_err());
    cluster.set_fault(2, Fault::None);
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
}
