//! Restores of archived versions.

use types::{ArchiveClass, Restore, Sequence, Timestamp};

use super::{
    WireError,
    common::{bucket_name, object_key},
    optional, proto, required,
};
use crate::{SetRestore, Tagged};

impl From<ArchiveClass> for proto::ArchiveClass {
    fn from(class: ArchiveClass) -> Self {
        match class {
            ArchiveClass::Glacier => Self::Glacier,
            ArchiveClass::DeepArchive => Self::DeepArchive,
        }
    }
}

fn archive_class(value: i32) -> Result<ArchiveClass, WireError> {
    match proto::ArchiveClass::try_from(value) {
        Ok(proto::ArchiveClass::Glacier) => Ok(ArchiveClass::Glacier),
        Ok(proto::ArchiveClass::DeepArchive) => Ok(ArchiveClass::DeepArchive),
        Ok(proto::ArchiveClass::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "archive class", value })
        }
    }
}

impl From<Restore> for proto::Restore {
    fn from(restore: Restore) -> Self {
        Self {
            asked_ms: restore.asked.0,
            ready_ms: restore.ready.0,
            until_ms: restore.until.0,
            class: proto::ArchiveClass::from(restore.class).into(),
            nonce: restore.nonce,
        }
    }
}

impl TryFrom<proto::Restore> for Restore {
    type Error = WireError;

    fn try_from(message: proto::Restore) -> Result<Self, WireError> {
        Ok(Self {
            class: archive_class(message.class)?,
            nonce: message.nonce,
            asked: Timestamp(message.asked_ms),
            ready: Timestamp(message.ready_ms),
            until: Timestamp(message.until_ms),
        })
    }
}

impl From<SetRestore> for proto::SetRestoreRequest {
    fn from(request: SetRestore) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: Some(request.version_id.into()),
            sequence: request.sequence.0,
            was: request.was.map(Into::into),
            restore: Some(request.restore.into()),
        }
    }
}

impl TryFrom<proto::SetRestoreRequest> for SetRestore {
    type Error = WireError;

    fn try_from(message: proto::SetRestoreRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            version_id: required(message.version_id, "version_id")?,
            sequence: Sequence(message.sequence),
            was: optional(message.was)?,
            restore: required(message.restore, "restore")?,
        })
    }
}

impl From<Tagged> for proto::SetRestoreResponse {
    fn from(tagged: Tagged) -> Self {
        let proto::SetTagsResponse { versioning, version_id } = tagged.into();
        Self { versioning, version_id }
    }
}

impl TryFrom<proto::SetRestoreResponse> for Tagged {
    type Error = WireError;

    fn try_from(message: proto::SetRestoreResponse) -> Result<Self, WireError> {
        let proto::SetRestoreResponse { versioning, version_id } = message;
        proto::SetTagsResponse { versioning, version_id }.try_into()
    }
}
