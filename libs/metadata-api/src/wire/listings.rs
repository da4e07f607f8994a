//! Listings.

use bytes::Bytes;
use types::{KeyPrefix, Sequence, Timestamp};

use super::{
    WireError,
    common::{account, bucket_name, id_to_wire, key_prefix, object_key, storage_class, upload_id},
    limit_from_wire, limit_to_wire, list, messages, optional, proto, required,
};
use crate::{
    ListObjects, ListPosition, ListUploads, ListVersions, ObjectEntry, ObjectPage, ObjectSummary,
    PAGE_SIZE_MAX, UploadChecksum, UploadEntry, UploadPage, UploadPosition, VersionEntry, VersionPage,
    VersionPosition, VersionSummary,
};

fn delimiter_to_wire(delimiter: Option<KeyPrefix>) -> Option<Bytes> {
    delimiter.map(|delimiter| delimiter.to_bytes())
}

fn delimiter(delimiter: Option<Bytes>) -> Result<Option<KeyPrefix>, WireError> {
    let Some(delimiter) = delimiter else { return Ok(None) };
    if delimiter.is_empty() {
        return Err(WireError::invalid("delimiter", "it is empty"));
    }
    key_prefix(delimiter, "delimiter").map(Some)
}

impl From<ListObjects> for proto::ListObjectsRequest {
    fn from(request: ListObjects) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            prefix: request.prefix.to_bytes(),
            delimiter: delimiter_to_wire(request.delimiter),
            after: match request.position {
                ListPosition::Start => None,
                ListPosition::After(after) => Some(after.to_bytes()),
            },
            limit: limit_to_wire(request.limit),
        }
    }
}

impl TryFrom<proto::ListObjectsRequest> for ListObjects {
    type Error = WireError;

    fn try_from(message: proto::ListObjectsRequest) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            prefix: key_prefix(message.prefix, "prefix")?,
            delimiter: delimiter(message.delimiter)?,
            position: match message.after {
                None => ListPosition::Start,
                Some(after) => ListPosition::After(key_prefix(after, "after")?),
            },
            limit: limit_from_wire(message.limit, PAGE_SIZE_MAX)?,
        })
    }
}

impl From<ObjectPage> for proto::ObjectPage {
    fn from(page: ObjectPage) -> Self {
        Self { entries: messages(page.entries), truncated: page.truncated, owner: page.owner.0 }
    }
}

impl TryFrom<proto::ObjectPage> for ObjectPage {
    type Error = WireError;

    fn try_from(message: proto::ObjectPage) -> Result<Self, WireError> {
        Ok(Self {
            entries: list(message.entries, PAGE_SIZE_MAX, "entries")?,
            truncated: message.truncated,
            owner: account(message.owner, "owner")?,
        })
    }
}

impl From<ObjectEntry> for proto::ObjectEntry {
    fn from(entry: ObjectEntry) -> Self {
        use proto::object_entry::Entry;
        let entry = match entry {
            ObjectEntry::Object(object) => Entry::Object(object.into()),
            ObjectEntry::CommonPrefix(prefix) => Entry::CommonPrefix(prefix.to_bytes()),
        };
        Self { entry: Some(entry) }
    }
}

impl TryFrom<proto::ObjectEntry> for ObjectEntry {
    type Error = WireError;

    fn try_from(message: proto::ObjectEntry) -> Result<Self, WireError> {
        use proto::object_entry::Entry;
        match message.entry.ok_or(WireError::Missing { field: "entry" })? {
            Entry::Object(object) => object.try_into().map(Self::Object),
            Entry::CommonPrefix(prefix) => key_prefix(prefix, "common_prefix").map(Self::CommonPrefix),
        }
    }
}

impl From<ObjectSummary> for proto::ObjectSummary {
    fn from(object: ObjectSummary) -> Self {
        let checksum = object.checksum.map(|(algorithm, kind)| UploadChecksum { algorithm, kind });
        Self {
            key: object.key.to_bytes(),
            last_modified_ms: object.last_modified.0,
            etag: Some(object.etag.into()),
            size: object.size,
            storage_class: object.storage_class.to_string(),
            checksum: checksum.map(Into::into),
            restore: object.restore.map(Into::into),
            owner: object.owner.map(|owner| owner.0),
        }
    }
}

