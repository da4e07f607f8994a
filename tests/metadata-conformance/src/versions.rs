//! Versions: what is committed is read, and the states of versioning.

use std::collections::BTreeSet;

use bytes::Bytes;
use types::{
    Attributes, Content, MissingShard, Sequence, ShardId, ShardIndex, StorageClassName, VersionId,
    VersionLock, Versioning,
};

use super::support::{
    Minter, Store, all_versions, bucket, check_usage, chunks, crc32c, current_etag, delete, etag, get,
    get_bucket, inline, key, object, put, unique, versioned_bucket, write, write_stored,
};
use metadata_api::{
    CopyAttributes, CopyVersion, DeletedVersion, Error, GetVersion, NewVersion, SetTags, Tagged,
    VersionState, WriteCondition,
};

fn attributes() -> Attributes {
    Attributes {
        content_type: Some("text/plain; charset=\"utf-8\"".to_owned()),
        cache_control: Some("no-cache".to_owned()),
        content_disposition: Some("attachment".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        content_language: Some(String::new()),
        expires: Some("not a date".to_owned()),
        website_redirect_location: Some("/elsewhere".to_owned()),
        user_metadata: vec![
            ("owner".to_owned(), Bytes::from_static(b"=?UTF-8?B?w6k=?=")),
            ("raw".to_owned(), Bytes::from_static(&[0xff, 0x00, 0xe9])),
            ("empty".to_owned(), Bytes::new()),
        ],
        tags: vec![("é".to_owned(), String::new()), ("a".to_owned(), "b c".to_owned())],
        lock: VersionLock::default(),
        renamed: None,
        encryption: None,
        acl: None,
        restore: None,
    }
}

/// Content, tag, checksum, attributes and class come back byte for byte, inline or stored.
pub async fn a_version_is_read_back_as_it_was_committed(store: &Store) {
    let (name, mut minter) = (bucket(store).await, Minter::acquire(store).await);
    let long: Vec<u64> = (0..2500).map(|n| 64 * 1024 * 1024 - n).collect();
    let contents = [
        inline(""),
        inline(vec![0xff; 3000]),
        minter.content(&[1]),
        minter.content(&[64 << 20, 64 << 20, 5]),
        minter.content(&long),
    ];
    for (number, content) in contents.into_iter().enumerate() {
        let k = key(&format!("k{number}"));
        let missing: Vec<MissingShard> = chunks(&content)
            .into_iter()
            .take(1)
            .map(|chunk| MissingShard {
                shard: ShardId { chunk, index: ShardIndex(0) },
                group: types::GroupId(1),
                coding: types::Coding::SINGLE,
                chunk_length: 1,
            })
            .collect();
        let version = NewVersion {
            content: content.clone(),
            etag: types::ETag { parts: Some(3), ..etag(9) },
            checksum: Some(crc32c(77)),
            attributes: attributes(),
            storage_class: StorageClassName::new("COLD_1").expect("a valid name"),
        };
        let lease = matches!(content, Content::Stored(_)).then_some(minter.lease);
        let request =
            metadata_api::CommitVersion { version: version.clone(), lease, missing, ..write(&name, &k, 0) };
        let made = store.commit_version(request).await.expect("a commit");
        assert_eq!(made.versioning, Versioning::Unversioned);
        assert_eq!(made.version_id, VersionId::Null);
        assert_eq!(made.sequence, Sequence(number as i64 + 1));
        assert_eq!((made.size, made.etag, made.checksum), (content.length(), version.etag, version.checksum));

        let found = get(store, &name, &k, None).await.expect("it was committed");
        assert_eq!((found.version_id, found.is_current), (VersionId::Null, true));
        assert_eq!(found.last_modified, made.last_modified, "reads and commits tell the same time");
        assert_eq!(found.bucket, get_bucket(store, &name).await, "the version comes with its bucket");
        let found = object(&found);
        assert_eq!(found.size, content.length());
        assert!(found.content == content, "content {number} comes back as it was committed");
        assert_eq!((found.etag, found.checksum), (version.etag, version.checksum));
        assert_eq!(found.attributes, version.attributes, "attributes come back byte for byte");
        assert_eq!(found.storage_class, version.storage_class);
        assert_eq!(found.parts, [], "an object written whole has no parts");
    }
    check_usage(store, &name).await;
}

/// Without `with_content` everything but the content is there.
pub async fn content_is_sent_only_when_asked_for(store: &Store) {
    let (name, mut minter) = (bucket(store).await, Minter::acquire(store).await);
    for (text, content) in [("inline", inline("abc")), ("stored", minter.content(&[70, 7]))] {
        let k = key(text);
        let size = content.length();
        store.commit_version(write_stored(&name, &k, 1, minter.lease, content)).await.expect("a commit");
        let request = GetVersion { bucket: name.clone(), key: k, version_id: None, with_content: false };
        let found = store.get_version(request).await.expect("it was committed");
        let found = object(&found);
        assert_eq!((found.size, found.etag), (size, etag(1)), "the size is the object's, not the answer's");
        assert_eq!(found.content.length(), 0, "no content without with_content");
    }
}

/// Without versioning a key has one version, `null`.
pub async fn unversioned_writes_replace_each_other(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    assert_eq!(get(store, &name, &k, None).await.err(), Some(Error::KeyNotFound));
    assert_eq!(get(store, &name, &k, Some(VersionId::Null)).await.err(), Some(Error::VersionNotFound));
    for tag in 1..=3 {
        let made = put(store, &name, &k, tag).await;
        assert_eq!((made.version_id, made.sequence), (VersionId::Null, Sequence(tag as i64)));
        for id in [None, Some(VersionId::Null)] {
            let found = get(store, &name, &k, id).await.expect("it was written");
            assert_eq!(object(&found).etag, etag(tag), "the last write is the one that is read");
            assert_eq!(object(&found).content, inline(tag.to_string()));
        }
    }
    assert_eq!(all_versions(store, &name).await.len(), 1);
    let deleted = delete(store, &name, &k, None).await;
    let expected =
        DeletedVersion { versioning: Versioning::Unversioned, version_id: None, delete_marker: false };
    assert_eq!(deleted, expected);
    assert_eq!(get(store, &name, &k, None).await.err(), Some(Error::KeyNotFound));
    assert_eq!(all_versions(store, &name).await, [], "an unversioned delete leaves nothing");
    check_usage(store, &name).await;
}

/// With versioning every write is a version with an id of its own, which stays readable.
pub async fn versioned_writes_add_versions(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let mut made = Vec::new();
    for tag in 1..=4 {
        made.push(put(store, &name, &k, tag).await);
    }
    for (number, version) in made.iter().enumerate() {
        assert_eq!(version.versioning, Versioning::Enabled);
        let VersionId::Numbered { sequence, .. } = version.version_id else {
            super::support::violation("a version of an enabled bucket has the id null");
        };
        assert_eq!(sequence, version.sequence, "a version id tells the commit that made the version");
        let found = get(store, &name, &k, Some(version.version_id)).await.expect("every version stays");
        assert_eq!((found.version_id, found.is_current), (version.version_id, number == 3));
        assert_eq!(object(&found).etag, etag(number as u64 + 1));
    }
    let current = get(store, &name, &k, None).await.expect("there is a current version");
    assert_eq!((current.version_id, current.is_current), (made[3].version_id, true));
    assert_eq!(get(store, &name, &k, Some(VersionId::Null)).await.err(), Some(Error::VersionNotFound));
    let nonces: BTreeSet<u64> = made.iter().filter_map(|version| nonce(version.version_id)).collect();
    assert_eq!(nonces.len(), made.len(), "ids hold random bits, so that they cannot be guessed");
    let VersionId::Numbered { sequence, nonce } = made[1].version_id else { return };
    let guessed = VersionId::Numbered { sequence, nonce: nonce ^ 1 };
    assert_eq!(
        get(store, &name, &k, Some(guessed)).await.err(),
        Some(Error::VersionNotFound),
        "ids are not guessed"
    );
    let other = get(store, &name, &key("other"), Some(made[1].version_id)).await;
    assert_eq!(other.err(), Some(Error::VersionNotFound), "an id belongs to its key");
    check_usage(store, &name).await;
}

fn nonce(id: VersionId) -> Option<u64> {
    match id {
        VersionId::Null => None,
        VersionId::Numbered { nonce, .. } => Some(nonce),
    }
}

/// Unversioned, enabled, suspended, enabled: the null version is kept by enabled writes, replaced by suspended ones.
pub async fn the_null_version_is_kept_and_replaced_across_versioning_states(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let null = |tag: u64| (VersionId::Null, tag);
    let check = async |expected: &[(VersionId, u64)]| {
        let listed: Vec<_> = all_versions(store, &name)
            .await
            .into_iter()
            .map(|version| (version.version_id, version.object.map(|object| object.etag)))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(id, tag)| (*id, Some(etag(*tag)))).collect();
        assert_eq!(listed, expected, "versions, newest first");
        for (number, (id, tag)) in expected.iter().enumerate() {
            let found = get(store, &name, &k, Some(*id)).await.expect("a listed version can be read");
            assert_eq!((Some(object(&found).etag), found.is_current), (*tag, number == 0));
        }
        assert_eq!(current_etag(store, &name, &k).await, expected[0].1);
        check_usage(store, &name).await;
    };
    put(store, &name, &k, 1).await;
    check(&[null(1)]).await;

    store.set_versioning(&name, Versioning::Enabled).await.expect("enable");
    let second = put(store, &name, &k, 2).await.version_id;
    check(&[(second, 2), null(1)]).await;

    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    let made = put(store, &name, &k, 3).await;
    assert_eq!((made.versioning, made.version_id), (Versioning::Suspended, VersionId::Null));
    check(&[null(3), (second, 2)]).await;
    put(store, &name, &k, 4).await;
    check(&[null(4), (second, 2)]).await;

    store.set_versioning(&name, Versioning::Enabled).await.expect("enable again");
    let fifth = put(store, &name, &k, 5).await.version_id;
    check(&[(fifth, 5), null(4), (second, 2)]).await;

    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend again");
    put(store, &name, &k, 6).await;
    check(&[null(6), (fifth, 5), (second, 2)]).await;
    let removed = delete(store, &name, &k, Some(VersionId::Null)).await;
    assert_eq!((removed.version_id, removed.delete_marker), (Some(VersionId::Null), false));
    check(&[(fifth, 5), (second, 2)]).await;
}

