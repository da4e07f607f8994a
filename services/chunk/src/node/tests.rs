mod silent;

use std::{path::Path, sync::Arc};

use chunk_api::{
    CellRange, ChunkService, Error, Purpose,
    conformance::{self, Sample, Subject},
};
use env::Env;
use metadata_api::{DiskRegistration, Intent, Metadata, fake::Fake};
use shard_store::{DiskOptions, OpenError, Reserve};
use types::{DiskId, NodeId};

use super::ChunkNode;

const NODE: NodeId = NodeId([3; 16]);

fn options(directory: &Path, disk: u8) -> DiskOptions {
    DiskOptions {
        new_disk: Some(DiskId([disk; 16])),
        segment_bytes: 16 << 20,
        reserve: Reserve { bytes: 1 << 20, percent: 0 },
        ..DiskOptions::new(directory)
    }
}

#[tokio::test]
async fn it_passes_the_conformance_suite() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let disks = (1..=2).map(|n| options(&home.path().join(n.to_string()), n)).collect();
    let node = ChunkNode::open(&env, disks).await;
    let subject = Subject { env, service: Arc::new(node), disk: DiskId([2; 16]) };
    conformance::run(&subject).await;
}

#[tokio::test]
async fn a_disk_that_cannot_be_opened_does_not_take_the_others_down() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let newer = home.path().join("newer");
    env.disk().create_directory(&newer).unwrap();
    env.disk().replace_small(&newer.join("disk.json"), br#"{"format_version": 99}"#).unwrap();
    env.disk().replace_small(&home.path().join("file"), b"not a folder").unwrap();
    let disks =
        ["newer", "file", "good"].into_iter().zip(1..).map(|(name, n)| options(&home.path().join(name), n));
    let node = ChunkNode::open(&env, disks.collect()).await;
    let unopened: Vec<_> =
        node.unopened().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(unopened, ["newer", "file"]);
    assert_eq!(node.len(), 1);

    let sample = Sample::single(1, 1, 100);
    let good = DiskId([3; 16]);
    assert_eq!(node.put_shard(good, sample.header.clone(), sample.whole(), Purpose::Write).await, Ok(()));
    sample.expect_kept(&node, good).await;
    let bad = DiskId([1; 16]);
    let read = node.read_cells(bad, sample.shard(), CellRange { first: 0, count: 1 }).await;
    assert_eq!(read, Err(Error::DiskNotFound { disk: bad }));
}

