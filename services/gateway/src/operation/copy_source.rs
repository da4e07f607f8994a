//! What CopyObject and UploadPartCopy share: the source.

use metadata_api::{FoundVersion, GetVersion, Version, VersionState};
use s3_wire::{
    ErrorCode, S3Error,
    address::{Address, Style},
    header::{CopySource, Outcome, ReadConditions},
};

use crate::{Gateway, error, request::Request};

/// The source of a copy as it is now, its conditions checked.
pub(super) async fn find_source(
    gateway: &Gateway,
    request: &Request,
    source: &CopySource,
    with_content: bool,
) -> Result<(FoundVersion, Box<Version>), S3Error> {
    let address =
        Address { bucket: Some(source.bucket.clone()), key: Some(source.key.clone()), style: Style::Path };
    let wanted = GetVersion {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        version_id: source.version_id,
        with_content,
    };
    let mut found =
        gateway.metadata.get_version(wanted).await.map_err(|error| error::from_metadata(error, &address))?;
    request.check_owner(&found.bucket, "x-amz-source-expected-bucket-owner")?;
    let state = std::mem::replace(&mut found.state, VersionState::DeleteMarker);
    let VersionState::Object(version) = state else {
        return Err(if source.version_id.is_some() {
            S3Error::invalid_request(
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            )
        } else {
            S3Error::no_such_key(source.key.as_str())
        });
    };
    match ReadConditions::for_copy_source(&request.headers).evaluate(&version.etag, found.last_modified) {
        Outcome::Proceed => Ok((found, version)),
        failed @ (Outcome::NotModified | Outcome::PreconditionFailed(_)) => {
            Err(failed.error().unwrap_or_else(|| S3Error::new(ErrorCode::PreconditionFailed)))
        }
    }
}
