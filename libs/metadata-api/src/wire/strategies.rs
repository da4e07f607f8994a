//! Arbitrary values of the contract's types, within their bounds.

use std::time::Duration;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use types::{
    Attributes, BucketId, BucketName, CHUNK_SIZE_MAX, Checksum, ChecksumAlgorithm, ChecksumType,
    ChecksumValue, ChunkId, ChunkOwner, Coding, Content, DiskId, ETag, Extent, FailureDomain, GroupId,
    KeyPrefix, LeaseId, Manifest, MissingShard, NodeId, ObjectKey, ObjectPart, PartNumber, Sequence, ShardId,
    ShardIndex, StorageClassName, Timestamp, UploadId, VersionId, Versioning,
};

use super::OwnedChunk;
use crate::{
    AbortUpload, AccountId, Bucket, BucketPage, BucketUsage, ClusterMap, CommitPart, CommitVersion,
    Committed, CompleteUpload, CompletedPart, ContentKind, ContentPage, ContentPosition, ContentRow,
    CopyAttributes, CopyVersion, CreateBucket, CreateUpload, DeleteCondition, DeleteVersion, DeleteVersions,
    DeletedVersion, DiskRegistration, DiskState, ETagCondition, Error, Eviction, FoundVersion, GarbageId,
    GarbageItem, GetVersion, Intent, JobName, JobProgress, JobState, Lease, LeaseState, ListBuckets,
    ListObjects, ListParts, ListPosition, ListUploads, ListVersions, MapDisk, MapNode, NewMove, NewVersion,
    NodeRegistration, NodeState, ObjectEntry, ObjectPage, ObjectSummary, Part, PartPage, PlacementGroup,
    ShardMove, StorageClass, StorageClassDefinition, Upload, UploadChecksum, UploadEntry, UploadPage,
    UploadPosition, Version, VersionEntry, VersionPage, VersionPosition, VersionState, VersionSummary,
    WriteCondition,
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
    (algorithm(), any::<[u8; 32]>())
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
    (headers, vec(("[a-z0-9-]{1,8}", bytes()), 0..4)).prop_map(|(headers, user_metadata)| Attributes {
        content_type: headers.0,
        cache_control: headers.1,
        content_disposition: headers.2,
        content_encoding: headers.3,
        content_language: headers.4,
        expires: headers.5,
        website_redirect_location: headers.6,
        user_metadata,
    })
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
        reason().prop_map(|reason| Error::Malformed { reason }),
        Just(Error::Unauthenticated),
        reason().prop_map(|reason| Error::Unavailable { reason }),
        Just(Error::TimedOut),
        reason().prop_map(|reason| Error::Internal { reason }),
    ]
}

pub(crate) fn bucket() -> impl Strategy<Value = Bucket> {
    let usage = any::<(u64, u64, u64, u64)>().prop_map(|counts| BucketUsage {
        objects: counts.0,
        object_bytes: counts.1,
        versions: counts.2,
        version_bytes: counts.3,
    });
    (any::<i64>(), bucket_name(), account(), timestamp(), versioning(), any::<i64>(), usage).prop_map(
        |(id, name, owner, created, versioning, sequence, usage)| Bucket {
            id: BucketId(id),
            name,
            owner,
            created,
            versioning,
            commit_sequence: Sequence(sequence),
            usage,
        },
    )
}

pub(crate) fn create_bucket() -> impl Strategy<Value = CreateBucket> {
    (bucket_name(), account()).prop_map(|(name, owner)| CreateBucket { name, owner })
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
    (bucket(), version_id(), any::<bool>(), timestamp(), state).prop_map(
        |(bucket, version_id, is_current, last_modified, state)| FoundVersion {
            bucket,
            version_id,
            is_current,
            last_modified,
            state,
        },
    )
}

pub(crate) fn delete_versions() -> impl Strategy<Value = DeleteVersions> {
    let etag = prop_oneof![Just(ETagCondition::Any), etag().prop_map(ETagCondition::Is)];
    let condition = (option::of(etag), any::<Option<u64>>(), option::of(timestamp()))
        .prop_map(|(etag, size, last_modified)| DeleteCondition { etag, size, last_modified });
    let entry = (object_key(), option::of(version_id()), condition)
        .prop_map(|(key, version_id, condition)| DeleteVersion { key, version_id, condition });
    (bucket_name(), vec(entry, 0..4)).prop_map(|(bucket, entries)| DeleteVersions { bucket, entries })
}

