//! Segments of marks are condensed: lone marks come to cost a few bytes each, and none is lost wherever the power goes.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use chunk_api::{Error, Purpose, conformance::Sample};
use env::Disk;
use types::{GroupId, LeaseId, ShardId, ShardIndex};

use super::{
    super::compact::Rewritten,
    DiskOptions, DiskStore, Reserve, options,
    sim::{Change, Rng, SimDisk},
};
use crate::ShardStore;

/// Segments of marks take fifteen groups of one block.
const SEGMENT: u64 = 64 << 10;

/// What a name that is deleted alone takes when nothing is condensed: a block.
const LONE: u64 = 4096;

/// Bytes of a name in a segment that stays as its marks take half of it. The headers and footers of its records are shared
/// by many.
const CONDENSED: u64 = 2 * 17;

pub(super) async fn open_with(disk: &SimDisk, mark_segment_bytes: u64) -> DiskStore {
    let options = DiskOptions { mark_segment_bytes, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await.unwrap()
}

pub(super) async fn condense_all(store: &DiskStore) -> Vec<Rewritten> {
    let mut all = Vec::new();
    while let Some(rewritten) = store.handle.condense_sparsest(false).await.unwrap() {
        all.push(rewritten);
    }
    all
}

pub(super) fn segments(disk: &SimDisk) -> Vec<(PathBuf, u64)> {
    let is_marks = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with("marks-");
    let files = disk.files().into_iter().filter(|(path, _)| is_marks(path));
    files.map(|(path, length)| (path, length as u64)).collect()
}

fn segment_bytes(disk: &SimDisk) -> u64 {
    segments(disk).iter().map(|(_, length)| length).sum()
}

fn shard(name: u64) -> ShardId {
    Sample::single(1, name, 0).shard()
}

/// What a disk was told, all of it acknowledged.
#[derive(Default, Clone)]
pub(super) struct Marked {
    pub(super) deleted: u64,
    /// The latest epoch of each group.
    pub(super) evicted: Vec<i64>,
    pub(super) fenced: i64,
}

impl Marked {
    /// Deletes this many names, a few at a time.
    pub(super) async fn delete(&mut self, store: &DiskStore, count: u64, at_once: u64) {
        for _ in 0..count / at_once {
            let names: Vec<_> = (self.deleted..self.deleted + at_once).map(shard).collect();
            assert_eq!(store.delete(&names).await, Ok(()));
            self.deleted += at_once;
        }
    }

    /// Evicts groups, each at ever later epochs, one by one.
    pub(super) async fn evict(&mut self, store: &DiskStore, groups: i32, epochs: i64) {
        for epoch in 0..epochs {
            for group in 0..groups {
                assert_eq!(store.evict_group(GroupId(group), ShardIndex(0), epoch).await, Ok(()));
            }
        }
        self.evicted = vec![epochs - 1; usize::try_from(groups).unwrap()];
    }

    pub(super) async fn fence(&mut self, store: &DiskStore, count: i64) {
        for lease in 0..count {
            assert_eq!(store.fence(&[LeaseId(1000 + lease)]).await, Ok(()));
        }
        self.fenced = count;
    }

    /// Everything is in force, and nothing else is.
    pub(super) fn expect(&self, store: &DiskStore) {
        let refusal = |sample: &Sample, purpose| {
            let mut index = store.handle.shared.index();
            let begun = index.begin(&(&sample.header).into(), purpose).map(drop);
            if begun.is_ok() {
                index.end(sample.shard());
            }
            begun.err()
        };
        let late = |name| {
            let mut sample = Sample::single(1, name, 0);
            sample.header.epoch = i64::MAX;
            sample
        };
        for name in 0..self.deleted {
            let deleted = Error::ShardDeleted { shard: shard(name) };
            assert_eq!(refusal(&late(name), Purpose::Repair), Some(deleted));
        }
        assert_eq!(refusal(&late(self.deleted), Purpose::Write), None);
        for (group, epoch) in self.evicted.iter().enumerate() {
            let mut sample = late(self.deleted);
            sample.header.group = GroupId(i32::try_from(group).unwrap());
            sample.header.epoch = *epoch;
            let evicted = Error::ShardDeleted { shard: sample.shard() };
            assert_eq!(refusal(&sample, Purpose::Repair), Some(evicted), "group {group} at {epoch}");
            sample.header.epoch = epoch + 1;
            assert_eq!(refusal(&sample, Purpose::Repair), None, "group {group} after {epoch}");
        }
        for lease in (0..self.fenced).map(|lease| LeaseId(1000 + lease)) {
            let fenced = Error::LeaseFenced { lease };
            assert_eq!(refusal(&Sample::single(lease.0, 1, 0), Purpose::Write), Some(fenced));
        }
    }
}

/// Opens a disk and demands that nothing passes for rot, torn copies neither, and everything is in force.
pub(super) async fn expect_after_start(
    disk: &SimDisk,
    mark_segment_bytes: u64,
    marked: &Marked,
) -> DiskStore {
    let store = open_with(disk, mark_segment_bytes).await;
    assert_eq!(store.status().await.quarantined_records, 0);
    marked.expect(&store);
    store
}

#[tokio::test]
async fn lone_deletes_come_to_cost_a_few_bytes_each() {
    let disk = SimDisk::new(1 << 30);
    let mut store = open_with(&disk, SEGMENT).await;
    let (mut marked, mut copied_bytes) = (Marked::default(), 0);
    for round in 1..=40u64 {
        marked.delete(&store, 100, 1).await;
        let condensed = condense_all(&store).await;
        assert!(condensed.iter().all(|some| some.copied_bytes <= some.dead_bytes), "{condensed:?}");
        copied_bytes += condensed.iter().map(|some| some.copied_bytes).sum::<u64>();
        // With the header of each segment. Beyond that, the open one and one whose marks have just come to over half of it.
        let full = marked.deleted * CONDENSED * SEGMENT / (SEGMENT - LONE);
        let bytes = segment_bytes(&disk);
        assert!(bytes <= full + 2 * SEGMENT, "{bytes} bytes for {} names", marked.deleted);
        assert!(copied_bytes <= marked.deleted * LONE, "{copied_bytes} copied");
        if round % 10 == 0 {
            store.close().await;
            store = expect_after_start(&disk, SEGMENT, &marked).await;
        }
    }
    let (before, after) = (marked.deleted * LONE, segment_bytes(&disk));
    assert!(after * 15 < before, "{after} bytes of {before}");
}

/// The timers are the runtime's, which passes over the time in which nothing happens.
#[tokio::test(start_paused = true)]
async fn an_open_disk_condenses_by_itself() {
    let disk = SimDisk::new(1 << 30);
    let (env, store) = (disk.env(), open_with(&disk, SEGMENT).await);
    let mut marked = Marked::default();
    marked.delete(&store, 200, 1).await;
    let began = env.now();
    while segments(&disk).len() > 1 {
        assert!(env.now().since(began) < Duration::from_secs(60), "{:?}", segments(&disk));
        env.sleep(Duration::from_secs(1)).await;
    }
    marked.expect(&store);
    store.close().await;
    expect_after_start(&disk, SEGMENT, &marked).await;
}

#[tokio::test]
async fn marks_that_were_written_densely_stay_where_they_are() {
    let disk = SimDisk::new(1 << 30);
    let store = open_with(&disk, SEGMENT).await;
    let mut marked = Marked::default();
    // A name takes no more than 20 bytes so.
    marked.delete(&store, 40_000, 1000).await;
    let before = segments(&disk);
    assert!(before.len() > 5);
    assert_eq!(condense_all(&store).await, []);
    assert_eq!(segments(&disk), before);
}

#[tokio::test]
async fn evictions_that_later_ones_overtook_are_left_out() {
    let disk = SimDisk::new(1 << 30);
    let store = open_with(&disk, SEGMENT).await;
    let mut marked = Marked::default();
    marked.evict(&store, 3, 40).await;
    marked.fence(&store, 40).await;
    marked.delete(&store, 40, 1).await;
    // The latest, the ones before and what was marked after are in different segments.
    assert!(segments(&disk).len() > 10);
    condense_all(&store).await;
    // What is left of 200 blocks: the segment that is open.
    assert_eq!(segments(&disk).len(), 1);
    marked.expect(&store);
    let (path, _) = &segments(&disk)[0];
    let bytes = disk.read_small(path, 1 << 20).unwrap();
    let evictions = bytes.chunks(512).filter(|record| record.starts_with(b"ASHM") && record[24] == 2);
    let count: u32 = evictions.map(|record| u32::from(record[44])).sum();
    assert!(count <= 3, "{count} evictions of three groups");
    store.close().await;
    expect_after_start(&disk, SEGMENT, &marked).await;
}

/// A closed disk with full segments of marks of every kind, as sparse as may be or of more marks than are copied at once.
pub(super) async fn sparse_disk(seed: u64) -> (SimDisk, u64, Marked) {
    let disk = SimDisk::of_seed(1 << 30, seed);
    let (mark_segment_bytes, count, at_once) =
        if seed.is_multiple_of(4) { (1 << 20, 27_000, 100) } else { (32 << 10, 12, 1) };
    let store = open_with(&disk, mark_segment_bytes).await;
    let mut marked = Marked::default();
    marked.evict(&store, 3, 4).await;
    marked.delete(&store, count, at_once).await;
    marked.fence(&store, 3).await;
    store.close().await;
    (disk, mark_segment_bytes, marked)
}

#[tokio::test]
async fn nothing_that_was_marked_is_lost_wherever_the_power_goes() {
    for seed in 0..8 {
        let (full, mark_segment_bytes, marked) = sparse_disk(seed).await;
        let (mut rng, mut cuts) = (Rng(seed), 0);
        loop {
            let disk = full.copy();
            let store = open_with(&disk, mark_segment_bytes).await;
            disk.cut_power_after(cuts);
            while matches!(store.handle.condense_sparsest(false).await, Ok(Some(_))) {}
            let has_power = disk.space(Path::new("/disk")).is_ok();
            let disk = if rng.below(5) == 0 { disk.after_kill() } else { disk.after_power_cut(&mut rng) };
            let store = expect_after_start(&disk, mark_segment_bytes, &marked).await;
            condense_all(&store).await;
            assert_eq!(segments(&disk).len(), 1, "seed {seed}, {cuts} calls: what is twice is not kept");
            let disk = disk.after_power_cut(&mut rng);
            expect_after_start(&disk, mark_segment_bytes, &marked).await;
            if has_power {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 10, "{cuts}");
    }
}

/// Every byte of a sparse segment that says anything is flipped: before a start, and while the store runs.
#[tokio::test]
async fn a_damaged_segment_is_left_as_it_is() {
    let (full, mark_segment_bytes, marked) = sparse_disk(1).await;
    let (path, _) = segments(&full)[0].clone();
    let bytes = full.read_small(&path, 1 << 20).unwrap();
    let says = |at: &usize| *at >= 4096 && bytes[*at] != 0;
    let all: Vec<_> = (0..bytes.len()).filter(says).collect();
    assert!(all.len() > 250, "{}", all.len());
    for (turn, at) in all.into_iter().enumerate() {
        let disk = full.copy();
        let flip = || disk.tamper(&path, |data| data[at] ^= 1);
        let starts_damaged = turn % 2 == 0;
        if starts_damaged {
            flip();
        }
        let store = open_with(&disk, mark_segment_bytes).await;
        if !starts_damaged {
            flip();
        }
        let damaged = disk.read_small(&path, 1 << 20).unwrap();
        condense_all(&store).await;
        assert_eq!(disk.read_small(&path, 1 << 20).ok(), Some(damaged), "byte {at}");
        assert!(segments(&disk).len() <= 2, "the others are condensed");
        if !starts_damaged {
            marked.expect(&store);
        }
        store.close().await;
        let store = open_with(&disk, mark_segment_bytes).await;
        assert!(store.status().await.quarantined_records > 0, "byte {at}");
    }
}

/// A disk that loses a block of marks loses no more of them when the rest is copied: the segment stays.
#[tokio::test]
async fn a_segment_that_has_lost_marks_without_a_trace_is_left_as_it_is() {
    let disk = SimDisk::new(1 << 30);
    let store = open_with(&disk, 16 << 10).await;
    let mut marked = Marked { deleted: 1, evicted: vec![4], fenced: 0 };
    // One group of two records: what is lost of the second looks like padding.
    let (is_writing, begun) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    disk.before_next(Change::Write, move || {
        is_writing.send(()).unwrap();
        may_go_on.recv().unwrap();
    });
    let before = Sample::single(9, 9, 100);
    let first = [shard(0)];
    let grouped = async {
        while begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // Both wait for the writer when it goes on.
        let both =
            async { tokio::join!(store.delete(&first), store.evict_group(GroupId(0), ShardIndex(0), 4)) };
        tokio::join!(both, async { go_on.send(()).unwrap() }).0
    };
    let put = store.put(before.header.clone(), before.whole(), Purpose::Write);
    assert_eq!(tokio::join!(put, grouped), (Ok(()), (Ok(()), Ok(()))));
    marked.delete(&store, 6, 1).await;
    store.close().await;
    let store = open_with(&disk, 16 << 10).await;
    let is_second = |data: &[u8]| data[4096 + 512..].starts_with(b"ASHM");
    let paths = segments(&disk).into_iter().map(|(path, _)| path);
    let mut grouped = paths.filter(|path| is_second(&disk.read_small(path, 1 << 20).unwrap()));
    let Some(path) = grouped.next() else { panic!("the two were not one group") };
    disk.tamper(&path, |data| data[4096 + 512..4096 + 1024].fill(0));
    condense_all(&store).await;
    assert!(segments(&disk).iter().any(|(other, _)| *other == path));
    marked.expect(&store);
}

#[tokio::test]
async fn a_segment_whose_marks_are_all_in_newer_ones_goes_without_a_copy() {
    let (disk, mark_segment_bytes, marked) = sparse_disk(2).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let before = segments(&disk).len();
    disk.fail_removals(ErrorKind::PermissionDenied);
    let condensed = condense_all(&store).await;
    assert!(condensed.iter().map(|some| some.copied_bytes).sum::<u64>() > 0);
    assert!(segments(&disk).len() >= before);
    marked.expect(&store);
    assert!(!store.status().await.failed);
    let disk = disk.after_kill();
    disk.allow_removals();
    let store = expect_after_start(&disk, mark_segment_bytes, &marked).await;
    let again = condense_all(&store).await;
    assert!(again.len() >= before - 1);
    assert_eq!(again.iter().map(|some| some.copied_bytes).sum::<u64>(), 0, "{again:?}");
    assert_eq!(segments(&disk).len(), 1);
    store.close().await;
    expect_after_start(&disk, mark_segment_bytes, &marked).await;
}

#[tokio::test]
async fn a_failed_sync_of_copies_removes_nothing() {
    for failing in 0..3 {
        let (disk, mark_segment_bytes, marked) = sparse_disk(3).await;
        let store = open_with(&disk, mark_segment_bytes).await;
        let before: Vec<_> = segments(&disk).into_iter().map(|(path, _)| path).collect();
        disk.fail_one_sync_after(failing, ErrorKind::Other);
        let mut removed = 0;
        let failed = loop {
            match store.handle.condense_sparsest(false).await {
                Ok(Some(_)) => removed += 1,
                Ok(None) => break false,
                Err(error) => break matches!(error, Error::DiskFailed { .. }),
            }
        };
        assert!(failed, "{failing} syncs");
        let left = segments(&disk);
        let gone = before.iter().filter(|path| left.iter().all(|(other, _)| other != *path)).count();
        assert_eq!(gone, removed);
        let disk = disk.after_power_cut(&mut Rng(failing));
        expect_after_start(&disk, mark_segment_bytes, &marked).await;
    }
}

/// Copies leave a quarter of the reserve, so that there is always room to delete.
#[tokio::test]
async fn copies_leave_room_for_marks_on_a_full_disk() {
    let reserve = Reserve { bytes: 1 << 20, percent: 0 };
    let options = DiskOptions { reserve, mark_segment_bytes: SEGMENT, ..options(Path::new("/disk")) };
    let disk = SimDisk::new(4 << 20);
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    let mut marked = Marked::default();
    let free = || disk.space(Path::new("/disk")).unwrap().available_bytes;
    while free() > 128 << 10 {
        marked.delete(&store, 1, 1).await;
    }
    let full = segments(&disk).len();
    assert_eq!(condense_all(&store).await, []);
    assert_eq!(segments(&disk).len(), full);
    marked.delete(&store, 4, 1).await;
    // Somebody else made room.
    let larger = disk.with_capacity(5 << 20);
    store.close().await;
    let store = expect_after_start(&larger, SEGMENT, &marked).await;
    assert!(condense_all(&store).await.len() > 10);
    assert!(segment_bytes(&larger) < 4 * SEGMENT);
    marked.expect(&store);
}

#[tokio::test]
async fn deletes_go_on_while_marks_are_condensed() {
    let (disk, mark_segment_bytes, mut marked) = sparse_disk(0).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let condensing = async {
        assert!(!condense_all(&store).await.is_empty());
    };
    let mut more = marked.clone();
    let deleting = more.delete(&store, 300, 1);
    tokio::join!(condensing, deleting);
    marked = more;
    condense_all(&store).await;
    let disk = disk.after_power_cut(&mut Rng(9));
    expect_after_start(&disk, mark_segment_bytes, &marked).await;
}
