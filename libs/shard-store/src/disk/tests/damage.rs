//! Bytes that change on the medium.

use std::path::{Path, PathBuf};

use chunk_api::{CellRange, Error, ListShards, Purpose, QuarantinedRun, conformance::Sample};
use futures_util::future::join_all;
use types::ShardId;

use super::{
    super::format::{FOOTER_LENGTH, HEADER_LENGTH, ShardRecord},
    DiskOptions, DiskStore, OpenError, options,
    sim::{Rng, SimDisk},
};
use crate::ShardStore;

async fn open(disk: &SimDisk) -> Result<DiskStore, OpenError> {
    let options = DiskOptions { segment_bytes: 48 << 10, ..options(Path::new("/disk")) };
    DiskStore::open(&disk.env(), options).await
}

/// A disk with shards in several groups and one deletion.
async fn small_disk() -> (SimDisk, Vec<Sample>, ShardId) {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await.unwrap();
    let samples: Vec<_> = (0..)
        .zip([0, 1, 700, 3000, 100, 5000])
        .map(|(name, length)| Sample::single(1, name, length))
        .collect();
    store.put(samples[0].header.clone(), samples[0].whole(), Purpose::Write).await.unwrap();
    let rest = join_all(
        samples[1..].iter().map(|sample| store.put(sample.header.clone(), sample.whole(), Purpose::Write)),
    )
    .await;
    assert!(rest.iter().all(Result::is_ok));
    let deleted = Sample::single(1, 99, 200);
    store.put(deleted.header.clone(), deleted.whole(), Purpose::Write).await.unwrap();
    store.delete(&[deleted.shard()]).await.unwrap();
    store.close().await;
    // The space reserved ahead only makes each copy slower.
    for (path, _) in disk.files() {
        let used = used_length(&disk, &path).next_multiple_of(4096);
        if path.extension().is_some_and(|extension| extension == "segment") {
            disk.tamper(&path, |data| data.truncate(used));
        }
    }
    (disk, samples, deleted.shard())
}

fn segment(disk: &SimDisk, kind: &str) -> PathBuf {
    let is_kind = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    disk.files().into_iter().map(|(path, _)| path).find(|path| is_kind(path)).unwrap()
}

/// What is wrong with the disk as its callers see it: shards that are gone or corrupt. Panics on wrong data.
async fn lost(store: &DiskStore, samples: &[Sample]) -> usize {
    let mut lost = 0;
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    let suspects = store.list_damaged().await.unwrap();
    let damaged = store.status().await.damaged_records;
    for sample in samples {
        let shard = sample.shard();
        let line = listed.iter().find(|line| line.header.shard == shard);
        let owner_lost = line.is_some_and(|line| line.header.owner != sample.header.owner);
        if let Some(line) = line {
            assert!(line.header.owner.is_empty() || !owner_lost, "a wrong owner");
            assert_eq!(
                (line.header.coding, line.header.chunk_length),
                (sample.header.coding, sample.header.chunk_length)
            );
        }
        assert!(line.is_some() || damaged > 0, "a shard is gone and nothing is counted");
        let wrong = if sample.cells.is_empty() {
            line.is_none() || suspects.iter().any(|header| header.shard == shard)
        } else {
            let count = u32::try_from(sample.cells.len()).unwrap();
            match store.read_cells(shard, CellRange { first: 0, count }).await {
                Ok(cells) => {
                    assert_eq!(cells, sample.cells, "wrong data");
                    false
                }
                Err(Error::ShardCorrupt { .. } | Error::ShardNotFound { .. }) => true,
                Err(error) => panic!("{error}"),
            }
        };
        lost += usize::from(wrong || owner_lost);
    }
    lost
}

#[tokio::test]
async fn every_flipped_byte_of_shards_costs_at_most_its_own_shard() {
    let (disk, samples, deleted) = small_disk().await;
    let path = segment(&disk, "shards");
    let used = used_length(&disk, &path);
    let mut rng = Rng(1);
    let mut noticed = 0;
    for at in 0..used {
        let flipped = disk.copy();
        flipped.tamper(&path, |data| data[at] ^= 1 << rng.below(8));
        let store = open(&flipped).await.unwrap();
        let lost = lost(&store, &samples).await;
        assert!(lost <= 1, "byte {at}: {lost} shards");
        noticed += lost;
        assert!(store.read_cells(deleted, CellRange { first: 0, count: 1 }).await.is_err());
    }
    // Every byte of a record costs its shard; padding and the segment's own header cost nothing.
    let record = |sample: &Sample| ShardRecord::from(&sample.header).layout().footer + FOOTER_LENGTH as u64;
    assert_eq!(noticed as u64, samples.iter().map(record).sum::<u64>());
}

