//! How writes fail, and what they leave behind.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use metadata_api::Metadata;
use types::{Content, StorageClassName};

use super::harness::{BodyError, Cluster, Fault, WHOLE, bytes, paused_env, pieces};
use crate::{LeaseHolder, Pool, WriteError};

const MIB: u64 = 1 << 20;

/// A body that counts how often it is asked.
fn counted(bytes: &Bytes) -> (Arc<AtomicUsize>, impl Stream<Item = Result<Bytes, BodyError>> + use<>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let body = pieces(bytes).map(move |piece| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(piece)
    });
    (asked, body)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_leaves_nothing() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    for (length, good) in
        [(500, 100), (WHOLE, 1000), (3 * MIB, 0), (3 * MIB, 2 * MIB), (3 * MIB, 3 * MIB), (WHOLE, WHOLE)]
    {
        let body = pieces(&bytes(good)).map(Ok).chain(stream::iter([Err(BodyError)]));
        assert_eq!(
            cluster.write_body(length, body).await,
            Err(WriteError::Body(BodyError)),
            "{length} {good}"
        );
        cluster.until_empty().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_another_length_than_declared_leaves_nothing() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    for declared in [0, 1, 500, WHOLE, 3 * MIB] {
        let long = bytes(declared + 1);
        let answer = cluster.write_body(declared, pieces(&long).map(Ok)).await;
        assert!(matches!(answer, Err(WriteError::BodyTooLong { .. })), "{declared} {answer:?}");
        if declared > 0 {
            let short = bytes(declared - 1);
            let answer = cluster.write_body(declared, pieces(&short).map(Ok)).await;
            let expected = WriteError::BodyTooShort { declared, received: declared - 1 };
            assert_eq!(answer, Err(expected));
        }
        cluster.until_empty().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_byte_waits_for_the_bodys_end() {
    // With all k data shards on disks the chunk could be read before its body turned out to be wrong.
    let cluster = Cluster::new(6, "4+2", 1).await;
    let good = bytes(3 * MIB);
    let (env, nodes) = (cluster.env.clone(), cluster.nodes.clone());
    let late_failure = stream::once(async move {
        env.sleep(Duration::from_secs(60)).await;
        let mut shards = 0;
        for node in &nodes {
            shards += node.shards().await.len();
        }
        assert!(shards < 4, "{shards} shards are stable");
        Err(BodyError)
    });
    let answer = cluster.write_body(3 * MIB, pieces(&good).map(Ok).chain(late_failure)).await;
    assert_eq!(answer, Err(WriteError::Body(BodyError)));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_dropped_half_way_leaves_nothing() {
    let cluster = Cluster::new(6, "4+2", 4).await;
    let half = pieces(&bytes(2 * MIB)).map(Ok).chain(stream::pending());
    let write = cluster.write_body(3 * MIB, half);
    assert!(cluster.env.timeout(Duration::from_secs(30), write).await.is_err());
    cluster.until_empty().await;

    // Dropped while the last shard is awaited, when five are stable already.
    cluster.set_fault(2, Fault::NeverStable);
    let original = bytes(3 * MIB);
    let write = cluster.write(&original);
    assert!(cluster.env.timeout(Duration::from_millis(100), write).await.is_err());
    assert_eq!(cluster.shard_count().await, 6);
    cluster.until_empty().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_node_costs_one_missing_shard_and_no_time() {
    for (length, node) in [(WHOLE, 1), (3 * MIB, 1), (3 * MIB, 5), (300_000, 0)] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        cluster.set_fault(node, Fault::Refuse);
        let began = cluster.env.now();
        let stored = cluster.write(&bytes(length)).await.unwrap();
        assert_eq!(cluster.env.now().since(began), Duration::ZERO);
        let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
        let [missing] = stored.missing[..] else { panic!("{:?}", stored.missing) };
        assert_eq!(missing.shard.chunk, manifest.extents[0].chunk);
        assert_eq!(usize::from(missing.shard.index.0), node);
        assert_eq!((missing.group, missing.coding), (manifest.extents[0].group, manifest.extents[0].coding));
        assert_eq!(missing.chunk_length, length);
    }
}

#[tokio::test(start_paused = true)]
async fn fewer_than_the_quorum_fails_as_soon_as_it_is_known() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(0, Fault::Full);
    cluster.set_fault(4, Fault::Refuse);
    let (asked, body) = counted(&bytes(30 * MIB));
    let answer = cluster.write_body(30 * MIB, body).await;
    assert_eq!(answer, Err(WriteError::NotEnoughShards { reachable: 4, needed: 5 }));
    assert!(asked.load(Ordering::Relaxed) < 100, "{} pieces were read", asked.load(Ordering::Relaxed));

    // Now it is known from the start: the body is not touched.
    let (asked, body) = counted(&bytes(MIB));
    let answer = cluster.write_body(MIB, body).await;
    assert_eq!(answer, Err(WriteError::NotEnoughShards { reachable: 4, needed: 5 }));
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    // A while after the nodes are well again, so are writes.
    cluster.set_fault(0, Fault::None);
    cluster.set_fault(4, Fault::None);
    cluster.env.sleep(Duration::from_secs(2)).await;
    assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing, []);
}

#[tokio::test(start_paused = true)]
async fn a_group_with_its_disks_up_is_preferred() {
    let cluster = Cluster::new(12, "4+2", 16).await;
    cluster.set_fault(3, Fault::Refuse);
    // The first to meet the fault learns of it; it costs each that is under way one shard.
    while cluster.write(&bytes(MIB)).await.unwrap().missing.is_empty() {}
    for _ in 0..32 {
        assert_eq!(cluster.write(&bytes(MIB)).await.unwrap().missing, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_no_shards_by_the_map_is_not_asked() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    let mut map = cluster.map().await;
    map.epoch += 1;
    map.disks[2].writable = false;
    cluster.view.update(&map);
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    assert_eq!(stored.missing.len(), 1);
    assert_eq!(cluster.nodes[2].puts.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hung_node_holds_a_write_up_for_a_bounded_time_and_the_next_not_at_all() {
    let hung = [Fault::Hang, Fault::HangAfterCells(0), Fault::HangAfterCells(3)];
    for fault in hung {
        let cluster = Cluster::new(6, "4+2", 1).await;
        cluster.set_fault(1, fault.clone());
        let began = cluster.env.now();
        let stored = cluster.write(&bytes(8 * MIB)).await.unwrap();
        assert_eq!(stored.missing.len(), 1, "{fault:?}");
        let took = cluster.env.now().since(began);
        assert!(took <= Duration::from_millis(1300), "{fault:?} {took:?}");

        let began = cluster.env.now();
        assert_eq!(cluster.write(&bytes(8 * MIB)).await.unwrap().missing.len(), 1);
        assert_eq!(cluster.env.now().since(began), Duration::ZERO, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_slow_to_be_stable_is_left_to_repair_after_the_hedge() {
    for length in [WHOLE, 300_000, 3 * MIB] {
        let cluster = Cluster::new(6, "4+2", 1).await;
        cluster.set_fault(1, Fault::NeverStable);
        let began = cluster.env.now();
        assert_eq!(cluster.write(&bytes(length)).await.unwrap().missing.len(), 1);
        let took = cluster.env.now().since(began);
        assert!(took >= Duration::from_millis(200) && took < Duration::from_millis(300), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_slows_a_write_down_and_no_more() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    cluster.set_fault(1, Fault::SlowCells(Duration::from_millis(20)));
    let original = bytes(8 * MIB);
    let began = cluster.env.now();
    let stored = cluster.write(&original).await.unwrap();
    assert!(cluster.env.now().since(began) >= Duration::from_millis(32 * 20));
    assert_eq!(stored.missing, [], "it got everything in time, however slowly");
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_written_without_a_lease() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    let never = paused_env();
    let revoked = Arc::new(LeaseHolder::start(
        &never,
        Arc::clone(&cluster.metadata) as Arc<dyn Metadata>,
        &cluster.view,
        "none",
    ));
    // Its background task has not run yet.
    let pool = Pool::new(&never, Arc::clone(&cluster.view), Arc::clone(&revoked), Arc::new(|_| {}));
    let (asked, body) = counted(&bytes(MIB));
    let answer = pool.write(&StorageClassName::standard(), Bytes::new(), MIB, body).await;
    assert_eq!(answer, Err(WriteError::LeaseNotHeld));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn misuse_is_refused_before_the_body_is_read() {
    let cluster = Cluster::new(3, "2+1", 1).await;
    let (asked, body) = counted(&bytes(MIB));
    let class = StorageClassName::new("GLACIER").unwrap();
    let answer = cluster.pool.write(&class, Bytes::new(), MIB, body).await;
    assert_eq!(answer, Err(WriteError::UnknownClass { class }));
    let (also_asked, body) = counted(&bytes(MIB));
    let owner = Bytes::from(vec![0; 2049]);
    let answer = cluster.pool.write(&StorageClassName::standard(), owner, MIB, body).await;
    assert_eq!(answer, Err(WriteError::OwnerTooLong { length: 2049, maximum: 2048 }));
    assert_eq!(asked.load(Ordering::Relaxed) + also_asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_class_without_enough_disks_takes_nothing_but_inline_content() {
    let cluster = Cluster::new(2, "4+2", 1).await;
    let (asked, body) = counted(&bytes(MIB));
    let answer = cluster.write_body(MIB, body).await;
    assert_eq!(answer, Err(WriteError::NotEnoughShards { reachable: 0, needed: 5 }));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert!(cluster.write(&bytes(100)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn shards_carry_their_owner_and_land_on_the_disks_of_the_group() {
    let cluster = Cluster::new(9, "4+2", 8).await;
    let stored = cluster.write(&bytes(MIB)).await.unwrap();
    let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
    let extent = manifest.extents[0];
    let map = cluster.map().await;
    let group = map.classes[0].groups.iter().find(|group| group.id == extent.group).unwrap();
    for (index, disk) in group.disks.iter().enumerate() {
        let node = cluster.nodes.iter().find(|node| node.disk == *disk).unwrap();
        let [shard] = node.shards().await[..] else { panic!("one shard") };
        assert_eq!((shard.chunk, usize::from(shard.index.0)), (extent.chunk, index));
        let summary =
            chunk_api::ChunkService::list_shards(&**node, *disk, chunk_api::ListShards::all(None, 10))
                .await
                .unwrap();
        assert_eq!(summary[0].header.owner, Bytes::from_static(b"owner"));
    }
}

#[tokio::test(start_paused = true)]
async fn groups_take_turns() {
    let cluster = Cluster::new(8, "1+1", 8).await;
    let mut used = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let stored = cluster.write(&bytes(MIB)).await.unwrap();
        let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
        used.insert(manifest.extents[0].group);
    }
    assert_eq!(used.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn writes_and_reads_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let cluster = Cluster::new(3, "2+1", 1).await;
    let original = bytes(MIB);
    is_send(&cluster.write(&original));
    is_send(&cluster.pool.delete(&[]));
}

/// Parts are joined by their chunks, so not even the smallest may be inline.
#[tokio::test(start_paused = true)]
async fn parts_are_never_inline() {
    let cluster = Cluster::new(6, "4+2", 1).await;
    for length in [0, 1, 100] {
        let content = bytes(length);
        let ended = AtomicUsize::new(0);
        let end = stream::iter([()]).filter_map(async |()| {
            ended.fetch_add(1, Ordering::Relaxed);
            None::<Result<Bytes, BodyError>>
        });
        let body = pieces(&content).map(Ok).chain(end);
        let owner = Bytes::from_static(b"owner");
        let stored =
            cluster.pool.write_part(&StorageClassName::standard(), owner, length, body).await.unwrap();
        assert_eq!(ended.into_inner(), 1, "the body is read to its end");
        let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
        assert_eq!(manifest.length(), length);
        assert_eq!(cluster.read(&stored.content, 0, length).await.unwrap(), content);
    }
}
