//! Deletes in batches.

use types::{Timestamp, VersionId, Versioning};

use super::support::{
    Store, all_versions, bucket, check_usage, current_etag, delete, delete_all, delete_entry, entry, etag,
    get, get_bucket, key, put, sequence, versioned_bucket,
};
use metadata_api::{
    DeleteCondition, DeleteVersion, DeleteVersions, DeletedVersion, ETagCondition, Error, PAGE_SIZE_MAX,
};

/// What is not there is deleted without complaint and without a commit.
pub async fn deleting_what_is_not_there_succeeds(store: &Store) {
    let k = key("k");
    let unknown = VersionId::Numbered { sequence: types::Sequence(1), nonce: 42 };
    for (name, versioning) in
        [(bucket(store).await, Versioning::Unversioned), (versioned_bucket(store).await, Versioning::Enabled)]
    {
        let before = store.get_bucket(&name).await;
        for id in [unknown, VersionId::Null] {
            let expected = DeletedVersion { versioning, version_id: Some(id), delete_marker: false };
            assert_eq!(
                delete(store, &name, &k, Some(id)).await,
                expected,
                "a missing version's id is echoed"
            );
        }
        if versioning == Versioning::Unversioned {
            let expected = DeletedVersion { versioning, version_id: None, delete_marker: false };
            assert_eq!(delete(store, &name, &k, None).await, expected);
        }
        assert_eq!(store.get_bucket(&name).await, before, "a delete of nothing is no commit");
    }
}

/// Entries of all sorts in one batch, each answered in its place.
pub async fn a_batch_answers_entry_by_entry(store: &Store) {
    let name = versioned_bucket(store).await;
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let a1 = put(store, &name, &a, 1).await.version_id;
    let a2 = put(store, &name, &a, 2).await.version_id;
    put(store, &name, &b, 3).await;
    let marker = delete(store, &name, &c, None).await.version_id;
    let wrong = DeleteCondition { etag: Some(ETagCondition::Is(etag(9))), ..DeleteCondition::default() };
    let entries = vec![
        entry(&a, Some(a2)),
        DeleteVersion { condition: wrong, ..entry(&b, None) },
        entry(&c, marker),
        entry(&key("never-there"), Some(a1)),
        entry(&b, None),
    ];
    let answers = delete_all(store, &name, entries).await;
    let deleted = |version_id, delete_marker| {
        Ok(DeletedVersion { versioning: Versioning::Enabled, version_id, delete_marker })
    };
    assert_eq!(answers[0], deleted(Some(a2), false));
    assert_eq!(answers[1], Err(Error::PreconditionFailed { current: Some(etag(3)) }));
    assert_eq!(answers[2], deleted(marker, true));
    assert_eq!(answers[3], deleted(Some(a1), false), "an id belongs to its key");
    assert!(matches!(answers[4], Ok(DeletedVersion { delete_marker: true, version_id: Some(_), .. })));
    assert_eq!(current_etag(store, &name, &a).await, Some(etag(1)), "the older version is current");
    assert_eq!(current_etag(store, &name, &b).await, None);
    assert_eq!(get(store, &name, &c, None).await.err(), Some(Error::KeyNotFound), "nothing is left of c");
    check_usage(store, &name).await;
    assert_eq!(delete_all(store, &name, Vec::new()).await, [], "an empty batch is answered by an empty one");
}

/// A batch has one number, however many entries changed something, and none when none did.
pub async fn a_batch_is_one_commit(store: &Store) {
    let name = bucket(store).await;
    let keys: Vec<_> = (0..1000).map(|number| key(&format!("k{number}"))).collect();
    for k in &keys {
        put(store, &name, k, 1).await;
    }
    let before = sequence(store, &name).await;
    let batch = || keys.iter().map(|k| entry(k, None)).collect::<Vec<_>>();
    assert!(delete_all(store, &name, batch()).await.iter().all(Result::is_ok));
    assert_eq!(sequence(store, &name).await, before + 1, "a batch is one commit");
    assert_eq!(get_bucket(store, &name).await.usage, metadata_api::BucketUsage::default());
    assert!(delete_all(store, &name, batch()).await.iter().all(Result::is_ok));
    assert_eq!(sequence(store, &name).await, before + 1, "a batch that changes nothing is no commit");
}