#[tokio::test]
async fn every_flipped_byte_of_marks_is_noticed_and_harms_no_shard() {
    let (disk, samples, deleted) = small_disk().await;
    let path = segment(&disk, "marks");
    let mut noticed = 0;
    for at in 0..used_length(&disk, &path) {
        let flipped = disk.copy();
        flipped.tamper(&path, |data| data[at] ^= 0x10);
        let store = open(&flipped).await.unwrap();
        assert_eq!(lost(&store, &samples).await, 0);
        if let Ok(cells) = store.read_cells(deleted, CellRange { first: 0, count: 1 }).await {
            assert_eq!(cells, Sample::single(1, 99, 200).cells);
            assert!(
                store.status().await.damaged_records > 0,
                "byte {at}: what was deleted is back, and nothing is told"
            );
        }
        noticed += usize::from(store.status().await.damaged_records > 0);
    }
    // Every byte of the one record, of one name; padding and the segment's own header tell of nothing.
    assert_eq!(noticed, HEADER_LENGTH + 17 + 4 + FOOTER_LENGTH);
}

#[tokio::test]
async fn a_flipped_byte_of_the_identity_is_noticed() {
    let (disk, ..) = small_disk().await;
    let path = Path::new("/disk/disk.json");
    for at in 0..used_length(&disk, path) {
        let flipped = disk.copy();
        flipped.tamper(path, |data| data[at] ^= 1);
        match open(&flipped).await {
            Ok(store) => assert_eq!(store.disk(), super::DISK),
            Err(OpenError::MalformedIdentity { .. } | OpenError::Newer { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_bad_record_is_counted_and_hides_no_good_one() {
    let (disk, samples, _) = small_disk().await;
    let path = segment(&disk, "shards");
    // The second record's header: it begins where the second group does.
    disk.tamper(&path, |data| data[8192..8192 + 80].fill(0xa5));
    let store = open(&disk).await.unwrap();
    assert_eq!(lost(&store, &samples).await, 1);
    assert_eq!(store.status().await.damaged_records, 1);
    // Writing goes on behind it, and the count stays.
    let more = Sample::single(2, 1, 900);
    store.put(more.header.clone(), more.whole(), Purpose::Write).await.unwrap();
    store.close().await;
    let store = open(&disk).await.unwrap();
    assert_eq!(lost(&store, &samples).await, 1);
    assert_eq!(lost(&store, &[more]).await, 0);
    assert_eq!(store.status().await.damaged_records, 1);
}

/// A disk whose only shard is of its newest group. Where its record begins is 4096.
async fn disk_of_one(length: u64, closed: bool) -> (SimDisk, PathBuf, Sample) {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await.unwrap();
    let sample = Sample::single(1, 1, length);
    store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    let disk = if closed {
        store.close().await;
        disk
    } else {
        disk.copy()
    };
    let path = segment(&disk, "shards");
    (disk, path, sample)
}

#[tokio::test]
async fn a_kill_before_the_first_cells_are_written_leaves_the_owner() {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await.unwrap();
    let sample = Sample::single(1, 1, 400_000);
    assert!(!sample.header.owner.is_empty());
    let body = chunk_api::ShardBody::Stream(Box::pin(futures_util::stream::pending()));
    let mut put = Box::pin(store.put(sample.header.clone(), body, Purpose::Write));
    let killed = loop {
        assert!(futures_util::poll!(&mut put).is_pending());
        let copy = disk.after_kill();
        let store = open(&copy).await.unwrap();
        if store.status().await.shards > 0 {
            break store;
        }
        store.close().await;
        tokio::task::yield_now().await;
    };
    let listed = killed.list(ListShards::all(None, 10)).await.unwrap();
    assert_eq!(listed.iter().map(|found| &found.header).collect::<Vec<_>>(), [&sample.header]);
    let read = killed.read_cells(sample.shard(), CellRange { first: 0, count: 1 }).await;
    assert!(matches!(read, Err(Error::ShardCorrupt { .. })), "{read:?}");
}

#[tokio::test]
async fn rot_of_the_newest_group_is_told_from_a_torn_end() {
    for (length, closed) in [(3000, true), (3000, false), (400_000, true), (400_000, false)] {
        let (disk, path, sample) = disk_of_one(length, closed).await;
        let shard = sample.shard();
        let layout = ShardRecord::from(&sample.header).layout();
        let footer = 4096 + usize::try_from(layout.footer).unwrap();
        // The header is whole, so that the shard is known by name, kept, and repaired.
        let rotted = disk.copy();
        rotted.tamper(&path, |data| data[footer..footer + FOOTER_LENGTH].fill(0));
        let store = open(&rotted).await.unwrap();
        let suspects = store.list_damaged().await.unwrap();
        assert_eq!(suspects.iter().map(|header| header.shard).collect::<Vec<_>>(), [shard]);
        let listed = store.list(ListShards::all(None, 10)).await.unwrap();
        assert!(matches!(&listed[..], [summary] if summary.is_damaged), "{listed:?}");
        let read = store.read_cells(shard, CellRange { first: 0, count: 1 }).await;
        assert_eq!(read, Err(Error::ShardCorrupt { shard, cell: 0 }));
        let written = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert_eq!(written, Err(Error::ShardExists { shard }));
        let repaired = store.put(sample.header.clone(), sample.whole(), Purpose::Repair).await;
        assert_eq!(repaired, Ok(()));
        assert_eq!(store.list_damaged().await, Ok(Vec::new()));
        store.close().await;
        let store = open(&rotted).await.unwrap();
        assert_eq!(
            (lost(&store, std::slice::from_ref(&sample)).await, store.status().await.damaged_records),
            (0, 0)
        );
        // The header is gone, or the whole record: nothing can be named, so that the bytes are kept and counted.
        for length in [80, usize::try_from(layout.length).unwrap()] {
            let rotted = disk.copy();
            rotted.tamper(&path, |data| data[4096..4096 + length].fill(0));
            for name in 0..2 {
                let store = open(&rotted).await.unwrap();
                let status = store.status().await;
                assert_eq!((status.quarantined_records, status.damaged_records), (1, 1), "{length}");
                let more = Sample::single(2, name, 900);
                store.put(more.header.clone(), more.whole(), Purpose::Write).await.unwrap();
                assert_eq!(lost(&store, &[more]).await, 0);
                store.close().await;
            }
        }
    }
}

#[tokio::test]
async fn a_segment_with_bytes_that_nothing_explains_is_kept() {
    let (disk, samples, _) = small_disk().await;
    let path = segment(&disk, "shards");
    disk.tamper(&path, |data| data[8192..8192 + 80].fill(0xa5));
    let store = open(&disk).await.unwrap();
    // The segment fills up and is left behind, and nothing in it is kept.
    let more: Vec<_> = (0..4).map(|name| Sample::single(3, name, 20_000)).collect();
    for sample in &more {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    let all = samples.iter().chain(&more[..3]);
    store.delete(&all.map(Sample::shard).collect::<Vec<_>>()).await.unwrap();
    while store.handle.rewrite_sparsest(true, false).await.unwrap().is_some() {}
    store.close().await;
    let store = open(&disk).await.unwrap();
    assert_eq!(store.status().await.quarantined_records, 1);
    assert!(disk.files().iter().any(|(file, _)| *file == path), "its segment stays");

    // Until an operator needs it no more.
    let runs = store.list_quarantined().await.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    let (file, position) = place_of(run);
    assert!(file == name && position <= 8192 && position + run.bytes >= 8272, "{run:?}");
    store.release_quarantined(&["another:1".to_owned()]).await.unwrap();
    assert_eq!(store.list_quarantined().await.unwrap(), runs);
    for _ in 0..2 {
        store.release_quarantined(std::slice::from_ref(&run.id)).await.unwrap();
        let status = store.status().await;
        assert_eq!((status.quarantined_records, status.damaged_records), (0, 0));
        assert_eq!(store.list_quarantined().await.unwrap(), []);
    }
    while store.handle.rewrite_sparsest(true, false).await.unwrap().is_some() {}
    store.close().await;
    assert!(!disk.files().iter().any(|(file, _)| *file == path), "its room is used again");
    let store = open(&disk).await.unwrap();
    assert_eq!(store.status().await.quarantined_records, 0);
    assert_eq!(lost(&store, &more[3..]).await, 0);
}

/// The file and the position that a run's name says.
fn place_of(run: &QuarantinedRun) -> (&str, u64) {
    let (file, place) = run.id.rsplit_once(':').unwrap();
    let (position, bytes) = place.split_once('+').unwrap();
    assert_eq!(bytes.parse(), Ok(run.bytes));
    (file, position.parse().unwrap())
}

#[tokio::test]
async fn what_was_released_and_has_grown_is_quarantined_again() {
    let (disk, ..) = small_disk().await;
    let path = segment(&disk, "shards");
    disk.tamper(&path, |data| data[8192..8192 + 80].fill(0xa5));
    let store = open(&disk).await.unwrap();
    let runs = store.list_quarantined().await.unwrap();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    store.release_quarantined(std::slice::from_ref(&run.id)).await.unwrap();
    store.close().await;
    // The header of the record behind it.
    let end = usize::try_from(place_of(run).1 + run.bytes).unwrap();
    disk.tamper(&path, |data| data[end..end + 80].fill(0xa5));
    let store = open(&disk).await.unwrap();
    let grown = store.list_quarantined().await.unwrap();
    assert!(matches!(&grown[..], [grown] if grown.bytes > run.bytes), "{grown:?}, {run:?} before");
}

#[tokio::test]
async fn what_was_released_stays_so_while_its_segment_is_kept() {
    let (disk, samples, _) = small_disk().await;
    disk.tamper(&segment(&disk, "shards"), |data| data[8192..8192 + 80].fill(0xa5));
    let store = open(&disk).await.unwrap();
    let runs = store.list_quarantined().await.unwrap();
    let listed = async |store: &DiskStore| store.list(ListShards::all(None, 1000)).await.unwrap().len();
    let left = listed(&store).await;
    assert!(runs.len() == 1 && 0 < left && left < samples.len(), "{runs:?} {left}");
    let released = runs.iter().map(|run| run.id.clone()).collect::<Vec<_>>();
    store.release_quarantined(&released).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let store = open(&disk).await.unwrap();
        assert_eq!(store.list_quarantined().await.unwrap(), []);
        assert_eq!(store.status().await.damaged_records, 0);
        assert_eq!(listed(&store).await, left, "nothing else is given up");
        store.close().await;
    }
    // A note that cannot be read releases nothing.
    let path = segment(&disk, "shards").with_file_name("released");
    env::Disk::remove(&disk, &path).unwrap();
    assert_eq!(open(&disk).await.unwrap().list_quarantined().await.unwrap(), runs);
}

#[tokio::test]
async fn a_newest_segment_that_is_gone_is_noticed() {
    for kind in ["shards", "marks"] {
        let (disk, ..) = small_disk().await;
        let path = segment(&disk, kind);
        env::Disk::remove(&disk, &path).unwrap();
        let store = open(&disk).await.unwrap();
        assert_eq!(store.status().await.quarantined_records, 1, "{kind}");
        let runs = store.list_quarantined().await.unwrap();
        assert!(runs[0].id.starts_with(kind), "{runs:?}");
        store.release_quarantined(std::slice::from_ref(&runs[0].id)).await.unwrap();
        store.close().await;
        assert_eq!(open(&disk).await.unwrap().status().await.quarantined_records, 0, "{kind}");
    }
}

#[tokio::test]
async fn a_full_segment_that_has_lost_its_end_is_noticed() {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk).await.unwrap();
    let samples: Vec<_> = (0..4).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    store.close().await;
    // The end alone, and the last record with it.
    for (lost_bytes, lost_shards) in [(512, 0), (512 + 20_480, 1)] {
        let damaged = disk.copy();
        damaged.tamper(&segment(&disk, "shards"), |data| {
            let from = data.len() - lost_bytes;
            data[from..].fill(0);
        });
        let store = open(&damaged).await.unwrap();
        assert_eq!(store.status().await.quarantined_records, 1);
        assert_eq!(lost(&store, &samples).await, lost_shards);
    }
}

#[tokio::test]
async fn stored_bytes_that_look_like_records_are_not_taken_for_any() {
    let (disk, samples, _) = small_disk().await;
    let path = segment(&disk, "shards");
    let mut segment_bytes = Vec::new();
    disk.tamper(&path, |data| segment_bytes = data[..24 << 10].to_vec());
    // A user stores a copy of a segment, and the record that holds it loses its header.
    let store = open(&disk).await.unwrap();
    let shard = Sample::single(7, 1, 24 << 10);
    let cell = chunk_api::Cell::new(shard.shard(), 0, segment_bytes.into());
    store.put(shard.header.clone(), chunk_api::ShardBody::Whole(vec![cell]), Purpose::Write).await.unwrap();
    store.close().await;
    let holder =
        disk.files().into_iter().map(|(path, _)| path).filter(|path| path != &segment(&disk, "shards"));
    let holder = holder.into_iter().find(|path| path.to_str().unwrap().contains("shards-")).unwrap();
    disk.tamper(&holder, |data| data[4096..4096 + 80].fill(0));
    let store = open(&disk).await.unwrap();
    assert_eq!(lost(&store, &samples).await, 0);
    assert_eq!(store.status().await.shards, samples.len() as u64);
}

/// Bytes up to the last one that is not zero.
fn used_length(disk: &SimDisk, path: &Path) -> usize {
    let mut used = 0;
    disk.tamper(path, |data| used = data.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1);
    used
}
