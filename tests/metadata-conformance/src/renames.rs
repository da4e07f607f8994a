//! Renames: an object gets another key of its bucket, in one commit.

use bytes::Bytes;
use types::{
    Attributes, BucketName, DefaultRetention, ObjectKey, ObjectLockConfiguration, RenameMark, Retention,
    RetentionMode, RetentionPeriod, Timestamp, VersionId, VersionLock, Versioning,
};

use super::{
    garbage::expect_freed,
    support::{
        Minter, Store, all_versions, bucket, check_usage, chunks, crc32c, current_etag, delete, delete_entry,
        entry, etag, get, get_bucket, inline, key, locking_bucket, object, put, rename, sequence, together,
        versioned_bucket, write, write_stored,
    },
};
use metadata_api::{Error, NewVersion, RenameObject, VersionState, WriteCondition};

const MARK: RenameMark = RenameMark { token: [1; 16], parameters: [2; 16] };

fn attributes() -> Attributes {
    Attributes {
        content_type: Some("text/plain".to_owned()),
        user_metadata: vec![("name".to_owned(), Bytes::from_static(b"value"))],
        tags: vec![("tag".to_owned(), "value".to_owned())],
        ..Attributes::default()
    }
}

/// Stores an object with everything that one can have.
async fn source(store: &Store, bucket: &BucketName, key: &ObjectKey, stored: bool) -> NewVersion {
    let mut minter = Minter::acquire(store).await;
    let content = if stored { minter.content(&[64 << 20, 9]) } else { inline("inline bytes") };
    let mut request = write_stored(bucket, key, 1, minter.lease, content);
    request.version.checksum = Some(crc32c(5));
    request.version.attributes = attributes();
    store.commit_version(request.clone()).await.expect("a commit");
    request.version
}

/// Everything goes along, also the time of the last change, and nothing is left under the old key; one commit.
pub async fn a_rename_takes_everything_along(store: &Store) {
    for stored in [false, true] {
        let (name, from, to) = (bucket(store).await, key("from"), key("to"));
        put(store, &name, &to, 7).await;
        let version = source(store, &name, &from, stored).await;
        let before = get(store, &name, &from, None).await.expect("the source");
        let commits = sequence(store, &name).await;
        let request = rename(&name, (&from, VersionId::Null), etag(1), &to);
        let made = store.rename_object(RenameObject { mark: Some(MARK), ..request }).await.expect("a rename");
        assert_eq!(sequence(store, &name).await, commits + 1, "a rename is one commit");
        assert_eq!(
            (made.size, made.etag, made.checksum),
            (version.content.length(), etag(1), version.checksum)
        );
        assert_eq!(made.last_modified, before.last_modified);

        assert_eq!(get(store, &name, &from, None).await.err(), Some(Error::KeyNotFound));
        let after = get(store, &name, &to, None).await.expect("the renamed object");
        assert_eq!(after.last_modified, before.last_modified, "a rename changes no object");
        let (before, after) = (object(&before), object(&after));
        assert_eq!((&after.content, after.size, after.etag), (&version.content, before.size, before.etag));
        assert_eq!((after.checksum, &after.storage_class), (before.checksum, &before.storage_class));
        assert_eq!(after.attributes, Attributes { renamed: Some(MARK), ..attributes() });
        assert_eq!(all_versions(store, &name).await.len(), 1);
        check_usage(store, &name).await;

        // The mark is the rename's, not the object's.
        store
            .rename_object(rename(&name, (&to, VersionId::Null), etag(1), &from))
            .await
            .expect("a rename back");
        let back = get(store, &name, &from, None).await.expect("the renamed object");
        assert_eq!(object(&back).attributes, attributes());
    }
}

