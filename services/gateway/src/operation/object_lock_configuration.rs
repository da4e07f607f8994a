//! GetObjectLockConfiguration, PutObjectLockConfiguration: whether a bucket's versions can be locked, and for how long they
//! are by default. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Error as MetadataError;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, OBJECT_LOCK_BODY_MAX, parse_object_lock},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    request::{Request, Response},
};

pub(super) async fn get_object_lock_configuration(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    let configuration = bucket.object_lock.ok_or_else(|| {
        S3Error::new(ErrorCode::ObjectLockConfigurationNotFoundError)
            .field("BucketName", bucket.name.as_str())
    })?;
    Ok(output::xml(xml::object_lock(&configuration)))
}

pub(super) async fn put_object_lock_configuration(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, OBJECT_LOCK_BODY_MAX).await?;
    let configuration = parse_object_lock(&body)?;
    let done = gateway.metadata.set_object_lock(request.bucket()?, configuration).await;
    done.map_err(|error| match error {
        MetadataError::InvalidBucketState { .. } => S3Error::with_message(
            ErrorCode::InvalidBucketState,
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
        ),
        error => request.metadata_error(error),
    })?;
    Ok(empty(StatusCode::OK))
}
