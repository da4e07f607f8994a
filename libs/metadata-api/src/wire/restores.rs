//! Restores of archived versions.

use types::{Restore, Sequence, Timestamp};

use super::{
    WireError,
    common::{bucket_name, object_key, storage_class},
    proto, required,
};
use crate::{SetRestore, Tagged};

impl From<Restore> for proto::Restore {
    fn from(restore: Restore) -> Self {
        Self { asked_ms: restore.asked.0, ready_ms: restore.ready.0, until_ms: restore.until.0 }
    }
}

impl From<proto::Restore> for Restore {
    fn from(message: proto::Restore) -> Self {
        Self {
            asked: Timestamp(message.asked_ms),
            ready: Timestamp(message.ready_ms),
            until: Timestamp(message.until_ms),
        }
    }
}

impl From<SetRestore> for proto::SetRestoreRequest {
    fn from(request: SetRestore) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: Some(request.version_id.into()),
            sequence: request.sequence.0,
            storage_class: request.storage_class.to_string(),
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
            storage_class: storage_class(&message.storage_class)?,
            was: message.was.map(Into::into),
            restore: message.restore.ok_or(WireError::Missing { field: "restore" })?.into(),
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
