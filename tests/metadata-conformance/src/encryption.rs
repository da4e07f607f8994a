//! Versions whose bytes are encrypted: how long they are, and what keeps them readable.

use bytes::Bytes;
use types::{
    Attributes, BucketName, Content, Encryption, EncryptionScheme, Sequence, VersionId, sealed_length,
    sealed_part_length,
};

use super::support::{
    Minter, Store, bucket, check_usage, completion, copy, etag, get, get_bucket, key, new_upload, object,
    put, rename, sequence, stored_part, violation, write, write_stored,
};
use metadata_api::{
    CommitVersion, ContentPosition, CopyAttributes, CopyVersion, CreateUpload, EncryptedOwner, Error, Rewrap,
};

const MIB: u64 = 1 << 20;

/// How an object is encrypted whose wrapped key is this.
fn wrapped(key: &'static str) -> Encryption {
    Encryption::new(EncryptionScheme::SseS3, "master-1", Bytes::from_static(key.as_bytes()))
}

/// Attributes of an encrypted object, whose wrapped key is this.
fn encrypted(key: &'static str) -> Attributes {
    Attributes { encryption: Some(wrapped(key)), ..Attributes::default() }
}

fn with(attributes: Attributes, request: CommitVersion) -> CommitVersion {
    let mut request = request;
    request.version.attributes = attributes;
    request
}

/// The object's bytes are counted, not those that are kept; what no object can have is refused.
pub async fn encrypted_content_tells_the_size_of_its_object(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    for size in [0, 1, 64 << 10, (64 << 10) + 1, 60 * MIB] {
        let mut minter = Minter::acquire(store).await;
        let content = minter.content(&[sealed_length(size)]);
        let request = with(encrypted("a"), write_stored(&name, &k, 1, minter.lease, content.clone()));
        let made = store.commit_version(request).await.expect("a commit");
        let found = get(store, &name, &k, None).await.expect("it was committed");
        let found = object(&found);
        assert_eq!((made.size, found.size, &found.content), (size, size, &content));
        assert_eq!(found.attributes, encrypted("a"));
        assert_eq!(get_bucket(store, &name).await.usage.version_bytes, size);
        check_usage(store, &name).await;
    }
    let before = sequence(store, &name).await;
    let short = with(encrypted("a"), write(&name, &k, 1));
    assert!(matches!(store.commit_version(short).await, Err(Error::Malformed { .. })));
    assert_eq!(sequence(store, &name).await, before);
}

/// The same for the parts of an upload, and for the object that they make.
pub async fn encrypted_parts_tell_their_sizes(store: &Store) {
    let (name, k) = (bucket(store).await, key("k"));
    let mut minter = Minter::acquire(store).await;
    let request = CreateUpload { attributes: encrypted("a"), ..new_upload(&name, &k) };
    let upload = store.create_upload(request).await.expect("an upload").id;
    let found = store.get_upload(&name, &k, upload).await.expect("it is open");
    assert_eq!(found.attributes, encrypted("a"));
    let mut kept = 0;
    for (number, size) in [(1, 5 * MIB), (2, 3)] {
        let sealed = sealed_part_length(size);
        let part = stored_part(&name, &k, upload, number, &mut minter, sealed);
        let made = store.commit_part(part).await.expect("a part");
        assert_eq!(made.size, size);
        kept += sealed;
    }
    let short = stored_part(&name, &k, upload, 3, &mut minter, 7);
    assert!(matches!(store.commit_part(short).await, Err(Error::Malformed { .. })));

    let made = store.complete_upload(completion(&name, &k, upload, &[1, 2])).await.expect("a completion");
    let found = get(store, &name, &k, None).await.expect("it was completed");
    let found = object(&found);
    let sizes: Vec<u64> = found.parts.iter().map(|part| part.size).collect();
    assert_eq!((made.size, found.size, sizes), (5 * MIB + 3, 5 * MIB + 3, vec![5 * MIB, 3]));
    assert_eq!((found.content.length(), &found.attributes), (kept, &encrypted("a")));
    check_usage(store, &name).await;
}