/// Deleting a key of an enabled bucket adds a marker: an id of its own, found as what it is, removed like a version.
pub async fn a_delete_marker_hides_the_key_and_is_a_version(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let version = put(store, &name, &k, 1).await.version_id;
    let deleted = delete(store, &name, &k, None).await;
    assert_eq!((deleted.versioning, deleted.delete_marker), (Versioning::Enabled, true));
    let Some(marker @ VersionId::Numbered { .. }) = deleted.version_id else {
        super::support::violation(format_args!("a delete marker's id is {:?}", deleted.version_id));
    };
    for id in [None, Some(marker)] {
        let found =
            get(store, &name, &k, id).await.expect("a marker is found, so that its reader can be told");
        assert_eq!(
            (found.version_id, found.is_current, found.state),
            (marker, true, VersionState::DeleteMarker)
        );
    }
    let older = get(store, &name, &k, Some(version)).await.expect("the version below the marker stays");
    assert!(!older.is_current);

    let again = delete(store, &name, &k, None).await;
    assert!(again.delete_marker && again.version_id != Some(marker), "each delete adds a marker of its own");
    let never = delete(store, &name, &key("never-there"), None).await;
    assert!(never.delete_marker, "S3 marks keys that never existed, too");
    check_usage(store, &name).await;
    assert_eq!(get_bucket(store, &name).await.usage.objects, 0);

    let removed = delete(store, &name, &k, again.version_id).await;
    assert_eq!(
        (removed.version_id, removed.delete_marker),
        (again.version_id, true),
        "removing a marker says so"
    );
    assert_eq!(current_etag(store, &name, &k).await, None, "the first marker is current again");
    delete(store, &name, &k, Some(marker)).await;
    assert_eq!(current_etag(store, &name, &k).await, Some(etag(1)), "without markers the object is back");
    check_usage(store, &name).await;
}

