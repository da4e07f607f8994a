//! GetBucketTagging, PutBucketTagging, DeleteBucketTagging: the tags of a bucket. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    tags::Tagged,
    xml::{self, TAGGING_BODY_MAX, parse_tagging},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    request::{Request, Response},
};

pub(super) async fn get_bucket_tagging(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Tagging).await?;
    Ok(output::xml(document.ok_or_else(|| subresource::missing(request, ErrorCode::NoSuchTagSet))?))
}

pub(super) async fn put_bucket_tagging(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, TAGGING_BODY_MAX).await?;
    let tags = parse_tagging(&body, Tagged::Bucket)?;
    // S3 keeps no empty set of a bucket.
    let document = (!tags.is_empty()).then(|| xml::tagging(&tags));
    subresource::set(gateway, request, Subresource::Tagging, document).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn delete_bucket_tagging(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Tagging).await
}
