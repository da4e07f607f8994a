//! GetBucketLogging, PutBucketLogging: where the records of a bucket's requests go, which `access_log.rs` writes. S3 API
//! Reference, the page of each; User Guide, "Logging requests with server access logging".

use std::collections::BTreeMap;

use axum::body::Body;
use http::StatusCode;
use metadata_api::{AccountId, Bucket, Error as MetadataError, Subresource};
use policy::Service;
use s3_wire::{
    ErrorCode, S3Error,
    acl::NamedGrantee,
    logging::{Logging, Source},
    xml::{self, LOGGING_BODY_MAX, parse_logging},
};
use types::{BucketName, Timestamp};

use super::{access_control::acl_of_logs, subresource};
use crate::{
    Gateway,
    auth::{Permit, authorize_delivery},
    output::{self, empty},
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn get_bucket_logging(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let Some(document) = subresource::get(gateway, request, Subresource::Logging).await? else {
        return Ok(output::xml(xml::empty("BucketLoggingStatus")));
    };
    // What accounts are called is not kept with the grants.
    let logging = parse_logging(&document).map_err(|error| unreadable(request, &error))?;
    let Some(logging) = logging.filter(|logging| !logging.target_grants.is_empty()) else {
        return Ok(output::xml(document));
    };
    let mut named = BTreeMap::new();
    for (grantee, _) in &logging.target_grants {
        if let NamedGrantee::Id(id) = grantee
            && !named.contains_key(id)
        {
            named.insert(id.clone(), request.owner(gateway, &AccountId(id.clone())).await?);
        }
    }
    let name = |id: &str| named.get(id).and_then(|named| named.owner().display_name.map(str::to_owned));
    Ok(output::xml(xml::named_logging(&logging, &name)))
}

fn unreadable(request: &Request, error: &S3Error) -> S3Error {
    let bucket = request.address.bucket.as_ref().map(BucketName::as_str);
    tracing::error!(bucket, %error, "a configuration that was stored cannot be read");
    S3Error::new(ErrorCode::InternalError)
}

pub(super) async fn put_bucket_logging(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, LOGGING_BODY_MAX)?;
    let bucket = request.existing_bucket(gateway).await?;
    let mut logging = parse_logging(&body.document().await?)?;
    if let Some(logging) = &mut logging {
        let target = check_target(gateway, request, permit, &bucket, logging).await?;
        resolve_grants(gateway, request, &target, logging).await?;
    }
    let is_logged = logging.is_some();
    subresource::set(gateway, request, Subresource::Logging, logging.as_ref().map(xml::logging)).await?;
    gateway.access_log.note(&bucket.name, is_logged);
    Ok(empty(StatusCode::OK))
}

/// Logs go to a bucket of the same owner that whoever asks for them may write to himself, and in which nothing is kept from being deleted by default. Source: User Guide, "Logging
/// requests with server access logging".
async fn check_target(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
    source: &Bucket,
    logging: &Logging,
) -> Result<Bucket, S3Error> {
    let refused = |message: &'static str| {
        S3Error::with_message(ErrorCode::InvalidTargetBucketForLogging, message)
            .field("TargetBucket", &logging.target_bucket)
    };
    let missing = || refused("The target bucket for logging does not exist");
    let name = BucketName::new(&logging.target_bucket).map_err(|_| missing())?;
    let target = match gateway.metadata.get_bucket(&name).await {
        Ok(target) => target,
        Err(MetadataError::BucketNotFound { .. }) => return Err(missing()),
        Err(error) => return Err(request.metadata_error(error)),
    };
    if target.owner != source.owner {
        return Err(refused("The owner for the bucket to be logged and the target bucket must be the same."));
    }
    let of = Source { account: &source.owner.0, region: &gateway.region, bucket: source.name.as_str() };
    let now = Timestamp(gateway.env.wall_clock_ms());
    let key = logging.object_key(of, now, now, gateway.env.random_u64());
    let delivery = (Service::Logging, &source.name);
    // As of whoever puts an object with a list.
    let with_list: &[_] = if logging.target_grants.is_empty() { &[] } else { &["PutObjectAcl"] };
    if authorize_delivery(gateway, request, permit, delivery, &target, (&key, with_list)).await? {
        return Err(refused(
            "The policy of the target bucket denies logging.s3.amazonaws.com to put objects.",
        ));
    }
    if target.object_lock.is_some_and(|lock| lock.default_retention.is_some()) {
        return Err(refused("The target bucket must not have a default retention of Object Lock."));
    }
    Ok(target)
}

/// Finds out whom the grants name, and keeps them by canonical ids, as lists are kept.
async fn resolve_grants(
    gateway: &Gateway,
    request: &Request,
    target: &Bucket,
    logging: &mut Logging,
) -> Result<(), S3Error> {
    if logging.target_grants.is_empty() {
        return Ok(());
    }
    let grants = std::mem::take(&mut logging.target_grants);
    let acl = acl_of_logs(gateway, request, target, grants).await?;
    logging.target_grants =
        acl.grants.iter().map(|grant| ((&grant.grantee).into(), grant.permission)).collect();
    Ok(())
}
