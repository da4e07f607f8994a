//! Restores of versions of archive classes.

use types::{ArchiveClass, BucketName, KeyPrefix, Restore, StorageClassName, Timestamp, Versioning};

use super::support::{
    Store, all_versions, bucket, copy, delete, etag, get, key, object, sequence, versioned_bucket, write,
};
use metadata_api::{
    Error, FoundVersion, ListObjects, ListPosition, ObjectEntry, PAGE_SIZE_MAX, RenameObject, SetRestore,
    Tagged, VersionState, WriteCondition,
};

pub(super) fn restore(asked: i64) -> Restore {
    Restore {
        class: ArchiveClass::Glacier,
        nonce: 7,
        asked: Timestamp(asked),
        ready: Timestamp(asked + 5),
        until: Timestamp(asked + 1000),
    }
}

/// Writes an object of an archive class.
pub(super) async fn put_archived(
    store: &Store,
    bucket: &BucketName,
    name: &str,
    class: &str,
) -> FoundVersion {
    let mut request = write(bucket, &key(name), 1);
    request.version.storage_class = StorageClassName::new(class).expect("a valid name");
    store.commit_version(request).await.expect("a commit");
    get(store, bucket, &key(name), None).await.expect("it was committed")
}

/// Asks for a restore of a version that was found so.
pub(super) fn request(name: &str, found: &FoundVersion, restore: Restore) -> SetRestore {
    SetRestore {
        bucket: found.bucket.name.clone(),
        key: key(name),
        version_id: found.version_id,
        sequence: found.sequence,
        was: object(found).attributes.restore,
        restore,
    }
}

/// As it was found it can be asked for again; nothing else of the version changes, and no other version of its key.
pub async fn a_version_is_restored_only_as_it_was_found(store: &Store) {
    for (name, versioning) in
        [(bucket(store).await, Versioning::Unversioned), (versioned_bucket(store).await, Versioning::Enabled)]
    {
        let older = put_archived(store, &name, "k", "GLACIER").await;
        let found = put_archived(store, &name, "k", "GLACIER").await;
        let commits = sequence(store, &name).await;
        let first = request("k", &found, restore(10));
        let tagged = Tagged { versioning, version_id: found.version_id };
        assert_eq!(store.set_restore(first.clone()).await, Ok(tagged));
        let restored = get(store, &name, &key("k"), None).await.expect("it is there");
        assert_eq!(object(&restored).attributes.restore, Some(restore(10)));
        let mut same = restored.clone();
        if let VersionState::Object(version) = &mut same.state {
            version.attributes.restore = None;
        }
        assert_eq!(same, found, "nothing but the restore changed");
        assert_eq!(sequence(store, &name).await, commits, "it is no commit");
        assert_eq!(store.set_restore(first.clone()).await, Ok(tagged), "once more the same");

        let current = Some(object(&found).etag);
        let refused = Err(Error::PreconditionFailed { current });
        let same_time = SetRestore { restore: Restore { nonce: 8, ..restore(10) }, ..first.clone() };
        assert_eq!(store.set_restore(same_time).await, refused, "it is another restore with the same times");
        let other = SetRestore { restore: restore(20), ..first.clone() };
        assert_eq!(store.set_restore(other.clone()).await, refused, "it has another restore by now");
        let with_was = SetRestore { was: Some(restore(10)), ..other };
        let of_older = SetRestore { sequence: older.sequence, ..with_was.clone() };
        assert_eq!(store.set_restore(of_older).await, refused, "it is another version");
        let colder = Restore { class: ArchiveClass::DeepArchive, ..restore(20) };
        let of_other_class = SetRestore { restore: colder, ..with_was.clone() };
        assert_eq!(store.set_restore(of_other_class).await, refused, "it has another class");
        let now = get(store, &name, &key("k"), None).await.expect("it is there");
        assert_eq!(now, restored, "a refusal changes nothing");
        store.set_restore(with_was.clone()).await.expect("it is as it was found");
        let now = get(store, &name, &key("k"), None).await.expect("it is there");
        assert_eq!(object(&now).attributes.restore, Some(restore(20)));

        let overwritten = put_archived(store, &name, "k", "GLACIER").await;
        assert_eq!(object(&overwritten).attributes.restore, None, "a new version has none");
        let late = store.set_restore(SetRestore { was: Some(restore(20)), ..with_was.clone() }).await;
        match versioning {
            Versioning::Enabled => assert_eq!(late, Ok(tagged), "the version is there, below"),
            _ => assert_eq!(late, refused, "the version was replaced"),
        }
        let now = get(store, &name, &key("k"), None).await.expect("it is there");
        assert_eq!(now, overwritten);

        delete(store, &name, &key("k"), None).await;
        let of_marker = match get(store, &name, &key("k"), None).await {
            Ok(marker) => SetRestore { version_id: marker.version_id, ..with_was.clone() },
            Err(_) => with_was.clone(),
        };
        assert_eq!(store.set_restore(of_marker).await, Err(Error::VersionNotFound));
        let missing = SetRestore { key: key("missing"), ..with_was };
        assert_eq!(store.set_restore(missing).await, Err(Error::VersionNotFound));
    }
}

