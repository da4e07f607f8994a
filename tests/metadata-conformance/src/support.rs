//! What the cases share: names that nobody else uses, short calls, requests, a seeded generator.

mod cluster;
mod generator;
mod requests;

use std::{sync::Arc, time::Duration};

use env::Env;
use types::{BucketName, ETag, ObjectKey, ObjectLockConfiguration, VersionId, Versioning};

pub use self::{
    cluster::{Pool, definition, epoch, map, map_disk, map_node, node, register},
    generator::Generator,
    requests::{
        Minter, UPLOAD_CHECKSUM, chunks, completion, copy, crc32c, entry, etag, extent, inline, inline_part,
        key, list, list_versions, new_upload, new_version, part_number, prefix, rename, rename_prefix,
        stored_part, write, write_stored,
    },
};
use metadata_api::{
    AccountId, Bucket, CommitVersion, Committed, CreateBucket, DeleteVersion, DeleteVersions, DeletedVersion,
    Error, FoundVersion, GetVersion, Metadata, ObjectEntry, ObjectPage, Version, VersionEntry,
    VersionPosition, VersionState, VersionSummary, WriteCondition,
};

/// The store under test.
pub type Store = Arc<dyn Metadata>;

/// How long a case waits for something that need not be immediate.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the case.
#[track_caller]
#[expect(clippy::panic, reason = "a conformance case reports a violation by panicking, as any test does")]
pub fn violation(message: impl std::fmt::Display) -> ! {
    panic!("contract violated: {message}")
}

/// A random text of 12 letters and digits.
pub fn unique() -> String {
    let number = Env::real().random_u64();
    format!("{:012x}", number & 0xffff_ffff_ffff)
}

/// A bucket name that nobody else uses.
pub fn bucket_name() -> BucketName {
    BucketName::new(&format!("c{}", unique())).expect("letters and digits")
}

/// The account that owns most buckets of the suite.
pub fn account() -> AccountId {
    AccountId("conformance".to_owned())
}

/// A fresh unversioned bucket.
pub async fn bucket(store: &Store) -> BucketName {
    let name = bucket_name();
    store.create_bucket(CreateBucket::new(name.clone(), account())).await.expect("a new bucket");
    name
}

/// A fresh bucket with versioning enabled.
pub async fn versioned_bucket(store: &Store) -> BucketName {
    let name = bucket(store).await;
    store.set_versioning(&name, Versioning::Enabled).await.expect("enable versioning");
    name
}

/// Makes a bucket with object lock.
pub async fn locking_bucket(store: &Store) -> BucketName {
    let name = bucket_name();
    let request = CreateBucket { object_lock: true, ..CreateBucket::new(name.clone(), account()) };
    let made = store.create_bucket(request).await.expect("a new bucket");
    assert_eq!(
        (made.versioning, made.object_lock),
        (Versioning::Enabled, Some(ObjectLockConfiguration::default())),
        "a bucket with object lock has versioning"
    );
    name
}

/// The bucket as it is.
pub async fn get_bucket(store: &Store, bucket: &BucketName) -> Bucket {
    store.get_bucket(bucket).await.expect("the bucket is there")
}

/// The bucket's last commit.
pub async fn sequence(store: &Store, bucket: &BucketName) -> i64 {
    get_bucket(store, bucket).await.commit_sequence.0
}

/// Commits inline content `tag` with entity tag `tag`.
pub async fn put(store: &Store, bucket: &BucketName, key: &ObjectKey, tag: u64) -> Committed {
    store.commit_version(write(bucket, key, tag)).await.expect("an unconditional commit")
}

/// Commits under a condition.
pub async fn put_if(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    tag: u64,
    condition: WriteCondition,
) -> Result<Committed, Error> {
    store.commit_version(CommitVersion { condition, ..write(bucket, key, tag) }).await
}