impl TryFrom<proto::ObjectSummary> for ObjectSummary {
    type Error = WireError;

    fn try_from(message: proto::ObjectSummary) -> Result<Self, WireError> {
        let checksum: Option<UploadChecksum> = optional(message.checksum)?;
        Ok(Self {
            key: object_key(message.key, "key")?,
            last_modified: Timestamp(message.last_modified_ms),
            etag: required(message.etag, "etag")?,
            size: message.size,
            storage_class: storage_class(&message.storage_class)?,
            checksum: checksum.map(|form| (form.algorithm, form.kind)),
            restore: optional(message.restore)?,
            owner: message.owner.map(|owner| account(owner, "owner").map(Box::new)).transpose()?,
        })
    }
}

impl From<ListVersions> for proto::ListVersionsRequest {
    fn from(request: ListVersions) -> Self {
        use proto::list_versions_request::Position;
        let position = match request.position {
            VersionPosition::Start => None,
            VersionPosition::AfterKey(key) => Some(Position::AfterKey(key.to_bytes())),
            VersionPosition::AfterVersion(key, version_id) => {
                let version_id = Some(version_id.into());
                Some(Position::AfterVersion(proto::VersionMark { key: key.to_bytes(), version_id }))
            }
        };
        Self {
            bucket: request.bucket.to_string(),
            prefix: request.prefix.to_bytes(),
            delimiter: delimiter_to_wire(request.delimiter),
            position,
            limit: limit_to_wire(request.limit),
        }
    }
}

impl TryFrom<proto::ListVersionsRequest> for ListVersions {
    type Error = WireError;

    fn try_from(message: proto::ListVersionsRequest) -> Result<Self, WireError> {
        use proto::list_versions_request::Position;
        let position = match message.position {
            None => VersionPosition::Start,
            Some(Position::AfterKey(key)) => VersionPosition::AfterKey(key_prefix(key, "after_key")?),
            Some(Position::AfterVersion(mark)) => VersionPosition::AfterVersion(
                object_key(mark.key, "after_version")?,
                required(mark.version_id, "version_id")?,
            ),
        };
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            prefix: key_prefix(message.prefix, "prefix")?,
            delimiter: delimiter(message.delimiter)?,
            position,
            limit: limit_from_wire(message.limit, PAGE_SIZE_MAX)?,
        })
    }
}

impl From<VersionPage> for proto::VersionPage {
    fn from(page: VersionPage) -> Self {
        Self {
            entries: messages(page.entries),
            truncated: page.truncated,
            owner: page.owner.0,
            last_commit: page.last_commit.map(|sequence| sequence.0),
        }
    }
}

impl TryFrom<proto::VersionPage> for VersionPage {
    type Error = WireError;

    fn try_from(message: proto::VersionPage) -> Result<Self, WireError> {
        Ok(Self {
            entries: list(message.entries, PAGE_SIZE_MAX, "entries")?,
            truncated: message.truncated,
            last_commit: message.last_commit.map(Sequence),
            owner: account(message.owner, "owner")?,
        })
    }
}

impl From<VersionEntry> for proto::VersionEntry {
    fn from(entry: VersionEntry) -> Self {
        use proto::version_entry::Entry;
        let entry = match entry {
            VersionEntry::Version(version) => Entry::Version(version.into()),
            VersionEntry::CommonPrefix(prefix) => Entry::CommonPrefix(prefix.to_bytes()),
        };
        Self { entry: Some(entry) }
    }
}

impl TryFrom<proto::VersionEntry> for VersionEntry {
    type Error = WireError;

    fn try_from(message: proto::VersionEntry) -> Result<Self, WireError> {
        use proto::version_entry::Entry;
        match message.entry.ok_or(WireError::Missing { field: "entry" })? {
            Entry::Version(version) => version.try_into().map(Self::Version),
            Entry::CommonPrefix(prefix) => key_prefix(prefix, "common_prefix").map(Self::CommonPrefix),
        }
    }
}