/// What is renamed is the same object; a copy is another.
pub async fn a_restore_goes_along_with_renames_but_not_with_copies(store: &Store) {
    let name = versioned_bucket(store).await;
    let found = put_archived(store, &name, "k", "GLACIER").await;
    store.set_restore(request("k", &found, restore(10))).await.expect("a restore");
    let restore_of = async |of: &str| {
        let found = get(store, &name, &key(of), None).await.expect("it is there");
        object(&found).attributes.restore
    };

    let copied = copy((&name, &key("k"), found.version_id), etag(1), (&name, &key("copy")));
    store.copy_version(copied).await.expect("a copy");
    assert_eq!(restore_of("copy").await, None);

    let rename = RenameObject {
        bucket: name.clone(),
        source_key: key("k"),
        source_version_id: found.version_id,
        source_etag: etag(1),
        key: key("renamed"),
        mark: None,
        condition: WriteCondition::None,
    };
    store.rename_object(rename).await.expect("a rename");
    assert_eq!(restore_of("renamed").await, Some(restore(10)));
}

/// Of the classes that are archives, and of no other.
pub async fn listings_tell_what_is_restored(store: &Store) {
    let name = versioned_bucket(store).await;
    let deep_archive = Restore { class: ArchiveClass::DeepArchive, ..restore(20) };
    let expected = [
        ("a", "GLACIER", Some(restore(10))),
        ("b", "DEEP_ARCHIVE", Some(deep_archive)),
        ("c", "GLACIER_IR", None),
        ("d", "GLACIER", None),
    ];
    for (k, class, restore) in expected {
        let found = put_archived(store, &name, k, class).await;
        if let Some(restore) = restore {
            store.set_restore(request(k, &found, restore)).await.expect("a restore");
        }
    }
    let found = get(store, &name, &key("c"), None).await.expect("it is there");
    let refused = Err(Error::PreconditionFailed { current: Some(object(&found).etag) });
    assert_eq!(store.set_restore(request("c", &found, restore(30))).await, refused, "it is no archive");

    let expected = expected.map(|(_, _, restore)| restore);
    let all = ListObjects {
        bucket: name.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit: PAGE_SIZE_MAX,
    };
    let page = store.list_objects(all).await.expect("a page");
    let objects = page.entries.into_iter().filter_map(|entry| match entry {
        ObjectEntry::Object(object) => Some(object.restore),
        ObjectEntry::CommonPrefix(_) => None,
    });
    assert_eq!(objects.collect::<Vec<_>>(), expected);
    let versions = all_versions(store, &name).await.into_iter();
    let versions = versions.map(|version| version.object.and_then(|object| object.restore));
    assert_eq!(versions.collect::<Vec<_>>(), expected);
}
