//! What is written is read, at every length and range, with up to m shards lost.

use bytes::Bytes;
use proptest::prelude::*;
use types::{CHUNK_SIZE_MAX, Coding, Content};

use crate::limits::{READ_AHEAD, WRITE_LAG_MAX};

use super::harness::{Cluster, Fault, INLINE, WHOLE, boundary_lengths, bytes, run_paused};

#[tokio::test(start_paused = true)]
async fn every_boundary_length_round_trips_in_its_form() {
    for text in ["1+0", "1+2", "2+1", "3+2", "4+2"] {
        let coding: Coding = text.parse().unwrap();
        let cluster = Cluster::new(coding.total(), text, 4).await;
        for length in boundary_lengths(coding.data() as u64) {
            let original = bytes(length);
            let stored = cluster.write(&original).await.unwrap();
            assert_eq!(stored.missing, [], "{text} {length}");
            match &stored.content {
                Content::Inline(inline) => {
                    assert!(length <= INLINE && *inline == original, "{text} {length}");
                    assert_eq!(stored.lease, None);
                }
                Content::Stored(manifest) => {
                    assert!(length > INLINE, "{text} {length}");
                    assert_eq!(stored.lease, Some(manifest.extents[0].chunk.lease));
                    let expected = if length <= WHOLE { coding.as_copies() } else { coding };
                    assert!(
                        manifest.extents.iter().all(|extent| extent.coding == expected),
                        "{text} {length}"
                    );
                    assert_eq!(manifest.length(), length);
                    assert_eq!(manifest.extents[0].checksum, checksum::crc64(&original));
                }
            }
            assert!(cluster.read_all(&stored.content).await.unwrap() == original, "{text} {length}");
        }
        assert!(cluster.bad.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_longer_than_a_chunk_becomes_several() {
    let chunk = CHUNK_SIZE_MAX / (3 << 16) * (3 << 16);
    let cluster = Cluster::new(4, "3+1", 4).await;
    let original = bytes(chunk + 1);
    let stored = cluster.write(&original).await.unwrap();
    let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
    let lengths: Vec<u64> = manifest.extents.iter().map(|extent| extent.length).collect();
    assert_eq!(lengths, [chunk, 1]);
    assert!(cluster.read_all(&stored.content).await.unwrap() == original);
    let across = cluster.read(&stored.content, chunk - 100_000, chunk + 1).await.unwrap();
    assert!(across == original[chunk as usize - 100_000..]);
    let Content::Stored(manifest) = &stored.content else { panic!("not inline") };
    assert_eq!(cluster.pool.delete(&manifest.extents).await.unreached, []);
    assert_eq!(cluster.shard_count().await, 0);
}

/// A body whose length is not declared becomes what one of that length becomes, up to what is read ahead.
#[tokio::test(start_paused = true)]
async fn a_body_without_a_length_round_trips() {
    let coding: Coding = "3+1".parse().unwrap();
    let cluster = Cluster::new(4, "3+1", 4).await;
    let chunk = READ_AHEAD / coding.stripe_size() * coding.stripe_size();
    for length in [
        0,
        1,
        INLINE,
        INLINE + 1,
        WHOLE,
        WHOLE + 1,
        chunk,
        READ_AHEAD,
        READ_AHEAD + 1,
        3 * chunk,
        3 * chunk + 1,
    ] {
        let original = bytes(length);
        let stored = cluster.write_undeclared(&original).await.unwrap();
        match &stored.content {
            Content::Inline(inline) => assert!(length <= INLINE && *inline == original, "{length}"),
            Content::Stored(manifest) => {
                assert!(length > INLINE, "{length}");
                assert_eq!(manifest.length(), length);
                let expected = if length <= WHOLE { coding.as_copies() } else { coding };
                assert!(manifest.extents.iter().all(|extent| extent.coding == expected), "{length}");
                let longest = if length <= READ_AHEAD { length } else { chunk };
                assert!(manifest.extents.iter().all(|extent| extent.length <= longest), "{length}");
                assert_eq!(manifest.extents.len() as u64, length.div_ceil(longest));
            }
        }
        assert!(cluster.read_all(&stored.content).await.unwrap() == original, "{length}");
    }
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Refuse),
        Just(Fault::Hang),
        Just(Fault::Forgetful),
        Just(Fault::Corrupt),
        Just(Fault::Short),
        Just(Fault::Few),
        Just(Fault::Misplaced),
        // In time by a hair: a streamed shard that is waited for longer may be given up, and a disk that hangs be kept instead.
        Just(Fault::Slow(WRITE_LAG_MAX - std::time::Duration::from_millis(1))),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    coding: &'static str,
    length: u64,
    range: (u64, u64),
    order: Vec<usize>,
    faults: Vec<Fault>,
}

fn cases() -> impl Strategy<Value = Case> {
    let coding = prop::sample::select(vec!["1+1", "1+2", "2+1", "2+2", "3+2", "4+2", "6+3", "8+4"]);
    coding.prop_flat_map(|text| {
        let coding: Coding = text.parse().unwrap();
        let longest = coding.stripe_size() * 5;
        let length = prop_oneof![1 + INLINE..=WHOLE, WHOLE + 1..longest, Just(coding.stripe_size() * 2)];
        let order = Just((0..coding.total()).collect::<Vec<_>>()).prop_shuffle();
        let faults = prop::collection::vec(faults(), 0..=coding.parity());
        (length, 0.0..=1.0_f64, 0.0..=1.0_f64, order, faults).prop_map(
            move |(length, a, b, order, faults)| {
                let (a, b) = ((a * length as f64) as u64, (b * length as f64) as u64);
                Case { coding: text, length, range: (a.min(b), a.max(b)), order, faults }
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_range_is_read_with_up_to_m_shards_lost(case in cases()) {
        run_paused(async {
            let coding: Coding = case.coding.parse().unwrap();
            let cluster = Cluster::new(coding.total(), case.coding, 1).await;
            let original = bytes(case.length);
            let stored = cluster.write(&original).await.unwrap();
            for (node, fault) in case.order.iter().zip(&case.faults) {
                cluster.set_fault(*node, fault.clone());
            }
            let (start, end) = case.range;
            for _ in 0..2 {
                let read = cluster.read(&stored.content, start, end).await.unwrap();
                assert!(read == original[start as usize..end as usize]);
                let all = cluster.read_all(&stored.content).await.unwrap();
                assert!(all == original);
            }
        });
    }

    #[test]
    fn writes_with_shards_lost_beyond_no_quorum_are_read(case in cases()) {
        run_paused(async {
            let coding: Coding = case.coding.parse().unwrap();
            let cluster = Cluster::new(coding.total(), case.coding, 1).await;
            let original: Bytes = bytes(case.length);
            let form = if case.length <= WHOLE { coding.as_copies() } else { coding };
            let bad_on_write = |fault: &Fault| matches!(fault, Fault::Refuse | Fault::Hang);
            // Copies are on the first m + 1 nodes alone.
            let lost = case.order.iter().zip(&case.faults).filter(|(node, fault)| {
                cluster.set_fault(**node, (*fault).clone());
                bad_on_write(fault) && **node < form.total()
            }).count();
            let answer = cluster.write(&original).await;
            if form.total() - lost >= form.write_quorum() {
                let stored = answer.unwrap();
                let slow = case.faults.iter().filter(|fault| matches!(fault, Fault::Slow(_))).count();
                assert!((lost..=lost + slow).contains(&stored.missing.len()), "{:?}", stored.missing);
                (0..cluster.nodes.len()).for_each(|node| cluster.set_fault(node, Fault::None));
                assert!(cluster.read_all(&stored.content).await.unwrap() == original);
            } else {
                assert!(matches!(answer, Err(crate::WriteError::NotEnoughShards { .. })), "{answer:?}");
                (0..cluster.nodes.len()).for_each(|node| cluster.set_fault(node, Fault::None));
                cluster.until_empty().await;
            }
        });
    }
}
