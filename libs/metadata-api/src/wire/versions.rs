//! Versions: commit, read, delete, copy.

use types::{LeaseId, PART_NUMBER_MAX, Sequence, Timestamp};

use super::{
    WireError,
    common::{
        account, bucket_name, key_prefix, object_key, storage_class, tags_from_wire, tags_to_wire,
        versioning, write_condition, write_condition_to_wire,
    },
    each, list, messages, optional, proto, required,
};
use crate::{
    CommitVersion, Committed, CopyAttributes, CopyVersion, DeleteCondition, DeleteVersion, DeleteVersions,
    DeletedVersion, ETagCondition, Error, FoundVersion, GetVersion, NewVersion, PAGE_SIZE_MAX, RenameObject,
    RenamePrefix, RenamedObject, SetTags, Tagged, Version, VersionState,
};

impl From<CommitVersion> for proto::CommitVersionRequest {
    fn from(request: CommitVersion) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            lease: request.lease.map(|lease| lease.0),
            version: Some(request.version.into()),
            condition: write_condition_to_wire(request.condition),
            missing: messages(request.missing),
        }
    }
}

impl TryFrom<proto::CommitVersionRequest> for CommitVersion {
    type Error = WireError;

    fn try_from(message: proto::CommitVersionRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            lease: message.lease.map(LeaseId),
            version: required(message.version, "version")?,
            condition: write_condition(message.condition)?,
            missing: each(message.missing)?,
        })
    }
}

impl From<NewVersion> for proto::NewVersion {
    fn from(version: NewVersion) -> Self {
        Self {
            content: Some(version.content.into()),
            etag: Some(version.etag.into()),
            checksum: version.checksum.map(Into::into),
            attributes: Some(version.attributes.into()),
            storage_class: version.storage_class.to_string(),
        }
    }
}

impl TryFrom<proto::NewVersion> for NewVersion {
    type Error = WireError;

    fn try_from(message: proto::NewVersion) -> Result<Self, WireError> {
        Ok(Self {
            content: required(message.content, "content")?,
            etag: required(message.etag, "etag")?,
            checksum: optional(message.checksum)?,
            attributes: required(message.attributes, "attributes")?,
            storage_class: storage_class(&message.storage_class)?,
        })
    }
}

impl From<Committed> for proto::Committed {
    fn from(committed: Committed) -> Self {
        Self {
            versioning: proto::Versioning::from(committed.versioning).into(),
            version_id: Some(committed.version_id.into()),
            sequence: committed.sequence.0,
            last_modified_ms: committed.last_modified.0,
            size: committed.size,
            etag: Some(committed.etag.into()),
            checksum: committed.checksum.map(Into::into),
        }
    }
}

impl TryFrom<proto::Committed> for Committed {
    type Error = WireError;

    fn try_from(message: proto::Committed) -> Result<Self, WireError> {
        Ok(Self {
            versioning: versioning(message.versioning)?,
            version_id: required(message.version_id, "version_id")?,
            sequence: Sequence(message.sequence),
            last_modified: Timestamp(message.last_modified_ms),
            size: message.size,
            etag: required(message.etag, "etag")?,
            checksum: optional(message.checksum)?,
        })
    }
}

impl From<GetVersion> for proto::GetVersionRequest {
    fn from(request: GetVersion) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: request.version_id.map(Into::into),
            with_content: request.with_content,
        }
    }
}

impl TryFrom<proto::GetVersionRequest> for GetVersion {
    type Error = WireError;

    fn try_from(message: proto::GetVersionRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            version_id: optional(message.version_id)?,
            with_content: message.with_content,
        })
    }
}

impl From<SetTags> for proto::SetTagsRequest {
    fn from(request: SetTags) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            version_id: request.version_id.map(Into::into),
            tags: tags_to_wire(request.tags),
        }
    }
}

impl TryFrom<proto::SetTagsRequest> for SetTags {
    type Error = WireError;

