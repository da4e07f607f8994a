//! Inventories: never seen by half, and made once a day whoever of the workers lives. The wall clock stands still here, so that
//! it is the same day throughout.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use metadata_api::{
    AccountId, BucketQuota, CreateBucket, GetVersion, ListObjects, ListPosition, Metadata, ObjectEntry,
    Subresource, VersionState,
};
use types::{BucketName, ByteRange, KeyPrefix};

use crate::{
    gateway::{Gateway, bucket, key},
    harness::Cluster,
};

const CONFIGURATION: &str = "<InventoryConfiguration><Destination><S3BucketDestination><Bucket>arn:aws:s3:::lists</Bucket>\
    <Format>Parquet</Format></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Id>all</Id>\
    <IncludedObjectVersions>All</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>\
    </InventoryConfiguration>";

const ENCRYPTED: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256\
    </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

fn lists() -> BucketName {
    BucketName::new("lists").unwrap()
}

/// A cluster with objects, and an inventory of them that is due.
async fn due() -> (Cluster, Gateway) {
    let cluster = Cluster::new(5, "2+2", 8).await;
    let gateway = cluster.gateway().await;
    cluster.fill(&gateway, 12).await;
    let request = CreateBucket::new(lists(), AccountId("owner".to_owned()));
    cluster.metadata.create_bucket(request).await.unwrap();
    let document = Some(Bytes::from_static(CONFIGURATION.as_bytes()));
    assert!(cluster.metadata.set_inventory(&bucket(), "all", document).await.unwrap());
    (cluster, gateway)
}