/// Whoever has the bytes has the key to them, whatever else a copy is to have.
pub async fn copies_and_renames_keep_how_their_bytes_are_encrypted(store: &Store) {
    let (here, there, k) = (bucket(store).await, bucket(store).await, key("k"));
    let of = async |bucket, key| {
        let found = get(store, bucket, key, None).await.expect("it is there");
        let Content::Inline(bytes) = object(&found).content.clone() else { violation("it is inline") };
        (bytes, object(&found).attributes.clone())
    };
    let bytes = Bytes::from_static(&[7; 16 + 5]);
    let mut request = with(encrypted("its own"), write(&here, &k, 1));
    request.version.content = Content::Inline(bytes.clone());
    store.commit_version(request).await.expect("a commit");

    let other = Attributes { content_type: Some("x/y".to_owned()), ..encrypted("its own") };
    let (to_key, plain_key, moved) = (key("copy"), key("plain"), key("moved"));
    for to in [&there, &here] {
        for (attributes, expected) in [
            (CopyAttributes::Keep, encrypted("its own")),
            (CopyAttributes::Replace(Box::new(other.clone())), other.clone()),
        ] {
            let request = copy((&here, &k, VersionId::Null), etag(1), (to, &to_key));
            let made = store.copy_version(CopyVersion { attributes, ..request }).await.expect("a copy");
            assert_eq!(made.size, 5);
            assert_eq!(of(to, &to_key).await, (bytes.clone(), expected));
        }
    }
    // What a copy says of bytes that have been replaced meanwhile, by others with the same entity tag, is not believed.
    put(store, &here, &plain_key, 1).await;
    let before = (sequence(store, &here).await, sequence(store, &there).await);
    for (source, attributes) in [
        (&k, Attributes::default()),
        (&k, encrypted("of another object")),
        (&plain_key, encrypted("its own")),
    ] {
        for to in [&there, &here] {
            let request = copy((&here, source, VersionId::Null), etag(1), (to, &to_key));
            let attributes = CopyAttributes::Replace(Box::new(attributes.clone()));
            let refused = store.copy_version(CopyVersion { attributes, ..request }).await;
            assert_eq!(refused, Err(Error::PreconditionFailed { current: Some(etag(1)) }));
        }
    }
    assert_eq!((sequence(store, &here).await, sequence(store, &there).await), before);

    store.rename_object(rename(&here, (&k, VersionId::Null), etag(1), &moved)).await.expect("a rename");
    assert_eq!(of(&here, &moved).await, (bytes, encrypted("its own")));
}

/// How an object is encrypted whose data key is wrapped by a key of a key management service.
fn by_kms(key: &'static str) -> Encryption {
    Encryption {
        context: "{\"team\":\"a\"}".to_owned(),
        bucket_key: true,
        ..Encryption::new(EncryptionScheme::SseKms, "named", Bytes::from_static(key.as_bytes()))
    }
}

/// A wrapped key is replaced once, of what was read and of nothing else, and everything else stays.
pub async fn a_data_key_is_wrapped_anew_as_it_was_found(store: &Store) {
    let (name, k, sealed) = (bucket(store).await, key("k"), Bytes::from_static(&[7; 16 + 5]));
    let mut request = with(encrypted("old"), write(&name, &k, 1));
    request.version.content = Content::Inline(sealed.clone());
    store.commit_version(request.clone()).await.expect("a commit");
    let found = get(store, &name, &k, None).await.expect("it is there");
    let before = sequence(store, &name).await;
    let owner = EncryptedOwner::Version { version_id: found.version_id, sequence: found.sequence };
    let rewrap = Rewrap {
        bucket: name.clone(),
        key: k.clone(),
        owner,
        was: wrapped("old"),
        encryption: by_kms("new"),
    };
    let refused = Err(Error::PreconditionFailed { current: Some(etag(1)) });
    let of_other = Rewrap { was: wrapped("other"), ..rewrap.clone() };
    assert_eq!(store.rewrap(of_other).await, refused, "it is wrapped otherwise");
    let version_id = found.version_id;
    let later = EncryptedOwner::Version { version_id, sequence: Sequence(found.sequence.0 + 1) };
    assert_eq!(
        store.rewrap(Rewrap { owner: later, ..rewrap.clone() }).await,
        refused,
        "it is another version"
    );
    for _ in 0..2 {
        assert_eq!(store.rewrap(rewrap.clone()).await, Ok(()), "once more the same");
    }
    let again = get(store, &name, &k, None).await.expect("it is there");
    assert_eq!((again.last_modified, again.sequence), (found.last_modified, found.sequence));
    let (was, is) = (object(&found), object(&again));
    assert_eq!(is.attributes, Attributes { encryption: Some(by_kms("new")), ..was.attributes.clone() });
    assert_eq!((is.etag, is.size, &is.content), (was.etag, was.size, &was.content));
    assert_eq!(sequence(store, &name).await, before, "it is no commit");
    let missing = Rewrap { key: key("missing"), ..rewrap.clone() };
    assert_eq!(store.rewrap(missing).await, Err(Error::VersionNotFound));
    put(store, &name, &key("plain"), 1).await;
    let plain = get(store, &name, &key("plain"), None).await.expect("it is there");
    let owner = EncryptedOwner::Version { version_id: plain.version_id, sequence: plain.sequence };
    let of_plain = Rewrap { key: key("plain"), owner, ..rewrap.clone() };
    assert_eq!(store.rewrap(of_plain).await, refused, "it is not encrypted");

    // An upload's data key is that of the object which its parts become.
    let create = CreateUpload { attributes: encrypted("old"), ..new_upload(&name, &k) };
    let upload = store.create_upload(create).await.expect("an upload").id;
    let owner = EncryptedOwner::Upload(upload);
    let rewrap = Rewrap { owner, ..rewrap };
    let of_other = Rewrap { was: wrapped("other"), ..rewrap.clone() };
    assert_eq!(store.rewrap(of_other).await, Err(Error::PreconditionFailed { current: None }));
    assert_eq!(store.rewrap(rewrap.clone()).await, Ok(()));
    let mut minter = Minter::acquire(store).await;
    let part = stored_part(&name, &k, upload, 1, &mut minter, sealed_part_length(9));
    store.commit_part(part).await.expect("a part");
    store.complete_upload(completion(&name, &k, upload, &[1])).await.expect("a completion");
    let made = get(store, &name, &k, None).await.expect("it was completed");
    assert_eq!(object(&made).attributes.encryption, Some(by_kms("new")));
    assert_eq!(store.rewrap(rewrap).await, Err(Error::UploadNotFound));
}

