//! Arbitrary values of the contract's types, within their bounds. What several of them are made of is here.

mod accounts;
mod cluster;
mod identities;
mod objects;
mod rates;
mod sessions;
mod uploads;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, sample::select};
use types::{
    Acl, ArchiveClass, Attributes, BucketName, CHECKSUM_LENGTH_MAX, CHUNK_SIZE_MAX, Checksum,
    ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, Coding, Content, DiskId, ETag, Encryption,
    EncryptionScheme, Extent, Grant, Grantee, Group, GroupId, KeyPrefix, LeaseId, Manifest, MissingShard,
    NodeId, ObjectKey, ObjectPart, PartNumber, Permission, RenameMark, Restore, Retention, RetentionMode,
    Sequence, ShardId, ShardIndex, StorageClassName, Timestamp, UploadId, VersionId, VersionLock, Versioning,
};

use crate::{AccountId, Error, UploadChecksum, WriteCondition};
pub(crate) use accounts::{
    account_changed, account_created, account_key, accounts, create_account, found_account, root_key_made,
    whole_account,
};
pub(crate) use cluster::{
    cluster_map, content_page, disk_history, eviction, garbage_id, garbage_item, inventory, job_state, lease,
    lease_state, new_move, node_registration, owned_chunk, replace_chunks, shard_id,
    storage_class_definition,
};
pub(crate) use identities::{change_identities, identities_changed, identity_page, maybe_key};
pub(crate) use objects::{
    bucket, bucket_page, commit_version, committed, copy_version, create_bucket, delete_outcome,
    delete_versions, encrypted_page, found_version, get_version, list_buckets, list_objects, list_versions,
    object_page, rename_object, rename_prefix, rewrap, set_acl, set_lock, set_restore, set_tags, tagged,
    version_page,
};
pub(crate) use rates::{rate_limit_set, rate_limits, set_rate_limit};
pub(crate) use sessions::{made_session, open_session, seal_session, session, session_opened};
pub(crate) use uploads::{
    abort_upload, commit_part, complete_upload, create_upload, list_parts, list_uploads, part, part_page,
    upload, upload_page,
};

pub(crate) fn bucket_name() -> impl Strategy<Value = BucketName> + Clone {
    "[a-z][a-z0-9-]{1,20}[0-9]".prop_filter_map("a reserved name", |name| BucketName::new(&name).ok())
}

pub(crate) fn object_key() -> impl Strategy<Value = ObjectKey> + Clone {
    "\\PC{1,64}|[/\u{0}-\u{1f}\u{10fff0}]{1,8}|k{1024}"
        .prop_filter_map("too long", |key| ObjectKey::new(key).ok())
}

fn key_prefix() -> impl Strategy<Value = KeyPrefix> + Clone {
    "\\PC{0,16}".prop_filter_map("too long", |prefix| KeyPrefix::new(prefix).ok())
}

fn delimiter() -> impl Strategy<Value = Option<KeyPrefix>> {
    option::of("/|::|é|\u{10ffff}".prop_filter_map("too long", |text| KeyPrefix::new(text).ok()))
}

