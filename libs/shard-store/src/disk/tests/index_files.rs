//! Index files: a start comes to the same state with them and without, reads little, and none is relied on that may not be.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use chunk_api::{CellRange, Error, ListShards, Purpose, ShardBody, ShardHeader, conformance::Sample};
use env::{Disk, OpenMode};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream,
};
use types::{GroupId, ShardId, ShardIndex};

use super::{
    super::{
        format::{IndexFile, Salt},
        segment::SegmentName,
    },
    DiskOptions, DiskStore, Reserve, options,
    sim::{Change, Rng, SimDisk},
};
use crate::ShardStore;

fn small_segments() -> DiskOptions {
    DiskOptions { segment_bytes: 48 << 10, ..options(Path::new("/disk")) }
}

async fn open(disk: &SimDisk) -> DiskStore {
    DiskStore::open(&disk.env(), small_segments()).await.unwrap()
}

/// The newest segment that is to be given an index file.
fn missing(store: &DiskStore) -> Option<SegmentName> {
    Some(store.handle.shared.index().newest_without_index_file(&BTreeSet::new())?.0)
}

async fn put(store: &DiskStore, sample: &Sample, purpose: Purpose) -> Result<(), Error> {
    store.put(sample.header.clone(), sample.whole(), purpose).await
}

async fn put_all(store: &DiskStore, samples: &[Sample]) {
    let puts = join_all(samples.iter().map(|sample| put(store, sample, Purpose::Write))).await;
    assert!(puts.iter().all(Result::is_ok));
}

/// A closed disk of many full segments, each with its index file.
async fn indexed_disk() -> (SimDisk, Vec<Sample>) {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await;
    let samples: Vec<_> = (0..60).map(|name| Sample::single(1, name, 5000)).collect();
    for some in samples.chunks(6) {
        put_all(&store, some).await;
    }
    store.handle.write_index_files(false).await.unwrap();
    store.close().await;
    assert_eq!(index_files(&disk).len() + 1, segments(&disk).len());
    assert!(segments(&disk).len() > 5);
    (disk, samples)
}

fn with_extension(disk: &SimDisk, kind: &str, extension: &str) -> Vec<PathBuf> {
    let is_kind = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    let paths = disk.files().into_iter().map(|(path, _)| path).filter(is_kind);
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn index_files(disk: &SimDisk) -> Vec<PathBuf> {
    with_extension(disk, "shards", "index")
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    with_extension(disk, "shards", "segment")
}

fn without_index_files(disk: &SimDisk) -> SimDisk {
    let copy = disk.copy();
    index_files(&copy).iter().for_each(|path| copy.remove(path).unwrap());
    copy
}

fn write_file(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    disk.open(path, OpenMode::CreateNew).unwrap().write_all_at(bytes, 0).unwrap();
}

fn name_of(index_file: &Path) -> SegmentName {
    SegmentName::parse_index_file(index_file.file_name().unwrap().to_str().unwrap()).unwrap()
}

/// What callers see of a disk, and what it counts.
#[derive(Debug, PartialEq)]
struct State {
    listed: Vec<ShardHeader>,
    damaged: Vec<ShardHeader>,
    verdicts: Vec<Result<(), Error>>,
    /// What a repair of each name would be told.
    refusals: Vec<Option<Error>>,
    counts: [u64; 5],
}

async fn state(store: &DiskStore, samples: &[Sample]) -> State {
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|line| line.header).collect();
    let names: Vec<_> = listed.iter().map(|header| header.shard).collect();
    let status = store.status().await;
    let refusal = |sample: &Sample| {
        let mut index = store.handle.shared.index();
        let begun = index.begin(&(&sample.header).into(), Purpose::Repair);
        index.end(sample.shard());
        begun.err()
    };
    let counts = [
        status.shards,
        status.live_bytes,
        status.dead_bytes,
        status.damaged_records,
        status.quarantined_records,
    ];
    State {
        damaged: store.list_damaged().await.unwrap(),
        verdicts: store.verify(&names).await.unwrap(),
        refusals: samples.iter().map(refusal).collect(),
        listed,
        counts,
    }
}