    fn try_from(message: proto::SetTagsRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            version_id: optional(message.version_id)?,
            tags: tags_from_wire(message.tags),
        })
    }
}

impl From<Tagged> for proto::SetTagsResponse {
    fn from(tagged: Tagged) -> Self {
        Self {
            versioning: proto::Versioning::from(tagged.versioning).into(),
            version_id: Some(tagged.version_id.into()),
        }
    }
}

impl TryFrom<proto::SetTagsResponse> for Tagged {
    type Error = WireError;

    fn try_from(message: proto::SetTagsResponse) -> Result<Self, WireError> {
        Ok(Self {
            versioning: versioning(message.versioning)?,
            version_id: required(message.version_id, "version_id")?,
        })
    }
}

impl From<Tagged> for proto::SetLockResponse {
    fn from(tagged: Tagged) -> Self {
        let proto::SetTagsResponse { versioning, version_id } = tagged.into();
        Self { versioning, version_id }
    }
}

impl TryFrom<proto::SetLockResponse> for Tagged {
    type Error = WireError;

    fn try_from(message: proto::SetLockResponse) -> Result<Self, WireError> {
        let proto::SetLockResponse { versioning, version_id } = message;
        proto::SetTagsResponse { versioning, version_id }.try_into()
    }
}

impl From<FoundVersion> for proto::FoundVersion {
    fn from(found: FoundVersion) -> Self {
        use proto::found_version::State;
        let state = match found.state {
            VersionState::Object(version) => State::Object((*version).into()),
            VersionState::DeleteMarker => State::DeleteMarker(proto::Nothing {}),
        };
        Self {
            bucket: Some(found.bucket.into()),
            version_id: Some(found.version_id.into()),
            sequence: found.sequence.0,
            is_current: found.is_current,
            last_modified_ms: found.last_modified.0,
            state: Some(state),
        }
    }
}

impl TryFrom<proto::FoundVersion> for FoundVersion {
    type Error = WireError;

    fn try_from(message: proto::FoundVersion) -> Result<Self, WireError> {
        use proto::found_version::State;
        let state = match message.state.ok_or(WireError::Missing { field: "state" })? {
            State::Object(version) => VersionState::Object(Box::new(version.try_into()?)),
            State::DeleteMarker(_) => VersionState::DeleteMarker,
        };
        Ok(Self {
            bucket: required(message.bucket, "bucket")?,
            version_id: required(message.version_id, "version_id")?,
            sequence: Sequence(message.sequence),
            is_current: message.is_current,
            last_modified: Timestamp(message.last_modified_ms),
            state,
        })
    }
}

impl From<Version> for proto::Version {
    fn from(version: Version) -> Self {
        Self {
            size: version.size,
            content: Some(version.content.into()),
            etag: Some(version.etag.into()),
            checksum: version.checksum.map(Into::into),
            attributes: Some(version.attributes.into()),
            storage_class: version.storage_class.to_string(),
            parts: messages(version.parts),
        }
    }
}

impl TryFrom<proto::Version> for Version {
    type Error = WireError;

    fn try_from(message: proto::Version) -> Result<Self, WireError> {
        Ok(Self {
            size: message.size,
            content: required(message.content, "content")?,
            etag: required(message.etag, "etag")?,
            checksum: optional(message.checksum)?,
            attributes: required(message.attributes, "attributes")?,
            storage_class: storage_class(&message.storage_class)?,
            parts: list(message.parts, usize::from(PART_NUMBER_MAX), "parts")?,
        })
    }
}

impl From<DeleteVersions> for proto::DeleteVersionsRequest {
    fn from(request: DeleteVersions) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            entries: messages(request.entries),
            marker_owner: request.marker_owner.map(|owner| owner.0),
        }
    }
}

impl TryFrom<proto::DeleteVersionsRequest> for DeleteVersions {
    type Error = WireError;

