//! RestoreObject: an object of an archive class can be read for some days. S3 API Reference, "RestoreObject".

use axum::body::Body;
use http::StatusCode;
use metadata_api::{Error as MetadataError, SetRestore, Version};
use s3_wire::{
    ErrorCode, S3Error,
    lifecycle::midnight_after,
    xml::{RESTORE_BODY_MAX, RestoreRequest, RetrievalTier, parse_restore},
};
use types::{ArchiveClass, Restore, RestoreState, Timestamp};

use super::object_read;
use crate::{
    Gateway,
    archive::{invalid_state, restore_state},
    auth::Permit,
    output::empty,
    payload::ObjectBody,
    request::{Request, Response},
};

/// Times that a restore is begun whose version changes each time between being looked at and being restored.
const ATTEMPTS_MAX: u32 = 4;

/// The tiers take as long as the gateway's setting says, all of them.
pub(super) async fn restore_object(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open(&gateway.env, request, body, None, RESTORE_BODY_MAX as u64)?;
    let (mut found, mut version) = object_read::find_asked_for(gateway, request).await?;
    let asked = parse_restore(&body.collect().await?)?;

    let mut attempt = 1;
    loop {
        let (status, restore) = decide(gateway, &version, asked)?;
        let change = SetRestore {
            bucket: request.bucket()?.clone(),
            key: request.key()?.clone(),
            version_id: found.version_id,
            sequence: found.sequence,
            was: version.attributes.restore,
            restore,
        };
        match gateway.metadata.set_restore(change).await {
            Ok(_) => return Ok(empty(status)),
            // Looking again tells what has changed meanwhile.
            Err(MetadataError::PreconditionFailed { .. } | MetadataError::VersionNotFound)
                if attempt < ATTEMPTS_MAX =>
            {
                attempt += 1;
                permit.again(gateway, request).await?;
                (found, version) = object_read::find_asked_for(gateway, request).await?;
            }
            Err(MetadataError::PreconditionFailed { .. } | MetadataError::VersionNotFound) => {
                return Err(S3Error::new(ErrorCode::OperationAborted));
            }
            Err(error) => return Err(request.metadata_error(error)),
        }
    }
}

/// The restore that a version gets, and the status of the answer: 202 for one that begins, 200 for another period of one that
/// is done.
fn decide(
    gateway: &Gateway,
    version: &Version,
    asked: RestoreRequest,
) -> Result<(StatusCode, Restore), S3Error> {
    let class = &version.storage_class;
    let Some(archive) = class.archive() else {
        return Err(invalid_state(class, "Restore is not allowed for the object's current storage class"));
    };
    if archive == ArchiveClass::DeepArchive && asked.tier == RetrievalTier::Expedited {
        return Err(S3Error::invalid_argument(
            "Retrieval option is not supported by this storage class",
            "Tier",
            asked.tier.as_str(),
        ));
    }
    let now = Timestamp(gateway.env.wall_clock_ms());
    let day_ms = i64::try_from(gateway.lifecycle_day.as_millis()).unwrap_or(i64::MAX);
    let until = |ready| midnight_after(ready, asked.days, day_ms);
    let (was, nonce) = (version.attributes.restore, gateway.env.random_u64());
    match (restore_state(gateway, class, was), was) {
        (Some(RestoreState::Ongoing), _) => Err(S3Error::new(ErrorCode::RestoreAlreadyInProgress)),
        (Some(RestoreState::Restored(_)), Some(was)) => {
            Ok((StatusCode::OK, Restore { nonce, until: until(now), ..was }))
        }
        _ => {
            let delay_ms = i64::try_from(gateway.restore_delay.as_millis()).unwrap_or(i64::MAX);
            let ready = Timestamp(now.0.saturating_add(delay_ms));
            let restore = Restore { class: archive, nonce, asked: now, ready, until: until(ready) };
            Ok((StatusCode::ACCEPTED, restore))
        }
    }
}