/// Entries see what earlier entries of their batch did; two deletes of a key make one marker, because a key gets at
/// most one version in a commit.
pub async fn a_key_named_twice_is_deleted_once(store: &Store) {
    let k = key("k");
    let name = bucket(store).await;
    put(store, &name, &k, 1).await;
    let answers = delete_all(store, &name, vec![entry(&k, None), entry(&k, None)]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(all_versions(store, &name).await, []);
    check_usage(store, &name).await;

    let name = versioned_bucket(store).await;
    let first = put(store, &name, &k, 1).await.version_id;
    let entries = vec![entry(&k, None), entry(&k, Some(first)), entry(&k, None), entry(&k, Some(first))];
    let answers = delete_all(store, &name, entries).await;
    assert_eq!(answers[0], answers[2], "the second delete finds the marker of the first");
    assert!(answers[1].is_ok() && answers[3].is_ok(), "{answers:?}");
    let left = all_versions(store, &name).await;
    assert_eq!(left.len(), 1, "one marker is left: {left:?}");
    assert_eq!(answers[0].as_ref().ok().and_then(|deleted| deleted.version_id), Some(left[0].version_id));
    check_usage(store, &name).await;

    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    put(store, &name, &k, 2).await;
    let entries = vec![entry(&k, None), entry(&k, Some(VersionId::Null)), entry(&k, None)];
    let answers = delete_all(store, &name, entries).await;
    let marker = DeletedVersion {
        versioning: Versioning::Suspended,
        version_id: Some(VersionId::Null),
        delete_marker: true,
    };
    assert_eq!(answers, [Ok(marker), Ok(marker), Ok(marker)], "made, removed, made again");
    assert_eq!(all_versions(store, &name).await.len(), 2);
    check_usage(store, &name).await;
}

/// `If-Match`, size and time guard a delete of a key's current version.
pub async fn conditions_guard_deletes(store: &Store) {
    for name in [bucket(store).await, versioned_bucket(store).await] {
        let k = key("k");
        let none = DeleteCondition::default();
        let guarded = |condition| DeleteVersion { condition, ..entry(&k, None) };
        let any = DeleteCondition { etag: Some(ETagCondition::Any), ..none };
        assert_eq!(delete_entry(store, &name, guarded(any)).await.err(), Some(Error::KeyNotFound));

        let made = put(store, &name, &k, 1).await;
        let before = sequence(store, &name).await;
        let refused = [
            DeleteCondition { etag: Some(ETagCondition::Is(etag(2))), ..none },
            DeleteCondition { size: Some(made.size + 1), ..none },
            DeleteCondition { last_modified: Some(Timestamp(made.last_modified.0 + 2000)), ..none },
            DeleteCondition { size: Some(made.size + 1), ..any },
        ];
        for condition in refused {
            let answer = delete_entry(store, &name, guarded(condition)).await;
            assert_eq!(answer, Err(Error::PreconditionFailed { current: Some(made.etag) }), "{condition:?}");
        }
        assert_eq!(sequence(store, &name).await, before, "a refused delete consumes no number");
        assert_eq!(current_etag(store, &name, &k).await, Some(etag(1)), "a refused delete deletes nothing");

        let whole_second = Timestamp(made.last_modified.seconds() * 1000);
        let holds = DeleteCondition {
            etag: Some(ETagCondition::Is(made.etag)),
            size: Some(made.size),
            last_modified: Some(whole_second),
            marker: false,
        };
        let answer = delete_entry(store, &name, guarded(holds)).await;
        assert!(
            answer.is_ok(),
            "all parts of the condition hold, times compared in whole seconds: {answer:?}"
        );
        assert_eq!(current_etag(store, &name, &k).await, None);
        // What is there now, if anything, is a delete marker.
        let left = all_versions(store, &name).await;
        let expected = match left.is_empty() {
            true => Error::KeyNotFound,
            false => Error::PreconditionFailed { current: None },
        };
        for condition in [any, holds, DeleteCondition { size: Some(0), ..none }] {
            assert_eq!(delete_entry(store, &name, guarded(condition)).await.err(), Some(expected.clone()));
        }
        assert_eq!(all_versions(store, &name).await.len(), left.len(), "a refused delete leaves no marker");
    }
}

/// With a version id the condition is about that version, not about the current one.
pub async fn conditions_of_a_delete_concern_the_named_version(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let first = put(store, &name, &k, 1).await.version_id;
    put(store, &name, &k, 2).await;
    let guarded = |tag: u64| DeleteVersion {
        condition: DeleteCondition { etag: Some(ETagCondition::Is(etag(tag))), ..DeleteCondition::default() },
        ..entry(&k, Some(first))
    };
    let refused = delete_entry(store, &name, guarded(2)).await;
    assert!(
        matches!(refused, Err(Error::PreconditionFailed { .. })),
        "the current version's tag: {refused:?}"
    );
    let deleted = delete_entry(store, &name, guarded(1)).await.expect("the named version's tag");
    assert_eq!(deleted.version_id, Some(first));
    let gone = delete_entry(store, &name, guarded(1)).await;
    assert_eq!(gone, Err(Error::KeyNotFound), "a condition on a version that is not there");
    assert_eq!(all_versions(store, &name).await.len(), 1);
}

/// The bound of a batch.
pub async fn too_long_a_batch_is_malformed(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    let entries = vec![entry(&k, None); PAGE_SIZE_MAX + 1];
    let answer =
        store.delete_versions(DeleteVersions { bucket: name.clone(), entries, marker_owner: None }).await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
    assert_eq!(current_etag(store, &name, &k).await, Some(etag(1)), "a refused batch deletes nothing");
    let answers = delete_all(store, &name, vec![entry(&k, None); PAGE_SIZE_MAX]).await;
    assert!(answers.iter().all(Result::is_ok));
}

/// A delete that is meant for a delete marker leaves everything else alone.
pub async fn a_delete_can_be_meant_for_a_marker_alone(store: &Store) {
    let name = versioned_bucket(store).await;
    let k = key("k");
    let condition = DeleteCondition { marker: true, ..DeleteCondition::default() };
    let of = |version_id| DeleteVersion { condition, ..entry(&k, version_id) };
    assert_eq!(delete_entry(store, &name, of(None)).await.err(), Some(Error::KeyNotFound));
    let object = put(store, &name, &k, 1).await.version_id;
    assert_eq!(delete_entry(store, &name, of(Some(object))).await.err(), Some(Error::KeyNotFound));
    let marker = delete(store, &name, &k, None).await.version_id.expect("a delete marker");
    let removed = delete_entry(store, &name, of(Some(marker))).await.expect("it is a delete marker");
    assert!(removed.delete_marker);
    assert_eq!(current_etag(store, &name, &k).await, Some(etag(1)), "the object is there again");
}