/// A suspended delete puts a null marker in the place of the null version and leaves the others.
pub async fn deletes_in_a_suspended_bucket_replace_the_null_version(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    put(store, &name, &k, 1).await;
    store.set_versioning(&name, Versioning::Enabled).await.expect("enable");
    let kept = put(store, &name, &k, 2).await.version_id;
    store.set_versioning(&name, Versioning::Suspended).await.expect("suspend");
    for _ in 0..2 {
        let deleted = delete(store, &name, &k, None).await;
        let expected = DeletedVersion {
            versioning: Versioning::Suspended,
            version_id: Some(VersionId::Null),
            delete_marker: true,
        };
        assert_eq!(deleted, expected);
        let ids: Vec<_> =
            all_versions(store, &name).await.into_iter().map(|v| (v.version_id, v.object)).collect();
        assert_eq!((ids.len(), ids[0].clone(), ids[1].0), (2, (VersionId::Null, None), kept));
        check_usage(store, &name).await;
    }
    assert_eq!(current_etag(store, &name, &k).await, None);
    put(store, &name, &k, 3).await;
    assert_eq!(current_etag(store, &name, &k).await, Some(etag(3)), "a write replaces the null marker");
    assert_eq!(all_versions(store, &name).await.len(), 2);
    delete(store, &name, &k, None).await;
    let removed = delete(store, &name, &k, Some(VersionId::Null)).await;
    assert_eq!((removed.version_id, removed.delete_marker), (Some(VersionId::Null), true));
    assert_eq!(current_etag(store, &name, &k).await, Some(etag(2)), "the kept version is current again");
    let never = delete(store, &name, &key("never-there"), None).await;
    assert_eq!((never.version_id, never.delete_marker), (Some(VersionId::Null), true));
    check_usage(store, &name).await;
}