async fn keys(cluster: &Cluster) -> Vec<String> {
    let request = ListObjects {
        bucket: lists(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit: 1000,
    };
    let page = cluster.metadata.list_objects(request).await.unwrap();
    let entries = page.entries.into_iter().filter_map(|entry| match entry {
        ObjectEntry::Object(object) => Some(object.key.as_str().to_owned()),
        ObjectEntry::CommonPrefix(_) => None,
    });
    entries.collect()
}

async fn is_complete(cluster: &Cluster) -> bool {
    keys(cluster).await.iter().any(|key| key.ends_with("/manifest.checksum"))
}

async fn read(cluster: &Cluster, gateway: &Gateway, name: &str) -> Bytes {
    let wanted = GetVersion { bucket: lists(), key: key(name), version_id: None, with_content: true };
    let found = cluster.metadata.get_version(wanted).await.unwrap();
    let VersionState::Object(version) = found.state else { panic!("{name} is deleted") };
    let whole = ByteRange::new(0, version.content.length()).unwrap();
    let runs: Vec<Bytes> = gateway.pool.read(&version.content, whole).try_collect().await.unwrap();
    runs.concat().into()
}

/// When the list was begun of which it is recorded that it was made.
async fn listed(cluster: &Cluster) -> Option<i64> {
    let found = cluster.metadata.list_inventories(&bucket(), "", 1).await.unwrap();
    found[0].listed.map(|listed| listed.0)
}

#[tokio::test(start_paused = true)]
async fn a_list_that_a_worker_died_over_is_made_whole_by_the_next() {
    // After the file, after the links, after the manifest.
    for there in 1..=3 {
        let (cluster, gateway) = due().await;
        let dying = cluster.worker();
        while keys(&cluster).await.len() < there {
            tokio::task::yield_now().await;
        }
        dying.kill();
        let left = keys(&cluster).await;
        assert!(!is_complete(&cluster).await, "{left:?}");
        assert_eq!(listed(&cluster).await, None);

        let worker = cluster.worker();
        cluster.until("the list", || is_complete(&cluster)).await;
        let now = cluster.env.wall_clock_ms();
        cluster.until("the record of it", || async { listed(&cluster).await == Some(now) }).await;
        let found = keys(&cluster).await;
        let manifest = found.iter().find(|key| key.ends_with("/manifest.json")).unwrap();
        let manifest = String::from_utf8(read(&cluster, &gateway, manifest).await.to_vec()).unwrap();
        let files: Vec<&String> = found.iter().filter(|key| manifest.contains(key.as_str())).collect();
        assert_eq!(files.len(), 1, "{manifest}");
        assert!(!left.contains(files[0]), "it is a new one");
        assert_eq!(read(&cluster, &gateway, files[0]).await.slice(..4), b"PAR1"[..]);
        worker.stop().await;
    }
}

/// The files that the one manifest names, which are all there.
async fn named_files(cluster: &Cluster, gateway: &Gateway) -> Vec<Bytes> {
    let found = keys(cluster).await;
    let manifests: Vec<_> = found.iter().filter(|key| key.ends_with("/manifest.json")).collect();
    assert_eq!(manifests.len(), 1, "{found:?}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&read(cluster, gateway, manifests[0]).await).unwrap();
    let mut files = Vec::new();
    for file in manifest["files"].as_array().unwrap() {
        let key = file["key"].as_str().unwrap();
        assert!(found.iter().any(|found| found == key), "{key} is named and not in {found:?}");
        files.push(read(cluster, gateway, key).await);
    }
    files
}

#[tokio::test(start_paused = true)]
async fn a_list_stays_whole_when_the_answer_to_a_commit_is_lost() {
    for end in [".parquet", "/symlink.txt", "/manifest.json", "/manifest.checksum"] {
        let (cluster, gateway) = due().await;
        cluster.metadata.lose_answer(end);
        let worker = cluster.worker();
        cluster.until("the record of the list", || async { listed(&cluster).await.is_some() }).await;
        assert_eq!(named_files(&cluster, &gateway).await.len(), 1, "{end}");
        assert_eq!(keys(&cluster).await.len(), 4, "it was written again under the same key: {end}");
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_a_manifest_may_name_stay_when_it_is_given_up() {
    let (cluster, gateway) = due().await;
    for _ in 0..8 {
        cluster.metadata.lose_answer("/manifest.json");
    }
    let worker = cluster.worker();
    cluster.until("the manifest", || async { keys(&cluster).await.len() == 3 }).await;
    cluster.env.sleep(Duration::from_secs(45 * 60)).await;
    assert!(!is_complete(&cluster).await);
    assert_eq!(named_files(&cluster, &gateway).await.len(), 1);
    cluster.until("the list", || is_complete(&cluster)).await;
    assert_eq!(named_files(&cluster, &gateway).await.len(), 1);
    let files = keys(&cluster).await.into_iter().filter(|key| key.ends_with(".parquet")).count();
    assert_eq!(files, 2, "it was made anew under other names");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn files_of_a_list_that_is_refused_its_manifest_are_taken_away() {
    let (cluster, _gateway) = due().await;
    // The data and the links fit, and the manifest does not.
    cluster.metadata.set_quota(&lists(), BucketQuota { bytes: None, objects: Some(2) }).await.unwrap();
    let worker = cluster.worker();
    let changes = async || cluster.metadata.get_bucket(&lists()).await.unwrap().commit_sequence.0;
    // Two commits of what comes, and one at least of what goes.
    cluster.until("the end of the files", || async { changes().await >= 3 }).await;
    assert!(keys(&cluster).await.is_empty());
    assert_eq!(listed(&cluster).await, None);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_there_is_not_made_again_because_that_was_not_recorded() {
    let (cluster, _gateway) = due().await;
    let worker = cluster.worker();
    cluster.until("the record of the list", || async { listed(&cluster).await.is_some() }).await;
    let made = keys(&cluster).await;
    worker.stop().await;
    // A configuration that is put anew has no record.
    cluster.metadata.set_inventory(&bucket(), "all", None).await.unwrap();
    let document = Some(Bytes::from_static(CONFIGURATION.as_bytes()));
    cluster.metadata.set_inventory(&bucket(), "all", document).await.unwrap();
    assert_eq!(listed(&cluster).await, None);
    let worker = cluster.worker();
    cluster.until("the record of the list", || async { listed(&cluster).await.is_some() }).await;
    assert_eq!(keys(&cluster).await, made);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_is_made_once_a_day_by_all_workers_together() {
    let (cluster, _gateway) = due().await;
    let workers = [cluster.worker(), cluster.worker(), cluster.worker()];
    cluster.until("the list", || is_complete(&cluster)).await;
    cluster.env.sleep(Duration::from_secs(3 * 3600)).await;
    let made = keys(&cluster).await;
    assert_eq!(made.len(), 4, "{made:?}");
    for worker in workers {
        worker.stop().await;
    }
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(3 * 3600)).await;
    assert_eq!(keys(&cluster).await, made, "nor after a restart");
    worker.stop().await;
}

/// Where everything new is to be encrypted, a worker without master keys writes nothing; what it could write later is not lost.
#[tokio::test(start_paused = true)]
async fn a_list_is_not_written_in_plain_where_it_is_to_be_encrypted() {
    let (cluster, gateway) = due().await;
    let document = Some(Bytes::from_static(ENCRYPTED.as_bytes()));
    cluster.metadata.set_subresource(&lists(), Subresource::Encryption, document).await.unwrap();
    let worker = cluster.worker();
    cluster.env.sleep(Duration::from_secs(3600)).await;
    assert_eq!((keys(&cluster).await, listed(&cluster).await), (Vec::new(), None));
    cluster.metadata.set_subresource(&lists(), Subresource::Encryption, None).await.unwrap();
    cluster.until("the record of the list", || async { listed(&cluster).await.is_some() }).await;
    assert_eq!(named_files(&cluster, &gateway).await.len(), 1);
    worker.stop().await;
}
