//! Damaged marks and index files are found while the disk is open, and mended before a start needs them.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use chunk_api::{Error, Purpose, conformance::Sample};
use env::{Disk, Env, OpenMode};

use super::{
    DiskOptions, DiskStore, Reserve,
    condense::{Marked, condense_all, expect_after_start, open_with, segments, sparse_disk},
    options,
    sim::{Change, Lie, Rng, SimDisk},
};
use crate::ShardStore;

/// A pass over everything that is kept beside shards: the bytes that were read and the files that were damaged.
async fn pass(store: &DiskStore) -> (u64, u64) {
    let (mut after, mut bytes, mut bad_files) = (None, 0, 0);
    while let Some(part) = store.verify_beside(after).await.unwrap() {
        assert!(after < Some(part.number), "{part:?} after {after:?}");
        after = Some(part.number);
        bytes += part.bytes;
        bad_files += part.bad_files;
    }
    (bytes, bad_files)
}

/// The paths of all segments of marks.
fn paths(disk: &SimDisk) -> Vec<PathBuf> {
    segments(disk).into_iter().map(|(path, _)| path).collect()
}

/// Where the bytes are that say something, of the records of a segment.
fn telling(disk: &SimDisk, path: &Path) -> Vec<usize> {
    let bytes = disk.read_small(path, 2 << 20).unwrap();
    (4096..bytes.len()).filter(|at| bytes[*at] != 0).collect()
}

fn flip(disk: &SimDisk, path: &Path, at: usize) {
    disk.tamper(path, |data| data[at] ^= 1);
}

/// The first byte of the first record's body, of as many segments.
fn flip_bodies(disk: &SimDisk, paths: &[PathBuf]) {
    paths.iter().for_each(|path| flip(disk, path, 4096 + 80));
}

/// Demands that the disk is as if nothing had been damaged, after a kill and after a power cut.
async fn expect_all(disk: &SimDisk, mark_segment_bytes: u64, marked: &Marked) {
    for disk in [disk.after_kill(), disk.after_power_cut(&mut Rng(7))] {
        let store = expect_after_start(&disk, mark_segment_bytes, marked).await;
        assert_eq!(pass(&store).await.1, 0);
        assert_eq!(store.status().await.damaged_records, 0);
        store.close().await;
    }
}

/// Of a full segment, with marks of two kinds, and of the open one, every byte that says anything.
#[tokio::test]
async fn every_damaged_byte_of_marks_is_found_and_mended() {
    let (full, mark_segment_bytes, marked) = sparse_disk(1).await;
    let all = paths(&full);
    assert!(all.len() > 3, "{all:?}");
    for path in [&all[1], all.last().unwrap()] {
        let bytes = telling(&full, path);
        assert!(bytes.len() > 100, "{}", bytes.len());
        for at in bytes {
            let disk = full.copy();
            let store = open_with(&disk, mark_segment_bytes).await;
            flip(&disk, path, at);
            let (read, bad_files) = pass(&store).await;
            assert_eq!(bad_files, 1, "byte {at}");
            assert!(read >= all.len() as u64 * 4096, "{read}");
            assert!(!paths(&disk).contains(path), "byte {at}: the damaged segment is needed no more");
            assert_eq!(pass(&store).await.1, 0);
            marked.expect(&store);
            expect_all(&disk, mark_segment_bytes, &marked).await;
        }
    }
}

/// More names than are looked for at once, of several kinds of marks, in segments that hold many.
#[tokio::test]
async fn all_segments_may_be_damaged_at_once() {
    for (seed, names_at_once) in [(4, 8 << 20), (4, 10_000), (3, 5)] {
        let (disk, mark_segment_bytes, marked) = sparse_disk(seed).await;
        let store = open_with(&disk, mark_segment_bytes).await;
        let before = paths(&disk);
        flip_bodies(&disk, &before);
        let (mut after, mut bad_files) = (None, 0);
        while let Some(part) = store.handle.verify_part(after, names_at_once).await.unwrap() {
            after = Some(part.number);
            bad_files += part.bad_files;
        }
        assert_eq!(bad_files, before.len() as u64);
        assert!(!paths(&disk).iter().any(|path| before.contains(path)), "{before:?} {:?}", paths(&disk));
        marked.expect(&store);
        expect_all(&disk, mark_segment_bytes, &marked).await;
    }
}

