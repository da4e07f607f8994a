//! GetBucketEncryption, PutBucketEncryption, DeleteBucketEncryption: how a bucket's new objects are encrypted that name no
//! encryption, which `encryption.rs` applies. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::Subresource;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, ENCRYPTION_BODY_MAX, parse_encryption},
};

use super::subresource;
use crate::{
    Gateway,
    auth::Permit,
    encryption::{find_key, require_keys},
    output::{self, empty},
    request::{Request, Response},
};

/// A bucket has no default until it is given one, as Ceph and MinIO have it; Amazon encrypts everything.
pub(super) async fn get_bucket_encryption(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Encryption).await?;
    let missing = || subresource::missing(request, ErrorCode::ServerSideEncryptionConfigurationNotFoundError);
    Ok(output::xml(document.ok_or_else(missing)?))
}

pub(super) async fn put_bucket_encryption(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::document(gateway, request, body, ENCRYPTION_BODY_MAX).await?;
    let default = parse_encryption(&body)?;
    require_keys(gateway, default.algorithm)?;
    if let Some(key) = &default.key {
        find_key(gateway, Some(key), "KMSMasterKeyID")?;
    }
    let document = xml::encryption(&default);
    subresource::set(gateway, request, Subresource::Encryption, Some(document)).await?;
    Ok(empty(StatusCode::OK))
}

pub(super) async fn delete_bucket_encryption(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Encryption).await
}
