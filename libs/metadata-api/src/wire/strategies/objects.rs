//! Buckets, versions and listings.

use bytes::Bytes;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use types::{
    BucketId, DefaultRetention, LeaseId, ObjectLockConfiguration, RetentionPeriod, Sequence, UploadId,
};

use super::{
    account, acl, algorithm, attributes, bucket_name, bytes, checksum, checksum_type, content, delimiter,
    encryption, error, etag, key_prefix, limit, missing_shard, object_key, object_part, rename_mark, restore,
    retention, retention_mode, storage_class, timestamp, version_id, versioning, write_condition,
};
use crate::{
    Bucket, BucketPage, BucketQuota, BucketUsage, CommitVersion, Committed, ContentPosition, CopyAttributes,
    CopyVersion, CreateBucket, DeleteCondition, DeleteVersion, DeleteVersions, DeletedVersion, ETagCondition,
    EncryptedOwner, EncryptedPage, EncryptedRow, Error, FoundVersion, GetVersion, ListBuckets, ListObjects,
    ListPosition, ListVersions, LockChange, NewVersion, ObjectEntry, ObjectPage, ObjectSummary, RenameObject,
    RenamePrefix, RenamedObject, Rewrap, SetAcl, SetLock, SetRestore, SetTags, Subresource, Tagged, Version,
    VersionEntry, VersionPage, VersionPosition, VersionState, VersionSummary,
};

pub(crate) fn bucket() -> impl Strategy<Value = Bucket> {
    let usage = any::<(u64, u64, u64, u64)>().prop_map(|counts| BucketUsage {
        objects: counts.0,
        object_bytes: counts.1,
        versions: counts.2,
        version_bytes: counts.3,
    });
    let made = (any::<i64>(), bucket_name(), account(), timestamp());
    let quota =
        any::<(Option<u64>, Option<u64>)>().prop_map(|(bytes, objects)| BucketQuota { bytes, objects });
    let beside =
        (option::of(object_lock()), quota, any::<(bool, bool)>(), (option::of(bytes()), option::of(bytes())));
    (made, versioning(), any::<i64>(), usage, beside).prop_map(
        |((id, name, owner, created), versioning, sequence, usage, beside)| Bucket {
            id: BucketId(id),
            name,
            owner,
            created,
            versioning,
            commit_sequence: Sequence(sequence),
            usage,
            object_lock: beside.0,
            quota: beside.1,
            has_policy: beside.2.0,
            has_lifecycle: beside.2.1,
            ownership_controls: beside.3.0,
            encryption: beside.3.1,
        },
    )
}

pub(crate) fn create_bucket() -> impl Strategy<Value = CreateBucket> {
    let kind = prop::sample::select(Subresource::ALL.as_slice());
    let subresources = btree_map(kind, vec(any::<u8>(), 0..32).prop_map(Bytes::from), 0..4);
    (bucket_name(), account(), any::<bool>(), subresources).prop_map(
        |(name, owner, object_lock, subresources)| CreateBucket { name, owner, object_lock, subresources },
    )
}

pub(crate) fn list_buckets() -> impl Strategy<Value = ListBuckets> {
    (account(), "\\PC{0,8}", option::of("\\PC{0,8}"), 1..=10_000usize)
        .prop_map(|(owner, prefix, after, limit)| ListBuckets { owner, prefix, after, limit })
}

pub(crate) fn bucket_page() -> impl Strategy<Value = BucketPage> {
    (vec(bucket(), 0..3), any::<bool>()).prop_map(|(buckets, truncated)| BucketPage { buckets, truncated })
}

fn new_version() -> impl Strategy<Value = NewVersion> {
    (content(), etag(), option::of(checksum()), attributes(), storage_class()).prop_map(
        |(content, etag, checksum, attributes, storage_class)| NewVersion {
            content,
            etag,
            checksum,
            attributes,
            storage_class,
        },
    )
}