/// How many deletions all segments hold together.
fn written_deletions(store: &DiskStore) -> u64 {
    let (index, mut after, mut count) = (store.handle.shared.index(), None, 0);
    while let Some(view) = index.marks_after(after) {
        after = Some(view.name.number);
        count += view.counts.deleted as u64;
    }
    count
}

#[tokio::test]
async fn marks_that_others_have_are_not_written_again() {
    let (disk, mark_segment_bytes, marked) = sparse_disk(4).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    assert_eq!(written_deletions(&store), marked.deleted);
    let open = paths(&disk).pop().unwrap();
    flip(&disk, &open, 4096 + 80);
    assert_eq!(pass(&store).await.1, 1);
    assert_eq!(written_deletions(&store), marked.deleted);
    store.close().await;
    let store = expect_after_start(&disk, mark_segment_bytes, &marked).await;
    assert_eq!(written_deletions(&store), marked.deleted);
}

/// As a write that the medium has lost.
#[tokio::test]
async fn marks_that_read_as_zeros_are_missed() {
    let (full, mark_segment_bytes, marked) = sparse_disk(1).await;
    for path in paths(&full) {
        let disk = full.copy();
        let store = open_with(&disk, mark_segment_bytes).await;
        let last = telling(&disk, &path).into_iter().rev().find(|at| {
            let bytes = disk.read_small(&path, 2 << 20).unwrap();
            at % 4096 == 0 && bytes[*at..].starts_with(b"ASHM")
        });
        let last = last.unwrap();
        disk.tamper(&path, |data| data[last..last + 512].fill(0));
        assert_eq!(pass(&store).await.1, 1, "{path:?} at {last}");
        expect_all(&disk, mark_segment_bytes, &marked).await;
    }
}

#[tokio::test]
async fn a_segment_that_is_not_condensed_as_it_is_damaged_is_mended() {
    let (disk, mark_segment_bytes, marked) = sparse_disk(1).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let first = paths(&disk).remove(0);
    flip(&disk, &first, 4096 + 80);
    condense_all(&store).await;
    assert!(paths(&disk).contains(&first));
    assert_eq!(pass(&store).await.1, 1);
    assert!(!paths(&disk).contains(&first));
    condense_all(&store).await;
    assert_eq!(paths(&disk).len(), 1);
    expect_all(&disk, mark_segment_bytes, &marked).await;
}

/// A mark that is in two segments counts for the newer alone, until that is damaged.
#[tokio::test]
async fn a_mark_that_only_an_older_segment_has_left_is_condensed_with_it() {
    let (disk, mark_segment_bytes, marked) = sparse_disk(2).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let before = paths(&disk);
    disk.fail_removals(ErrorKind::PermissionDenied);
    condense_all(&store).await;
    let disk = disk.after_kill();
    disk.allow_removals();
    let copies: Vec<_> = paths(&disk).into_iter().filter(|path| !before.contains(path)).collect();
    let copies = if copies.is_empty() { vec![before.last().unwrap().clone()] } else { copies };
    let store = open_with(&disk, mark_segment_bytes).await;
    flip_bodies(&disk, &copies);
    assert_eq!(pass(&store).await.1, copies.len() as u64);
    condense_all(&store).await;
    marked.expect(&store);
    expect_all(&disk, mark_segment_bytes, &marked).await;
}