/// Removing versions one by one: the newest that is left is current, in any order of removal.
pub async fn removing_the_current_version_uncovers_the_older_one(store: &Store) {
    let (name, k) = (versioned_bucket(store).await, key("k"));
    let mut ids = Vec::new();
    for tag in 0..5 {
        ids.push(put(store, &name, &k, tag).await.version_id);
    }
    let mut left: Vec<usize> = (0..5).collect();
    for gone in [4, 1, 3, 0, 2] {
        let removed = delete(store, &name, &k, Some(ids[gone])).await;
        assert_eq!((removed.version_id, removed.delete_marker), (Some(ids[gone]), false));
        left.retain(|number| *number != gone);
        assert_eq!(get(store, &name, &k, Some(ids[gone])).await.err(), Some(Error::VersionNotFound));
        let newest = left.last().map(|number| etag(*number as u64));
        assert_eq!(
            current_etag(store, &name, &k).await,
            newest,
            "the newest version that is left is current"
        );
        let latest: Vec<_> = all_versions(store, &name).await.into_iter().filter(|v| v.is_latest).collect();
        assert_eq!(latest.len(), usize::from(newest.is_some()), "exactly one version of a key is the latest");
        check_usage(store, &name).await;
    }
}

/// Keys that a file system would take for one another are different keys.
pub async fn keys_are_bytes_and_not_paths(store: &Store) {
    let name = bucket(store).await;
    let long = "k".repeat(types::KEY_LENGTH_MAX);
    let texts = [
        "a",
        "a/",
        "a/b",
        "a//b",
        "./a",
        "../a",
        "/a",
        "A",
        "a\0",
        "a\n",
        "a%2F",
        "a+",
        "é",
        "e\u{301}",
        "😀",
        "\u{10ffff}",
        " ",
        &long,
    ];
    for (tag, text) in texts.iter().enumerate() {
        put(store, &name, &key(text), tag as u64).await;
    }
    for (tag, text) in texts.iter().enumerate() {
        let found = current_etag(store, &name, &key(text)).await;
        assert_eq!(found, Some(etag(tag as u64)), "key {text:?} has its own version");
    }
    assert_eq!(get_bucket(store, &name).await.usage.objects, texts.len() as u64);
    assert_eq!(current_etag(store, &name, &key(&unique())).await, None);
}