    fn try_from(message: proto::DeleteVersionsRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            entries: list(message.entries, PAGE_SIZE_MAX, "entries")?,
            marker_owner: message.marker_owner.map(|owner| account(owner, "marker_owner")).transpose()?,
        })
    }
}

impl From<DeleteVersion> for proto::DeleteVersion {
    fn from(entry: DeleteVersion) -> Self {
        let condition = (entry.condition != DeleteCondition::default()).then(|| entry.condition.into());
        Self {
            key: entry.key.to_bytes(),
            version_id: entry.version_id.map(Into::into),
            condition,
            bypasses_governance: entry.bypasses_governance,
        }
    }
}

impl TryFrom<proto::DeleteVersion> for DeleteVersion {
    type Error = WireError;

    fn try_from(message: proto::DeleteVersion) -> Result<Self, WireError> {
        Ok(Self {
            key: object_key(message.key, "key")?,
            version_id: optional(message.version_id)?,
            condition: optional(message.condition)?.unwrap_or_default(),
            bypasses_governance: message.bypasses_governance,
        })
    }
}

impl From<DeleteCondition> for proto::DeleteCondition {
    fn from(condition: DeleteCondition) -> Self {
        use proto::e_tag_condition::Condition;
        let etag = condition.etag.map(|etag| match etag {
            ETagCondition::Any => Condition::Any(proto::Nothing {}),
            ETagCondition::Is(etag) => Condition::Is(etag.into()),
        });
        Self {
            etag: etag.map(|condition| proto::ETagCondition { condition: Some(condition) }),
            size: condition.size,
            last_modified_ms: condition.last_modified.map(|time| time.0),
            marker: condition.marker,
        }
    }
}

impl TryFrom<proto::DeleteCondition> for DeleteCondition {
    type Error = WireError;

    fn try_from(message: proto::DeleteCondition) -> Result<Self, WireError> {
        Ok(Self {
            etag: optional(message.etag)?,
            size: message.size,
            last_modified: message.last_modified_ms.map(Timestamp),
            marker: message.marker,
        })
    }
}

impl TryFrom<proto::ETagCondition> for ETagCondition {
    type Error = WireError;

    fn try_from(message: proto::ETagCondition) -> Result<Self, WireError> {
        use proto::e_tag_condition::Condition;
        match message.condition.ok_or(WireError::Missing { field: "etag condition" })? {
            Condition::Any(_) => Ok(Self::Any),
            Condition::Is(etag) => etag.try_into().map(Self::Is),
        }
    }
}

impl From<Result<DeletedVersion, Error>> for proto::DeleteOutcome {
    fn from(outcome: Result<DeletedVersion, Error>) -> Self {
        use proto::delete_outcome::Outcome;
        let outcome = match outcome {
            Ok(deleted) => Outcome::Deleted(deleted.into()),
            Err(error) => Outcome::Failure(error.into()),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<proto::DeleteOutcome> for Result<DeletedVersion, Error> {
    type Error = WireError;

    fn try_from(message: proto::DeleteOutcome) -> Result<Self, WireError> {
        use proto::delete_outcome::Outcome;
        match message.outcome.ok_or(WireError::Missing { field: "outcome" })? {
            Outcome::Deleted(deleted) => Ok(Ok(deleted.try_into()?)),
            Outcome::Failure(failure) => Ok(Err(failure.try_into()?)),
        }
    }
}

impl From<DeletedVersion> for proto::DeletedVersion {
    fn from(deleted: DeletedVersion) -> Self {
        Self {
            versioning: proto::Versioning::from(deleted.versioning).into(),
            version_id: deleted.version_id.map(Into::into),
            delete_marker: deleted.delete_marker,
        }
    }
}

impl TryFrom<proto::DeletedVersion> for DeletedVersion {
    type Error = WireError;

    fn try_from(message: proto::DeletedVersion) -> Result<Self, WireError> {
        Ok(Self {
            versioning: versioning(message.versioning)?,
            version_id: optional(message.version_id)?,
            delete_marker: message.delete_marker,
        })
    }
}

impl From<RenameObject> for proto::RenameObjectRequest {
    fn from(request: RenameObject) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            source_key: request.source_key.to_bytes(),
            source_version_id: Some(request.source_version_id.into()),
            source_etag: Some(request.source_etag.into()),
            key: request.key.to_bytes(),
            mark: request.mark.map(Into::into),
            condition: write_condition_to_wire(request.condition),
        }
    }
}

impl TryFrom<proto::RenameObjectRequest> for RenameObject {
    type Error = WireError;

