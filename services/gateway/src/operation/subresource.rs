//! What operations on a bucket's sub-resources share: the body, and the document in the metadata service.

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{ErrorCode, S3Error};
use types::BucketName;

use crate::{
    Gateway,
    output::empty,
    payload::ObjectBody,
    request::{Request, Response},
};

/// The body of a PUT, proved, of at most `limit` bytes; only of a bucket that is there and has the expected owner.
pub(super) async fn body(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    limit: usize,
) -> Result<Bytes, S3Error> {
    opened(gateway, request, body, limit).await?.collect().await
}

/// The same, which must not be empty: what Amazon S3 tells by a code of its own of XML documents.
pub(super) async fn document(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    limit: usize,
) -> Result<Bytes, S3Error> {
    opened(gateway, request, body, limit).await?.document().await
}

async fn opened<'a>(
    gateway: &Gateway,
    request: &Request,
    body: &'a mut Body,
    limit: usize,
) -> Result<ObjectBody<'a>, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, limit)?;
    request.existing_bucket(gateway).await?;
    Ok(body)
}

/// The document, if the bucket has one.
pub(super) async fn get(
    gateway: &Gateway,
    request: &Request,
    subresource: Subresource,
) -> Result<Option<Bytes>, S3Error> {
    request.existing_bucket(gateway).await?;
    let found = gateway.metadata.get_subresource(request.bucket()?, subresource).await;
    found.map_err(|error| request.metadata_error(error))
}

/// The error of a bucket that has no such document, with its name.
pub(super) fn missing(request: &Request, code: ErrorCode) -> S3Error {
    let bucket = request.address.bucket.as_ref().map_or("", BucketName::as_str);
    S3Error::new(code).field("BucketName", bucket)
}

/// Puts a document in place of the one that was there.
pub(super) async fn set(
    gateway: &Gateway,
    request: &Request,
    subresource: Subresource,
    document: Option<Bytes>,
) -> Result<(), S3Error> {
    let done = gateway.metadata.set_subresource(request.bucket()?, subresource, document).await;
    done.map_err(|error| request.metadata_error(error))
}

/// Answers a DELETE, which succeeds also when there is nothing.
pub(super) async fn delete(
    gateway: &Gateway,
    request: &Request,
    subresource: Subresource,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    set(gateway, request, subresource, None).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
