//! A process without memory or file descriptors: nothing is known of the medium then.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

use chunk_api::{CellRange, Error, Purpose, conformance::Sample};

use super::{options, sim::SimDisk};
use crate::{DiskOptions, DiskStore, OpenError, ShardStore};

/// A process may run out of file descriptors or memory, and have some again.
#[tokio::test]
async fn a_segment_that_cannot_be_read_for_want_of_means_is_rewritten_later() {
    let disk = SimDisk::new(1 << 30);
    let options = DiskOptions { segment_bytes: 128 << 10, ..options(Path::new("/disk")) };
    let store = DiskStore::open(&disk.env(), options).await.unwrap();
    let samples: Vec<_> = (0..8).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        assert_eq!(store.put(sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    }
    let gone: Vec<_> = [1, 2, 3, 4].map(|turn: usize| samples[turn].shard()).into();
    assert_eq!(store.delete(&gone).await, Ok(()));
    let dead_bytes = store.status().await.dead_bytes;
    disk.fail_reads(Some(ErrorKind::OutOfMemory));
    let rewritten = store.handle.rewrite_sparsest(false, false).await;
    assert!(matches!(rewritten, Err(Error::Unavailable { .. })), "{rewritten:?}");
    store.handle.rewrite_all_sparse().await;
    assert_eq!(store.status().await.dead_bytes, dead_bytes);

    disk.fail_reads(None);
    store.handle.rewrite_all_sparse().await;
    let now = store.status().await.dead_bytes;
    assert!(now < dead_bytes, "{now} bytes are dead, of {dead_bytes}");
    for (turn, sample) in samples.iter().enumerate() {
        let wanted = if (1..=4).contains(&turn) {
            Err(Error::ShardNotFound { shard: sample.shard() })
        } else {
            Ok(())
        };
        assert_eq!(store.verify(&[sample.shard()]).await, Ok(vec![wanted]));
    }
}

/// Segments of the disk below, each with a shard.
const SEGMENTS: u64 = 150;

fn many_segments() -> DiskOptions {
    DiskOptions { segment_bytes: 32 << 10, ..options(Path::new("/disk")) }
}

/// A disk of more segments than a process may have files open here.
async fn disk_of_many_segments() -> (SimDisk, Vec<Sample>) {
    let disk = SimDisk::new(1 << 30);
    let store = DiskStore::open(&disk.env(), many_segments()).await.unwrap();
    let samples: Vec<_> = (0..SEGMENTS).map(|name| Sample::single(1, name, 20_000)).collect();
    for sample in &samples {
        store.put(sample.header.clone(), sample.whole(), Purpose::Write).await.unwrap();
    }
    // Of some, index files are read in place of the segments.
    store.handle.write_index_files(false).await.unwrap();
    store.close().await;
    for (path, _) in
        disk.files().iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "index")).step_by(3)
    {
        env::Disk::remove(&disk, path).unwrap();
    }
    (disk, samples)
}

#[tokio::test]
async fn a_disk_of_more_segments_than_files_may_be_open_is_opened_and_read() {
    let (disk, samples) = disk_of_many_segments().await;
    let disk = disk.after_kill();
    disk.limit_open_files(40);
    let store = DiskStore::open(&disk.env(), many_segments()).await.unwrap();
    for sample in &samples {
        let read = store.read_cells(sample.shard(), CellRange { first: 0, count: 1 }).await;
        assert_eq!(read.as_ref(), Ok(&sample.cells));
    }
    assert_eq!(store.status().await.damaged_records, 0);
    // New segments are made, though all descriptors are taken.
    for name in SEGMENTS..SEGMENTS + 5 {
        let sample = Sample::single(1, name, 20_000);
        assert_eq!(store.put(sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    }
}

#[tokio::test]
async fn a_start_without_file_descriptors_says_so_and_takes_nothing_for_damage() {
    let (disk, samples) = disk_of_many_segments().await;
    let files = disk.files();
    for most in 0..12 {
        let disk = disk.after_kill();
        disk.limit_open_files(most);
        match DiskStore::open(&disk.env(), many_segments()).await {
            Err(error) => {
                assert!(matches!(error, OpenError::OutOfFiles { .. }), "{most}: {error:?}");
                assert!(error.is_out_of_files() && error.to_string().contains("ulimit -n"), "{error}");
            }
            Ok(store) => {
                assert!(most > 2, "the note and two segments stay open");
                store.close().await;
            }
        }
        // What was reserved ahead for marks is given back by every start.
        let paths =
            |files: Vec<(PathBuf, usize)>| files.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths(disk.files()), paths(files.clone()), "{most}: index files and segments are there");
        disk.limit_open_files(1000);
        let store = DiskStore::open(&disk.env(), many_segments()).await.unwrap();
        let status = store.status().await;
        assert_eq!((status.shards, status.damaged_records, status.failed), (samples.len() as u64, 0, false));
    }
}

#[tokio::test]
async fn a_segment_that_cannot_be_made_for_want_of_file_descriptors_is_made_later() {
    let disk = SimDisk::new(1 << 30);
    let store = DiskStore::open(&disk.env(), many_segments()).await.unwrap();
    let samples: Vec<_> = (0..4).map(|name| Sample::single(1, name, 20_000)).collect();
    let put = async |sample: &Sample| store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
    assert_eq!(put(&samples[0]).await, Ok(()));
    disk.limit_open_files(0);
    let refused = put(&samples[1]).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    assert!(!store.status().await.failed);
    disk.limit_open_files(1000);
    for sample in &samples[1..] {
        assert_eq!(put(sample).await, Ok(()));
    }
    store.close().await;
    let store = DiskStore::open(&disk.env(), many_segments()).await.unwrap();
    let status = store.status().await;
    assert_eq!((status.shards, status.damaged_records), (4, 0));
}