pub(crate) fn commit_version() -> impl Strategy<Value = CommitVersion> {
    let lease = any::<Option<i64>>().prop_map(|lease| lease.map(LeaseId));
    let missing = vec(missing_shard(), 0..3);
    (bucket_name(), object_key(), lease, new_version(), write_condition(), missing).prop_map(
        |(bucket, key, lease, version, condition, missing)| CommitVersion {
            bucket,
            key,
            lease,
            version,
            condition,
            missing,
        },
    )
}

pub(crate) fn committed() -> impl Strategy<Value = Committed> {
    let facts = (any::<u64>(), etag(), option::of(checksum()));
    (versioning(), version_id(), any::<i64>(), timestamp(), facts).prop_map(
        |(versioning, version_id, sequence, last_modified, (size, etag, checksum))| Committed {
            versioning,
            version_id,
            sequence: Sequence(sequence),
            last_modified,
            size,
            etag,
            checksum,
        },
    )
}

pub(crate) fn get_version() -> impl Strategy<Value = GetVersion> {
    (bucket_name(), object_key(), option::of(version_id()), any::<bool>()).prop_map(
        |(bucket, key, version_id, with_content)| GetVersion { bucket, key, version_id, with_content },
    )
}

pub(crate) fn object_lock() -> impl Strategy<Value = ObjectLockConfiguration> {
    let period = prop_oneof![
        (1..=RetentionPeriod::DAYS_MAX).prop_map(RetentionPeriod::Days),
        (1..=RetentionPeriod::YEARS_MAX).prop_map(RetentionPeriod::Years),
    ];
    option::of((retention_mode(), period)).prop_map(|default| ObjectLockConfiguration {
        default_retention: default.map(|(mode, period)| DefaultRetention { mode, period }),
    })
}

pub(crate) fn set_lock() -> impl Strategy<Value = SetLock> {
    let change = prop_oneof![
        option::of(retention()).prop_map(LockChange::Retention),
        any::<bool>().prop_map(LockChange::LegalHold),
    ];
    (bucket_name(), object_key(), option::of(version_id()), change, any::<bool>()).prop_map(
        |(bucket, key, version_id, change, bypasses_governance)| SetLock {
            bucket,
            key,
            version_id,
            change,
            bypasses_governance,
        },
    )
}

pub(crate) fn set_acl() -> impl Strategy<Value = SetAcl> {
    (bucket_name(), object_key(), option::of(version_id()), option::of(acl()))
        .prop_map(|(bucket, key, version_id, acl)| SetAcl { bucket, key, version_id, acl })
}

pub(crate) fn set_restore() -> impl Strategy<Value = SetRestore> {
    let version = (bucket_name(), object_key(), version_id(), any::<i64>());
    (version, option::of(restore()), restore()).prop_map(
        |((bucket, key, version_id, sequence), was, restore)| SetRestore {
            bucket,
            key,
            version_id,
            sequence: Sequence(sequence),
            was,
            restore,
        },
    )
}

fn encrypted_owner() -> impl Strategy<Value = EncryptedOwner> {
    prop_oneof![
        (version_id(), any::<i64>()).prop_map(|(version_id, sequence)| EncryptedOwner::Version {
            version_id,
            sequence: Sequence(sequence),
        }),
        any::<[u8; 16]>().prop_map(|id| EncryptedOwner::Upload(UploadId(id))),
    ]
}

pub(crate) fn rewrap() -> impl Strategy<Value = Rewrap> {
    (bucket_name(), object_key(), encrypted_owner(), encryption(), encryption())
        .prop_map(|(bucket, key, owner, was, encryption)| Rewrap { bucket, key, owner, was, encryption })
}