/// With versioning the old key gets a delete marker and the new one a version that is as new as the commit; suspended,
/// the null version makes way for the marker.
pub async fn a_rename_keeps_the_versions_of_both_keys(store: &Store) {
    let (name, from, to) = (versioned_bucket(store).await, key("from"), key("to"));
    put(store, &name, &to, 7).await;
    let source = put(store, &name, &from, 1).await;
    let commits = sequence(store, &name).await;
    let made =
        store.rename_object(rename(&name, (&from, source.version_id), etag(1), &to)).await.expect("a rename");
    assert_eq!(sequence(store, &name).await, commits + 1);
    assert!(made.last_modified >= source.last_modified && made.version_id != source.version_id);
    let marker = get(store, &name, &from, None).await.expect("the marker");
    assert_eq!(marker.state, VersionState::DeleteMarker);
    let kept = get(store, &name, &from, Some(source.version_id)).await.expect("the version it was made of");
    assert_eq!(object(&kept).content, inline("1"));
    assert_eq!(current_etag(store, &name, &to).await, Some(etag(1)));
    assert_eq!(all_versions(store, &name).await.len(), 4);
    check_usage(store, &name).await;

    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    put(store, &name, &from, 2).await;
    store.rename_object(rename(&name, (&from, VersionId::Null), etag(2), &to)).await.expect("a rename");
    let marker = get(store, &name, &from, Some(VersionId::Null)).await.expect("the null version");
    assert_eq!(marker.state, VersionState::DeleteMarker);
    let renamed = get(store, &name, &to, None).await.expect("the renamed object");
    assert_eq!((renamed.version_id, object(&renamed).etag), (VersionId::Null, etag(2)));
    assert_eq!(all_versions(store, &name).await.len(), 6);
    check_usage(store, &name).await;
}

/// What keeps a version from being removed keeps the renamed one too.
pub async fn a_rename_keeps_the_lock(store: &Store) {
    let (name, from, to) = (locking_bucket(store).await, key("from"), key("to"));
    let retention = Retention { mode: RetentionMode::Governance, until: Timestamp(4_102_444_800_000) };
    let lock = VersionLock { retention: Some(retention), legal_hold: Some(true) };
    let mut request = write(&name, &from, 1);
    request.version.attributes.lock = lock;
    let source = store.commit_version(request).await.expect("a commit").version_id;
    let made =
        store.rename_object(rename(&name, (&from, source), etag(1), &to)).await.expect("a rename").version_id;
    for (key, id) in [(&from, source), (&to, made)] {
        let found = get(store, &name, key, Some(id)).await.expect("a version");
        assert_eq!(object(&found).attributes.lock, lock, "{key}");
        let deleted = delete_entry(store, &name, entry(key, Some(id))).await;
        assert_eq!(deleted.err(), Some(Error::VersionLocked));
    }

    // What is renamed over a locked version lies upon it; without a retention of its own it gets the bucket's.
    let default = DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(2) };
    let plain = put(store, &name, &from, 2).await.version_id;
    let configuration = ObjectLockConfiguration { default_retention: Some(default) };
    store.set_object_lock(&name, configuration).await.expect("a default retention");
    store.rename_object(rename(&name, (&from, plain), etag(2), &to)).await.expect("a rename");
    let found = get(store, &name, &to, None).await.expect("the renamed object");
    assert_eq!(object(&found).attributes.lock.retention.map(|held| held.mode), Some(default.mode));
    let below = get(store, &name, &to, Some(made)).await.expect("the version below");
    assert_eq!(object(&below).attributes.lock, lock);
}

/// The source is the current version of its key, as it was read; anything else is refused and changes nothing.
pub async fn a_rename_needs_its_source_as_it_was_read(store: &Store) {
    let (name, k, to) = (versioned_bucket(store).await, key("k"), key("to"));
    let first = put(store, &name, &k, 1).await.version_id;
    let second = put(store, &name, &k, 2).await.version_id;
    let attempt = async |id, tag| {
        let before = get_bucket(store, &name).await;
        let answer = store.rename_object(rename(&name, (&k, id), etag(tag), &to)).await;
        assert_eq!(get_bucket(store, &name).await, before, "a refused rename changes nothing: {answer:?}");
        answer.err()
    };
    assert_eq!(attempt(first, 1).await, Some(Error::VersionNotFound), "it is not current");
    assert_eq!(attempt(VersionId::Null, 2).await, Some(Error::VersionNotFound));
    let stale = Some(Error::PreconditionFailed { current: Some(etag(2)) });
    assert_eq!(attempt(second, 1).await, stale);
    let itself = store.rename_object(rename(&name, (&k, second), etag(2), &k)).await;
    assert!(matches!(itself, Err(Error::Malformed { .. })), "{itself:?}");
    let marker = delete(store, &name, &k, None).await.version_id.expect("its id");
    assert_eq!(attempt(marker, 2).await, Some(Error::VersionNotFound));
    assert_eq!(attempt(second, 2).await, Some(Error::VersionNotFound));
    let nowhere = rename(&super::support::bucket_name(), (&k, second), etag(2), &to);
    assert!(matches!(store.rename_object(nowhere).await, Err(Error::BucketNotFound { .. })));
}

