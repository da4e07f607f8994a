//! RestoreObject: an object of an archive class can be read for some days. S3 API Reference, "RestoreObject".

use std::time::Duration;

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
    let body = ObjectBody::open_document(gateway, request, body, RESTORE_BODY_MAX)?;
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
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let day_ms = ms(gateway.lifecycle_day);
    let (was, nonce) = (version.attributes.restore, gateway.env.random_u64());
    match (restore_state(gateway, class, was), was) {
        (Some(RestoreState::Ongoing), _) => Err(S3Error::new(ErrorCode::RestoreAlreadyInProgress)),
        (Some(RestoreState::Restored(_)), Some(was)) => {
            Ok((StatusCode::OK, Restore { nonce, until: end(now, now, asked.days, day_ms), ..was }))
        }
        _ => {
            let ready = Timestamp(now.0.saturating_add(ms(gateway.restore_delay)));
            let until = end(now, ready, asked.days, day_ms);
            let restore = Restore { class: archive, nonce, asked: now, ready, until };
            Ok((StatusCode::ACCEPTED, restore))
        }
    }
}

/// When a restore is over: the days count from the request, whenever it is done, but it lasts until the next midnight at least.
/// Source: Amazon S3 User Guide, "Restoring an archived object".
fn end(asked: Timestamp, ready: Timestamp, days: u32, day_ms: i64) -> Timestamp {
    let next_midnight = midnight_after(Timestamp(ready.0.saturating_add(1)), 0, day_ms);
    Timestamp(midnight_after(asked, days, day_ms).0.max(next_midnight.0))
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::end;

    #[test]
    fn days_count_from_the_request_but_what_is_done_can_be_read() {
        let end = |asked, ready, days| end(Timestamp(asked), Timestamp(ready), days, 1000).0;
        assert_eq!([end(1500, 1500, 1), end(1500, 2900, 1), end(1500, 1500, 3)], [3000, 3000, 5000]);
        assert_eq!([end(2000, 2000, 1), end(2000, 2999, 1)], [3000; 2], "a request at midnight");
        assert_eq!([end(1500, 3000, 1), end(1500, 3001, 1), end(1500, 9500, 3)], [4000, 4000, 10_000]);
    }
}