    fn try_from(message: proto::RenameObjectRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            source_key: object_key(message.source_key, "source_key")?,
            source_version_id: required(message.source_version_id, "source_version_id")?,
            source_etag: required(message.source_etag, "source_etag")?,
            key: object_key(message.key, "key")?,
            mark: optional(message.mark)?,
            condition: write_condition(message.condition)?,
        })
    }
}

impl From<RenamePrefix> for proto::RenamePrefixRequest {
    fn from(request: RenamePrefix) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            source: request.source.to_bytes(),
            destination: request.destination.to_bytes(),
            objects: messages(request.objects),
            mark: request.mark.map(Into::into),
        }
    }
}

impl TryFrom<proto::RenamePrefixRequest> for RenamePrefix {
    type Error = WireError;

    fn try_from(message: proto::RenamePrefixRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            source: key_prefix(message.source, "source")?,
            destination: key_prefix(message.destination, "destination")?,
            objects: list(message.objects, PAGE_SIZE_MAX, "objects")?,
            mark: optional(message.mark)?,
        })
    }
}

impl From<RenamedObject> for proto::RenamedObject {
    fn from(object: RenamedObject) -> Self {
        Self {
            key: object.key.to_bytes(),
            version_id: Some(object.version_id.into()),
            etag: Some(object.etag.into()),
        }
    }
}

impl TryFrom<proto::RenamedObject> for RenamedObject {
    type Error = WireError;

    fn try_from(message: proto::RenamedObject) -> Result<Self, WireError> {
        Ok(Self {
            key: object_key(message.key, "key")?,
            version_id: required(message.version_id, "version_id")?,
            etag: required(message.etag, "etag")?,
        })
    }
}

impl From<CopyVersion> for proto::CopyVersionRequest {
    fn from(request: CopyVersion) -> Self {
        let replace_attributes = match request.attributes {
            CopyAttributes::Keep => None,
            CopyAttributes::Replace(attributes) => Some((*attributes).into()),
        };
        Self {
            source_bucket: request.source_bucket.to_string(),
            source_key: request.source_key.to_bytes(),
            source_version_id: Some(request.source_version_id.into()),
            source_etag: Some(request.source_etag.into()),
            source_class: request.source_class.map(|class| class.to_string()),
            rewraps: request.rewraps.map(Into::into),
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            replace_attributes,
            checksum: request.checksum.map(Into::into),
            condition: write_condition_to_wire(request.condition),
        }
    }
}

impl TryFrom<proto::CopyVersionRequest> for CopyVersion {
    type Error = WireError;

    fn try_from(message: proto::CopyVersionRequest) -> Result<Self, WireError> {
        Ok(Self {
            source_bucket: bucket_name(&message.source_bucket, "source_bucket")?,
            source_key: object_key(message.source_key, "source_key")?,
            source_version_id: required(message.source_version_id, "source_version_id")?,
            source_etag: required(message.source_etag, "source_etag")?,
            source_class: message.source_class.as_deref().map(storage_class).transpose()?,
            rewraps: optional(message.rewraps)?,
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            attributes: match message.replace_attributes {
                None => CopyAttributes::Keep,
                Some(attributes) => CopyAttributes::Replace(Box::new(attributes.try_into()?)),
            },
            checksum: optional(message.checksum)?,
            condition: write_condition(message.condition)?,
        })
    }
}
