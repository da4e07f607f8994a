//! Object lock: versions that cannot be removed for a time.

use types::{
    BucketName, DefaultRetention, ObjectKey, ObjectLockConfiguration, Retention, RetentionMode,
    RetentionPeriod, Timestamp, VersionId, VersionLock, Versioning,
};

use super::support::{
    Store, bucket, completion, copy, delete, delete_all, delete_entry, entry, get, get_bucket, inline_part,
    key, locking_bucket, new_upload, object, put, sequence, versioned_bucket, write,
};
use metadata_api::{Committed, CopyAttributes, DeleteVersion, Error, LockChange, SetLock, Upload};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// In the thirtieth century: no clock of a test is past it.
const FAR: Timestamp = Timestamp(30_000_000_000_000);
const PAST: Timestamp = Timestamp(1_000);

fn retained(mode: RetentionMode, until: Timestamp) -> Option<Retention> {
    Some(Retention { mode, until })
}

async fn put_locked(
    store: &Store,
    name: &BucketName,
    k: &ObjectKey,
    lock: VersionLock,
) -> Result<VersionId, Error> {
    let mut request = write(name, k, 1);
    request.version.attributes.lock = lock;
    store.commit_version(request).await.map(|made| made.version_id)
}

async fn lock_of(store: &Store, name: &BucketName, k: &ObjectKey, id: VersionId) -> VersionLock {
    object(&get(store, name, k, Some(id)).await.expect("the version")).attributes.lock
}

fn change(name: &BucketName, k: &ObjectKey, id: VersionId, change: LockChange) -> SetLock {
    SetLock { bucket: name.clone(), key: k.clone(), version_id: Some(id), change, bypasses_governance: false }
}

/// A bucket can be given an object lock once its versioning is enabled, which it then stays.
pub async fn object_lock_keeps_versioning_enabled(store: &Store) {
    let name = bucket(store).await;
    let configuration = ObjectLockConfiguration {
        default_retention: Some(DefaultRetention {
            mode: RetentionMode::Compliance,
            period: RetentionPeriod::Years(7),
        }),
    };
    let refused = |answer: Result<(), Error>| {
        assert!(matches!(answer, Err(Error::InvalidBucketState { .. })), "answered {answer:?}");
    };
    refused(store.set_object_lock(&name, configuration).await);
    store.set_versioning(&name, Versioning::Suspended).await.expect("suspended");
    refused(store.set_object_lock(&name, configuration).await);
    store.set_versioning(&name, Versioning::Enabled).await.expect("enabled");
    assert_eq!(get_bucket(store, &name).await.object_lock, None);
    store.set_object_lock(&name, configuration).await.expect("an object lock");
    assert_eq!(get_bucket(store, &name).await.object_lock, Some(configuration));
    refused(store.set_versioning(&name, Versioning::Suspended).await);
    assert_eq!(get_bucket(store, &name).await.versioning, Versioning::Enabled);
    store.set_versioning(&name, Versioning::Enabled).await.expect("it is enabled");

    let days = DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(1) };
    for default_retention in [Some(days), None] {
        let other = ObjectLockConfiguration { default_retention };
        store.set_object_lock(&name, other).await.expect("another object lock");
        assert_eq!(get_bucket(store, &name).await.object_lock, Some(other));
    }
}