pub(crate) fn encrypted_page() -> impl Strategy<Value = EncryptedPage> {
    let row = (bucket_name(), object_key(), encrypted_owner(), encryption())
        .prop_map(|(bucket, key, owner, encryption)| EncryptedRow { bucket, key, owner, encryption });
    let next = option::of(vec(any::<u8>(), 0..40).prop_map(ContentPosition));
    (vec(row, 0..3), next).prop_map(|(rows, next)| EncryptedPage { rows, next })
}

pub(crate) fn set_tags() -> impl Strategy<Value = SetTags> {
    let tags = vec(("\\PC{1,8}", "\\PC{0,8}"), 0..4);
    (bucket_name(), object_key(), option::of(version_id()), tags)
        .prop_map(|(bucket, key, version_id, tags)| SetTags { bucket, key, version_id, tags })
}

pub(crate) fn tagged() -> impl Strategy<Value = Tagged> {
    (versioning(), version_id()).prop_map(|(versioning, version_id)| Tagged { versioning, version_id })
}

fn version() -> impl Strategy<Value = Version> {
    let parts = vec(object_part(), 0..4);
    (any::<u64>(), content(), etag(), option::of(checksum()), attributes(), storage_class(), parts).prop_map(
        |(size, content, etag, checksum, attributes, storage_class, parts)| Version {
            size,
            content,
            etag,
            checksum,
            attributes,
            storage_class,
            parts,
        },
    )
}

pub(crate) fn found_version() -> impl Strategy<Value = FoundVersion> {
    let state = prop_oneof![
        4 => version().prop_map(|version| VersionState::Object(Box::new(version))),
        1 => Just(VersionState::DeleteMarker),
    ];
    (bucket(), version_id(), any::<i64>(), any::<bool>(), timestamp(), state).prop_map(
        |(bucket, version_id, sequence, is_current, last_modified, state)| FoundVersion {
            bucket,
            version_id,
            sequence: Sequence(sequence),
            is_current,
            last_modified,
            state,
        },
    )
}

pub(crate) fn delete_versions() -> impl Strategy<Value = DeleteVersions> {
    let etag = prop_oneof![Just(ETagCondition::Any), etag().prop_map(ETagCondition::Is)];
    let condition =
        (option::of(etag), any::<Option<u64>>(), option::of(timestamp()), any::<bool>()).prop_map(
            |(etag, size, last_modified, marker)| DeleteCondition { etag, size, last_modified, marker },
        );
    let entry = (object_key(), option::of(version_id()), condition, any::<bool>()).prop_map(
        |(key, version_id, condition, bypasses_governance)| DeleteVersion {
            key,
            version_id,
            condition,
            bypasses_governance,
        },
    );
    (bucket_name(), vec(entry, 0..4), option::of(account()))
        .prop_map(|(bucket, entries, marker_owner)| DeleteVersions { bucket, entries, marker_owner })
}

pub(crate) fn delete_outcome() -> impl Strategy<Value = Result<DeletedVersion, Error>> {
    let deleted = (versioning(), option::of(version_id()), any::<bool>()).prop_map(
        |(versioning, version_id, delete_marker)| DeletedVersion { versioning, version_id, delete_marker },
    );
    prop_oneof![deleted.prop_map(Ok), error().prop_map(Err)]
}

pub(crate) fn rename_object() -> impl Strategy<Value = RenameObject> {
    let source = (object_key(), version_id(), etag());
    (bucket_name(), source, object_key(), option::of(rename_mark()), write_condition()).prop_map(
        |(bucket, source, key, mark, condition)| RenameObject {
            bucket,
            source_key: source.0,
            source_version_id: source.1,
            source_etag: source.2,
            key,
            mark,
            condition,
        },
    )
}

pub(crate) fn rename_prefix() -> impl Strategy<Value = RenamePrefix> {
    let object = (object_key(), version_id(), etag()).prop_map(|(key, version_id, etag)| RenamedObject {
        key,
        version_id,
        etag,
    });
    (bucket_name(), key_prefix(), key_prefix(), vec(object, 0..4), option::of(rename_mark())).prop_map(
        |(bucket, source, destination, objects, mark)| RenamePrefix {
            bucket,
            source,
            destination,
            objects,
            mark,
        },
    )
}