/// What a start could not read is lost, and its segment kept. What it could read is not lost with the rest of that.
#[tokio::test]
async fn what_a_start_could_read_of_a_damaged_segment_is_kept_elsewhere() {
    let (disk, mark_segment_bytes, _) = sparse_disk(1).await;
    // The second segment has evictions and deletions, each in a block of its own.
    let path = paths(&disk).remove(1);
    flip(&disk, &path, 4096 + 80);
    let store = open_with(&disk, mark_segment_bytes).await;
    let known = known(&store);
    for _ in 0..2 {
        assert_eq!(pass(&store).await.1, 0, "the start has told of it");
        assert!(paths(&disk).contains(&path), "it is kept for an operator");
        assert_eq!(store.status().await.quarantined_records, 1);
    }
    store.close().await;
    disk.tamper(&path, |data| data[4096..].fill(0xa5));
    let store = open_with(&disk, mark_segment_bytes).await;
    assert_eq!(self::known(&store), known);
    let written = (paths(&disk), written_deletions(&store));
    assert_eq!(pass(&store).await.1, 0);
    assert_eq!((paths(&disk), written_deletions(&store)), written, "it is not written again at each start");
    // Until an operator needs it no more.
    let ids: Vec<_> = store.list_quarantined().await.unwrap().into_iter().map(|run| run.id).collect();
    store.release_quarantined(&ids).await.unwrap();
    store.close().await;
    let store = open_with(&disk, mark_segment_bytes).await;
    pass(&store).await;
    assert!(!paths(&disk).contains(&path));
    store.close().await;
    assert_eq!(self::known(&open_with(&disk, mark_segment_bytes).await), known);
}

/// All marks that the index has.
fn known(store: &DiskStore) -> (Vec<types::ShardId>, String) {
    let index = store.handle.shared.index();
    (index.deleted_after(None, usize::MAX), format!("{:?}", index.evicted_and_fenced()))
}

#[tokio::test]
async fn without_room_the_damage_stays_until_there_is_some() {
    for is_open in [false, true] {
        let (full, mark_segment_bytes, marked) = sparse_disk(1).await;
        let used: usize = full.files().iter().map(|(_, length)| length).sum();
        // No room beside what is there but for the reserve, of which copies leave a quarter.
        let disk = full.with_capacity(used as u64 + (256 << 10));
        let reserve = Reserve { bytes: 1 << 20, percent: 0 };
        let options = DiskOptions { mark_segment_bytes, reserve, ..options(Path::new("/disk")) };
        let store = DiskStore::open(&disk.env(), options).await.unwrap();
        let path = if is_open { paths(&disk).pop().unwrap() } else { paths(&disk).remove(1) };
        flip(&disk, &path, 4096 + 80);
        let before = segments(&disk);
        for _ in 0..2 {
            assert_eq!(pass(&store).await.1, 1, "it is told by each pass");
            assert!(paths(&disk).contains(&path));
            condense_all(&store).await;
        }
        assert!(segments(&disk).len() <= before.len());
        let status = store.status().await;
        assert!(!status.failed);
        marked.expect(&store);
        // Marks of callers find room all the same.
        assert_eq!(store.fence(&[types::LeaseId(9999)]).await, Ok(()));
        store.close().await;

        let disk = full.copy();
        let store = open_with(&disk, mark_segment_bytes).await;
        let path = if is_open { paths(&disk).pop().unwrap() } else { paths(&disk).remove(1) };
        // Somebody else's file takes the room, and is gone.
        flip(&disk, &path, 4096 + 80);
        let hog = Path::new("/disk/hog");
        disk.open(hog, OpenMode::CreateNew)
            .unwrap()
            .set_length((1 << 30) - used as u64 - (200 << 10))
            .unwrap();
        assert_eq!(pass(&store).await.1, 1);
        assert!(paths(&disk).contains(&path));
        disk.remove(hog).unwrap();
        assert_eq!(pass(&store).await.1, 1);
        assert!(!paths(&disk).contains(&path));
        expect_all(&disk, mark_segment_bytes, &marked).await;
    }
}

