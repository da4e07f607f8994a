//! Multipart uploads.

use types::{BucketName, LeaseId, ObjectKey, PART_NUMBER_MAX, Timestamp, UploadId};

use super::{
    WireError,
    common::{
        bucket_name, checksum_type, id_to_wire, object_key, part_number, storage_class, upload_id,
        write_condition, write_condition_to_wire,
    },
    each, limit_from_wire, limit_to_wire, list, messages, optional, proto, required,
};
use crate::{
    AbortUpload, CommitPart, CompleteUpload, CompletedPart, CreateUpload, Initiator, ListParts,
    PAGE_SIZE_MAX, Part, PartPage, Upload,
};

fn initiator(text: String) -> Result<Initiator, WireError> {
    if text.is_empty() || text.len() > Initiator::LENGTH_MAX {
        return Err(WireError::invalid("initiator", format!("it has {} bytes", text.len())));
    }
    Ok(Initiator(text))
}

impl From<CreateUpload> for proto::CreateUploadRequest {
    fn from(request: CreateUpload) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            attributes: Some(request.attributes.into()),
            storage_class: request.storage_class.to_string(),
            checksum: Some(request.checksum.into()),
            checksum_named: request.checksum_named,
            initiator: request.initiator.map(|initiator| initiator.0),
        }
    }
}

impl TryFrom<proto::CreateUploadRequest> for CreateUpload {
    type Error = WireError;

    fn try_from(message: proto::CreateUploadRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            attributes: required(message.attributes, "attributes")?,
            storage_class: storage_class(&message.storage_class)?,
            checksum: required(message.checksum, "checksum")?,
            checksum_named: message.checksum_named,
            initiator: message.initiator.map(initiator).transpose()?,
        })
    }
}

impl From<Upload> for proto::Upload {
    fn from(upload: Upload) -> Self {
        Self {
            id: id_to_wire(upload.id.0),
            key: upload.key.to_bytes(),
            initiated_ms: upload.initiated.0,
            attributes: Some(upload.attributes.into()),
            storage_class: upload.storage_class.to_string(),
            checksum: Some(upload.checksum.into()),
            checksum_named: upload.checksum_named,
            initiator: upload.initiator.map(|initiator| initiator.0),
        }
    }
}

impl TryFrom<proto::Upload> for Upload {
    type Error = WireError;

    fn try_from(message: proto::Upload) -> Result<Self, WireError> {
        Ok(Self {
            id: upload_id(&message.id)?,
            key: object_key(message.key, "key")?,
            initiated: Timestamp(message.initiated_ms),
            attributes: required(message.attributes, "attributes")?,
            storage_class: storage_class(&message.storage_class)?,
            checksum: required(message.checksum, "checksum")?,
            checksum_named: message.checksum_named,
            initiator: message.initiator.map(initiator).transpose()?,
        })
    }
}

/// Asks for an open upload.
pub(crate) fn get_upload_request(
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
) -> proto::GetUploadRequest {
    proto::GetUploadRequest { bucket: bucket.to_string(), key: key.to_bytes(), upload: id_to_wire(upload.0) }
}

impl From<CommitPart> for proto::CommitPartRequest {
    fn from(request: CommitPart) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            upload: id_to_wire(request.upload.0),
            number: u32::from(request.number.get()),
            lease: request.lease.map(|lease| lease.0),
            content: Some(request.content.into()),
            etag: Some(request.etag.into()),
            checksum: Some(request.checksum.into()),
            missing: messages(request.missing),
        }
    }
}

impl TryFrom<proto::CommitPartRequest> for CommitPart {
    type Error = WireError;

    fn try_from(message: proto::CommitPartRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            upload: upload_id(&message.upload)?,
            number: part_number(message.number)?,
            lease: message.lease.map(LeaseId),
            content: required(message.content, "content")?,
            etag: required(message.etag, "etag")?,
            checksum: required(message.checksum, "checksum")?,
            missing: each(message.missing)?,
        })
    }
}

