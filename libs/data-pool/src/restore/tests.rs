use std::sync::atomic::Ordering;

use chunk_api::{CellRange, ChunkService, Error, ListShards, ShardHeader};
use metadata_api::DiskState;
use types::{CELL_SIZE, Content, Extent, GroupId, ShardId, ShardIndex};

use super::{Restore, Restored};
use crate::tests::harness::{Cluster, Fault, WHOLE, bytes};

fn extent(content: &Content) -> Extent {
    let Content::Stored(manifest) = content else { panic!("not inline") };
    manifest.extents[0]
}

/// A cluster of the coding with two spare nodes, and one chunk in it.
async fn cluster(coding: &str, length: u64) -> (Cluster, Extent, Content) {
    let total = coding.parse::<types::Coding>().unwrap().total();
    let cluster = Cluster::new(total + 2, coding, 1).await;
    let stored = cluster.write(&bytes(length)).await.unwrap();
    assert_eq!(stored.missing, []);
    (cluster, extent(&stored.content), stored.content)
}

async fn restore(cluster: &Cluster, extent: &Extent, index: u8, to: usize) -> Restored {
    let found = cluster.pool.find_chunk(extent.group, extent.chunk).await.unwrap();
    let header = found.shards[0].header.clone();
    let to = cluster.nodes[to].disk;
    cluster.pool.restore_shard(Restore { header, index: ShardIndex(index), to, epoch: 77 }).await
}

/// The header and cells of a node's only shard.
async fn shard_on(cluster: &Cluster, node: usize) -> (ShardHeader, Vec<chunk_api::Cell>) {
    let node = &cluster.nodes[node];
    let listed = node.kept.list_shards(node.disk, ListShards::all(None, 10)).await.unwrap();
    let [summary] = &listed[..] else { panic!("{listed:?}") };
    let header = summary.header.clone();
    let mut cells = Vec::new();
    for first in 0..header.cells() {
        let range = CellRange { first, count: 1 };
        cells.extend(node.kept.read_cells(node.disk, header.shard, range).await.unwrap());
    }
    (header, cells)
}

async fn lose(cluster: &Cluster, extent: &Extent, index: u8) {
    let node = &cluster.nodes[usize::from(index)];
    let shard = ShardId { chunk: extent.chunk, index: ShardIndex(index) };
    node.kept.delete_shards(node.disk, &[shard]).await.unwrap();
}