impl From<VersionSummary> for proto::VersionSummary {
    fn from(version: VersionSummary) -> Self {
        Self {
            key: version.key.to_bytes(),
            version_id: Some(version.version_id.into()),
            is_latest: version.is_latest,
            last_modified_ms: version.last_modified.0,
            object: version.object.map(Into::into),
            marker_owner: version.marker_owner.map(|owner| owner.0),
        }
    }
}

impl TryFrom<proto::VersionSummary> for VersionSummary {
    type Error = WireError;

    fn try_from(message: proto::VersionSummary) -> Result<Self, WireError> {
        Ok(Self {
            key: object_key(message.key, "key")?,
            version_id: required(message.version_id, "version_id")?,
            is_latest: message.is_latest,
            last_modified: Timestamp(message.last_modified_ms),
            object: optional(message.object)?,
            marker_owner: message
                .marker_owner
                .map(|owner| account(owner, "marker_owner").map(Box::new))
                .transpose()?,
        })
    }
}

impl From<ListUploads> for proto::ListUploadsRequest {
    fn from(request: ListUploads) -> Self {
        use proto::list_uploads_request::Position;
        let position = match request.position {
            UploadPosition::Start => None,
            UploadPosition::AfterKey(key) => Some(Position::AfterKey(key.to_bytes())),
            UploadPosition::AfterUpload(key, upload) => {
                let upload = id_to_wire(upload.0);
                Some(Position::AfterUpload(proto::UploadMark { key: key.to_bytes(), upload }))
            }
        };
        Self {
            bucket: request.bucket.to_string(),
            prefix: request.prefix.to_bytes(),
            delimiter: delimiter_to_wire(request.delimiter),
            position,
            limit: limit_to_wire(request.limit),
        }
    }
}

impl TryFrom<proto::ListUploadsRequest> for ListUploads {
    type Error = WireError;

    fn try_from(message: proto::ListUploadsRequest) -> Result<Self, WireError> {
        use proto::list_uploads_request::Position;
        let position = match message.position {
            None => UploadPosition::Start,
            Some(Position::AfterKey(key)) => UploadPosition::AfterKey(key_prefix(key, "after_key")?),
            Some(Position::AfterUpload(mark)) => {
                UploadPosition::AfterUpload(key_prefix(mark.key, "after_upload")?, upload_id(&mark.upload)?)
            }
        };
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            prefix: key_prefix(message.prefix, "prefix")?,
            delimiter: delimiter(message.delimiter)?,
            position,
            limit: limit_from_wire(message.limit, PAGE_SIZE_MAX)?,
        })
    }
}

impl From<UploadPage> for proto::UploadPage {
    fn from(page: UploadPage) -> Self {
        Self { entries: messages(page.entries), truncated: page.truncated, owner: page.owner.0 }
    }
}

impl TryFrom<proto::UploadPage> for UploadPage {
    type Error = WireError;

    fn try_from(message: proto::UploadPage) -> Result<Self, WireError> {
        Ok(Self {
            entries: list(message.entries, PAGE_SIZE_MAX, "entries")?,
            truncated: message.truncated,
            owner: account(message.owner, "owner")?,
        })
    }
}

impl From<UploadEntry> for proto::UploadEntry {
    fn from(entry: UploadEntry) -> Self {
        use proto::upload_entry::Entry;
        let entry = match entry {
            UploadEntry::Upload(upload) => Entry::Upload((*upload).into()),
            UploadEntry::CommonPrefix(prefix) => Entry::CommonPrefix(prefix.to_bytes()),
        };
        Self { entry: Some(entry) }
    }
}

impl TryFrom<proto::UploadEntry> for UploadEntry {
    type Error = WireError;

    fn try_from(message: proto::UploadEntry) -> Result<Self, WireError> {
        use proto::upload_entry::Entry;
        match message.entry.ok_or(WireError::Missing { field: "entry" })? {
            Entry::Upload(upload) => Ok(Self::Upload(Box::new(upload.try_into()?))),
            Entry::CommonPrefix(prefix) => key_prefix(prefix, "common_prefix").map(Self::CommonPrefix),
        }
    }
}
