use proptest::prelude::*;
use types::{ByteRange, ChunkId, Coding, Extent, GroupId, LeaseId, Manifest};

use super::Windows;
use crate::limits::{READ_CELLS_AT_ONCE, READ_WINDOW};

fn extent(counter: u64, coding: Coding, chunk_length: u64, offset: u64, length: u64) -> Extent {
    let chunk = ChunkId { lease: LeaseId(1), counter };
    Extent { chunk, group: GroupId(1), coding, chunk_length, offset, length, checksum: 0 }
}

fn manifests() -> impl Strategy<Value = (Manifest, ByteRange)> {
    let coding = prop::sample::select(vec!["1+0", "1+2", "3+2", "8+4", "32+4"]);
    let one = (coding, 1..20_000_000_u64, 0.0..1.0_f64, 0.0..1.0_f64, any::<bool>());
    let manifest = prop::collection::vec(one, 1..4).prop_map(|entries| {
        let entries = entries.into_iter().enumerate();
        let extents = entries.map(|(number, (coding, chunk, a, b, whole))| {
            let offset = if whole { 0 } else { (a * chunk as f64) as u64 };
            let length = if whole { chunk } else { ((chunk - offset) as f64 * b) as u64 };
            extent(number as u64, coding.parse().unwrap(), chunk, offset, length)
        });
        Manifest { extents: extents.collect() }
    });
    (manifest, 0.0..=1.0_f64, 0.0..=1.0_f64).prop_map(|(manifest, a, b)| {
        let length = manifest.length() as f64;
        let (a, b) = ((a * length) as u64, (b * length) as u64);
        (manifest, ByteRange::new(a.min(b), a.max(b)).unwrap())
    })
}

proptest! {
    #[test]
    fn windows_cover_the_range_once_in_order((manifest, range) in manifests(), short in prop::collection::vec(any::<bool>(), 1..40)) {
        // Where the range is, as runs of chunk bytes, found byte by byte at the borders of extents.
        let mut expected = Vec::new();
        let mut at = 0;
        for extent in &manifest.extents {
            let (from, to) = (range.start().clamp(at, at + extent.length), range.end().clamp(at, at + extent.length));
            if from < to {
                expected.push((extent.chunk, extent.offset + from - at, extent.offset + to - at));
            }
            at += extent.length;
        }
        let mut found: Vec<(ChunkId, u64, u64)> = Vec::new();
        let mut windows = Windows::new(&manifest, range);
        for short in short.into_iter().cycle() {
            let cells_max = if short { u64::from(READ_CELLS_AT_ONCE) } else { 64 };
            windows.set_short(short);
            let peeked = windows.peek().map(Result::unwrap);
            let Some(window) = windows.next().map(Result::unwrap) else { break };
            prop_assert_eq!(peeked, Some(window));
            let (first, end) = window.stripes();
            let size = window.extent.coding.stripe_size();
            prop_assert!(window.from < window.to && end > first);
            prop_assert!((end - first) * size <= READ_WINDOW.max(size) && end - first <= cells_max);
            let split: Vec<_> = window.split().collect();
            prop_assert_eq!(split.len() as u64, end - first);
            prop_assert_eq!((split[0].from, split[split.len() - 1].to), (window.from, window.to));
            match found.last_mut() {
                Some(last) if last.0 == window.extent.chunk && last.2 == window.from => last.2 = window.to,
                _ => found.push((window.extent.chunk, window.from, window.to)),
            }
        }
        prop_assert_eq!(found, expected);
    }
}
