//! GetBucketWebsite, PutBucketWebsite, DeleteBucketWebsite: how a bucket is served as a website, which `website.rs` does.
//! S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    S3Error,
    xml::{self, WEBSITE_BODY_MAX, parse_website},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    payload::check_document_length,
    request::{Request, Response},
};

pub(super) async fn get_bucket_website(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Website).await?;
    let missing = S3Error::no_such_website(request.bucket()?.as_str());
    Ok(output::xml(document.ok_or(missing)?))
}

pub(super) async fn put_bucket_website(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, WEBSITE_BODY_MAX).await?;
    let document = xml::website(&parse_website(&body)?);
    // Characters that were sent as they are may be kept as references, which are longer, and it is to be read again.
    check_document_length(document.len() as u64, WEBSITE_BODY_MAX as u64)?;
    subresource::set(gateway, request, Subresource::Website, Some(document)).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn delete_bucket_website(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Website).await
}
