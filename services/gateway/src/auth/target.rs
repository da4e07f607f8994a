//! The version that a request is about, as far as it decides.

use metadata_api::{Error as MetadataError, FoundVersion, GetVersion, VersionState};
use s3_wire::{Operation, S3Error};
use types::{Attributes, BucketName, ObjectKey, VersionId};

use super::rights::reads_version;
use crate::{Gateway, request::Request};

/// The version that the handler reads, if it does: it is read together with the bucket. One that is not named as it should be
/// is refused by the handler.
pub(super) fn wanted(
    request: &Request,
    operation: Operation,
    version_id: Option<&str>,
) -> Option<GetVersion> {
    if !reads_version(operation) {
        return None;
    }
    let version_id = version_id.map(str::parse).transpose().ok()?;
    let (bucket, key) = (request.address.bucket.clone()?, request.address.key.clone()?);
    Some(GetVersion { bucket, key, version_id, with_content: operation == Operation::GetObject })
}

/// Whether what is asked for is not there. A delete marker that is asked for by its version is.
pub(super) fn is_missing(found: &Result<FoundVersion, MetadataError>, by_version: bool) -> bool {
    match found {
        Err(_) => true,
        Ok(found) => !by_version && matches!(found.state, VersionState::DeleteMarker),
    }
}

/// The attributes of an object; a delete marker has none.
pub(super) fn attributes(found: &FoundVersion) -> Option<&Attributes> {
    match &found.state {
        VersionState::Object(version) => Some(&version.attributes),
        VersionState::DeleteMarker => None,
    }
}

/// The tags of a version; none of one that is not there.
pub(super) async fn tags_of(
    gateway: &Gateway,
    bucket: &BucketName,
    key: &ObjectKey,
    version_id: Option<VersionId>,
) -> Result<Vec<(String, String)>, S3Error> {
    let wanted = GetVersion { bucket: bucket.clone(), key: key.clone(), version_id, with_content: false };
    match gateway.metadata.get_version(wanted).await {
        Ok(found) => Ok(attributes(&found).map_or(Vec::new(), |attributes| attributes.tags.clone())),
        Err(MetadataError::KeyNotFound | MetadataError::VersionNotFound) => Ok(Vec::new()),
        Err(error) => Err(crate::error::from_metadata(error, &address_of(bucket, Some(key)))),
    }
}

pub(super) fn address_of(bucket: &BucketName, key: Option<&ObjectKey>) -> s3_wire::address::Address {
    let style = s3_wire::address::Style::Path;
    s3_wire::address::Address { bucket: Some(bucket.clone()), key: key.cloned(), style }
}
