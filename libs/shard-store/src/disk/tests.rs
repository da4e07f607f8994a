//! The disk store on real and simulated file systems.

mod compaction;
mod condense;
mod crash;
mod damage;
mod faults;
mod hung;
mod index_files;
mod marks;
mod means;
mod measure;
mod model;
mod scrub;
mod sim;

use std::{path::Path, sync::Arc};

use env::Env;
use types::DiskId;

use super::{ClusterId, DiskOptions, DiskStore, OpenError, Reserve};
use crate::{ShardStore, conformance};

const DISK: DiskId = DiskId([0xd1; 16]);

fn options(directory: &Path) -> DiskOptions {
    DiskOptions {
        new_disk: Some(DISK),
        segment_bytes: 8 << 20,
        reserve: Reserve { bytes: 1 << 20, percent: 0 },
        ..DiskOptions::new(directory)
    }
}

async fn open(env: &Env, directory: &Path) -> DiskStore {
    DiskStore::open(env, options(directory)).await.unwrap()
}

#[tokio::test]
async fn it_passes_the_conformance_suite() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    conformance::run(|disk| {
        let options = DiskOptions { new_disk: Some(disk), ..options(&path) };
        async move { Arc::new(DiskStore::open(&Env::real(), options).await.unwrap()) as _ }
    })
    .await;
}

#[tokio::test]
async fn it_passes_the_conformance_suite_when_every_segment_is_small() {
    let disk = sim::SimDisk::new(1 << 30);
    conformance::run(|id| {
        let options =
            DiskOptions { new_disk: Some(id), segment_bytes: 32 << 10, ..options(Path::new("/disk")) };
        let env = disk.env();
        async move { Arc::new(DiskStore::open(&env, options).await.unwrap()) as _ }
    })
    .await;
}

#[tokio::test]
async fn a_disk_keeps_its_identity_and_only_one_process_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    let env = Env::real();
    let new = DiskOptions { new_disk: None, ..options(directory.path()) };
    let store = DiskStore::open(&env, new.clone()).await.unwrap();
    let id = store.disk();
    let second = DiskStore::open(&env, new.clone()).await;
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    store.close().await;
    assert_eq!(DiskStore::open(&env, new).await.unwrap().disk(), id);
}

#[tokio::test]
async fn a_disk_of_another_cluster_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let env = Env::real();
    let of = |cluster| DiskOptions { cluster, ..options(directory.path()) };
    for cluster in [None, Some(ClusterId([1; 16])), None, Some(ClusterId([1; 16]))] {
        DiskStore::open(&env, of(cluster)).await.unwrap().close().await;
    }
    let other = DiskStore::open(&env, of(Some(ClusterId([2; 16])))).await;
    assert!(
        matches!(other, Err(OpenError::OtherCluster { cluster: ClusterId(id), .. }) if id == [1; 16]),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_disk_of_a_newer_release_and_a_directory_of_other_files_are_left_alone() {
    let env = Env::real();
    let newer = r#"{"format_version": 2, "unheard_of": true}"#;
    let old_and_strange = r#"{"format_version": 1}"#;
    for (name, contents) in [("disk.json", newer), ("disk.json", old_and_strange), ("thesis.tex", "data")] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        env.disk().replace_small(&path, contents.as_bytes()).unwrap();
        let opened = DiskStore::open(&env, options(directory.path())).await;
        match (name, contents == newer) {
            (_, true) => assert!(matches!(opened, Err(OpenError::Newer { version: 2, .. })), "{opened:?}"),
            ("disk.json", _) => {
                assert!(matches!(opened, Err(OpenError::MalformedIdentity { .. })), "{opened:?}")
            }
            _ => assert!(matches!(opened, Err(OpenError::NotADisk { .. })), "{opened:?}"),
        }
        assert_eq!(env.disk().list_directory(directory.path()).unwrap(), [Path::new(name)]);
        assert_eq!(env.disk().read_small(&path, 100).unwrap(), contents.as_bytes());
    }
}
