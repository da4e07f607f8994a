//! Versions whose bytes are encrypted: how long they are, and what keeps them readable.

use bytes::Bytes;
use types::{
    Attributes, Content, Encryption, EncryptionScheme, VersionId, sealed_length, sealed_part_length,
};

use super::support::{
    Minter, Store, bucket, check_usage, completion, copy, etag, get, get_bucket, key, new_upload, object,
    put, rename, sequence, stored_part, violation, write, write_stored,
};
use crate::{CommitVersion, CopyAttributes, CopyVersion, CreateUpload, Error};

const MIB: u64 = 1 << 20;

/// Attributes of an encrypted object, whose wrapped key is this.
fn encrypted(key: &'static str) -> Attributes {
    let encryption = Encryption {
        scheme: EncryptionScheme::SseS3,
        key_id: "master-1".to_owned(),
        wrapped_key: Bytes::from_static(key.as_bytes()),
    };
    Attributes { encryption: Some(encryption), ..Attributes::default() }
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
