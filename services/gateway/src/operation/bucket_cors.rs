//! GetBucketCors, PutBucketCors, DeleteBucketCors: the rules by which scripts of other origins use a bucket, which
//! `cross_origin.rs` applies. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, CORS_BODY_MAX, parse_cors},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    payload::check_document_length,
    request::{Request, Response},
};

pub(super) async fn get_bucket_cors(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Cors).await?;
    Ok(output::xml(
        document.ok_or_else(|| subresource::missing(request, ErrorCode::NoSuchCORSConfiguration))?,
    ))
}

pub(super) async fn put_bucket_cors(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, CORS_BODY_MAX).await?;
    let rules = parse_cors(&body)?;
    let document = xml::cors(&rules);
    // Characters that were sent as they are may be kept as references, which are longer, and it is to be read again.
    check_document_length(document.len() as u64, CORS_BODY_MAX as u64)?;
    subresource::set(gateway, request, Subresource::Cors, Some(document)).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn delete_bucket_cors(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Cors).await
}
