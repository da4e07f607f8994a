//! What CopyObject and UploadPartCopy share: the source.

use data_pool::ReadError;
use metadata_api::{Error as MetadataError, FoundVersion, GetVersion, Version, VersionState};
use s3_wire::{
    ErrorCode, S3Error,
    address::{Address, Style},
    header::{CopySource, Outcome, ReadConditions},
};
use types::Content;

use crate::{
    Gateway,
    archive::{NOT_COPIABLE, check_readable},
    auth::{Permit, authorize_source},
    error,
    request::Request,
};

/// The source of a copy as it is now, if it may be read, with its tags if those are copied; neither if it is archived; its conditions
/// checked.
pub(super) async fn find_source(
    gateway: &Gateway,
    request: &Request,
    source: &CopySource,
    with_content: bool,
    permit: &Permit,
    copies_tags: bool,
) -> Result<(FoundVersion, Box<Version>), S3Error> {
    let address =
        Address { bucket: Some(source.bucket.clone()), key: Some(source.key.clone()), style: Style::Path };
    let wanted = GetVersion {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
        version_id: source.version_id,
        with_content,
    };
    let read = gateway.metadata.get_version(wanted).await;
    let from_metadata = |failure| error::from_metadata(failure, &address);
    let bucket = match &read {
        Ok(found) => found.bucket.clone(),
        // It may be that nobody is to know.
        Err(MetadataError::KeyNotFound | MetadataError::VersionNotFound) => {
            gateway.metadata.get_bucket(&source.bucket).await.map_err(from_metadata)?
        }
        // Nobody learns without credentials what there is.
        Err(MetadataError::BucketNotFound { .. }) if request.authenticated.account().is_none() => {
            return Err(S3Error::new(ErrorCode::AccessDenied));
        }
        Err(failure) => return Err(from_metadata(failure.clone())),
    };
    let found = read.as_ref().ok();
    authorize_source(gateway, request, permit, source, &bucket, found, copies_tags).await?;
    let mut found = read.map_err(from_metadata)?;
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
    check_readable(gateway, &version, NOT_COPIABLE)?;
    let conditions = ReadConditions::for_copy_source(&request.headers);
    match conditions.evaluate(&version.etag, found.last_modified, gateway.now()) {
        Outcome::Proceed => Ok((found, version)),
        failed @ (Outcome::NotModified | Outcome::PreconditionFailed(_)) => {
            Err(failed.error().unwrap_or_else(|| S3Error::new(ErrorCode::PreconditionFailed)))
        }
    }
}

/// What is answered when a source cannot be read that names `content`. A copy may take so long that its source is replaced and its
/// bytes freed meanwhile: what is lost counts so only while the source names it.
pub(super) async fn unreadable(
    gateway: &Gateway,
    source: &CopySource,
    content: &Content,
    error: &ReadError,
) -> S3Error {
    if matches!(error, ReadError::Lost { .. }) {
        let CopySource { bucket, key, version_id } = source.clone();
        let found = gateway.metadata.get_version(GetVersion { bucket, key, version_id, with_content: true });
        if let Ok(FoundVersion { state: VersionState::Object(version), .. }) = found.await
            && version.content == *content
        {
            gateway.pool.count_lost(error);
        }
    }
    error::from_read(error, &source.bucket, &source.key)
}