#[tokio::test]
async fn a_copied_disk_is_opened_once() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let disks = ["one", "copy"].map(|name| options(&home.path().join(name), 1));
    let node = ChunkNode::open(&env, disks.into()).await;
    assert_eq!(node.len(), 1);
    let (path, error) = node.unopened().next().unwrap();
    assert!(path.ends_with("copy") && matches!(error, OpenError::Repeated { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_folder_is_not_made_a_disk_while_one_of_the_node_is_missing() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Fake::new(env.clone());
    let open = |names: &'static [(&str, u8)]| {
        let disks = names.iter().map(|(name, disk)| options(&home.path().join(name), *disk)).collect();
        ChunkNode::open_known(&env, NODE, disks, &metadata)
    };
    let domain = "eu/a/r1/h7".parse().unwrap();
    let names = |node: &ChunkNode| {
        node.unopened().map(|(path, _)| path.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };

    let first = open(&[("a", 1), ("b", 2)]).await.unwrap();
    assert_eq!(first.len(), 2);
    metadata.register_node(first.registration(NODE, "h7:1", &domain).await).await.unwrap();
    first.close().await;
    // A third comes: nothing is missing.
    let third = open(&[("a", 1), ("b", 2), ("c", 3)]).await.unwrap();
    assert_eq!(third.len(), 3);
    metadata.register_node(third.registration(NODE, "h7:1", &domain).await).await.unwrap();
    third.close().await;

    // The second disk's file system is not mounted.
    let (disk, b) = (env.disk(), home.path().join("b"));
    disk.rename(&b, &home.path().join("elsewhere")).unwrap();
    disk.create_directory(&b).unwrap();
    let unmounted = open(&[("a", 1), ("b", 4), ("c", 3)]).await.unwrap();
    assert_eq!((unmounted.len(), names(&unmounted)), (2, vec!["b".into()]));
    let reasons: Vec<_> = unmounted.unopened().collect();
    let missing = DiskId([2; 16]);
    assert!(matches!(reasons[0].1, OpenError::NotMounted { missing: found, .. } if *found == missing));
    unmounted.close().await;
    assert_eq!(disk.list_directory(&b).unwrap().len(), 0);

    // Nor does another disk account for the missing one that says which it is and cannot be opened.
    disk.create_directory(&home.path().join("d")).unwrap();
    let held = disk.lock(&home.path().join("c/lock")).unwrap();
    let other = open(&[("a", 1), ("b", 4), ("c", 3), ("d", 5)]).await.unwrap();
    assert_eq!((other.len(), names(&other)), (1, vec!["c".into(), "b".into(), "d".into()]));
    other.close().await;
    drop(held);
    assert_eq!(disk.list_directory(&b).unwrap().len(), 0);

    // One that is there but damaged, and says nothing of itself any more, does.
    disk.replace_small(&b.join("disk.json"), b"{").unwrap();
    let damaged = open(&[("a", 1), ("b", 4), ("c", 3), ("d", 5)]).await.unwrap();
    assert_eq!((damaged.len(), names(&damaged)), (3, vec!["b".into()]));
    damaged.close().await;
    disk.remove(&b.join("disk.json")).unwrap();

    // One that cannot be opened and says that it is the missing one does.
    let elsewhere = home.path().join("elsewhere");
    let held = disk.lock(&elsewhere.join("lock")).unwrap();
    let locked = open(&[("a", 1), ("elsewhere", 2), ("c", 3), ("d", 5)]).await.unwrap();
    assert_eq!((locked.len(), names(&locked)), (3, vec!["elsewhere".into()]));
    locked.close().await;
    drop(held);

    // Its operator says that it is lost.
    metadata.set_disk_intent(missing, Intent::Remove).await.unwrap();
    let replaced = open(&[("a", 1), ("b", 4), ("c", 3), ("d", 5)]).await.unwrap();
    assert_eq!(replaced.len(), 4);
}

/// Remote buckets are opened later; neither one that is missed nor one that is new says anything of a folder.
#[tokio::test]
async fn remote_buckets_are_not_mistaken_for_missing_folders() {
    let env = Env::real();
    let home = tempfile::tempdir().unwrap();
    let metadata = Fake::new(env.clone());
    let open = |names: &'static [(&str, u8)]| {
        let disks = names.iter().map(|(name, disk)| options(&home.path().join(name), *disk)).collect();
        ChunkNode::open_known(&env, NODE, disks, &metadata)
    };
    let first = open(&[("a", 1)]).await.unwrap();
    let mut registration = first.registration(NODE, "h7:1", &"eu/a/r1/h7".parse().unwrap()).await;
    let bucket = DiskRegistration {
        disk: DiskId([9; 16]),
        medium: shard_store_s3::MEDIUM.to_owned(),
        ..registration.disks[0].clone()
    };
    registration.disks.push(bucket);
    metadata.register_node(registration).await.unwrap();
    first.close().await;

    let added = open(&[("a", 1), ("b", 2)]).await.unwrap();
    assert_eq!(added.len(), 2);
    added.close().await;
    // The first folder's file system is not mounted.
    env.disk().rename(&home.path().join("a"), &home.path().join("elsewhere")).unwrap();
    let unmounted = open(&[("a", 3)]).await.unwrap();
    assert_eq!(unmounted.len(), 0);
    assert!(matches!(unmounted.unopened().next().unwrap().1, OpenError::NotMounted { .. }));
}