/// Tags are a version's own, can be changed, and go along with copies; nothing else of the version changes.
pub async fn tags_are_changed_version_by_version(store: &Store) {
    let name = versioned_bucket(store).await;
    let k = key("k");
    let tags = |text: &str| vec![(format!("key {text}"), text.to_owned()), ("é".to_owned(), String::new())];
    let mut first = write(&name, &k, 1);
    first.version.attributes.tags = tags("at first");
    let first = store.commit_version(first).await.expect("a commit").version_id;
    let second = put(store, &name, &k, 2).await.version_id;
    let set = |version_id, tags: Vec<(String, String)>| {
        store.set_tags(SetTags { bucket: name.clone(), key: k.clone(), version_id, tags })
    };
    let (bucket, of) = (&name, &k);
    let found = |version_id| async move {
        let found = get(store, bucket, of, version_id).await.expect("it is there");
        (object(&found).attributes.tags.clone(), found)
    };
    let (before, untouched) = found(None).await;
    assert_eq!((before, found(Some(first)).await.0), (vec![], tags("at first")));

    let tagged = set(None, tags("current")).await.expect("a current version");
    assert_eq!(tagged, Tagged { versioning: Versioning::Enabled, version_id: second });
    assert_eq!(found(None).await.0, tags("current"));
    assert_eq!(found(Some(first)).await.0, tags("at first"), "the older version keeps its tags");
    assert_eq!(set(Some(first), vec![]).await.expect("a version").version_id, first);
    assert_eq!(found(Some(first)).await.0, vec![]);
    set(None, vec![]).await.expect("a current version");
    assert_eq!(found(None).await.1, untouched, "nothing but the tags changed");

    set(None, tags("copied")).await.expect("a current version");
    let copy = CopyVersion {
        source_bucket: name.clone(),
        source_key: k.clone(),
        source_version_id: second,
        source_etag: object(&untouched).etag,
        source_class: None,
        rewraps: None,
        bucket: name.clone(),
        key: key("copy"),
        attributes: CopyAttributes::Keep,
        checksum: None,
        condition: WriteCondition::None,
    };
    store.copy_version(copy).await.expect("a copy");
    let copied = get(store, &name, &key("copy"), None).await.expect("the copy");
    assert_eq!(object(&copied).attributes.tags, tags("copied"));

    delete(store, &name, &k, None).await;
    assert_eq!(set(None, vec![]).await, Err(Error::KeyNotFound), "a delete marker has no tags");
    let marker = get(store, &name, &k, None).await.expect("a delete marker").version_id;
    assert_eq!(set(Some(marker), vec![]).await, Err(Error::VersionNotFound));
    let missing = SetTags { bucket: name.clone(), key: key("missing"), version_id: None, tags: vec![] };
    assert_eq!(store.set_tags(missing.clone()).await, Err(Error::KeyNotFound));
    assert_eq!(
        store.set_tags(SetTags { version_id: Some(first), ..missing }).await,
        Err(Error::VersionNotFound)
    );
}
