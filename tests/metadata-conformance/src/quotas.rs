//! Quotas: what a bucket may hold at most.

use types::{BucketName, ObjectKey, VersionId};

use super::support::{
    Store, bucket, bucket_name, check_usage, completion, copy, delete, etag, get_bucket, inline, inline_part,
    key, new_upload, rename, together, versioned_bucket, write,
};
use metadata_api::{BucketQuota, CommitVersion, Committed, Error};

async fn put_sized(
    store: &Store,
    name: &BucketName,
    key: &ObjectKey,
    size: usize,
) -> Result<Committed, Error> {
    let mut request: CommitVersion = write(name, key, 1);
    request.version.content = inline(vec![b'x'; size]);
    store.commit_version(request).await
}

async fn set(store: &Store, name: &BucketName, bytes: Option<u64>, objects: Option<u64>) {
    let quota = BucketQuota { bytes, objects };
    store.set_quota(name, quota).await.expect("a quota");
    assert_eq!(get_bucket(store, name).await.quota, quota);
}

/// Every write that makes the bucket grow is held against the quota, and none that does not.
pub async fn a_quota_bounds_what_a_bucket_holds(store: &Store) {
    let name = bucket(store).await;
    assert_eq!(get_bucket(store, &name).await.quota, BucketQuota::default(), "a new bucket has none");
    set(store, &name, Some(100), Some(3)).await;
    let full = Err(Error::QuotaExceeded);
    let attempt = async |k: &str, size| put_sized(store, &name, &key(k), size).await.map(|made| made.size);
    assert_eq!(attempt("a", 101).await, full);
    assert_eq!(attempt("a", 60).await, Ok(60));
    assert_eq!(attempt("b", 41).await, full);
    assert_eq!(attempt("b", 40).await, Ok(40), "up to the bound");
    let before = get_bucket(store, &name).await;
    assert_eq!(attempt("a", 61).await, full, "what an overwrite adds");
    let to_c = (&name, &key("c"));
    let copied = store.copy_version(copy((&name, &key("a"), VersionId::Null), etag(1), to_c)).await;
    assert_eq!(copied.map(|made| made.size), full);
    let upload = store.create_upload(new_upload(&name, &key("c"))).await.expect("an upload").id;
    store.commit_part(inline_part(&name, &key("c"), upload, 1, "part")).await.expect("parts are not counted");
    let complete = completion(&name, &key("c"), upload, &[1]);
    assert_eq!(store.complete_upload(complete.clone()).await.map(|made| made.size), full);
    assert_eq!(get_bucket(store, &name).await, before, "what is refused changes nothing");
    assert_eq!(attempt("c", 0).await, Ok(0), "nothing more is allowed always");
    assert_eq!(attempt("d", 0).await, full, "but a fourth object");
    let moved = store.rename_object(rename(&name, (&key("c"), VersionId::Null), etag(1), &key("d"))).await;
    assert_eq!(moved.map(|made| made.size), Ok(0), "a rename makes no more objects");

    assert_eq!(attempt("a", 50).await, Ok(50), "a smaller object makes room");
    delete(store, &name, &key("d"), None).await;
    assert_eq!(store.complete_upload(complete).await.map(|made| made.size), Ok(4));

    // Below what is there: it may shrink, and stay as it is, but not grow.
    set(store, &name, Some(10), Some(1)).await;
    assert_eq!(attempt("a", 51).await, full);
    assert_eq!(attempt("a", 50).await, Ok(50));
    assert_eq!(attempt("a", 45).await, Ok(45));
    assert_eq!(attempt("new", 0).await, full);
    let moved = store.rename_object(rename(&name, (&key("a"), VersionId::Null), etag(1), &key("new"))).await;
    assert_eq!(moved.map(|made| made.size), Ok(45));
    set(store, &name, None, None).await;
    assert_eq!(attempt("huge", 5000).await, Ok(5000));
    check_usage(store, &name).await;
}

/// All versions count by their bytes; delete markers are made also when the bucket is full, and count for nothing.
pub async fn a_quota_counts_all_versions(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    set(store, &name, Some(100), Some(1)).await;
    let first = put_sized(store, &name, &k, 60).await.expect("the first").version_id;
    assert_eq!(put_sized(store, &name, &k, 60).await, Err(Error::QuotaExceeded));
    let moved = store.rename_object(rename(&name, (&k, first), etag(1), &key("to"))).await;
    assert_eq!(moved, Err(Error::QuotaExceeded), "both versions are there afterwards");
    delete(store, &name, &k, None).await;
    assert_eq!(put_sized(store, &name, &k, 60).await, Err(Error::QuotaExceeded));
    put_sized(store, &name, &key("other"), 40).await.expect("the only object");
    assert_eq!(put_sized(store, &name, &k, 0).await, Err(Error::QuotaExceeded), "the second object");
    delete(store, &name, &k, Some(first)).await;
    delete(store, &name, &key("other"), None).await;
    put_sized(store, &name, &k, 60).await.expect("there is room again");
    check_usage(store, &name).await;
}

/// However many write at once, the bound holds.
pub async fn racing_writers_do_not_pass_a_quota(store: &Store) {
    let name = bucket(store).await;
    set(store, &name, Some(100), Some(8)).await;
    let tasks = (0..40).map(|number| {
        let (store, name) = (store.clone(), name.clone());
        async move { put_sized(&store, &name, &key(&format!("{number}")), 10).await.is_ok() }
    });
    let made = together(tasks).await.into_iter().filter(|made| *made).count();
    assert_eq!(made, 8);
    assert_eq!(get_bucket(store, &name).await.usage.version_bytes, 80);
}

/// A quota that cannot be counted is none.
pub async fn bounds_of_quotas_are_checked(store: &Store) {
    let name = bucket(store).await;
    let most = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    set(store, &name, Some(most), Some(0)).await;
    for quota in [
        BucketQuota { bytes: Some(most + 1), objects: None },
        BucketQuota { bytes: None, objects: Some(u64::MAX) },
    ] {
        let refused = store.set_quota(&name, quota).await;
        assert!(matches!(refused, Err(Error::Malformed { .. })), "{quota:?} answered {refused:?}");
    }
    assert_eq!(get_bucket(store, &name).await.quota, BucketQuota { bytes: Some(most), objects: Some(0) });
    let missing = store.set_quota(&bucket_name(), BucketQuota::default()).await;
    assert!(matches!(missing, Err(Error::BucketNotFound { .. })), "{missing:?}");
}
