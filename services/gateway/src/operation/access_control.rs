//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl, GetBucketOwnershipControls, PutBucketOwnershipControls: access
//! control lists are off, as in every bucket that AWS has made since 2023, and everything belongs to the bucket's owner.
//! Amazon S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket".

use axum::body::Body;
use http::StatusCode;
use metadata_api::AccountId;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, ACCESS_BODY_MAX, is_owners_acl, parse_ownership},
};

use super::{object_read, subresource};
use crate::{
    Gateway,
    auth::Permit,
    output::{self, empty, owner},
    payload::ObjectBody,
    request::{Request, Response},
};

const ENFORCED: &str = "BucketOwnerEnforced";

pub(super) async fn get_bucket_acl(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    Ok(output::xml(xml::owners_acl(owner(&bucket.owner))))
}

pub(super) async fn get_object_acl(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let (found, _) = object_read::find_asked_for(gateway, request).await?;
    Ok(output::xml(xml::owners_acl(owner(&found.bucket.owner))))
}

/// Takes the list that there is anyway, as S3 does.
pub(super) async fn put_bucket_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open(&gateway.env, request, body, None, ACCESS_BODY_MAX as u64)?;
    let bucket = request.existing_bucket(gateway).await?;
    refuse_other_than(request, &["private"], &body.collect().await?, &bucket.owner)?;
    Ok(empty(StatusCode::OK))
}

/// Takes the lists that say what is so anyway, as S3 does.
pub(super) async fn put_object_acl(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open(&gateway.env, request, body, None, ACCESS_BODY_MAX as u64)?;
    let (found, _) = object_read::find_asked_for(gateway, request).await?;
    let (harmless, owner) = (&["private", "bucket-owner-full-control"], &found.bucket.owner);
    refuse_other_than(request, harmless, &body.collect().await?, owner)?;
    Ok(empty(StatusCode::OK))
}

/// Grants in headers, other canned lists, and a body with any but the owner's list are refused.
fn refuse_other_than(
    request: &Request,
    harmless: &[&str],
    body: &[u8],
    owner: &AccountId,
) -> Result<(), S3Error> {
    let canned = request.headers.get("x-amz-acl").and_then(|acl| acl.to_str().ok());
    let grants = request.headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    let is_so_anyway = match canned {
        _ if grants => false,
        Some(canned) => harmless.contains(&canned),
        None => !body.is_empty() && is_owners_acl(body, &owner.0)?,
    };
    if is_so_anyway { Ok(()) } else { Err(S3Error::new(ErrorCode::AccessControlListNotSupported)) }
}

pub(super) async fn get_bucket_ownership_controls(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    Ok(output::xml(xml::ownership(ENFORCED)))
}

pub(super) async fn put_bucket_ownership_controls(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = subresource::body(gateway, request, body, ACCESS_BODY_MAX).await?;
    match parse_ownership(&body)?.as_str() {
        ENFORCED => Ok(empty(StatusCode::OK)),
        _ => Err(S3Error::field_not_implemented("ObjectOwnership")),
    }
}