#[tokio::test]
async fn nothing_that_was_marked_is_lost_wherever_the_power_goes() {
    for seed in 0..6 {
        let (full, mark_segment_bytes, marked) = sparse_disk(seed).await;
        let (mut rng, mut cuts) = (Rng(seed), 0);
        loop {
            let disk = full.copy();
            let store = open_with(&disk, mark_segment_bytes).await;
            let damaged = if seed % 2 == 0 { paths(&disk).pop() } else { Some(paths(&disk).remove(1)) };
            let damaged = damaged.unwrap();
            flip(&disk, &damaged, 4096 + 80);
            disk.cut_power_after(cuts);
            let mut after = None;
            while let Ok(Some(part)) = store.verify_beside(after).await {
                after = Some(part.number);
            }
            let has_power = disk.space(Path::new("/disk")).is_ok();
            let disk = if rng.below(5) == 0 { disk.after_kill() } else { disk.after_power_cut(&mut rng) };
            // For as long as it is there nothing was lost but that byte.
            if disk.exists(&damaged).unwrap() {
                assert!(!has_power, "seed {seed}: it is gone in the end");
                disk.tamper(&damaged, |data| data[4096 + 80] ^= 1);
            }
            expect_after_start(&disk, mark_segment_bytes, &marked).await;
            if has_power {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 4, "{cuts}");
    }
}

#[tokio::test]
async fn a_failed_sync_of_what_is_written_again_removes_nothing() {
    for failing in 0..4 {
        let (disk, mark_segment_bytes, marked) = sparse_disk(1).await;
        let store = open_with(&disk, mark_segment_bytes).await;
        let path = paths(&disk).remove(1);
        flip(&disk, &path, 4096 + 80);
        disk.fail_one_sync_after(failing, ErrorKind::Other);
        let bad_files = pass(&store).await.1;
        assert_eq!(bad_files, 1);
        let status = store.status().await;
        assert_eq!(status.failed, paths(&disk).contains(&path), "sync {failing}");
        marked.expect(&store);
        if status.failed {
            let syncs = store.fence(&[types::LeaseId(9999)]).await;
            assert!(matches!(syncs, Err(Error::DiskFailed { .. })), "{syncs:?}");
            let disk = disk.after_power_cut(&mut Rng(failing));
            flip(&disk, &path, 4096 + 80);
            expect_after_start(&disk, mark_segment_bytes, &marked).await;
        }
    }
}

/// A medium that loses what it was given, and says so when it is read. What it says otherwise nobody can know.
#[tokio::test]
async fn a_damaged_segment_stays_while_what_was_written_again_cannot_be_read_back() {
    let mut kept = 0;
    for seed in (1..40).filter(|seed| seed % 4 != 0) {
        let (disk, mark_segment_bytes, marked) = sparse_disk(seed).await;
        let store = open_with(&disk, mark_segment_bytes).await;
        let path = paths(&disk).remove(1);
        flip(&disk, &path, 4096 + 80);
        disk.lie_after(0, Lie::Lost);
        let bad_files = pass(&store).await.1;
        if !paths(&disk).contains(&path) {
            continue;
        }
        kept += 1;
        assert_eq!(bad_files, 1);
        assert!(!store.status().await.failed);
        marked.expect(&store);
        // The medium is better the next time.
        assert_eq!(pass(&store).await.1, 2, "the segment and the copies");
        assert!(!paths(&disk).contains(&path));
        expect_all(&disk, mark_segment_bytes, &marked).await;
    }
    assert!(kept > 5, "{kept}");
}

/// Marks that come while a segment is mended go on behind it.
#[tokio::test]
async fn marks_are_taken_while_others_are_mended() {
    let (disk, mark_segment_bytes, mut marked) = sparse_disk(4).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let before = paths(&disk);
    flip_bodies(&disk, &before);
    let (bad_files, ()) = tokio::join!(async { pass(&store).await.1 }, marked.delete(&store, 300, 1));
    assert_eq!(bad_files, before.len() as u64);
    marked.expect(&store);
    expect_all(&disk, mark_segment_bytes, &marked).await;
}

/// Does something before the write after so many others.
fn before_write(disk: &SimDisk, others: u32, work: impl FnOnce() + Send + 'static) {
    let next = disk.clone();
    disk.before_next(Change::Write, move || match others.checked_sub(1) {
        Some(others) => before_write(&next, others, work),
        None => work(),
    });
}

/// A group that goes over from the open segment into a new one is in the first, which is full, before the index knows of it.
#[tokio::test]
async fn marks_that_are_just_being_written_are_not_lost_with_their_segment() {
    let disk = SimDisk::new(1 << 30);
    let store = open_with(&disk, 32 << 10).await;
    let mut marked = Marked::default();
    marked.delete(&store, 400, 400).await;
    let first = paths(&disk).remove(0);
    // Both wait for the writer while it writes a shard.
    let names: Vec<_> = (400..1150).map(|name| Sample::single(1, name, 0).shard()).collect();
    let leases: Vec<_> = (1000..2000).map(types::LeaseId).collect();
    let (stops, stopped) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let until_stopped = async || {
        while stopped.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    };
    let stop = std::sync::Arc::new(std::sync::Mutex::new((stops, may_go_on)));
    let stop = move || {
        let stop = stop.clone();
        move || {
            let stop = stop.lock().unwrap();
            stop.0.send(()).unwrap();
            stop.1.recv().unwrap();
        }
    };
    before_write(&disk, 0, stop());
    let shard = Sample::single(9, 9, 100);
    let put = store.put(shard.header.clone(), shard.whole(), Purpose::Write);
    let marking = async {
        until_stopped().await;
        let both = async { tokio::join!(store.delete(&names), store.fence(&leases)) };
        let scrubbing = async {
            // Behind the shard and its note, the names, the void behind them and the head of the next segment: the shard's own
            // segment is being made.
            before_write(&disk, 5, stop());
            go_on.send(()).unwrap();
            until_stopped().await;
            assert_eq!(paths(&disk).len(), 2);
            flip(&disk, &first, 12288 + 80);
            let going_on = async {
                for _ in 0..1000 {
                    tokio::task::yield_now().await;
                }
                go_on.send(()).unwrap();
            };
            tokio::join!(pass(&store), going_on).0
        };
        tokio::join!(both, scrubbing)
    };
    let (put, (both, (_, bad_files))) = tokio::join!(put, marking);
    assert_eq!((put, both, bad_files), (Ok(()), (Ok(()), Ok(())), 1));
    (marked.deleted, marked.fenced) = (1150, 1000);
    marked.expect(&store);
    assert!(!paths(&disk).contains(&first));
    expect_all(&disk, 32 << 10, &marked).await;
}

/// What a process lacks says nothing of the disk.
#[tokio::test]
async fn nothing_is_taken_for_damage_without_descriptors_or_memory() {
    let (disk, mark_segment_bytes, marked) = sparse_disk(1).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    let before = paths(&disk);
    for _ in 0..2 {
        disk.limit_open_files(0);
        // Those that are open are closed.
        store.handle.shared.files.list().unwrap_err();
        let refused = store.verify_beside(None).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        disk.limit_open_files(1000);
        disk.fail_reads(Some(ErrorKind::OutOfMemory));
        let refused = store.verify_beside(None).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
        disk.fail_reads(None);
    }
    assert_eq!(paths(&disk), before);
    assert_eq!(pass(&store).await.1, 0);
    // While one is mended.
    let path = paths(&disk).remove(1);
    flip(&disk, &path, 4096 + 80);
    let starved = disk.clone();
    disk.before_next(Change::Write, move || starved.limit_open_files(0));
    let mut after = None;
    let refused = loop {
        match store.verify_beside(after).await {
            Ok(Some(part)) => after = Some(part.number),
            other => break other,
        }
    };
    disk.limit_open_files(1000);
    assert!(matches!(refused, Err(Error::Unavailable { .. }) | Ok(None)), "{refused:?}");
    assert!(!store.status().await.failed);
    pass(&store).await;
    assert!(!paths(&disk).contains(&path));
    expect_all(&disk, mark_segment_bytes, &marked).await;
}

#[tokio::test]
async fn a_disk_that_is_closed_verifies_nothing_more() {
    let (disk, mark_segment_bytes, _) = sparse_disk(1).await;
    let store = open_with(&disk, mark_segment_bytes).await;
    store.close().await;
    let closed = store.verify_beside(None).await;
    assert!(matches!(closed, Err(Error::Unavailable { .. })), "{closed:?}");
}

fn small_segments(directory: &Path) -> DiskOptions {
    DiskOptions { segment_bytes: 48 << 10, ..options(directory) }
}

/// A disk with full segments of shards that all have index files, but for the newest.
async fn indexed(env: &Env, directory: &Path) -> DiskStore {
    let store = DiskStore::open(env, small_segments(directory)).await.unwrap();
    for name in 0..20 {
        let sample = Sample::single(1, name, 9000);
        assert_eq!(store.put(sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    }
    store.handle.write_index_files(false).await.unwrap();
    store
}

fn index_files(env: &Env, directory: &Path) -> Vec<PathBuf> {
    let names = env.disk().list_directory(directory).unwrap();
    let is_index = |name: &PathBuf| name.extension().is_some_and(|extension| extension == "index");
    names.into_iter().filter(is_index).map(|name| directory.join(name)).collect()
}

#[tokio::test]
async fn every_damaged_byte_of_an_index_file_is_found_and_it_is_made_anew() {
    let disk = SimDisk::new(64 << 20);
    let directory = Path::new("/disk");
    let store = indexed(&disk.env(), directory).await;
    let wanted = index_files(&disk.env(), directory);
    assert!(wanted.len() > 2);
    let (read, bad_files) = pass(&store).await;
    let length: usize =
        disk.files().iter().filter(|(path, _)| wanted.contains(path)).map(|(_, length)| length).sum();
    assert_eq!((read, bad_files), (length as u64, 0), "no mark was made yet");
    assert_eq!(store.beside_bytes(), read);
    let path = &wanted[1];
    let good = disk.read_small(path, 1 << 20).unwrap();
    for at in 0..good.len() {
        flip(&disk, path, at);
        assert_eq!(pass(&store).await.1, 1, "byte {at}");
        assert!(!disk.exists(path).unwrap());
        assert_eq!(pass(&store).await.1, 0);
        store.handle.write_index_files(false).await.unwrap();
        assert_eq!(disk.read_small(path, 1 << 20).unwrap(), good);
    }
    disk.remove(path).unwrap();
    assert_eq!(pass(&store).await.1, 1, "it is gone");
    store.handle.write_index_files(false).await.unwrap();
    assert_eq!(disk.read_small(path, 1 << 20).unwrap(), good);
    // The end of the segment, without which a start relies on none.
    let segment = path.with_extension("segment");
    disk.tamper(&segment, |data| {
        let end = data.len() - 512;
        data[end] ^= 1;
    });
    assert_eq!(pass(&store).await.1, 1);
    store.handle.write_index_files(false).await.unwrap();
    assert!(!disk.exists(path).unwrap(), "its segment is not whole");
    assert_eq!(pass(&store).await.1, 0);
}

/// As the system has files, whose contents it may hold in memory.
#[tokio::test]
async fn damage_of_real_files_is_found_and_mended() {
    let (env, home) = (Env::real(), tempfile::tempdir().unwrap());
    let directory = home.path();
    let store = indexed(&env, directory).await;
    let names: Vec<_> = (100..110).map(|name| Sample::single(1, name, 0).shard()).collect();
    assert_eq!(store.delete(&names).await, Ok(()));
    assert_eq!(pass(&store).await.1, 0);
    let index_file = index_files(&env, directory).remove(0);
    let listed = env.disk().list_directory(directory).unwrap();
    let marks = listed.into_iter().find(|name| name.to_str().unwrap().starts_with("marks-")).unwrap();
    let marks = directory.join(marks);
    for (path, at) in [(&index_file, 60), (&marks, 4096 + 80)] {
        let file = env.disk().open(path, OpenMode::ReadWrite).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        file.sync_data().unwrap();
    }
    assert_eq!(pass(&store).await.1, 2);
    assert!(!env.disk().exists(&index_file).unwrap() && !env.disk().exists(&marks).unwrap());
    store.handle.write_index_files(false).await.unwrap();
    assert!(env.disk().exists(&index_file).unwrap());
    store.close().await;
    let store = DiskStore::open(&env, small_segments(directory)).await.unwrap();
    assert_eq!(store.status().await.damaged_records, 0);
    assert_eq!(pass(&store).await.1, 0);
    for name in 100..110 {
        let sample = Sample::single(1, name, 0);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Repair).await;
        assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() }));
    }
}
