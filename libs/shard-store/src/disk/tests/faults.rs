//! Disks that are full or fail.

use std::{collections::BTreeMap, io::ErrorKind, path::Path};

use chunk_api::{CellRange, Error, ListShards, Purpose, conformance::Sample};

use super::{
    DISK, open, options,
    sim::{Direct, Rng, SimDisk},
};
use crate::{DiskOptions, DiskStore, Reserve, ShardStore, conformance, disk::unread::UNREAD_MAX};

#[tokio::test]
async fn a_full_disk_refuses_puts_and_goes_on_reading_and_deleting() {
    let disk = SimDisk::new(20 << 20);
    let store = open(&disk.env(), Path::new("/disk")).await;
    conformance::full_medium(&store).await;
    let status = store.status().await;
    assert!(!status.writable && !status.failed);
    store.close().await;

    // A restart of the full disk works as well.
    let store = open(&disk.env(), Path::new("/disk")).await;
    let listed = store.list(ListShards::all(None, 1000)).await.unwrap();
    assert_eq!(listed.len() as u64, store.status().await.shards);
    let names: Vec<_> = listed.iter().map(|line| line.header.shard).collect();
    assert_eq!(store.delete(&names).await, Ok(()));
    let sample = Sample::single(1, 1, 5 << 20);
    assert_eq!(
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await,
        Ok(()),
        "deleted shards make room"
    );
}