/// A version that is retained or held is not removed; its key can be deleted, and it comes back when the marker goes.
pub async fn a_locked_version_is_not_removed(store: &Store) {
    use RetentionMode::{Compliance, Governance};
    let name = locking_bucket(store).await;
    for (number, (lock, plain, bypassing)) in [
        (VersionLock { retention: retained(Governance, FAR), legal_hold: None }, false, true),
        (VersionLock { retention: retained(Compliance, FAR), legal_hold: Some(false) }, false, false),
        (VersionLock { retention: retained(Compliance, PAST), legal_hold: None }, true, true),
        (VersionLock { retention: retained(Governance, PAST), legal_hold: Some(true) }, false, false),
        (VersionLock { retention: None, legal_hold: Some(true) }, false, false),
        (VersionLock { retention: None, legal_hold: Some(false) }, true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let k = key(&format!("k{number}"));
        let id = put_locked(store, &name, &k, lock).await.expect("a version");
        assert_eq!(lock_of(store, &name, &k, id).await, lock);
        let marker = delete(store, &name, &k, None).await.version_id;

        for (bypasses_governance, removes) in [(false, plain), (true, bypassing)] {
            let before = sequence(store, &name).await;
            let asked = DeleteVersion { bypasses_governance, ..entry(&k, Some(id)) };
            let answer = delete_entry(store, &name, asked).await;
            if removes {
                assert!(answer.is_ok(), "{lock:?}: {answer:?}");
                assert_eq!(get(store, &name, &k, Some(id)).await.err(), Some(Error::VersionNotFound));
                break;
            }
            assert_eq!(answer.err(), Some(Error::VersionLocked), "{lock:?}, {bypasses_governance}");
            assert_eq!(sequence(store, &name).await, before, "a refused delete is no commit");
        }
        if !bypassing {
            delete(store, &name, &k, marker).await;
            let found = get(store, &name, &k, None).await.expect("it is back");
            assert_eq!(found.version_id, id);
        }
    }
}

/// In one call, entries that are refused leave the others alone.
pub async fn a_locked_version_is_refused_among_others(store: &Store) {
    let (name, k) = (locking_bucket(store).await, key("k"));
    let free = put(store, &name, &k, 1).await.version_id;
    let held = VersionLock { retention: None, legal_hold: Some(true) };
    let locked = put_locked(store, &name, &k, held).await.expect("a version");
    let entries = vec![entry(&k, Some(locked)), entry(&k, Some(free)), entry(&k, None)];
    let answers = delete_all(store, &name, entries).await;
    assert_eq!(answers[0].as_ref().err(), Some(&Error::VersionLocked));
    assert!(answers[1].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(get(store, &name, &k, Some(locked)).await.is_ok());
}

/// What a version's lock allows, its change of lock allows too.
pub async fn a_lock_is_changed_as_it_allows(store: &Store) {
    use RetentionMode::{Compliance, Governance};
    let later = Timestamp(FAR.0 + DAY_MS);
    let (name, k) = (locking_bucket(store).await, key("k"));
    let id = put(store, &name, &k, 1).await.version_id;
    let before = sequence(store, &name).await;
    let set = |retention| change(&name, &k, id, LockChange::Retention(retention));
    let bypassing = |retention| SetLock { bypasses_governance: true, ..set(retention) };
    let locked = Err(Error::VersionLocked);

    for (request, expected) in [
        (set(retained(Governance, FAR)), None),
        (set(retained(Governance, later)), None),
        (set(retained(Governance, FAR)), Some(&locked)),
        (set(None), Some(&locked)),
        (set(retained(Compliance, later)), Some(&locked)),
        (bypassing(None), None),
        (set(retained(Governance, FAR)), None),
        (bypassing(retained(Compliance, FAR)), None),
        (bypassing(retained(Compliance, PAST)), Some(&locked)),
        (bypassing(None), Some(&locked)),
        (set(retained(Compliance, later)), None),
    ] {
        let was = lock_of(store, &name, &k, id).await.retention;
        let answer = store.set_lock(request.clone()).await;
        let LockChange::Retention(asked) = request.change else { continue };
        let is = lock_of(store, &name, &k, id).await.retention;
        match expected {
            None => assert_eq!((answer.map(|changed| changed.version_id), is), (Ok(id), asked)),
            Some(expected) => {
                assert_eq!((answer.map(|_| ()), is), (expected.clone(), was), "{request:?}");
            }
        }
    }
    for held in [true, false] {
        let hold = change(&name, &k, id, LockChange::LegalHold(held));
        let hold = SetLock { version_id: None, ..hold };
        assert_eq!(store.set_lock(hold).await.map(|changed| changed.version_id), Ok(id));
        assert_eq!(lock_of(store, &name, &k, id).await.legal_hold, Some(held));
    }
    assert_eq!(sequence(store, &name).await, before, "a change of a lock is no commit");

    let marker = delete(store, &name, &k, None).await.version_id.expect("a delete marker");
    for (wanted, expected) in [(None, Error::KeyNotFound), (Some(marker), Error::VersionNotFound)] {
        let hold = change(&name, &k, id, LockChange::LegalHold(true));
        let answer = store.set_lock(SetLock { version_id: wanted, ..hold }).await;
        assert_eq!(answer.err(), Some(expected), "a delete marker is not locked");
    }
}

/// In a bucket without object lock nothing can be locked.
pub async fn nothing_is_locked_without_object_lock(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let held = VersionLock { retention: None, legal_hold: Some(true) };
    let refused = Some(Error::NoObjectLock);
    assert_eq!(put_locked(store, &name, &k, held).await.err(), refused);
    let id = put(store, &name, &k, 1).await.version_id;
    let hold = change(&name, &k, id, LockChange::LegalHold(true));
    assert_eq!(store.set_lock(hold).await.err(), refused);
    let mut upload = new_upload(&name, &k);
    upload.attributes.lock = held;
    assert_eq!(store.create_upload(upload).await.err(), refused);
    let found = get(store, &name, &k, None).await.expect("the version");
    let mut attributes = object(&found).attributes.clone();
    attributes.lock = held;
    let mut request = copy((&name, &k, id), object(&found).etag, (&name, &key("copy")));
    request.attributes = CopyAttributes::Replace(Box::new(attributes));
    assert_eq!(store.copy_version(request).await.err(), refused);
}

/// A version that is made without a retention gets the bucket's, counted from its making: written, completed or copied.
/// A lock of a source is not copied.
pub async fn the_default_retention_is_that_of_what_is_made(store: &Store) {
    let (name, k) = (locking_bucket(store).await, key("k"));
    let explicit = retained(RetentionMode::Compliance, FAR);
    let source_lock = VersionLock { retention: explicit, legal_hold: Some(true) };
    let source = put_locked(store, &name, &k, source_lock).await.expect("a version");
    let plain_upload = new_upload(&name, &key("completed"));
    let mut locked_upload = new_upload(&name, &key("locked"));
    locked_upload.attributes.lock = source_lock;
    let plain_upload = store.create_upload(plain_upload).await.expect("an upload");
    let locked_upload = store.create_upload(locked_upload).await.expect("an upload");
    assert_eq!(locked_upload.attributes.lock, source_lock);

    let default = DefaultRetention { mode: RetentionMode::Governance, period: RetentionPeriod::Days(2) };
    let configuration = ObjectLockConfiguration { default_retention: Some(default) };
    store.set_object_lock(&name, configuration).await.expect("a default retention");
    assert_eq!(lock_of(store, &name, &k, source).await, source_lock, "what is there stays as it is");

    let plain = put(store, &name, &k, 2).await;
    let own = put_locked(store, &name, &k, source_lock).await.expect("a version");
    assert_eq!(lock_of(store, &name, &k, own).await, source_lock);
    let found = get(store, &name, &k, Some(source)).await.expect("the source");
    let of_source = (&name, &k, source);
    let request = copy(of_source, object(&found).etag, (&name, &key("copy")));
    let copied = store.copy_version(request).await.expect("a copy");
    let made = complete(store, &name, &plain_upload).await;
    for (of, version) in [("k", &plain), ("copy", &copied), ("completed", &made)] {
        let lock = lock_of(store, &name, &key(of), version.version_id).await;
        let until = lock.retention.map_or(PAST, |retention| retention.until);
        let expected =
            VersionLock { retention: retained(RetentionMode::Governance, until), legal_hold: None };
        assert_eq!(lock, expected, "{of}");
        // By the database's clock, which need not be the one that says when a version was made.
        let off = until.0 - (version.last_modified.0 + 2 * DAY_MS);
        assert!(off.abs() < 60_000 && until.0 % 1000 == 0, "{of} is {off} ms off");
    }
    let made = complete(store, &name, &locked_upload).await;
    assert_eq!(lock_of(store, &name, &key("locked"), made.version_id).await, source_lock);

    let other = versioned_bucket(store).await;
    let request = copy(of_source, object(&found).etag, (&other, &k));
    let copied = store.copy_version(request).await.expect("a copy elsewhere");
    assert_eq!(lock_of(store, &other, &k, copied.version_id).await, VersionLock::default());
}

async fn complete(store: &Store, name: &BucketName, upload: &Upload) -> Committed {
    store.commit_part(inline_part(name, &upload.key, upload.id, 1, "part")).await.expect("a part");
    store.complete_upload(completion(name, &upload.key, upload.id, &[1])).await.expect("a completion")
}