pub(crate) fn delete_outcome() -> impl Strategy<Value = Result<DeletedVersion, Error>> {
    let deleted = (versioning(), option::of(version_id()), any::<bool>()).prop_map(
        |(versioning, version_id, delete_marker)| DeletedVersion { versioning, version_id, delete_marker },
    );
    prop_oneof![deleted.prop_map(Ok), error().prop_map(Err)]
}

pub(crate) fn copy_version() -> impl Strategy<Value = CopyVersion> {
    let attributes = prop_oneof![Just(CopyAttributes::Keep), attributes().prop_map(CopyAttributes::Replace)];
    let source = (bucket_name(), object_key(), version_id(), etag());
    (source, bucket_name(), object_key(), attributes, option::of(checksum()), write_condition()).prop_map(
        |(source, bucket, key, attributes, checksum, condition)| CopyVersion {
            source_bucket: source.0,
            source_key: source.1,
            source_version_id: source.2,
            source_etag: source.3,
            bucket,
            key,
            attributes,
            checksum,
            condition,
        },
    )
}

fn limit() -> impl Strategy<Value = usize> {
    1..=crate::PAGE_SIZE_MAX
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
    (object_key(), timestamp(), etag(), any::<u64>(), storage_class(), checksum).prop_map(
        |(key, last_modified, etag, size, storage_class, checksum)| ObjectSummary {
            key,
            last_modified,
            etag,
            size,
            storage_class,
            checksum,
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
    let summary = (object_key(), version_id(), any::<bool>(), timestamp(), option::of(object_summary()))
        .prop_map(|(key, version_id, is_latest, last_modified, object)| VersionSummary {
            key,
            version_id,
            is_latest,
            last_modified,
            object,
        });
    let entry = prop_oneof![
        summary.prop_map(VersionEntry::Version),
        key_prefix().prop_map(VersionEntry::CommonPrefix),
    ];
    (vec(entry, 0..4), any::<bool>(), account()).prop_map(|(entries, truncated, owner)| VersionPage {
        entries,
        truncated,
        owner,
    })
}

pub(crate) fn list_uploads() -> impl Strategy<Value = ListUploads> {
    let position = prop_oneof![
        Just(UploadPosition::Start),
        key_prefix().prop_map(UploadPosition::AfterKey),
        (key_prefix(), upload_id()).prop_map(|(key, id)| UploadPosition::AfterUpload(key, id)),
    ];
    (bucket_name(), key_prefix(), delimiter(), position, limit()).prop_map(
        |(bucket, prefix, delimiter, position, limit)| ListUploads {
            bucket,
            prefix,
            delimiter,
            position,
            limit,
        },
    )
}

pub(crate) fn upload_page() -> impl Strategy<Value = UploadPage> {
    let entry = prop_oneof![
        upload().prop_map(|upload| UploadEntry::Upload(Box::new(upload))),
        key_prefix().prop_map(UploadEntry::CommonPrefix),
    ];
    (vec(entry, 0..4), any::<bool>(), account()).prop_map(|(entries, truncated, owner)| UploadPage {
        entries,
        truncated,
        owner,
    })
}

pub(crate) fn create_upload() -> impl Strategy<Value = CreateUpload> {
    (bucket_name(), object_key(), attributes(), storage_class(), upload_checksum(), any::<bool>()).prop_map(
        |(bucket, key, attributes, storage_class, checksum, checksum_named)| CreateUpload {
            bucket,
            key,
            attributes,
            storage_class,
            checksum,
            checksum_named,
        },
    )
}

pub(crate) fn upload() -> impl Strategy<Value = Upload> {
    let kept = (attributes(), storage_class(), upload_checksum(), any::<bool>());
    (upload_id(), object_key(), timestamp(), kept).prop_map(|(id, key, initiated, kept)| Upload {
        id,
        key,
        initiated,
        attributes: kept.0,
        storage_class: kept.1,
        checksum: kept.2,
        checksum_named: kept.3,
    })
}

pub(crate) fn commit_part() -> impl Strategy<Value = CommitPart> {
    let place = (bucket_name(), object_key(), upload_id(), part_number());
    let lease = any::<Option<i64>>().prop_map(|lease| lease.map(LeaseId));
    (place, lease, content(), etag(), checksum_value(), vec(missing_shard(), 0..3)).prop_map(
        |(place, lease, content, etag, checksum, missing)| CommitPart {
            bucket: place.0,
            key: place.1,
            upload: place.2,
            number: place.3,
            lease,
            content,
            etag,
            checksum,
            missing,
        },
    )
}

pub(crate) fn part() -> impl Strategy<Value = Part> {
    (part_number(), any::<u64>(), etag(), checksum_value(), timestamp()).prop_map(
        |(number, size, etag, checksum, last_modified)| Part { number, size, etag, checksum, last_modified },
    )
}

pub(crate) fn list_parts() -> impl Strategy<Value = ListParts> {
    (bucket_name(), object_key(), upload_id(), option::of(part_number()), limit())
        .prop_map(|(bucket, key, upload, after, limit)| ListParts { bucket, key, upload, after, limit })
}

pub(crate) fn part_page() -> impl Strategy<Value = PartPage> {
    (upload(), vec(part(), 0..4), any::<bool>()).prop_map(|(upload, parts, truncated)| PartPage {
        upload,
        parts,
        truncated,
    })
}

pub(crate) fn complete_upload() -> impl Strategy<Value = CompleteUpload> {
    let part = (part_number(), etag(), option::of(checksum_value()))
        .prop_map(|(number, etag, checksum)| CompletedPart { number, etag, checksum });
    let place = (bucket_name(), object_key(), upload_id());
    let stated = (any::<Option<u64>>(), option::of(checksum_value()), option::of(checksum_type()));
    (place, vec(part, 1..4), stated, write_condition()).prop_map(|(place, parts, stated, condition)| {
        CompleteUpload {
            bucket: place.0,
            key: place.1,
            upload: place.2,
            parts,
            object_size: stated.0,
            checksum: stated.1,
            checksum_type: stated.2,
            condition,
        }
    })
}

pub(crate) fn abort_upload() -> impl Strategy<Value = AbortUpload> {
    (bucket_name(), object_key(), upload_id()).prop_map(|(bucket, key, upload)| AbortUpload {
        bucket,
        key,
        upload,
    })
}

pub(crate) fn lease() -> impl Strategy<Value = Lease> {
    any::<(i64, u64)>().prop_map(|(id, ns)| Lease { id: LeaseId(id), time_to_live: Duration::from_nanos(ns) })
}

pub(crate) fn lease_state() -> impl Strategy<Value = LeaseState> {
    (any::<i64>(), "\\PC{0,32}", any::<i64>(), any::<i64>(), any::<bool>()).prop_map(
        |(id, holder, renewals, oldest_epoch, revoked)| LeaseState {
            id: LeaseId(id),
            holder,
            renewals,
            oldest_epoch,
            revoked,
        },
    )
}

pub(crate) fn owned_chunk() -> impl Strategy<Value = OwnedChunk> {
    (chunk_id(), bucket_name(), object_key())
        .prop_map(|(chunk, bucket, key)| OwnedChunk(chunk, ChunkOwner { bucket, key }))
}

fn node_state() -> impl Strategy<Value = NodeState> {
    prop_oneof![Just(NodeState::Up), Just(NodeState::Suspect), Just(NodeState::Down)]
}

fn disk_state() -> impl Strategy<Value = DiskState> {
    prop_oneof![Just(DiskState::Up), Just(DiskState::Down), Just(DiskState::Gone)]
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![Just(Intent::Serve), Just(Intent::Drain), Just(Intent::Remove)]
}

fn shard_index() -> impl Strategy<Value = ShardIndex> {
    any::<u8>().prop_map(ShardIndex)
}

pub(crate) fn new_move() -> impl Strategy<Value = NewMove> {
    (any::<i32>(), shard_index(), disk()).prop_map(|(group, index, to)| NewMove {
        group: GroupId(group),
        index,
        to,
    })
}

pub(crate) fn eviction() -> impl Strategy<Value = Eviction> {
    (disk(), any::<i32>(), shard_index(), any::<i64>()).prop_map(|(disk, group, index, epoch)| Eviction {
        disk,
        group: GroupId(group),
        index,
        epoch,
    })
}

pub(crate) fn shard_id() -> impl Strategy<Value = ShardId> {
    (chunk_id(), shard_index()).prop_map(|(chunk, index)| ShardId { chunk, index })
}

pub(crate) fn content_page() -> impl Strategy<Value = ContentPage> {
    let kind = prop_oneof![Just(ContentKind::Version), Just(ContentKind::Part), Just(ContentKind::Garbage)];
    let bucket = (any::<i64>().prop_map(BucketId), option::of(bucket_name()));
    let row = (kind, bucket, option::of(object_key()), vec(extent(), 0..3)).prop_map(
        |(kind, (bucket, bucket_name), key, extents)| ContentRow { kind, bucket, bucket_name, key, extents },
    );
    let next = option::of(vec(any::<u8>(), 0..40).prop_map(ContentPosition));
    (vec(row, 0..3), next).prop_map(|(rows, next)| ContentPage { rows, next })
}

pub(crate) fn job_state() -> impl Strategy<Value = JobState> {
    let job = prop::sample::select(JobName::ALL.to_vec());
    let progress = any::<(u64, u64)>().prop_map(|(done, total)| JobProgress { done, total });
    (job, "\\PC{0,32}", any::<i64>(), progress).prop_map(|(job, holder, renewals, progress)| JobState {
        job,
        holder,
        renewals,
        progress,
    })
}

fn disk() -> impl Strategy<Value = DiskId> {
    any::<[u8; 16]>().prop_map(DiskId)
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 16]>().prop_map(NodeId)
}

fn domain() -> impl Strategy<Value = FailureDomain> {
    "([a-zA-Z0-9._-]{1,8}/){3}[a-z0-9]{1,8}".prop_filter_map("never", |domain| domain.parse().ok())
}

pub(crate) fn node_registration() -> impl Strategy<Value = NodeRegistration> {
    let reported = any::<(u64, u64, bool, bool)>();
    let disk = (disk(), "[a-z]{0,8}", reported).prop_map(
        |(disk, medium, (capacity_bytes, available_bytes, writable, failed))| DiskRegistration {
            disk,
            medium,
            capacity_bytes,
            available_bytes,
            writable,
            failed,
        },
    );
    (node(), "[a-z.]{0,20}:[0-9]{1,5}|", domain(), vec(disk, 0..4))
        .prop_map(|(node, address, domain, disks)| NodeRegistration { node, address, domain, disks })
}

pub(crate) fn storage_class_definition() -> impl Strategy<Value = StorageClassDefinition> {
    let limits = any::<(u64, u64)>();
    (storage_class(), coding(), limits, 0..32u32, option::of("[a-z]{0,8}")).prop_map(
        |(name, coding, (inline_limit_bytes, whole_limit_bytes), power, medium)| StorageClassDefinition {
            name,
            coding,
            inline_limit_bytes,
            whole_limit_bytes,
            groups: 1 << power,
            medium,
        },
    )
}

pub(crate) fn cluster_map() -> impl Strategy<Value = ClusterMap> {
    let map_node = (node(), "[a-z:0-9]{0,20}", domain(), node_state(), intent(), any::<i64>()).prop_map(
        |(node, address, domain, state, intent, heartbeats)| MapNode {
            node,
            address,
            domain,
            state,
            intent,
            heartbeats,
        },
    );
    let reported = any::<(u64, u64, bool, bool)>();
    let map_disk = (disk(), node(), "[a-z]{0,8}", reported, disk_state(), intent()).prop_map(
        |(disk, node, medium, (capacity_bytes, available_bytes, writable, failed), state, intent)| MapDisk {
            disk,
            node,
            medium,
            capacity_bytes,
            available_bytes,
            writable,
            failed,
            state,
            intent,
        },
    );
    let shard_move =
        (shard_index(), disk(), any::<i64>()).prop_map(|(index, to, since)| ShardMove { index, to, since });
    let group = (any::<i32>(), vec(disk(), 0..6), vec(shard_move, 0..3), any::<i64>()).prop_map(
        |(id, disks, moves, changed_epoch)| PlacementGroup { id: GroupId(id), disks, moves, changed_epoch },
    );
    let class = (storage_class_definition(), vec(group, 0..4))
        .prop_map(|(definition, groups)| StorageClass { definition, groups });
    (any::<i64>(), vec(map_node, 0..3), vec(map_disk, 0..3), vec(class, 0..3))
        .prop_map(|(epoch, nodes, disks, classes)| ClusterMap { epoch, nodes, disks, classes })
}

pub(crate) fn garbage_id() -> impl Strategy<Value = GarbageId> {
    any::<(i64, i64)>().prop_map(|(bucket, number)| GarbageId { bucket: BucketId(bucket), number })
}

pub(crate) fn garbage_item() -> impl Strategy<Value = GarbageItem> {
    (garbage_id(), vec(extent(), 0..4)).prop_map(|(id, extents)| GarbageItem { id, extents })
}