pub(crate) fn copy_version() -> impl Strategy<Value = CopyVersion> {
    let attributes = prop_oneof![
        Just(CopyAttributes::Keep),
        attributes().prop_map(|attributes| CopyAttributes::Replace(Box::new(attributes)))
    ];
    let seen = (option::of(storage_class()), option::of(encryption()));
    let source = (bucket_name(), object_key(), version_id(), etag(), seen);
    (source, bucket_name(), object_key(), attributes, option::of(checksum()), write_condition()).prop_map(
        |(source, bucket, key, attributes, checksum, condition)| CopyVersion {
            source_bucket: source.0,
            source_key: source.1,
            source_version_id: source.2,
            source_etag: source.3,
            source_class: source.4.0,
            rewraps: source.4.1,
            bucket,
            key,
            attributes,
            checksum,
            condition,
        },
    )
}

pub(crate) fn list_objects() -> impl Strategy<Value = ListObjects> {
    let position = prop_oneof![Just(ListPosition::Start), key_prefix().prop_map(ListPosition::After)];
    (bucket_name(), key_prefix(), delimiter(), position, limit()).prop_map(
        |(bucket, prefix, delimiter, position, limit)| ListObjects {
            bucket,
            prefix,
            delimiter,
            position,
            limit,
        },
    )
}

fn object_summary() -> impl Strategy<Value = ObjectSummary> {
    let checksum = option::of((algorithm(), checksum_type()));
    let more = (option::of(restore()), option::of(account().prop_map(Box::new)));
    (object_key(), timestamp(), etag(), any::<u64>(), storage_class(), checksum, more).prop_map(
        |(key, last_modified, etag, size, storage_class, checksum, (restore, owner))| ObjectSummary {
            key,
            last_modified,
            etag,
            size,
            storage_class,
            checksum,
            restore,
            owner,
        },
    )
}

pub(crate) fn object_page() -> impl Strategy<Value = ObjectPage> {
    let entry = prop_oneof![
        object_summary().prop_map(ObjectEntry::Object),
        key_prefix().prop_map(ObjectEntry::CommonPrefix),
    ];
    (vec(entry, 0..4), any::<bool>(), account()).prop_map(|(entries, truncated, owner)| ObjectPage {
        entries,
        truncated,
        owner,
    })
}

pub(crate) fn list_versions() -> impl Strategy<Value = ListVersions> {
    let position = prop_oneof![
        Just(VersionPosition::Start),
        key_prefix().prop_map(VersionPosition::AfterKey),
        (object_key(), version_id()).prop_map(|(key, id)| VersionPosition::AfterVersion(key, id)),
    ];
    (bucket_name(), key_prefix(), delimiter(), position, limit()).prop_map(
        |(bucket, prefix, delimiter, position, limit)| ListVersions {
            bucket,
            prefix,
            delimiter,
            position,
            limit,
        },
    )
}

pub(crate) fn version_page() -> impl Strategy<Value = VersionPage> {
    let shown = (option::of(object_summary()), option::of(account().prop_map(Box::new)));
    let summary = (object_key(), version_id(), any::<bool>(), timestamp(), shown).prop_map(
        |(key, version_id, is_latest, last_modified, (object, marker_owner))| VersionSummary {
            key,
            version_id,
            is_latest,
            last_modified,
            object,
            marker_owner,
        },
    );
    let entry = prop_oneof![
        summary.prop_map(VersionEntry::Version),
        key_prefix().prop_map(VersionEntry::CommonPrefix),
    ];
    (vec(entry, 0..4), any::<bool>(), option::of(any::<i64>()), account()).prop_map(
        |(entries, truncated, last_commit, owner)| VersionPage {
            entries,
            truncated,
            last_commit: last_commit.map(Sequence),
            owner,
        },
    )
}
