use bytes::Bytes;
use metadata_api::Committed;
use proptest::{collection::vec, option, prelude::*, sample::select};
use types::{
    Acl, ArchiveClass, Attributes, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, Coding,
    ETag, Encryption, EncryptionScheme, Extent, Grant, Grantee, Group, GroupId, LeaseId, Manifest,
    ObjectPart, PartNumber, Permission, RenameMark, Restore, Retention, RetentionMode, Sequence, Timestamp,
    VersionId, VersionLock, Versioning,
};

use super::{
    decode_attributes, decode_committed, decode_manifest, decode_parts, encode_attributes, encode_committed,
    encode_manifest, encode_parts, join_manifests,
};

fn text() -> impl Strategy<Value = Option<String>> {
    option::of(".{0,40}")
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn version_lock() -> impl Strategy<Value = VersionLock> {
    let mode = prop_oneof![Just(RetentionMode::Governance), Just(RetentionMode::Compliance)];
    let retention = option::of((mode, any::<i64>().prop_map(Timestamp)));
    (retention, any::<Option<bool>>()).prop_map(|(retention, legal_hold)| VersionLock {
        retention: retention.map(|(mode, until)| Retention { mode, until }),
        legal_hold,
    })
}

fn acl() -> impl Strategy<Value = Acl> {
    let grantee =
        prop_oneof![".{0,20}".prop_map(Grantee::Account), select(&Group::ALL[..]).prop_map(Grantee::Group)];
    let grant = (grantee, select(&Permission::ALL[..]));
    let grants = vec(grant.prop_map(|(grantee, permission)| Grant { grantee, permission }), 0..4);
    (option::of(".{0,20}"), grants).prop_map(|(owner, grants)| Acl { owner, grants })
}

prop_compose! {
    fn attributes()(
        texts in [text(), text(), text(), text(), text(), text(), text()],
        user_metadata in vec((".{0,20}", bytes()), 0..8),
        tags in vec((".{0,20}", ".{0,20}"), 0..8),
        lock in version_lock(),
        mark in option::of(any::<([u8; 16], [u8; 16])>()),
        acl in option::of(acl()),
        restore in option::of((select(&ArchiveClass::ALL[..]), any::<u64>(), any::<[i64; 3]>())),
        encryption in option::of((select(&EncryptionScheme::ALL[..]), ".{0,20}", bytes(), (".{0,20}", any::<bool>()))),
    ) -> Attributes {
        let [content_type, cache_control, content_disposition, content_encoding, content_language, expires, redirect] = texts;
        Attributes {
            content_type, cache_control, content_disposition, content_encoding, content_language, expires,
            website_redirect_location: redirect, user_metadata, tags, lock,
            renamed: mark.map(|(token, parameters)| RenameMark { token, parameters }),
            acl,
            restore: restore.map(|(class, nonce, [asked, ready, until])| Restore {
                class,
                nonce,
                asked: Timestamp(asked),
                ready: Timestamp(ready),
                until: Timestamp(until),
            }),
            encryption: encryption.map(|(scheme, key_id, wrapped_key, (context, bucket_key))| match scheme {
                EncryptionScheme::SseKms => Encryption { scheme, key_id, wrapped_key, context, bucket_key },
                EncryptionScheme::SseS3 | EncryptionScheme::SseC => Encryption::new(scheme, key_id, wrapped_key),
            }),
        }
    }
}

prop_compose! {
    fn extent()(
        (lease, counter, group) in any::<(i64, u64, i32)>(),
        data in 1..=32_u8, parity in 0..=32_u8,
        (chunk_length, offset, length, checksum) in any::<(u64, u64, u64, u64)>(),
    ) -> Extent {
        let coding = Coding::new(data, parity.min(data)).expect("a valid coding");
        let chunk = ChunkId { lease: LeaseId(lease), counter };
        Extent { chunk, group: GroupId(group), coding, chunk_length, offset, length, checksum }
    }
}

fn etag() -> impl Strategy<Value = ETag> {
    any::<([u8; 16], Option<u16>)>().prop_map(|(digest, parts)| ETag { digest, parts })
}

fn checksum_value() -> impl Strategy<Value = ChecksumValue> {
    (0..5_usize, any::<[u8; 32]>()).prop_map(|(index, bytes)| {
        let algorithm = ChecksumAlgorithm::ALL[index];
        ChecksumValue::new(algorithm, &bytes[..algorithm.length()]).expect("of the algorithm's length")
    })
}

prop_compose! {
    fn part()(number in 1..=10_000_u16, size in any::<u64>(), etag in etag(), checksum in option::of(checksum_value()))
        -> ObjectPart {
        ObjectPart { number: PartNumber::new(number).expect("a part number"), size, etag, checksum }
    }
}

prop_compose! {
    fn committed()(
        versioning in 0..3_u8, id in option::of((0..i64::MAX, any::<u64>())),
        (sequence, last_modified, size) in any::<(i64, i64, u64)>(),
        etag in etag(), value in option::of((checksum_value(), 1..3_u8)),
    ) -> Committed {
        Committed {
            versioning: Versioning::from_number(versioning).expect("a state"),
            version_id: id.map_or(VersionId::Null, |(sequence, nonce)| {
                VersionId::Numbered { sequence: Sequence(sequence), nonce }
            }),
            sequence: Sequence(sequence),
            last_modified: Timestamp(last_modified),
            size,
            etag,
            checksum: value.map(|(value, kind)| Checksum { value, kind: ChecksumType::from_number(kind).expect("a type") }),
        }
    }
}

proptest! {
    #[test]
    fn everything_decodes_to_what_was_encoded(
        attributes in attributes(),
        extents in vec(extent(), 0..20),
        parts in vec(part(), 0..20),
        committed in committed(),
    ) {
        prop_assert_eq!(decode_attributes(encode_attributes(&attributes)), Ok(attributes));
        prop_assert_eq!(decode_manifest(encode_manifest(&extents)), Ok(Manifest { extents }));
        prop_assert_eq!(decode_parts(encode_parts(&parts)), Ok(parts));
        prop_assert_eq!(decode_committed(encode_committed(&committed)), Ok(committed));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(mut noise in vec(any::<u8>(), 0..300)) {
        for format in [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6)] {
            if let (Some(format), Some(first)) = (format, noise.first_mut()) {
                *first = format;
            }
            let bytes = Bytes::from(noise.clone());
            let _ = decode_attributes(bytes.clone());
            let _ = decode_manifest(bytes.clone());
            let _ = decode_parts(bytes.clone());
            let _ = decode_committed(bytes);
        }
    }

    /// Extents of manifests that are joined are those of each, one after the other.
    #[test]
    fn joined_manifests_are_one_of_all_their_extents(manifests in vec(vec(extent(), 0..5), 0..5)) {
        let encoded: Vec<Bytes> = manifests.iter().map(|extents| encode_manifest(extents)).collect();
        let extents = manifests.concat();
        let expected = (!extents.is_empty()).then(|| encode_manifest(&extents));
        prop_assert_eq!(join_manifests(&encoded), Ok(expected));
    }

    /// A change of any byte of a manifest is refused or gives another manifest, never a panic.
    #[test]
    fn a_cut_manifest_is_refused(extents in vec(extent(), 1..10), cut in any::<prop::sample::Index>()) {
        let whole = encode_manifest(&extents);
        let length = cut.index(whole.len());
        prop_assert!(decode_manifest(whole.slice(..length)).is_err());
    }
}

/// Rows of each format, byte by byte: they are read as they were written, and attributes without what is newer are still written so.
#[test]
fn attributes_of_every_format_stay_as_they_are() {
    const TEXTS: &[u8] = b"\x02a\0\0\0\0\0\0\x01\x01n\x01v";
    const TAG_NO_LOCK: &[u8] = b"\x01\x01k\x01t\0\0";
    const ACL: &[u8] = b"\x01\0\x01\x02";
    const OWNER: &[u8] = b"\x03me";
    const RESTORE: &[u8] = b"\x02\x04\x06\x01\0\0\0\0\0\0\0\x09";
    const ENCRYPTION: &[u8] = b"\x01\x02id\x03key";
    const BY_KMS: &[u8] = b"\x03\x02id\x03key\x02{}\x01";
    const MARK: [u8; 32] = [5; 32];
    let row = |pieces: &[&[u8]]| Bytes::from(pieces.concat());
    let plain = Attributes {
        content_type: Some("a".to_owned()),
        user_metadata: vec![("n".to_owned(), Bytes::from_static(b"v"))],
        ..Attributes::default()
    };
    let tagged = Attributes { tags: vec![("k".to_owned(), "t".to_owned())], ..plain.clone() };
    let renamed =
        Attributes { renamed: Some(RenameMark { token: [5; 16], parameters: [5; 16] }), ..tagged.clone() };
    let grant = Grant { grantee: Grantee::Group(Group::AllUsers), permission: Permission::Read };
    let listed = Attributes { acl: Some(Acl { owner: None, grants: vec![grant.clone()] }), ..tagged.clone() };
    let owned =
        Attributes { acl: Some(Acl { owner: Some("me".to_owned()), grants: vec![grant] }), ..tagged.clone() };
    let restore = Some(Restore {
        class: ArchiveClass::Glacier,
        nonce: 9,
        asked: Timestamp(1),
        ready: Timestamp(2),
        until: Timestamp(3),
    });
    let encryption = Some(Encryption::new(EncryptionScheme::SseS3, "id", Bytes::from_static(b"key")));
    let by_kms = Some(Encryption {
        context: "{}".to_owned(),
        bucket_key: true,
        ..Encryption::new(EncryptionScheme::SseKms, "id", Bytes::from_static(b"key"))
    });
    for (attributes, expected) in [
        (plain.clone(), row(&[&[1], TEXTS])),
        (renamed.clone(), row(&[&[1], TEXTS, TAG_NO_LOCK, &MARK])),
        (listed.clone(), row(&[&[2], TEXTS, TAG_NO_LOCK, &[0], ACL])),
        (Attributes { restore, ..tagged.clone() }, row(&[&[3], TEXTS, TAG_NO_LOCK, &[0], &[0], RESTORE])),
        (
            Attributes { restore, ..listed.clone() },
            row(&[&[3], TEXTS, TAG_NO_LOCK, &[0], &[1], ACL, RESTORE]),
        ),
        (
            Attributes { encryption: encryption.clone(), ..renamed },
            row(&[&[4], TEXTS, TAG_NO_LOCK, &[1], &MARK, &[0], &[0], ENCRYPTION]),
        ),
        (
            Attributes { encryption: by_kms.clone(), ..tagged.clone() },
            row(&[&[5], TEXTS, TAG_NO_LOCK, &[0], &[0], &[0], BY_KMS]),
        ),
        (owned.clone(), row(&[&[6], TEXTS, TAG_NO_LOCK, &[0], &[1], ACL, OWNER, &[0], &[0]])),
        (
            Attributes { restore, encryption: by_kms, ..owned.clone() },
            row(&[&[6], TEXTS, TAG_NO_LOCK, &[0], &[1], ACL, OWNER, &[1], RESTORE, &[1], BY_KMS]),
        ),
        (
            Attributes { restore, encryption: encryption.clone(), ..owned },
            row(&[
                &[6],
                TEXTS,
                TAG_NO_LOCK,
                &[0],
                &[1],
                ACL,
                OWNER,
                &[1],
                RESTORE,
                &[1],
                ENCRYPTION,
                b"\0\0",
            ]),
        ),
        (
            Attributes { restore, encryption, ..listed },
            row(&[&[4], TEXTS, TAG_NO_LOCK, &[0], &[1], ACL, &[1], RESTORE, ENCRYPTION]),
        ),
    ] {
        assert_eq!(encode_attributes(&attributes), expected);
        assert_eq!(decode_attributes(expected), Ok(attributes));
    }
}
