//! GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock: what of public access a bucket shuts out. There is
//! none but by policies, by access control lists and to websites. `auth/authorize.rs`, PutBucketPolicy and whatever takes a
//! list hold them to it, so that every setting holds. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, ACCESS_BODY_MAX, parse_public_access_block},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty},
    request::{Request, Response},
};

pub(super) async fn get_public_access_block(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::PublicAccessBlock).await?;
    let missing = || subresource::missing(request, ErrorCode::NoSuchPublicAccessBlockConfiguration);
    Ok(output::xml(document.ok_or_else(missing)?))
}

pub(super) async fn put_public_access_block(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, ACCESS_BODY_MAX).await?;
    let document = xml::public_access_block(parse_public_access_block(&body)?);
    subresource::set(gateway, request, Subresource::PublicAccessBlock, Some(document)).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn delete_public_access_block(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::PublicAccessBlock).await
}