impl From<Part> for proto::Part {
    fn from(part: Part) -> Self {
        Self {
            number: u32::from(part.number.get()),
            size: part.size,
            etag: Some(part.etag.into()),
            checksum: Some(part.checksum.into()),
            last_modified_ms: part.last_modified.0,
        }
    }
}

impl TryFrom<proto::Part> for Part {
    type Error = WireError;

    fn try_from(message: proto::Part) -> Result<Self, WireError> {
        Ok(Self {
            number: part_number(message.number)?,
            size: message.size,
            etag: required(message.etag, "etag")?,
            checksum: required(message.checksum, "checksum")?,
            last_modified: Timestamp(message.last_modified_ms),
        })
    }
}

impl From<ListParts> for proto::ListPartsRequest {
    fn from(request: ListParts) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            upload: id_to_wire(request.upload.0),
            after: request.after.map(|after| u32::from(after.get())),
            limit: limit_to_wire(request.limit),
        }
    }
}

impl TryFrom<proto::ListPartsRequest> for ListParts {
    type Error = WireError;

    fn try_from(message: proto::ListPartsRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            upload: upload_id(&message.upload)?,
            after: message.after.map(part_number).transpose()?,
            limit: limit_from_wire(message.limit, PAGE_SIZE_MAX)?,
        })
    }
}

impl From<PartPage> for proto::PartPage {
    fn from(page: PartPage) -> Self {
        Self { upload: Some(page.upload.into()), parts: messages(page.parts), truncated: page.truncated }
    }
}

impl TryFrom<proto::PartPage> for PartPage {
    type Error = WireError;

    fn try_from(message: proto::PartPage) -> Result<Self, WireError> {
        Ok(Self {
            upload: required(message.upload, "upload")?,
            parts: list(message.parts, PAGE_SIZE_MAX, "parts")?,
            truncated: message.truncated,
        })
    }
}

impl From<CompleteUpload> for proto::CompleteUploadRequest {
    fn from(request: CompleteUpload) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            upload: id_to_wire(request.upload.0),
            parts: messages(request.parts),
            object_size: request.object_size,
            checksum: request.checksum.map(Into::into),
            checksum_type: request.checksum_type.map(|kind| proto::ChecksumType::from(kind).into()),
            condition: write_condition_to_wire(request.condition),
        }
    }
}

impl TryFrom<proto::CompleteUploadRequest> for CompleteUpload {
    type Error = WireError;

    fn try_from(message: proto::CompleteUploadRequest) -> Result<Self, WireError> {
        if message.parts.is_empty() {
            return Err(WireError::Missing { field: "parts" });
        }
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            upload: upload_id(&message.upload)?,
            parts: list(message.parts, usize::from(PART_NUMBER_MAX), "parts")?,
            object_size: message.object_size,
            checksum: optional(message.checksum)?,
            checksum_type: message.checksum_type.map(checksum_type).transpose()?,
            condition: write_condition(message.condition)?,
        })
    }
}

impl From<CompletedPart> for proto::CompletedPart {
    fn from(part: CompletedPart) -> Self {
        Self {
            number: u32::from(part.number.get()),
            etag: Some(part.etag.into()),
            checksum: part.checksum.map(Into::into),
        }
    }
}

impl TryFrom<proto::CompletedPart> for CompletedPart {
    type Error = WireError;

    fn try_from(message: proto::CompletedPart) -> Result<Self, WireError> {
        Ok(Self {
            number: part_number(message.number)?,
            etag: required(message.etag, "etag")?,
            checksum: optional(message.checksum)?,
        })
    }
}

impl From<AbortUpload> for proto::AbortUploadRequest {
    fn from(request: AbortUpload) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            upload: id_to_wire(request.upload.0),
        }
    }
}

impl TryFrom<proto::AbortUploadRequest> for AbortUpload {
    type Error = WireError;

    fn try_from(message: proto::AbortUploadRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            upload: upload_id(&message.upload)?,
        })
    }
}
