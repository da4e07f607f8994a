//! GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle: the rules by which what is in a
//! bucket expires; the worker carries them out. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, LIFECYCLE_BODY_MAX, parse_lifecycle},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    request::{Request, Response},
};

pub(super) async fn get_bucket_lifecycle_configuration(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Lifecycle).await?;
    Ok(output::xml(document.ok_or_else(|| S3Error::new(ErrorCode::NoSuchLifecycleConfiguration))?))
}

pub(super) async fn put_bucket_lifecycle_configuration(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::body(gateway, request, body, LIFECYCLE_BODY_MAX).await?;
    let rules = parse_lifecycle(&body, |_| {
        format!("{:016x}{:016x}", gateway.env.random_u64(), gateway.env.random_u64())
    })?;
    subresource::set(gateway, request, Subresource::Lifecycle, Some(xml::lifecycle(&rules))).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn delete_bucket_lifecycle(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Lifecycle).await
}
