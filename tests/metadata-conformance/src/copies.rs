//! Copies: rows that name the source's content.

use bytes::Bytes;
use types::{Attributes, BucketName, Checksum, ObjectKey, StorageClassName, VersionId, Versioning};

use super::support::{
    Minter, Store, all_versions, bucket, check_usage, copy, crc32c, current_etag, delete, etag, get,
    get_bucket, inline, key, object, put, sequence, together, versioned_bucket, write, write_stored,
};
use metadata_api::{CommitVersion, CopyAttributes, CopyVersion, Error, NewVersion, WriteCondition};

fn attributes(text: &str) -> Attributes {
    Attributes {
        content_type: Some(text.to_owned()),
        user_metadata: vec![("name".to_owned(), Bytes::from(text.to_owned()))],
        ..Attributes::default()
    }
}

/// A source with everything a version can have.
async fn source(store: &Store, bucket: &BucketName, key: &ObjectKey, stored: bool) -> NewVersion {
    let mut minter = Minter::acquire(store).await;
    let content = if stored { minter.content(&[64 << 20, 9]) } else { inline("inline bytes") };
    let version = NewVersion {
        content,
        etag: etag(50),
        checksum: Some(crc32c(5)),
        attributes: attributes("source"),
        storage_class: StorageClassName::new("COLD").expect("a valid name"),
    };
    let request =
        CommitVersion { lease: Some(minter.lease), version: version.clone(), ..write(bucket, key, 0) };
    store.commit_version(request).await.expect("a commit");
    version
}

/// To another key, to another bucket, onto itself; inline and stored; what is kept and what is replaced.
pub async fn a_copy_is_a_version_of_the_same_content(store: &Store) {
    for stored in [false, true] {
        let (here, there) = (bucket(store).await, versioned_bucket(store).await);
        let (k, other) = (key("source"), key("copy"));
        let version = source(store, &here, &k, stored).await;
        let there_before = sequence(store, &there).await;
        for (number, (to, to_key)) in
            [(&here, &other), (&there, &other), (&there, &k), (&here, &k)].iter().enumerate()
        {
            let replaced = number % 2 == 1;
            let kept = if replaced { attributes("replaced") } else { version.attributes.clone() };
            let checksum: Option<Checksum> = replaced.then(|| crc32c(6));
            let request = CopyVersion {
                attributes: if replaced {
                    CopyAttributes::Replace(Box::new(kept.clone()))
                } else {
                    CopyAttributes::Keep
                },
                checksum,
                ..copy((&here, &k, VersionId::Null), version.etag, (to, to_key))
            };
            let made = store.copy_version(request).await.expect("a copy");
            let checksum = checksum.or(version.checksum);
            assert_eq!(
                (made.size, made.etag, made.checksum),
                (version.content.length(), version.etag, checksum)
            );
            assert_eq!(made.versioning, get_bucket(store, to).await.versioning);
            let found = get(store, to, to_key, None).await.expect("it was copied");
            assert_eq!((found.version_id, found.last_modified), (made.version_id, made.last_modified));
            let found = object(&found);
            assert_eq!(found.content, version.content, "a copy names the source's content");
            assert_eq!((found.size, found.etag, found.checksum), (made.size, made.etag, checksum));
            assert_eq!(found.attributes, kept);
            assert_eq!(found.storage_class, version.storage_class);
        }
        assert_eq!(sequence(store, &here).await, 3, "a commit, a copy to another key, a copy onto itself");
        assert_eq!(sequence(store, &there).await, there_before + 2, "a copy is a commit of its destination");
        assert_eq!(all_versions(store, &here).await.len(), 2);
        check_usage(store, &here).await;
        check_usage(store, &there).await;
    }
}

/// An older version copied onto its key is current again, and everything else stays.
pub async fn copying_an_older_version_restores_it(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let first = put(store, &name, &k, 1).await.version_id;
    put(store, &name, &k, 2).await;
    delete(store, &name, &k, None).await;
    let request = copy((&name, &k, first), etag(1), (&name, &k));
    let made = store.copy_version(request).await.expect("a copy of an older version");
    let found = get(store, &name, &k, None).await.expect("there is a current version");
    assert_eq!((found.version_id, object(&found).etag), (made.version_id, etag(1)));
    assert_eq!(object(&found).content, inline("1"));
    assert_eq!(all_versions(store, &name).await.len(), 4);
    check_usage(store, &name).await;
}

/// The source is the version that was read: gone, a delete marker, or replaced under the same id, it is refused.
pub async fn a_copy_needs_its_source_as_it_was_read(store: &Store) {
    let (name, to, k) = (bucket(store).await, bucket(store).await, key("k"));
    let attempt = async |id: VersionId, tag: u64, to: &BucketName| {
        store.copy_version(copy((&name, &k, id), etag(tag), (to, &key("copy")))).await
    };
    let gone = VersionId::Numbered { sequence: types::Sequence(1), nonce: 7 };
    for destination in [&name, &to] {
        delete(store, &name, &k, None).await;
        assert_eq!(attempt(VersionId::Null, 1, destination).await, Err(Error::VersionNotFound));
        put(store, &name, &k, 1).await;
        assert_eq!(attempt(gone, 1, destination).await, Err(Error::VersionNotFound));
        put(store, &name, &k, 2).await;
        let before = (get_bucket(store, &name).await, get_bucket(store, destination).await);
        let answer = attempt(VersionId::Null, 1, destination).await;
        assert!(
            matches!(answer, Err(Error::PreconditionFailed { .. })),
            "the source was replaced: {answer:?}"
        );
        let after = (get_bucket(store, &name).await, get_bucket(store, destination).await);
        assert_eq!(before, after, "a refused copy changes nothing");
        attempt(VersionId::Null, 2, destination).await.expect("the source is the one that was read");
    }
    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    delete(store, &name, &k, None).await;
    let answer = attempt(VersionId::Null, 2, &to).await;
    assert_eq!(answer, Err(Error::VersionNotFound), "a delete marker is no source");
    check_usage(store, &to).await;
}

/// Conditions are about the destination's key.
pub async fn conditions_of_a_copy_concern_the_destination(store: &Store) {
    let (name, other, k) = (bucket(store).await, versioned_bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    for to in [&name, &other] {
        let target = key("target");
        let attempt = async |condition| {
            let request = copy((&name, &k, VersionId::Null), etag(1), (to, &target));
            store.copy_version(CopyVersion { condition, ..request }).await.map(|made| made.etag)
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
}

/// Copies in both directions between two buckets at once end, and are counted exactly.
pub async fn copies_in_opposite_directions_do_not_block_each_other(store: &Store) {
    let (a, b) = (bucket(store).await, bucket(store).await);
    let mut minter = Minter::acquire(store).await;
    for name in [&a, &b] {
        let content = minter.content(&[10]);
        store
            .commit_version(write_stored(name, &key("source"), 1, minter.lease, content))
            .await
            .expect("a commit");
    }
    let tasks = (0..24).map(|number| {
        let (from, to) = if number % 2 == 0 { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        let store = store.clone();
        async move {
            let target = key(&format!("copy{}", number / 2));
            let request = copy((&from, &key("source"), VersionId::Null), etag(1), (&to, &target));
            store.copy_version(request).await.expect("a copy")
        }
    });
    together(tasks).await;
    for name in [&a, &b] {
        assert_eq!(get_bucket(store, name).await.usage.objects, 13);
        assert_eq!(sequence(store, name).await, 13);
        assert_eq!(current_etag(store, name, &key("copy11")).await, Some(etag(1)));
        check_usage(store, name).await;
    }
}