/// Every index of several codings and lengths, once from its old place and once without.
#[tokio::test(start_paused = true)]
async fn any_shard_is_copied_or_rebuilt_cell_for_cell() {
    let cell = CELL_SIZE as u64;
    for coding in ["1+0", "1+2", "2+1", "4+2", "3+3"] {
        for length in [5000, WHOLE, WHOLE + 1, 3 * cell + 7, 9 * cell, (2 << 20) + 12_345] {
            let total = coding.parse::<types::Coding>().unwrap().total();
            for (lost, index) in [false, true].into_iter().flat_map(|lost| (0..total).map(move |i| (lost, i)))
            {
                let (cluster, extent, content) = cluster(coding, length).await;
                // A single copy that is lost leaves no header to restore it by.
                if index >= extent.coding.total() || (lost && extent.coding.total() == 1) {
                    continue;
                }
                let (mut header, cells) = shard_on(&cluster, index).await;
                if lost {
                    lose(&cluster, &extent, index as u8).await;
                }
                let to = total + 1;
                cluster.begin_move(index as u8, to).await;
                let bytes = header.length();
                let outcome = restore(&cluster, &extent, index as u8, to).await;
                let case = format!("{coding} {length} {index} {lost}");
                let expected = if lost { Restored::Rebuilt { bytes } } else { Restored::Copied { bytes } };
                assert_eq!(outcome, expected, "{case}");
                header.epoch = 77;
                assert_eq!(shard_on(&cluster, to).await, (header, cells), "{case}");
                assert!(cluster.read_all(&content).await.unwrap() == crate::tests::harness::bytes(length));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_reads_one_shard_and_a_rebuild_k() {
    let (cluster, extent, _) = cluster("4+2", 2 << 20).await;
    let cells = |cluster: &Cluster| -> Vec<usize> {
        cluster.nodes.iter().map(|node| node.cells_read.swap(0, Ordering::Relaxed)).collect()
    };
    cluster.begin_move(2, 7).await;
    restore(&cluster, &extent, 2, 7).await;
    assert_eq!(cells(&cluster), [0, 0, 8, 0, 0, 0, 0, 0]);
    cluster.set_fault(3, Fault::Forgetful);
    restore(&cluster, &extent, 3, 6).await;
    let read = cells(&cluster);
    assert_eq!((read[0], read[1], read[2]), (8, 8, 8));
    assert_eq!(read[4] + read[5], 8, "one parity shard in place of the one that is rebuilt");
}

/// A host without power is waited for as long as a connection may take, once for every chunk that was on it.
#[tokio::test(start_paused = true)]
async fn a_lost_place_is_asked_only_for_what_cannot_be_rebuilt() {
    let (cluster, extent, _) = cluster("4+2", 1 << 20).await;
    cluster.change_map(|map| map.disks[2].state = DiskState::Down).await;
    let reads = |node: usize| cluster.nodes[node].reads.load(Ordering::Relaxed);
    assert!(matches!(restore(&cluster, &extent, 2, 6).await, Restored::Rebuilt { .. }));
    assert_eq!(reads(2), 0);
    let forget = || {
        let shard = ShardId { chunk: extent.chunk, index: ShardIndex(2) };
        assert!(cluster.nodes[6].kept.lose_shard(cluster.nodes[6].disk, shard));
    };
    forget();
    lose(&cluster, &extent, 0).await;
    assert!(matches!(restore(&cluster, &extent, 2, 6).await, Restored::Rebuilt { .. }));
    assert_eq!(reads(2), 0);
    // Three of the others are not enough.
    forget();
    lose(&cluster, &extent, 1).await;
    assert!(matches!(restore(&cluster, &extent, 2, 6).await, Restored::Copied { .. }));
    assert!(reads(2) > 0);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_shard_is_replaced_in_place_and_a_whole_one_left() {
    let (cluster, extent, _) = cluster("4+2", 3 << 20).await;
    assert_eq!(restore(&cluster, &extent, 1, 1).await, Restored::AlreadyThere);
    let before = shard_on(&cluster, 1).await.1;
    let shard = ShardId { chunk: extent.chunk, index: ShardIndex(1) };
    let node = &cluster.nodes[1];
    assert!(node.kept.corrupt_cell(node.disk, shard, 9));
    let corrupt = cluster.pool.verify_shard(node.disk, shard).await;
    assert_eq!(corrupt, Err(Error::ShardCorrupt { shard, cell: 9 }));
    let outcome = restore(&cluster, &extent, 1, 1).await;
    assert!(matches!(outcome, Restored::Rebuilt { .. }), "{outcome:?}");
    assert_eq!(cluster.pool.verify_shard(node.disk, shard).await, Ok(()));
    assert_eq!(shard_on(&cluster, 1).await.1, before);
}

#[tokio::test(start_paused = true)]
async fn an_old_place_with_damage_gives_what_is_good_of_it() {
    let (cluster, extent, _) = cluster("4+2", 8 << 20).await;
    let (header, cells) = shard_on(&cluster, 2).await;
    let node = &cluster.nodes[2];
    assert!(node.kept.corrupt_cell(node.disk, header.shard, 20));
    cluster.begin_move(2, 6).await;
    let outcome = restore(&cluster, &extent, 2, 6).await;
    assert_eq!(outcome, Restored::Rebuilt { bytes: header.length() });
    assert_eq!(shard_on(&cluster, 6).await.1, cells);
}

#[tokio::test(start_paused = true)]
async fn damage_in_different_stripes_does_not_add_up() {
    let (cluster, extent, _) = cluster("4+2", 3 << 20).await;
    let cells = shard_on(&cluster, 0).await.1;
    lose(&cluster, &extent, 0).await;
    for (node, stripe) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 5)] {
        let shard = ShardId { chunk: extent.chunk, index: ShardIndex(node) };
        let node = &cluster.nodes[usize::from(node)];
        assert!(node.kept.corrupt_cell(node.disk, shard, stripe));
    }
    let outcome = restore(&cluster, &extent, 0, 6).await;
    assert!(matches!(outcome, Restored::Rebuilt { .. }), "{outcome:?}");
    assert_eq!(shard_on(&cluster, 6).await.1, cells);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_restored_is_told_apart_and_nothing_is_kept() {
    for length in [300_000, 3 << 20] {
        let (cluster, extent, _) = cluster("4+2", length).await;
        for index in 0..3 {
            lose(&cluster, &extent, index).await;
        }
        let outcome = restore(&cluster, &extent, 0, 6).await;
        assert_eq!(outcome, Restored::NotEnoughShards { available: 3, needed: 4 });
        assert_eq!(cluster.nodes[6].shards().await, []);
    }
    let (cluster, extent, _) = cluster("4+2", 300_000).await;
    let node = &cluster.nodes[6];
    let shard = ShardId { chunk: extent.chunk, index: ShardIndex(0) };
    node.kept.delete_shards(node.disk, &[shard]).await.unwrap();
    assert_eq!(restore(&cluster, &extent, 0, 6).await, Restored::ChunkDeleted);
    let lease = extent.chunk.lease;
    assert_eq!(cluster.pool.fence(&[lease]).await.unreached, []);
    // What something names is repaired, whatever becomes of its lease.
    assert!(matches!(restore(&cluster, &extent, 0, 7).await, Restored::Copied { .. }));
    cluster.set_fault(1, Fault::Refuse);
    let outcome = restore(&cluster, &extent, 1, 1).await;
    assert!(matches!(outcome, Restored::Failed(Error::Unavailable { .. })), "{outcome:?}");

    let found = cluster.pool.find_chunk(extent.group, extent.chunk).await.unwrap();
    let header = ShardHeader { group: GroupId(77), ..found.shards[0].header.clone() };
    let (to, index) = (cluster.nodes[0].disk, ShardIndex(0));
    let elsewhere = Restore { header, index, to, epoch: 77 };
    assert_eq!(cluster.pool.restore_shard(elsewhere.clone()).await, Restored::UnknownPlace);
    let header = ShardHeader { group: extent.group, ..elsewhere.header.clone() };
    let beyond = Restore { header, index: ShardIndex(6), ..elsewhere };
    assert!(matches!(cluster.pool.restore_shard(beyond).await, Restored::Failed(Error::Malformed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_is_given_up() {
    for length in [300_000, 8 << 20] {
        let (cluster, extent, _) = cluster("4+2", length).await;
        cluster.set_fault(6, Fault::NeverStable);
        assert_eq!(restore(&cluster, &extent, 0, 6).await, Restored::Failed(Error::TimedOut));
    }
}

/// What it comes from is given up for it.
#[tokio::test(start_paused = true)]
async fn a_shard_that_was_put_is_read_back() {
    let (cluster, extent, _) = cluster("4+2", 8 << 20).await;
    cluster.set_fault(6, Fault::Discard);
    let shard = ShardId { chunk: extent.chunk, index: ShardIndex(2) };
    assert_eq!(restore(&cluster, &extent, 2, 6).await, Restored::Failed(Error::ShardNotFound { shard }));
    cluster.set_fault(6, Fault::None);
    assert!(matches!(restore(&cluster, &extent, 2, 6).await, Restored::Copied { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_restore_counts_as_a_write_by_its_map() {
    let (cluster, extent, _) = cluster("4+2", 300_000).await;
    let old = cluster.view.epoch();
    cluster.set_fault(6, Fault::NeverStable);
    let restore = restore(&cluster, &extent, 0, 6);
    let watch = async {
        cluster.env.sleep(std::time::Duration::from_secs(1)).await;
        cluster.begin_move(2, 7).await;
        assert_eq!(cluster.view.oldest_epoch_in_use(), old);
    };
    tokio::join!(restore, watch);
    assert_eq!(cluster.view.oldest_epoch_in_use(), cluster.view.epoch());
}
