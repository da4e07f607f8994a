//! GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus: who may do what in a bucket.
//! `auth/authorize.rs` holds every request to it. S3 API Reference, the page of each.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use metadata_api::{AccountId, Subresource};
use policy::{Grantee, Malformed, Policy};
use s3_wire::{ErrorCode, S3Error, xml};

use super::subresource;
use crate::{
    Gateway,
    auth::{Permit, public_access_block},
    error::unavailable,
    identity::{Directory, other_accounts},
    output::{self, empty},
    request::{Request, Response},
};

/// Most bytes of a body that is read to be told that it is too long for a policy.
const BODY_MAX: usize = 64 << 10;

/// The document as it was put, byte for byte.
pub(super) async fn get_bucket_policy(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Policy).await?;
    let mut response = http::Response::new(Body::from(document.ok_or_else(|| missing(request))?));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

pub(super) async fn get_bucket_policy_status(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::get(gateway, request, Subresource::Policy).await?;
    let document = document.ok_or_else(|| missing(request))?;
    let policy = Policy::parse(&document, request.bucket()?.as_str()).map_err(|error| {
        tracing::error!(%error, "a policy that was stored cannot be read");
        S3Error::new(ErrorCode::InternalError)
    })?;
    Ok(output::xml(xml::policy_status(policy.is_public())))
}

pub(super) async fn put_bucket_policy(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let document = subresource::body(gateway, request, body, BODY_MAX).await?;
    let policy = Policy::parse(&document, request.bucket()?.as_str()).map_err(malformed)?;
    let bucket = request.existing_bucket(gateway).await?;
    check_grantees(gateway, &bucket.owner, &policy).await?;
    if policy.is_public() {
        let block = public_access_block(gateway, &bucket, &request.address).await?;
        if block.block_public_policy {
            return Err(S3Error::with_message(
                ErrorCode::AccessDenied,
                "Access Denied because public policies are blocked by the BlockPublicPolicy block public access setting.",
            ));
        }
    }
    subresource::set(gateway, request, Subresource::Policy, Some(document)).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) async fn delete_bucket_policy(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    subresource::delete(gateway, request, Subresource::Policy).await
}

fn missing(request: &Request) -> S3Error {
    let bucket = request.address.bucket.as_ref().map_or("", |bucket| bucket.as_str());
    S3Error::new(ErrorCode::NoSuchBucketPolicy).field("BucketName", bucket)
}

fn malformed(error: Malformed) -> S3Error {
    let refusal = S3Error::with_message(ErrorCode::MalformedPolicy, error.message);
    match error.detail {
        Some(detail) => refusal.field("Detail", detail),
        None => refusal,
    }
}

/// Only whoever there is can be named: users and roles of the bucket's account, all of another account, and everybody. What is granted to
/// a user is granted to whoever has its name and path, also when that is another some day.
async fn check_grantees(gateway: &Gateway, owner: &AccountId, policy: &Policy) -> Result<(), S3Error> {
    let unread = |error| {
        tracing::warn!(%error, "it cannot be read which users and accounts there are");
        unavailable()
    };
    let is_somebody =
        |grantee: &Grantee| !matches!(grantee, Grantee::Everyone | Grantee::Account(_) | Grantee::Service(_));
    let directory = if policy.grantees().any(is_somebody) {
        gateway.identities.read(&*gateway.metadata, owner).await.map_err(unread)?
    } else {
        Arc::new(Directory::new(owner.clone()))
    };
    let others = other_accounts(owner, policy);
    let known = gateway.names.known_of(&*gateway.metadata, others).await.map_err(unread)?;
    match directory.missing_grantee(policy, |id| known.contains(id)) {
        Some(grantee) => {
            Err(S3Error::with_message(ErrorCode::MalformedPolicy, "Invalid principal in policy")
                .field("Detail", grantee.to_string()))
        }
        None => Ok(()),
    }
}