fn account() -> impl Strategy<Value = AccountId> {
    "[0-9a-f]{0,64}".prop_map(AccountId)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn versioning() -> impl Strategy<Value = Versioning> {
    prop_oneof![Just(Versioning::Unversioned), Just(Versioning::Enabled), Just(Versioning::Suspended)]
}

fn algorithm() -> impl Strategy<Value = ChecksumAlgorithm> {
    prop::sample::select(ChecksumAlgorithm::ALL.to_vec())
}

fn checksum_type() -> impl Strategy<Value = ChecksumType> {
    prop_oneof![Just(ChecksumType::FullObject), Just(ChecksumType::Composite)]
}

fn checksum_value() -> impl Strategy<Value = ChecksumValue> {
    (algorithm(), prop::collection::vec(any::<u8>(), CHECKSUM_LENGTH_MAX))
        .prop_filter_map("never", |(a, bytes)| ChecksumValue::new(a, &bytes[..a.length()]))
}

fn checksum() -> impl Strategy<Value = Checksum> {
    (checksum_value(), checksum_type()).prop_map(|(value, kind)| Checksum { value, kind })
}

fn upload_checksum() -> impl Strategy<Value = UploadChecksum> {
    (algorithm(), checksum_type()).prop_map(|(algorithm, kind)| UploadChecksum { algorithm, kind })
}

fn etag() -> impl Strategy<Value = ETag> {
    (any::<[u8; 16]>(), any::<Option<u16>>()).prop_map(|(digest, parts)| ETag { digest, parts })
}

fn version_id() -> impl Strategy<Value = VersionId> {
    prop_oneof![
        Just(VersionId::Null),
        (1..=i64::MAX, any::<u64>())
            .prop_map(|(sequence, nonce)| VersionId::Numbered { sequence: Sequence(sequence), nonce }),
    ]
}

fn part_number() -> impl Strategy<Value = PartNumber> {
    (1..=10_000u16).prop_filter_map("never", |number| PartNumber::new(number).ok())
}

fn upload_id() -> impl Strategy<Value = UploadId> {
    any::<[u8; 16]>().prop_map(UploadId)
}

fn storage_class() -> impl Strategy<Value = StorageClassName> {
    "[A-Z0-9_]{1,64}".prop_filter_map("never", |name| StorageClassName::new(&name).ok())
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let header = || option::of("\\PC{0,12}");
    let headers = (header(), header(), header(), header(), header(), header(), header());
    let tags = || vec(("\\PC{1,8}", "\\PC{0,8}"), 0..4);
    let user_metadata = vec(("[a-z0-9-]{1,8}", bytes()), 0..4);
    let rest =
        (option::of(rename_mark()), option::of(acl()), option::of(restore()), option::of(encryption()));
    (headers, user_metadata, tags(), version_lock(), rest).prop_map(
        |(headers, user_metadata, tags, lock, (renamed, acl, restore, encryption))| Attributes {
            content_type: headers.0,
            cache_control: headers.1,
            content_disposition: headers.2,
            content_encoding: headers.3,
            content_language: headers.4,
            expires: headers.5,
            website_redirect_location: headers.6,
            user_metadata,
            tags,
            lock,
            renamed,
            acl,
            restore,
            encryption,
        },
    )
}

fn encryption() -> impl Strategy<Value = Encryption> {
    let beside = ("\\PC{0,12}", any::<bool>());
    (select(&EncryptionScheme::ALL[..]), "[a-z0-9-]{0,8}", bytes(), beside).prop_map(
        |(scheme, key_id, wrapped_key, (context, bucket_key))| Encryption {
            scheme,
            key_id,
            wrapped_key,
            context,
            bucket_key,
        },
    )
}

fn acl() -> impl Strategy<Value = Acl> {
    let grantee = prop_oneof![
        "[0-9a-f]{1,64}".prop_map(Grantee::Account),
        select(&Group::ALL[..]).prop_map(Grantee::Group),
    ];
    let grant = (grantee, select(&Permission::ALL[..]));
    let grants = vec(grant.prop_map(|(grantee, permission)| Grant { grantee, permission }), 0..4);
    (option::of("[0-9a-f]{1,64}"), grants).prop_map(|(owner, grants)| Acl { owner, grants })
}

fn rename_mark() -> impl Strategy<Value = RenameMark> {
    any::<([u8; 16], [u8; 16])>().prop_map(|(token, parameters)| RenameMark { token, parameters })
}

fn restore() -> impl Strategy<Value = Restore> {
    let of = (select(&ArchiveClass::ALL[..]), any::<u64>());
    (of, timestamp(), timestamp(), timestamp()).prop_map(|((class, nonce), asked, ready, until)| Restore {
        class,
        nonce,
        asked,
        ready,
        until,
    })
}

fn retention_mode() -> impl Strategy<Value = RetentionMode> {
    prop_oneof![Just(RetentionMode::Governance), Just(RetentionMode::Compliance)]
}

fn retention() -> impl Strategy<Value = Retention> {
    (retention_mode(), timestamp()).prop_map(|(mode, until)| Retention { mode, until })
}

fn version_lock() -> impl Strategy<Value = VersionLock> {
    (option::of(retention()), any::<Option<bool>>())
        .prop_map(|(retention, legal_hold)| VersionLock { retention, legal_hold })
}

fn coding() -> impl Strategy<Value = Coding> {
    (1..=32u8, 0..=32u8)
        .prop_filter_map("no coding", |(data, parity)| Coding::new(data, parity % (data + 1)).ok())
}

fn chunk_id() -> impl Strategy<Value = ChunkId> {
    any::<(i64, u64)>().prop_map(|(lease, counter)| ChunkId { lease: LeaseId(lease), counter })
}

fn extent() -> impl Strategy<Value = Extent> {
    let run = (0..=CHUNK_SIZE_MAX)
        .prop_flat_map(|whole| (Just(whole), 0..=whole))
        .prop_flat_map(|(whole, offset)| (Just(whole), Just(offset), 0..=whole - offset));
    (chunk_id(), any::<i32>(), coding(), run, any::<u64>()).prop_map(
        |(chunk, group, coding, (chunk_length, offset, length), checksum)| Extent {
            chunk,
            group: GroupId(group),
            coding,
            chunk_length,
            offset,
            length,
            checksum,
        },
    )
}

fn manifest() -> impl Strategy<Value = Manifest> {
    vec(extent(), 0..4).prop_map(|extents| Manifest { extents })
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![bytes().prop_map(Content::Inline), manifest().prop_map(Content::Stored)]
}

pub(crate) fn missing_shard() -> impl Strategy<Value = MissingShard> {
    (chunk_id(), any::<u8>(), any::<i32>(), coding(), 0..=CHUNK_SIZE_MAX).prop_filter_map(
        "at most 64 shards",
        |(chunk, index, group, coding, chunk_length)| {
            let index = u8::try_from(usize::from(index) % coding.total()).ok()?;
            let shard = ShardId { chunk, index: ShardIndex(index) };
            Some(MissingShard { shard, group: GroupId(group), coding, chunk_length })
        },
    )
}

fn object_part() -> impl Strategy<Value = ObjectPart> {
    (part_number(), any::<u64>(), etag(), option::of(checksum_value()))
        .prop_map(|(number, size, etag, checksum)| ObjectPart { number, size, etag, checksum })
}

fn write_condition() -> impl Strategy<Value = WriteCondition> {
    prop_oneof![
        Just(WriteCondition::None),
        Just(WriteCondition::IfAbsent),
        etag().prop_map(WriteCondition::IfMatch),
        Just(WriteCondition::IfPresent),
    ]
}

pub(crate) fn error() -> impl Strategy<Value = Error> {
    let reason = || "\\PC{0,32}";
    prop_oneof![
        bucket_name().prop_map(|bucket| Error::BucketNotFound { bucket }),
        (bucket_name(), account()).prop_map(|(bucket, owner)| Error::BucketExists { bucket, owner }),
        bucket_name().prop_map(|bucket| Error::BucketNotEmpty { bucket }),
        Just(Error::KeyNotFound),
        Just(Error::VersionNotFound),
        option::of(etag()).prop_map(|current| Error::PreconditionFailed { current }),
        Just(Error::UploadNotFound),
        part_number().prop_map(|number| Error::InvalidPart { number }),
        Just(Error::InvalidPartOrder),
        (part_number(), any::<u64>(), any::<u64>(), etag())
            .prop_map(|(number, size, minimum, etag)| Error::PartTooSmall { number, size, minimum, etag }),
        any::<(u64, u64)>().prop_map(|(stated, actual)| Error::UploadSizeMismatch { stated, actual }),
        Just(Error::UploadChecksumMismatch),
        Just(Error::LeaseRevoked),
        any::<i64>().prop_map(|lease| Error::LeaseActive { lease: types::LeaseId(lease) }),
        any::<i64>().prop_map(|epoch| Error::StaleMap { epoch }),
        node().prop_map(|node| Error::NodeNotFound { node }),
        disk().prop_map(|disk| Error::DiskNotFound { disk }),
        Just(Error::MoveNotFound),
        Just(Error::JobLost),
        Just(Error::RenameTooLarge),
        reason().prop_map(|reason| Error::Malformed { reason }),
        Just(Error::Unauthenticated),
        reason().prop_map(|reason| Error::Forbidden { reason }),
        reason().prop_map(|reason| Error::Unavailable { reason }),
        Just(Error::TimedOut),
        reason().prop_map(|reason| Error::Internal { reason }),
    ]
}

fn disk() -> impl Strategy<Value = DiskId> {
    any::<[u8; 16]>().prop_map(DiskId)
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 16]>().prop_map(NodeId)
}

fn limit() -> impl Strategy<Value = usize> {
    1..=crate::PAGE_SIZE_MAX
}
