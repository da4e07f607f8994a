//! GetObjectRetention, PutObjectRetention: until when a version cannot be removed. S3 API Reference, the page of each.

use axum::body::Body;
use http::StatusCode;
use metadata_api::{Bucket, LockChange, SetLock};
use s3_wire::{
    ErrorCode, S3Error,
    header::bypasses_governance,
    xml::{self, OBJECT_LOCK_BODY_MAX, parse_retention},
};
use types::{Retention, Timestamp, VersionLock};

use super::object_read;
use crate::{
    Gateway,
    auth::{Permit, add_retention},
    output::{self, empty, set_version_id},
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn get_object_retention(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let lock = find_lock(gateway, request).await?;
    let retention = lock.retention.ok_or_else(|| S3Error::new(ErrorCode::NoSuchObjectLockConfiguration))?;
    Ok(output::xml(xml::retention(&retention)))
}

pub(super) async fn put_object_retention(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, OBJECT_LOCK_BODY_MAX)?;
    find_lock(gateway, request).await?;
    let retention = parse_retention(&body.collect().await?)?;
    permit.confirm(request, |context| {
        if let Some(retention) = &retention {
            add_retention(context, gateway, retention);
        }
    })?;
    check_date(gateway, retention)?;
    set_lock(gateway, request, LockChange::Retention(retention)).await
}

/// The lock of the version that the request names; only in a bucket that has object lock.
pub(super) async fn find_lock(gateway: &Gateway, request: &Request) -> Result<VersionLock, S3Error> {
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    check_bucket(&found.bucket)?;
    Ok(version.attributes.lock)
}

/// Changes the lock of the version that the request names.
pub(super) async fn set_lock(
    gateway: &Gateway,
    request: &Request,
    change: LockChange,
) -> Result<Response, S3Error> {
    let change = SetLock {
        bucket: request.bucket()?.clone(),
        key: request.key()?.clone(),
        version_id: object_read::version_id(request.query()?.version_id()?)?,
        change,
        bypasses_governance: bypasses_governance(&request.headers)?.unwrap_or(false),
    };
    let changed = gateway.metadata.set_lock(change).await.map_err(|error| request.metadata_error(error))?;
    let mut response = empty(StatusCode::OK);
    set_version_id(response.headers_mut(), changed.versioning, changed.version_id);
    Ok(response)
}

/// Refuses a lock that cannot be: in a bucket without object lock, or with a date that is past.
pub(super) fn check_lock(gateway: &Gateway, bucket: &Bucket, lock: &VersionLock) -> Result<(), S3Error> {
    if *lock != VersionLock::default() {
        check_bucket(bucket)?;
    }
    check_date(gateway, lock.retention)
}

fn check_bucket(bucket: &Bucket) -> Result<(), S3Error> {
    match bucket.object_lock {
        Some(_) => Ok(()),
        None => Err(S3Error::invalid_request("Bucket is missing Object Lock Configuration")),
    }
}

fn check_date(gateway: &Gateway, retention: Option<Retention>) -> Result<(), S3Error> {
    let now = Timestamp(gateway.env.wall_clock_ms());
    match retention {
        Some(Retention { until, .. }) if until <= now => Err(S3Error::invalid_argument(
            "The retain until date must be in the future!",
            "x-amz-object-lock-retain-until-date",
            s3_wire::date::xml_date(until).as_str(),
        )),
        _ => Ok(()),
    }
}