/// Reads the current or a named version, with its content.
pub async fn get(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> Result<FoundVersion, Error> {
    let request = GetVersion { bucket: bucket.clone(), key: key.clone(), version_id, with_content: true };
    store.get_version(request).await
}

/// The object that was found.
#[track_caller]
pub fn object(found: &FoundVersion) -> &Version {
    match &found.state {
        VersionState::Object(version) => version,
        VersionState::DeleteMarker => violation("a delete marker was found in place of an object"),
    }
}

/// The entity tag of the key's current version; `None` when there is none or it is a delete marker.
pub async fn current_etag(store: &Store, bucket: &BucketName, key: &ObjectKey) -> Option<ETag> {
    match get(store, bucket, key, None).await {
        Ok(FoundVersion { state: VersionState::Object(version), .. }) => Some(version.etag),
        Ok(FoundVersion { state: VersionState::DeleteMarker, .. }) | Err(Error::KeyNotFound) => None,
        Err(error) => violation(format_args!("reading {key:?} failed: {error}")),
    }
}

/// Deletes several entries.
pub async fn delete_all(
    store: &Store,
    bucket: &BucketName,
    entries: Vec<DeleteVersion>,
) -> Vec<Result<DeletedVersion, Error>> {
    let count = entries.len();
    let answers =
        store.delete_versions(DeleteVersions { bucket: bucket.clone(), entries, marker_owner: None }).await;
    let answers = answers.expect("a delete of a bucket that is there");
    assert_eq!(answers.len(), count, "a delete answers each entry");
    answers
}

/// Deletes one entry.
pub async fn delete_entry(
    store: &Store,
    bucket: &BucketName,
    entry: DeleteVersion,
) -> Result<DeletedVersion, Error> {
    delete_all(store, bucket, vec![entry]).await.remove(0)
}

/// Deletes a key or a version without condition.
pub async fn delete(
    store: &Store,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> DeletedVersion {
    delete_entry(store, bucket, entry(key, version_id)).await.expect("an unconditional delete succeeds")
}

/// The text of each entry of a page; a common prefix is followed by `*`.
pub fn texts(page: &ObjectPage) -> Vec<String> {
    let text = |entry: &ObjectEntry| match entry {
        ObjectEntry::Object(object) => object.key.as_str().to_owned(),
        ObjectEntry::CommonPrefix(prefix) => format!("{}*", prefix.as_str()),
    };
    page.entries.iter().map(text).collect()
}

/// Every version of a bucket, page by page.
pub async fn all_versions(store: &Store, bucket: &BucketName) -> Vec<VersionSummary> {
    let mut request = list_versions(bucket);
    let mut all = Vec::new();
    loop {
        let page = store.list_versions(request.clone()).await.expect("a page of versions");
        for entry in page.entries {
            match entry {
                VersionEntry::Version(version) => all.push(version),
                VersionEntry::CommonPrefix(prefix) => {
                    violation(format_args!("common prefix {prefix:?} without a delimiter"))
                }
            }
        }
        if !page.truncated {
            return all;
        }
        let last = all.last().unwrap_or_else(|| violation("a truncated page without an entry"));
        request.position = VersionPosition::AfterVersion(last.key.clone(), last.version_id);
    }
}

/// Recomputes the bucket's usage from a listing of its versions and compares.
pub async fn check_usage(store: &Store, bucket: &BucketName) {
    let mut expected = metadata_api::BucketUsage::default();
    for version in all_versions(store, bucket).await {
        let size = version.object.as_ref().map_or(0, |object| object.size);
        expected.versions += 1;
        expected.version_bytes += size;
        if version.is_latest && version.object.is_some() {
            expected.objects += 1;
            expected.object_bytes += size;
        }
    }
    assert_eq!(
        get_bucket(store, bucket).await.usage,
        expected,
        "usage is what a recount of the bucket gives"
    );
}

/// Runs futures at the same time, each as a task of its own, and collects what they answer.
pub async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let env = Env::real();
    let running: Vec<env::Task<T>> = tasks.into_iter().map(|task| env.spawn(task)).collect();
    let mut answers = Vec::with_capacity(running.len());
    for task in running {
        let answer = task.await;
        answers.push(answer.unwrap_or_else(|| violation("a concurrent task panicked; its message is above")));
    }
    answers
}