/// Conditions are about the key that the object gets.
pub async fn conditions_of_a_rename_concern_the_destination(store: &Store) {
    let (name, from, to) = (bucket(store).await, key("from"), key("to"));
    put(store, &name, &from, 1).await;
    let attempt = async |condition| {
        let request = rename(&name, (&from, VersionId::Null), etag(1), &to);
        let made = store.rename_object(RenameObject { condition, ..request }).await.map(|made| made.etag);
        if made.is_ok() {
            put(store, &name, &from, 1).await;
        }
        made
    };
    assert_eq!(attempt(WriteCondition::IfPresent).await, Err(Error::KeyNotFound));
    assert_eq!(attempt(WriteCondition::IfMatch(etag(1))).await, Err(Error::KeyNotFound));
    assert_eq!(attempt(WriteCondition::IfAbsent).await, Ok(etag(1)));
    let failed = Err(Error::PreconditionFailed { current: Some(etag(1)) });
    assert_eq!(attempt(WriteCondition::IfAbsent).await, failed);
    assert_eq!(attempt(WriteCondition::IfMatch(etag(2))).await, failed);
    assert_eq!(attempt(WriteCondition::IfMatch(etag(1))).await, Ok(etag(1)));
    assert_eq!(attempt(WriteCondition::IfPresent).await, Ok(etag(1)));
}

/// What the other key named is freed, and what was renamed only when it goes itself.
pub async fn a_rename_frees_what_it_replaces(store: &Store) {
    let (name, from, to) = (bucket(store).await, key("from"), key("to"));
    let mut minter = Minter::acquire(store).await;
    let (replaced, renamed) = (minter.content(&[10, 20]), minter.content(&[30, 40]));
    let commit = async |key, tag, content| {
        let request = write_stored(&name, key, tag, minter.lease, content);
        store.commit_version(request).await.expect("a commit");
    };
    commit(&to, 7, replaced.clone()).await;
    commit(&from, 1, renamed.clone()).await;
    store.rename_object(rename(&name, (&from, VersionId::Null), etag(1), &to)).await.expect("a rename");
    expect_freed(store, minter.lease, &chunks(&replaced)).await;
    let third = key("third");
    store
        .rename_object(rename(&name, (&to, VersionId::Null), etag(1), &third))
        .await
        .expect("a second rename");
    expect_freed(store, minter.lease, &[]).await;
    delete(store, &name, &third, None).await;
    expect_freed(store, minter.lease, &chunks(&renamed)).await;
}

/// Of many renames of one object at once, to keys of their own, one is carried out.
pub async fn racing_renames_of_an_object_have_one_winner(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let from = key("from");
        let source = put(store, &name, &from, 1).await.version_id;
        let tasks = (0..16).map(|number| {
            let (store, name, from) = (store.clone(), name.clone(), from.clone());
            async move {
                let to = key(&format!("to{number}"));
                store.rename_object(rename(&name, (&from, source), etag(1), &to)).await
            }
        });
        let answers = together(tasks).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let lost = |answer: &&Result<_, Error>| matches!(answer, Err(Error::VersionNotFound));
        assert_eq!(answers.iter().filter(lost).count(), 15, "{answers:?}");
        assert_eq!(get_bucket(store, &name).await.usage.objects, 1);
        check_usage(store, &name).await;
    }
}