/// A disk after a random load: puts, deletions, evictions, damage and its repair, rewriting, restarts.
async fn random_disk(rng: &mut Rng) -> (SimDisk, Vec<Sample>) {
    let mut disk = SimDisk::new(64 << 20);
    let mut store = open(&disk).await;
    let mut samples = Vec::<Sample>::new();
    for turn in 0..40 {
        match rng.below(16) {
            0..8 => {
                let more = (0..1 + rng.below(5)).map(|number| {
                    let length = if rng.below(12) == 0 { 300_000 } else { rng.below(8000) };
                    let mut sample = Sample::single(1, turn * 10 + number, length);
                    sample.header.group = GroupId(i32::try_from(rng.below(4)).unwrap());
                    sample.header.epoch = i64::try_from(turn).unwrap();
                    sample
                });
                let more: Vec<_> = more.collect();
                // Some are refused: their group has been evicted.
                join_all(more.iter().map(|sample| put(&store, sample, Purpose::Write))).await;
                samples.extend(more);
            }
            8..11 if !samples.is_empty() => {
                let some = |_| samples[rng.below(samples.len() as u64) as usize].shard();
                let names: Vec<ShardId> = (0..4).map(some).collect();
                store.delete(&names).await.unwrap();
            }
            11 => {
                let group = GroupId(i32::try_from(rng.below(4)).unwrap());
                let epoch = i64::try_from(rng.below(turn + 1)).unwrap() / 2;
                store.evict_group(group, ShardIndex(0), epoch).await.unwrap();
            }
            12 if !samples.is_empty() => {
                let sample = &samples[rng.below(samples.len() as u64) as usize];
                let found = store.handle.shared.index().find(sample.shard());
                let Ok((place, segment)) = found else { continue };
                let at = usize::try_from(place.position()).unwrap() + 82;
                disk.tamper(&Path::new("/disk").join(segment.file_name()), |data| data[at] ^= 1);
                if rng.below(2) == 0 {
                    let repaired = put(&store, sample, Purpose::Repair).await;
                    // Damage done twice is none.
                    assert!(matches!(repaired, Ok(()) | Err(Error::ShardExists { .. })), "{repaired:?}");
                }
            }
            13 => while store.handle.rewrite_sparsest(true, false).await.unwrap().is_some() {},
            14 => store.handle.write_index_files(false).await.unwrap(),
            15 => {
                store.close().await;
                disk = disk.copy();
                store = open(&disk).await;
            }
            _ => {}
        }
    }
    store.handle.write_index_files(false).await.unwrap();
    store.close().await;
    (disk, samples)
}

#[tokio::test]
async fn a_start_comes_to_the_same_state_with_index_files_and_without() {
    let (mut files, mut ended) = (0, 0);
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let (disk, samples) = random_disk(&mut rng).await;
        files += index_files(&disk).len();
        let scanned = state(&open(&without_index_files(&disk)).await, &samples).await;
        ended += scanned.refusals.iter().flatten().count();
        let indexed = open(&disk.copy()).await;
        assert_eq!(indexed.handle.shared.index().index_files(), index_files(&disk).len());
        assert_eq!(state(&indexed, &samples).await, scanned, "seed {seed}");
        // Some are there, some are gone, some are torn.
        let mixed = disk.copy();
        for path in index_files(&mixed) {
            match rng.below(3) {
                0 => mixed.remove(&path).unwrap(),
                1 => mixed.tamper(&path, |data| data.truncate(rng.below(data.len() as u64) as usize)),
                _ => {}
            }
        }
        assert_eq!(state(&open(&mixed).await, &samples).await, scanned, "seed {seed}");
    }
    assert!(files > 300 && ended > 300, "{files} index files, {ended} names ended");
}

#[tokio::test]
async fn a_start_reads_index_files_in_place_of_segments() {
    let (disk, samples) = indexed_disk().await;
    let read_by_start = async |disk: SimDisk| {
        let before = disk.read_bytes();
        let store = open(&disk).await;
        let read = disk.read_bytes() - before;
        assert_eq!(state(&store, &samples).await.listed.len(), samples.len());
        read
    };
    let full: usize = disk.files().iter().map(|(_, length)| length).sum();
    let with = read_by_start(disk.copy()).await;
    let without = read_by_start(without_index_files(&disk)).await;
    // Both read the newest segment, and the marks with the room that is reserved for them.
    assert!(without - with > 300_000, "{with} of {full} with index files, {without} without");
}

