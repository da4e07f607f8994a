//! Uploads and their parts.

use proptest::{collection::vec, option, prelude::*};
use types::LeaseId;

use super::{
    account, attributes, bucket_name, checksum_type, checksum_value, content, delimiter, etag, key_prefix,
    limit, missing_shard, object_key, part_number, storage_class, timestamp, upload_checksum, upload_id,
    write_condition,
};
use crate::{
    AbortUpload, CommitPart, CompleteUpload, CompletedPart, CreateUpload, Initiator, ListParts, ListUploads,
    Part, PartPage, Upload, UploadEntry, UploadPage, UploadPosition,
};

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
    let kept = (attributes(), storage_class(), upload_checksum(), any::<bool>(), option::of(initiator()));
    (bucket_name(), object_key(), kept).prop_map(
        |(bucket, key, (attributes, storage_class, checksum, checksum_named, initiator))| CreateUpload {
            bucket,
            key,
            attributes,
            storage_class,
            checksum,
            checksum_named,
            initiator,
        },
    )
}

fn initiator() -> impl Strategy<Value = Initiator> {
    "[!-~]{1,1024}".prop_map(Initiator)
}

pub(crate) fn upload() -> impl Strategy<Value = Upload> {
    let kept = (attributes(), storage_class(), upload_checksum(), any::<bool>(), option::of(initiator()));
    (upload_id(), object_key(), timestamp(), kept).prop_map(|(id, key, initiated, kept)| Upload {
        id,
        key,
        initiated,
        attributes: kept.0,
        storage_class: kept.1,
        checksum: kept.2,
        checksum_named: kept.3,
        initiator: kept.4,
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
