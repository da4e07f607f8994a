//! GetObjectLegalHold, PutObjectLegalHold: whether a version cannot be removed until it is let go. S3 API Reference, the page
//! of each.

use axum::body::Body;
use metadata_api::LockChange;
use s3_wire::{
    ErrorCode, S3Error,
    xml::{self, OBJECT_LOCK_BODY_MAX, parse_legal_hold},
};

use super::object_retention::{find_lock, set_lock};
use crate::{
    Gateway,
    auth::Permit,
    output,
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn get_object_legal_hold(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let lock = find_lock(gateway, request).await?;
    let held = lock.legal_hold.ok_or_else(|| S3Error::new(ErrorCode::NoSuchObjectLockConfiguration))?;
    Ok(output::xml(xml::legal_hold(held)))
}

pub(super) async fn put_object_legal_hold(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, OBJECT_LOCK_BODY_MAX)?;
    find_lock(gateway, request).await?;
    let held = parse_legal_hold(&body.collect().await?)?;
    permit.confirm(request, |context| {
        context.add("s3:object-lock-legal-hold", if held { "ON" } else { "OFF" });
    })?;
    set_lock(gateway, request, LockChange::LegalHold(held)).await
}