#[tokio::test]
async fn whole_blocks_are_written_past_the_systems_memory_where_the_file_system_lets_them() {
    for (what, expected) in [(Direct::Taken, 4), (Direct::Refused, 0), (Direct::Unknown, 0)] {
        let disk = SimDisk::new(1 << 30);
        disk.make_of_direct_writes(what);
        let store = open(&disk.env(), Path::new("/disk")).await;
        // Groups, long and short; one buffer and a bit; two and what is left.
        let lengths = [200 << 10, 4 << 10, (512 << 10) + 17, (1 << 20) + (90 << 10)];
        let samples: Vec<_> =
            (1..).zip(lengths).map(|(name, length)| Sample::single(1, name, length)).collect();
        for sample in &samples {
            store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
        }
        assert_eq!(disk.direct_writes(), expected, "{what:?}");
        store.close().await;
        let store = open(&disk.after_kill().env(), Path::new("/disk")).await;
        for sample in &samples {
            let cells = CellRange { first: 0, count: u32::try_from(sample.cells.len()).unwrap() };
            assert_eq!(store.read_cells(sample.shard(), cells).await.unwrap(), sample.cells, "{what:?}");
        }
        // It is gone on with where it ended.
        let last = Sample::single(1, 9, 3 << 20);
        store.put(last.header.clone(), last.whole(), Purpose::Write).await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn the_reserve_stays_free() {
    let disk = SimDisk::new(40 << 20);
    let reserve = Reserve { bytes: 1 << 20, percent: 25 };
    let options = DiskOptions { reserve, segment_bytes: 2 << 20, ..options(Path::new("/disk")) };
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    conformance::full_medium(&store).await;
    let used: usize = disk.files().into_iter().map(|(_, length)| length).sum();
    assert!((27 << 20..31 << 20).contains(&used), "{used}");
}

#[tokio::test]
async fn a_failed_sync_is_never_acknowledged_nor_tried_again() {
    let disk = SimDisk::new(1 << 30);
    let store = open(&disk.env(), Path::new("/disk")).await;
    let kept = Sample::single(1, 1, 3000);
    let large = Sample::single(1, 2, 1 << 20);
    for sample in [&kept, &large] {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    disk.fail_syncs();
    for (name, length) in [(3, 100), (4, 1 << 20), (5, 100)] {
        let sample = Sample::single(1, name, length);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert!(matches!(put, Err(Error::DiskFailed { disk: DISK, .. })), "{put:?}");
        let read = store.read_cells(sample.shard(), CellRange { first: 0, count: 1 }).await;
        assert_eq!(read, Err(Error::ShardNotFound { shard: sample.shard() }));
    }
    let deleted = store.delete(&[kept.shard()]).await;
    assert!(matches!(deleted, Err(Error::DiskFailed { .. })), "{deleted:?}");
    let status = store.status().await;
    assert!(status.failed && !status.writable);
    for sample in [&kept, &large] {
        let count = u32::try_from(sample.cells.len()).unwrap();
        let read = store.read_cells(sample.shard(), CellRange { first: 0, count }).await;
        assert_eq!(read.as_ref(), Ok(&sample.cells));
    }
}

/// A file system that goes down while it syncs may not say so; it cannot be written any more by then.
#[tokio::test]
async fn a_sync_behind_which_nothing_can_be_written_is_a_failed_one() {
    for length in [100, 1 << 20] {
        let disk = SimDisk::new(64 << 20);
        let store = open(&disk.env(), Path::new("/disk")).await;
        let kept = Sample::single(1, 1, 300);
        assert_eq!(store.put(kept.header.clone(), kept.whole(), Purpose::Write).await, Ok(()));
        disk.go_down_in_sync();
        let sample = Sample::single(1, 2, length);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert!(matches!(put, Err(Error::DiskFailed { disk: DISK, .. })), "{put:?}");
        let deleted = store.delete(&[kept.shard()]).await;
        assert!(matches!(deleted, Err(Error::DiskFailed { .. })), "{deleted:?}");
        assert!(store.status().await.failed);
    }
}

/// A file system that reserves no space, or whose own medium is full, says so when it is to make things stable: what was
/// written before is lost then, and the next sync knows nothing of it.
#[tokio::test]
async fn a_sync_that_finds_the_medium_full_is_a_failed_one() {
    for seed in 0..8 {
        let disk = SimDisk::of_seed(64 << 20, seed);
        let small_segments = DiskOptions { segment_bytes: 16 << 10, ..options(Path::new("/disk")) };
        let store = DiskStore::open(&disk.env(), small_segments.clone()).await.unwrap();
        let samples: Vec<_> = (0..3).map(|name| Sample::single(1, name, 3800)).collect();
        let put = |sample: &Sample| store.put(sample.header.clone(), sample.whole(), Purpose::Write);
        assert_eq!(put(&samples[0]).await, Ok(()));
        // One group, of which the last does not fit into the segment: the first sync is that which ends the segment.
        disk.fail_one_sync_after(0, ErrorKind::StorageFull);
        let longer = Sample::single(1, 9, 5000);
        let (first, second, third) = tokio::join!(put(&samples[1]), put(&samples[2]), put(&longer));
        let acknowledged: Vec<_> = [(&samples[1], first), (&samples[2], second), (&longer, third)]
            .into_iter()
            .filter_map(|(sample, answer)| match answer {
                Ok(()) => Some(sample.shard()),
                Err(Error::DiskFailed { .. }) => None,
                Err(error) => panic!("{error:?}"),
            })
            .collect();
        assert!(store.status().await.failed);
        let disk = disk.after_power_cut(&mut Rng(seed));
        let store = DiskStore::open(&disk.env(), small_segments).await.unwrap();
        for shard in acknowledged {
            assert_eq!(store.verify(&[shard]).await, Ok(vec![Ok(())]), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_write_that_finds_no_room_in_what_was_reserved_fails_the_disk() {
    let disk = SimDisk::new(64 << 20);
    let store = open(&disk.env(), Path::new("/disk")).await;
    let sample = Sample::single(1, 1, 300);
    assert_eq!(store.put(sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    disk.fail_writes(ErrorKind::StorageFull);
    let sample = Sample::single(1, 2, 300);
    let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
    assert!(matches!(put, Err(Error::DiskFailed { .. })), "{put:?}");
    assert!(store.status().await.failed);
}

/// A segment whose name may come back must not stay behind one that is gone on with.
#[tokio::test]
async fn a_name_that_is_not_made_stable_or_not_removed_for_lack_of_room_fails_the_disk() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let disk = SimDisk::new(64 << 20);
        let store = open(&disk.env(), Path::new("/disk")).await;
        disk.fail_one_directory_sync(kind);
        let sample = Sample::single(1, 1, 300);
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert!(matches!(put, Err(Error::DiskFailed { .. })), "{put:?}");

        // Too little room for a segment of marks, which is made and removed again.
        for (fails, is_failed) in [(false, false), (true, true)] {
            let disk = SimDisk::new(3000);
            if fails {
                disk.fail_removals(kind);
            }
            let store = open(&disk.env(), Path::new("/disk")).await;
            store.close().await;
            assert_eq!(store.status().await.failed, is_failed);
        }
    }
}

/// The void at the end of a full segment is seen after a kill, and the medium may not have it: the sync failed.
#[tokio::test]
async fn an_end_that_a_failed_sync_left_in_memory_is_written_again() {
    for seed in 0..8 {
        let disk = SimDisk::of_seed(64 << 20, seed);
        let full = |blocks: u64| DiskOptions { segment_bytes: blocks * 4096, ..options(Path::new("/disk")) };
        let store = DiskStore::open(&disk.env(), full(4)).await.unwrap();
        // Each takes a block, so that the void begins where the next group would.
        let samples: Vec<_> = (0..6).map(|name| Sample::single(1, name, 3800)).collect();
        let put = async |store: &DiskStore, sample: &Sample| {
            store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
        };
        for sample in &samples[..3] {
            assert_eq!(put(&store, sample).await, Ok(()));
        }
        disk.fail_one_sync_after(0, ErrorKind::Other);
        assert!(matches!(put(&store, &samples[3]).await, Err(Error::DiskFailed { .. })));
        let disk = disk.after_kill();
        let store = DiskStore::open(&disk.env(), full(16)).await.unwrap();
        for sample in &samples[4..] {
            assert_eq!(put(&store, sample).await, Ok(()));
        }
        let disk = disk.after_power_cut(&mut Rng(seed));
        let store = DiskStore::open(&disk.env(), full(16)).await.unwrap();
        let status = store.status().await;
        assert_eq!((status.shards, status.damaged_records), (5, 0), "seed {seed}");
    }
}

/// So is a void between two records: what comes to stand behind it would make rot of the hole.
#[tokio::test]
async fn a_void_that_a_failed_sync_left_in_memory_is_written_again() {
    use futures_util::StreamExt;

    for seed in 0..16 {
        let disk = SimDisk::of_seed(64 << 20, seed);
        let store = open(&disk.env(), Path::new("/disk")).await;
        let put = async |store: &DiskStore, name: u64| {
            let sample = Sample::single(1, name, 300);
            store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
        };
        assert_eq!(put(&store, 1).await, Ok(()));
        let large = Sample::single(1, 2, 400_000);
        let cells = futures_util::stream::iter(large.cells[..1].to_vec()).map(Ok);
        let body = chunk_api::ShardBody::Stream(Box::pin(cells.chain(futures_util::stream::pending())));
        let mut given_up = store.put(large.header.clone(), body, Purpose::Write);
        let is_shards = |path: &Path| path.to_str().unwrap().contains("shards-");
        let path = disk.files().into_iter().map(|(path, _)| path).find(|path| is_shards(path)).unwrap();
        let is_there = || {
            let bytes = env::Disk::read_small(&disk, &path, 64 << 20).unwrap();
            bytes.chunks(512).filter(|sector| sector.starts_with(b"ASHR")).count() == 2
        };
        while !is_there() {
            assert!(futures_util::poll!(&mut given_up).is_pending());
            tokio::task::yield_now().await;
        }
        drop(given_up);
        // Its group voids the room.
        disk.fail_one_sync_after(0, ErrorKind::Other);
        assert!(matches!(put(&store, 3).await, Err(Error::DiskFailed { .. })));
        let disk = disk.after_kill();
        let store = open(&disk.env(), Path::new("/disk")).await;
        assert_eq!(put(&store, 4).await, Ok(()));
        let disk = disk.after_power_cut(&mut Rng(seed));
        let status = open(&disk.env(), Path::new("/disk")).await.status().await;
        assert_eq!((status.shards, status.damaged_records), (3, 0), "seed {seed}");
    }
}

/// A start cuts a torn end off and cannot make that stable; the next one knows nothing of it. What was cut off comes back with
/// a power cut, in the last block of what was written there since, and must not pass for rot.
#[tokio::test]
async fn what_was_cut_off_does_not_come_back_behind_what_is_written_there() {
    use futures_util::StreamExt;

    #[derive(Debug, Clone, Copy)]
    enum Next {
        Put,
        Mark,
        Stream,
        Room,
    }
    let (mut failed_starts, mut wrong) = ([0; 4], BTreeMap::new());
    let kinds = [Next::Put, Next::Mark, Next::Stream, Next::Room];
    for (kind, next) in kinds.into_iter().enumerate() {
        for (seed, syncs) in (0..24).flat_map(|seed| (0..6).map(move |syncs| (seed, syncs))) {
            let disk = SimDisk::of_seed(64 << 20, seed);
            let store = open(&disk.env(), Path::new("/disk")).await;
            let put = async |store: &DiskStore, name: u64, length: u64| {
                let sample = Sample::single(1, name, length);
                store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
            };
            assert_eq!(put(&store, 1, 300).await, Ok(()));
            assert_eq!(store.delete(&[Sample::single(1, 99, 1).shard()]).await, Ok(()));
            store.close().await;
            // A torn group behind the last one, of which some sectors came to the medium.
            let is_of = |path: &Path, kind: &str| path.to_str().unwrap().contains(kind);
            for kind in ["shards-", "marks-"] {
                let path =
                    disk.files().into_iter().map(|(path, _)| path).find(|path| is_of(path, kind)).unwrap();
                disk.tamper(&path, |data| {
                    let used = data.iter().rposition(|byte| *byte != 0).unwrap() + 1;
                    let next = used.next_multiple_of(4096);
                    data.resize(data.len().max(next + 25 * 4096), 0);
                    for sector in [1, 3, 6, 7, 9, 15, 18, 22, 199] {
                        data[next + sector * 512..][..512].fill(0x5a);
                    }
                });
            }
            disk.fail_one_sync_after(syncs, ErrorKind::Other);
            let disk = match DiskStore::open(&disk.env(), options(Path::new("/disk"))).await {
                Ok(_) => continue,
                Err(_) => disk.after_kill(),
            };
            failed_starts[kind] += 1;
            let store = open(&disk.env(), Path::new("/disk")).await;
            let shards = match next {
                Next::Put => put(&store, 2, 300).await.map(|()| 2),
                Next::Mark => store.delete(&[Sample::single(1, 98, 1).shard()]).await.map(|()| 1),
                Next::Stream => {
                    let large = Sample::single(1, 2, 5000);
                    store.put(large.header.clone(), large.stream(), Purpose::Write).await.map(|()| 2)
                }
                Next::Room => {
                    let large = Sample::single(1, 2, 100_000);
                    let cells = futures_util::stream::iter(large.cells[..1].to_vec()).map(Ok);
                    let body = cells.chain(futures_util::stream::pending());
                    let body = chunk_api::ShardBody::Stream(Box::pin(body));
                    let mut unfinished = store.put(large.header.clone(), body, Purpose::Write);
                    for _ in 0..100 {
                        assert!(futures_util::poll!(&mut unfinished).is_pending());
                        tokio::task::yield_now().await;
                    }
                    // What lies behind the room is stable, and its footer never came.
                    put(&store, 3, 300).await.map(|()| 2)
                }
            };
            // They prove that the group before them was stable.
            assert_eq!(put(&store, 7, 300).await, Ok(()));
            assert_eq!(store.delete(&[Sample::single(1, 97, 1).shard()]).await, Ok(()));
            let shards = shards.map(|shards| shards + 1);
            let disk = disk.after_power_cut(&mut Rng(seed));
            let status = open(&disk.env(), Path::new("/disk")).await.status().await;
            if shards != Ok(status.shards) || status.quarantined_records != 0 {
                wrong
                    .insert(kind, format!("{next:?}, seed {seed}, sync {syncs}: {status:?}, not {shards:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(failed_starts.iter().all(|count| *count >= 24), "{failed_starts:?}");
}

/// And a footer that was wiped: the torn record would pass for whole.
#[tokio::test]
async fn a_wiped_footer_that_a_failed_sync_left_in_memory_is_wiped_again() {
    for seed in 0..8 {
        let disk = SimDisk::of_seed(64 << 20, seed);
        let store = open(&disk.env(), Path::new("/disk")).await;
        let put = async |store: &DiskStore, sample: &Sample| {
            store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
        };
        let samples: Vec<_> = (0..3).map(|name| Sample::single(1, name, 3000)).collect();
        for sample in &samples[..2] {
            assert_eq!(put(&store, sample).await, Ok(()));
        }
        let torn = samples[1].shard();
        let (place, segment) = store.handle.shared.index().find(torn).unwrap();
        store.close().await;
        // As if its group had never become stable, and its cells had not.
        env::Disk::remove(&disk, Path::new("/disk/stable")).unwrap();
        let at = usize::try_from(place.position()).unwrap() + 1000;
        disk.tamper(&Path::new("/disk").join(segment.file_name()), |data| data[at] ^= 1);
        disk.fail_one_sync_after(0, ErrorKind::Other);
        assert!(DiskStore::open(&disk.env(), options(Path::new("/disk"))).await.is_err());
        let disk = disk.after_kill();
        let store = open(&disk.env(), Path::new("/disk")).await;
        assert_eq!(put(&store, &samples[2]).await, Ok(()));
        let disk = disk.after_power_cut(&mut Rng(seed));
        let store = open(&disk.env(), Path::new("/disk")).await;
        let damaged: Vec<_> = store.list_damaged().await.unwrap().iter().map(|header| header.shard).collect();
        assert_eq!(damaged, [torn], "seed {seed}");
    }
}

#[tokio::test]
async fn segments_whose_shards_are_all_deleted_are_removed_and_their_names_stay_deleted() {
    let disk = SimDisk::new(1 << 30);
    let small_segments = DiskOptions { segment_bytes: 64 << 10, ..options(Path::new("/disk")) };
    let store = DiskStore::open(&disk.env(), small_segments.clone()).await.unwrap();
    let samples: Vec<_> = (0..40).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    let segments = |disk: &SimDisk| {
        disk.files().into_iter().filter(|(path, _)| path.to_str().unwrap().contains("shards-")).count()
    };
    assert!(segments(&disk) > 10);
    let names: Vec<_> = samples.iter().map(Sample::shard).collect();
    store.delete(&names).await.unwrap();
    store.close().await;
    assert_eq!(segments(&disk), 1, "only the open segment is left");
    let store = DiskStore::open(&disk.env(), small_segments).await.unwrap();
    for sample in &samples {
        let put = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert_eq!(put, Err(Error::ShardDeleted { shard: sample.shard() }));
    }
}

#[tokio::test]
async fn a_disk_that_is_closed_during_streams_waits_for_their_last_write() {
    use futures_util::StreamExt;

    let disk = SimDisk::new(1 << 30);
    let store = std::sync::Arc::new(open(&disk.env(), Path::new("/disk")).await);
    let sample = Sample::single(1, 1, 4 << 20);
    let cells = futures_util::stream::iter(sample.cells[..40].to_vec())
        .map(Ok)
        .chain(futures_util::stream::pending());
    let put = store.put(sample.header.clone(), chunk_api::ShardBody::Stream(Box::pin(cells)), Purpose::Write);
    let close = async {
        tokio::task::yield_now().await;
        store.close().await;
    };
    let (put, ()) = tokio::join!(put, close);
    assert!(matches!(put, Err(Error::Unavailable { .. })), "{put:?}");
    let store = open(&disk.env(), Path::new("/disk")).await;
    let status = store.status().await;
    assert_eq!((status.shards, status.damaged_records), (0, 0), "what was given up is no damage");
    assert_eq!(store.put(sample.header.clone(), sample.stream(), Purpose::Write).await, Ok(()));
}

#[tokio::test]
async fn a_few_shards_that_cannot_be_read_are_damaged_and_many_are_a_failed_disk() {
    let disk = SimDisk::new(1 << 30);
    let store = open(&disk.env(), Path::new("/disk")).await;
    let samples: Vec<_> = (0..UNREAD_MAX as u64 + 8).map(|name| Sample::single(1, name, 3000)).collect();
    for sample in &samples {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    let one = CellRange { first: 0, count: 1 };
    disk.fail_reads(Some(ErrorKind::Other));
    // One shard, however often it is read, is no more than a bad sector.
    let first = samples[0].shard();
    for _ in 0..2 * UNREAD_MAX {
        let read = store.read_cells(first, one).await;
        assert_eq!(read, Err(Error::ShardCorrupt { shard: first, cell: 0 }));
    }
    assert_eq!(store.verify(&[first]).await.unwrap(), [Err(Error::ShardCorrupt { shard: first, cell: 0 })]);
    assert!(!store.status().await.failed);

    for (number, sample) in samples.iter().enumerate().skip(1) {
        let answer = if number % 2 == 0 {
            store.read_cells(sample.shard(), one).await.map(|_| ())
        } else {
            store.verify(&[sample.shard()]).await.and_then(|mut answers| answers.remove(0))
        };
        let failed = matches!(answer, Err(Error::DiskFailed { disk: DISK, .. }));
        assert_eq!(failed, number >= UNREAD_MAX - 1, "{number} {answer:?}");
        assert_eq!(store.status().await.failed, failed, "{number}");
    }
    let status = store.status().await;
    assert!(status.failed && !status.writable);
    let late = Sample::single(1, 1000, 100);
    let put = store.put(late.header.clone(), late.whole(), Purpose::Repair).await;
    assert!(matches!(put, Err(Error::DiskFailed { .. })), "{put:?}");
    // What can be read is served.
    disk.fail_reads(None);
    assert_eq!(store.read_cells(first, one).await.as_ref(), Ok(&samples[0].cells));
}

#[tokio::test]
async fn a_process_without_means_to_read_says_nothing_of_its_shards() {
    let disk = SimDisk::new(1 << 30);
    let store = open(&disk.env(), Path::new("/disk")).await;
    let samples: Vec<_> = (0..2 * UNREAD_MAX as u64).map(|name| Sample::single(1, name, 3000)).collect();
    for sample in &samples {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    let one = CellRange { first: 0, count: 1 };
    disk.fail_reads(Some(ErrorKind::OutOfMemory));
    for sample in &samples {
        let read = store.read_cells(sample.shard(), one).await;
        assert!(matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
        let verified = store.verify(&[sample.shard()]).await;
        assert!(
            matches!(
                verified.as_deref(),
                Ok([Err(Error::Unavailable { .. })]) | Err(Error::Unavailable { .. })
            ),
            "{verified:?}"
        );
    }
    disk.fail_reads(None);
    let status = store.status().await;
    assert!(status.writable && !status.failed);
    for sample in &samples {
        assert_eq!(store.read_cells(sample.shard(), one).await.as_ref(), Ok(&sample.cells));
    }
}