#[tokio::test]
async fn an_index_file_that_may_not_be_relied_on_is_removed_and_made_anew() {
    let (disk, samples) = indexed_disk().await;
    let wanted = index_files(&disk);
    let good = disk.read_small(&wanted[0], 1 << 20).unwrap();
    let (one, other) = (name_of(&wanted[0]), name_of(&wanted[1]));
    let decoded = IndexFile::decode(&good, one.number, one.salt).unwrap();
    let mut longer = decoded.clone();
    longer.end += 4096;
    let mut newer = good.clone();
    newer[8] = 2;
    let crc = checksum::crc32c(&newer[..newer.len() - 4]).to_le_bytes();
    let end = newer.len();
    newer[end - 4..].copy_from_slice(&crc);
    let bad = [
        ("torn", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("zeros", vec![0; good.len()]),
        ("of another segment", disk.read_small(&wanted[1], 1 << 20).unwrap()),
        ("of another number", decoded.encode(other.number, one.salt)),
        ("of another salt", decoded.encode(one.number, Salt(one.salt.0 ^ 1))),
        ("of a longer segment", longer.encode(one.number, one.salt)),
        ("of a newer version", newer),
        ("too long", vec![7; 1 << 20]),
    ];
    for (what, bytes) in bad {
        let disk = disk.copy();
        disk.remove(&wanted[0]).unwrap();
        write_file(&disk, &wanted[0], &bytes);
        let store = open(&disk).await;
        assert_eq!(index_files(&disk), wanted[1..], "{what}");
        let state = state(&store, &samples).await;
        assert_eq!((state.listed.len(), state.counts[3]), (samples.len(), 0), "{what}");
        store.handle.write_index_files(false).await.unwrap();
        assert_eq!(index_files(&disk), wanted, "{what}");
        assert_eq!(disk.read_small(&wanted[0], 1 << 20).unwrap(), good, "{what}");
    }
}

#[tokio::test]
async fn every_flipped_byte_of_an_index_file_is_noticed() {
    let (disk, samples) = indexed_disk().await;
    let path = index_files(&disk).remove(2);
    let length = disk.read_small(&path, 1 << 20).unwrap().len();
    for at in 0..length {
        let flipped = disk.copy();
        flipped.tamper(&path, |data| data[at] ^= 0x40);
        let store = open(&flipped).await;
        assert!(!index_files(&flipped).contains(&path), "byte {at}");
        assert_eq!(store.status().await.shards, samples.len() as u64);
    }
}

#[tokio::test]
async fn index_files_of_segments_that_are_gone_are_removed() {
    let (disk, samples) = indexed_disk().await;
    let path = index_files(&disk).remove(0);
    let bytes = disk.read_small(&path, 1 << 20).unwrap();
    let store = open(&disk).await;
    // The writer removes both.
    let names: Vec<_> = samples[..12].iter().map(Sample::shard).collect();
    store.delete(&names).await.unwrap();
    store.close().await;
    let stems = |paths: Vec<PathBuf>| {
        paths.into_iter().map(|path| path.with_extension("")).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(!disk.exists(&path).unwrap());
    assert!(stems(index_files(&disk)).is_subset(&stems(segments(&disk))));
    // A removal that a power cut undid, and files of segments that never were.
    write_file(&disk, &path, &bytes);
    write_file(&disk, Path::new("/disk/shards-00000fff-0123456789abcdef.index"), &bytes);
    write_file(&disk, Path::new("/disk/marks-00000001-0123456789abcdef.index"), &bytes);
    let store = open(&disk).await;
    assert!(stems(index_files(&disk)).is_subset(&stems(segments(&disk))));
    assert_eq!(with_extension(&disk, "marks", "index"), Vec::<PathBuf>::new());
    assert_eq!(store.status().await.shards, 48);
}

#[tokio::test]
async fn an_index_file_leaves_the_reserve_alone_and_its_failure_is_not_the_disks() {
    let (disk, samples) = indexed_disk().await;
    let disk = without_index_files(&disk);
    let full = DiskOptions { reserve: Reserve { bytes: 1 << 40, percent: 0 }, ..small_segments() };
    let store = DiskStore::open(&disk.env(), full).await.unwrap();
    store.handle.write_index_files(false).await.unwrap();
    assert_eq!(index_files(&disk), Vec::<PathBuf>::new());
    store.close().await;

    let store = open(&disk).await;
    disk.refuse_new_files();
    store.handle.write_index_files(false).await.unwrap();
    assert_eq!(index_files(&disk), Vec::<PathBuf>::new());
    let status = store.status().await;
    assert!(status.writable && !status.failed);
    assert_eq!(store.delete(&[samples[0].shard()]).await, Ok(()));
    assert_eq!(missing(&store), None, "it is not tried again and again");
    store.close().await;
}

#[tokio::test]
async fn a_closed_disk_makes_no_index_files() {
    let (disk, _) = indexed_disk().await;
    let disk = without_index_files(&disk);
    let store = open(&disk).await;
    assert_ne!(missing(&store), None);
    store.close().await;
    let closed = store.handle.write_index_files(false).await;
    assert!(matches!(closed, Err(Error::Unavailable { .. })), "{closed:?}");
    assert_eq!(index_files(&disk), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_segment_that_is_gone_on_with_has_no_index_file_that_counts() {
    let (disk, samples) = indexed_disk().await;
    let newest_index = index_files(&disk).pop().unwrap();
    let stale = disk.read_small(&newest_index, 1 << 20).unwrap();
    // The newest segment is gone, so that the one before it is gone on with.
    disk.remove(&segments(&disk).pop().unwrap()).unwrap();
    let with_room = DiskOptions { segment_bytes: 96 << 10, ..small_segments() };
    let store = DiskStore::open(&disk.env(), with_room).await.unwrap();
    assert!(!disk.exists(&newest_index).unwrap());
    let kept = store.list(ListShards::all(None, 1000)).await.unwrap().len();
    assert!(kept < samples.len());
    let more: Vec<_> = (0..30).map(|name| Sample::single(2, name, 100 * name)).collect();
    for sample in &more {
        put_all(&store, std::slice::from_ref(sample)).await;
    }
    let (place, segment) = store.handle.shared.index().find(more[0].shard()).unwrap();
    assert_eq!(segment, name_of(&newest_index), "at {}", place.position());
    store.close().await;
    // Even when its removal was undone.
    write_file(&disk, &newest_index, &stale);
    let store = open(&disk).await;
    assert!(!disk.exists(&newest_index).unwrap());
    assert_eq!(store.status().await.shards, (kept + more.len()) as u64);
    for sample in &more {
        assert_eq!(store.verify(&[sample.shard()]).await, Ok(vec![Ok(())]));
    }
}

/// What a scan would have found is found by a scrub, which verifies every shard, and by reads.
#[tokio::test]
async fn rot_behind_an_index_file_is_found_by_verification_and_repaired() {
    let (disk, samples) = indexed_disk().await;
    let store = open(&disk).await;
    let sample = &samples[3];
    let shard = sample.shard();
    let (place, segment) = store.handle.shared.index().find(shard).unwrap();
    store.close().await;
    let start = usize::try_from(place.position()).unwrap();
    let length = usize::try_from(place.record.layout().length).unwrap();
    let footer = usize::try_from(place.record.layout().footer).unwrap();
    let path = Path::new("/disk").join(segment.file_name());
    for (rotted, is_cell) in [
        (start..start + 80, false),
        (start + footer..start + footer + 32, false),
        (start..start + length, true),
    ] {
        let disk = disk.copy();
        disk.tamper(&path, |data| data[rotted].fill(0));
        let store = open(&disk).await;
        let corrupt = Err(Error::ShardCorrupt { shard, cell: 0 });
        assert_eq!(store.verify(&[shard, samples[4].shard()]).await, Ok(vec![corrupt, Ok(())]));
        let read = store.read_cells(shard, CellRange { first: 0, count: 1 }).await;
        assert_eq!(read.is_err(), is_cell, "cells are served as long as they are right");
        assert_eq!(put(&store, sample, Purpose::Repair).await, Ok(()));
        store.close().await;
        let store = open(&disk).await;
        assert_eq!(store.verify(&[shard]).await, Ok(vec![Ok(())]));
    }
}

#[tokio::test]
async fn a_segment_gets_its_index_file_when_nothing_in_it_is_open() {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await;
    let large = Sample::single(1, 1, 400_000);
    let (cells, rest) = large.cells.split_at(2);
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let first = futures_util::stream::iter(cells.to_vec()).map(Ok);
    let rest = rest.to_vec();
    let later = futures_util::stream::once(async move {
        receiver.await.unwrap();
        futures_util::stream::iter(rest).map(Ok)
    });
    let body = ShardBody::Stream(Box::pin(first.chain(later.flatten())));
    let mut streamed = Box::pin(store.put(large.header.clone(), body, Purpose::Write));
    let given_up = Sample::single(1, 2, 400_000);
    let never = ShardBody::Stream(Box::pin(futures_util::stream::pending()));
    let mut abandoned = Box::pin(store.put(given_up.header.clone(), never, Purpose::Write));
    // Each has a segment of its own, as it is longer than one.
    while segments(&disk).len() < 2 {
        assert!(futures_util::poll!(&mut streamed).is_pending());
        if segments(&disk).len() == 1 {
            assert!(futures_util::poll!(&mut abandoned).is_pending());
        }
        tokio::task::yield_now().await;
    }
    let small: Vec<_> = (10..30).map(|name| Sample::single(1, name, 5000)).collect();
    put_all(&store, &small).await;
    let streaming = segments(&disk)[0].with_extension("index");
    store.handle.write_index_files(false).await.unwrap();
    assert!(!index_files(&disk).is_empty() && !disk.exists(&streaming).unwrap());
    sender.send(()).unwrap();
    assert_eq!(streamed.await, Ok(()));
    // Its room is given back after the answer, and before the next request is looked at.
    put_all(&store, &[Sample::single(1, 98, 10)]).await;
    store.handle.write_index_files(false).await.unwrap();
    assert!(disk.exists(&streaming).unwrap());
    drop(abandoned);
    store.close().await;
    let store = open(&disk).await;
    assert_eq!(store.status().await.damaged_records, 0);
    assert_eq!(store.verify(&[large.shard()]).await, Ok(vec![Ok(())]));
}

/// A put that gets a part of its cells and waits for more.
fn stuck_put<'a>(store: &'a DiskStore, sample: &Sample) -> BoxFuture<'a, Result<(), Error>> {
    let some = stream::iter(sample.cells[..1].to_vec()).map(Ok);
    let body = ShardBody::Stream(Box::pin(some.chain(stream::pending())));
    store.put(sample.header.clone(), body, Purpose::Write)
}

/// How many headers of shards there are in a segment.
fn headers(disk: &SimDisk, segment: &Path) -> usize {
    let bytes = disk.read_small(segment, 64 << 20).unwrap();
    bytes.chunks(512).filter(|sector| sector.starts_with(b"ASHR")).count()
}

fn large_segments() -> DiskOptions {
    DiskOptions { segment_bytes: 1 << 20, ..small_segments() }
}

/// The first segment of a disk, which is full: in it are shards that are kept, and the room of a put that is stuck.
async fn segment_of_stuck_put<'a>(
    disk: &SimDisk,
    store: &'a DiskStore,
) -> (PathBuf, BoxFuture<'a, Result<(), Error>>) {
    put_all(store, &[Sample::single(1, 1, 5000)]).await;
    let segment = segments(disk).remove(0);
    let mut stuck = stuck_put(store, &Sample::single(1, 2, 400_000));
    while headers(disk, &segment) < 2 {
        assert!(futures_util::poll!(&mut stuck).is_pending());
        tokio::task::yield_now().await;
    }
    for name in (10..).take_while(|_| segments(disk).len() == 1) {
        put_all(store, &[Sample::single(1, name, 200_000)]).await;
    }
    (segment, stuck)
}

#[tokio::test]
async fn room_that_was_given_up_holds_an_index_file_up_until_it_is_voided() {
    let disk = SimDisk::new(64 << 20);
    let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    let (segment, stuck) = segment_of_stuck_put(&disk, &store).await;
    let index_file = segment.with_extension("index");
    store.handle.write_index_files(false).await.unwrap();
    assert!(!disk.exists(&index_file).unwrap(), "a put has room in it");
    drop(stuck);
    store.handle.write_index_files(false).await.unwrap();
    assert!(!disk.exists(&index_file).unwrap(), "the room is not voided yet");
    // Even while it is being voided.
    let (name, shared) = (missing(&store).unwrap(), store.handle.shared.clone());
    disk.before_next(Change::Write, move || {
        shared.make_index_file(name, 1 << 20);
    });
    put_all(&store, &[Sample::single(1, 98, 10)]).await;
    assert!(!disk.exists(&index_file).unwrap());
    store.handle.write_index_files(false).await.unwrap();
    assert!(disk.exists(&index_file).unwrap());
    store.close().await;
    let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    assert_eq!(store.handle.shared.index().index_files(), 1);
    assert_eq!(store.status().await.damaged_records, 0);
}

/// A put that a kill cut short leaves a header alone, whose shard is known as damaged until it is deleted.
#[tokio::test]
async fn a_segment_gets_its_index_file_once_what_a_kill_left_in_it_has_ended() {
    let disk = SimDisk::new(64 << 20);
    let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    let (segment, stuck) = segment_of_stuck_put(&disk, &store).await;
    let index_file = segment.with_extension("index");
    let killed = disk.after_kill();
    drop(stuck);
    let disk = killed;
    let mut damaged = Vec::new();
    for _ in 0..2 {
        let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
        damaged = store.list_damaged().await.unwrap();
        assert_eq!(damaged.len(), 1);
        assert_eq!(missing(&store), None, "it is not scanned in vain");
        store.close().await;
    }
    let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    assert_eq!(store.delete(&[damaged[0].shard]).await, Ok(()));
    store.close().await;
    let store = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    store.handle.write_index_files(false).await.unwrap();
    assert!(disk.exists(&index_file).unwrap());
    store.close().await;
    let scanned = without_index_files(&disk);
    let samples = [Sample::single(1, 1, 5000), Sample::single(1, 2, 400_000)];
    let indexed = DiskStore::open(&disk.env(), large_segments()).await.unwrap();
    assert_eq!(indexed.handle.shared.index().index_files(), 1);
    let scanned = DiskStore::open(&scanned.env(), large_segments()).await.unwrap();
    assert_eq!(state(&indexed, &samples).await, state(&scanned, &samples).await);
    assert_eq!(indexed.status().await.damaged_records, 0);
}

/// Whoever opens a disk after it was closed has it alone.
#[tokio::test]
async fn a_disk_that_is_closed_during_a_scan_waits_for_its_end() {
    let (disk, _) = indexed_disk().await;
    let disk = without_index_files(&disk);
    // A power cut has undone that the newest full one was cut to its end.
    let full = segments(&disk).into_iter().rev().nth(1).unwrap();
    disk.tamper(&full, |data| data.resize(data.len() + 8192, 0));
    let store = open(&disk).await;
    assert_eq!(missing(&store), Some(name_of(&full.with_extension("index"))));
    let (cuts, is_cutting) = tokio::sync::oneshot::channel();
    let (closed, is_closed) = std::sync::mpsc::channel::<()>();
    disk.before_next(Change::SetLength, move || {
        cuts.send(()).unwrap();
        let waited = is_closed.recv_timeout(std::time::Duration::from_millis(300));
        assert!(waited.is_err(), "closed while a segment is being cut");
    });
    let close = async {
        is_cutting.await.unwrap();
        store.close().await;
        // Whoever would have heard it is gone, when all is well.
        let _ = closed.send(());
    };
    let (written, ()) = tokio::join!(store.handle.write_index_files(false), close);
    assert!(matches!(written, Err(Error::Unavailable { .. })), "{written:?}");
    assert_eq!(index_files(&disk).len(), 1);
}

#[tokio::test]
async fn disks_take_turns_and_the_newest_segment_comes_first_whenever_one_is_free() {
    let disk = SimDisk::new(64 << 20);
    let options = small_segments();
    let turns = options.scan_turns.clone();
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    let fill = async |first: u64| {
        let before = segments(&disk).len();
        for name in (first..).take_while(|_| segments(&disk).len() < before + 3) {
            put_all(&store, &[Sample::single(1, name, 5000)]).await;
        }
    };
    fill(0).await;
    let turn = turns.take().await;
    let mut pass = Box::pin(store.handle.write_index_files(false));
    for _ in 0..20 {
        assert!(futures_util::poll!(&mut pass).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(index_files(&disk).len(), 0, "it is another disk's turn");
    fill(100).await;
    let newest_full = segments(&disk).into_iter().rev().nth(1).unwrap().with_extension("index");
    let seen = disk.clone();
    // The first write of the pass. Should this panic, the pass fails.
    disk.before_next(Change::Write, move || {
        assert_eq!(index_files(&seen), [newest_full]);
        assert!(turns.take().now_or_never().is_none(), "a turn lasts as long as what was found is held");
    });
    drop(turn);
    assert_eq!(pass.await, Ok(()));
    assert_eq!(index_files(&disk).len() + 1, segments(&disk).len());
}