/// A copy that shares its source's bytes has their data key, wrapped as it says, if that was the source's when it was read.
pub async fn copies_can_wrap_their_data_key_otherwise(store: &Store) {
    let (name, k, to) = (bucket(store).await, key("k"), key("copy"));
    let mut request = with(encrypted("old"), write(&name, &k, 1));
    request.version.content = Content::Inline(Bytes::from_static(&[7; 16 + 5]));
    store.commit_version(request).await.expect("a commit");
    let attributes = Attributes { encryption: Some(by_kms("new")), ..Attributes::default() };
    let request = copy((&name, &k, VersionId::Null), etag(1), (&name, &to));
    let attributes = CopyAttributes::Replace(Box::new(attributes));
    let rewraps = Some(wrapped("old"));
    let request = CopyVersion { attributes, rewraps, ..request };
    let refused = Err(Error::PreconditionFailed { current: Some(etag(1)) });
    for attempt in [
        CopyVersion { rewraps: Some(wrapped("other")), ..request.clone() },
        CopyVersion { rewraps: None, ..request.clone() },
        CopyVersion { attributes: CopyAttributes::Replace(Box::default()), ..request.clone() },
    ] {
        assert_eq!(store.copy_version(attempt).await, refused);
    }
    store.copy_version(request).await.expect("a copy");
    let found = get(store, &name, &to, None).await.expect("it was copied");
    assert_eq!((object(&found).size, &object(&found).attributes.encryption), (5, &Some(by_kms("new"))));
    let source = get(store, &name, &k, None).await.expect("it is there");
    assert_eq!(object(&source).attributes.encryption, Some(wrapped("old")));
}

/// What is there and encrypted is told once, however small the pages are, and what was removed is not.
pub async fn whatever_is_encrypted_is_listed(store: &Store) {
    let (name, other) = (bucket(store).await, bucket(store).await);
    let put = async |bucket: &BucketName, name: &str, attributes: Attributes| {
        let mut request = with(attributes, write(bucket, &key(name), 1));
        request.version.content = Content::Inline(Bytes::from_static(&[7; 16 + 5]));
        store.commit_version(request).await.expect("a commit");
    };
    for (bucket, name) in [(&name, "a"), (&name, "b"), (&other, "c"), (&name, "replaced")] {
        put(bucket, name, encrypted("x")).await;
    }
    put(&name, "plain", Attributes::default()).await;
    put(&name, "replaced", Attributes::default()).await;
    let by_kms = Attributes { encryption: Some(by_kms("new")), ..Attributes::default() };
    put(&name, "kms", by_kms.clone()).await;
    for (name, bucket) in [("a", &name), ("d", &other), ("e", &other)] {
        let create = CreateUpload { attributes: by_kms.clone(), ..new_upload(bucket, &key(name)) };
        store.create_upload(create).await.expect("an upload");
    }
    store.create_upload(new_upload(&other, &key("plain"))).await.expect("an upload");
    for limit in [1, 2, 3, 1000] {
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let page = store.list_encrypted(after, limit).await.expect("a page");
            assert!(page.rows.len() <= limit);
            told.extend(page.rows.into_iter().filter(|row| [&name, &other].contains(&&row.bucket)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut rows: Vec<_> = told
            .iter()
            .map(|row| {
                let is_upload = matches!(row.owner, EncryptedOwner::Upload(_));
                (is_upload, row.key.as_str().to_owned(), row.encryption.scheme)
            })
            .collect();
        rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let (s3, kms) = (EncryptionScheme::SseS3, EncryptionScheme::SseKms);
        let versions = [("a", s3), ("b", s3), ("c", s3), ("kms", kms)].map(|(key, it)| (false, key, it));
        let uploads = ["a", "d", "e"].map(|key| (true, key, kms));
        let expected: Vec<_> = versions.into_iter().chain(uploads).collect();
        let rows: Vec<_> = rows.iter().map(|(is_upload, key, it)| (*is_upload, key.as_str(), *it)).collect();
        assert_eq!(rows, expected, "{limit}");
        for row in &told {
            if let EncryptedOwner::Version { version_id, .. } = row.owner {
                let found = get(store, &row.bucket, &row.key, Some(version_id)).await.expect("it is there");
                assert_eq!(object(&found).attributes.encryption.as_ref(), Some(&row.encryption));
            }
        }
    }
    assert!(matches!(store.list_encrypted(None, 0).await, Err(Error::Malformed { .. })));
    let none = store.list_encrypted(Some(ContentPosition(vec![9])), 10).await;
    assert!(matches!(none, Err(Error::Malformed { .. })));
}
