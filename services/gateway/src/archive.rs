//! Objects of archive classes: what a client may read of them, and when. Amazon S3 User Guide, "Working with archived objects".
//!
//! Their bytes lie as those of other objects do, and workers read them at any time. A restore is a period that is kept with the
//! version: nothing is copied and nothing has to be done when it is over.

use http::{HeaderMap, HeaderName};
use metadata_api::Version;
use s3_wire::{ErrorCode, S3Error, header::restore};
use types::{Restore, RestoreState, StorageClassName, Timestamp};

use crate::{Gateway, output::set};

/// Of what a GetObject or a visit of a website is refused.
pub(crate) const NOT_READABLE: &str = "The operation is not valid for the object's storage class";
/// Of what a copy is refused.
pub(crate) const NOT_COPIABLE: &str = "Operation is not valid for the source object's storage class";

/// What the restore of an object is now, if it has one.
pub(crate) fn restore_state(
    gateway: &Gateway,
    class: &StorageClassName,
    restore: Option<Restore>,
) -> Option<RestoreState> {
    let now = Timestamp(gateway.env.wall_clock_ms());
    restore.map(|restore| restore.state(class, now))
}

/// Refuses to read an archived object that is not restored. Source: API Reference, "GetObject", "InvalidObjectState".
pub(crate) fn check_readable(
    gateway: &Gateway,
    version: &Version,
    message: &'static str,
) -> Result<(), S3Error> {
    let class = &version.storage_class;
    let restore = restore_state(gateway, class, version.attributes.restore);
    if class.archive().is_some() && !matches!(restore, Some(RestoreState::Restored(_))) {
        return Err(invalid_state(class, message));
    }
    Ok(())
}

/// `InvalidObjectState` with the class that the object has.
pub(crate) fn invalid_state(class: &StorageClassName, message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidObjectState, message).field("StorageClass", class.as_str())
}

/// `x-amz-restore` of an archived object that is restored or is about to be. Source: API Reference, "HeadObject".
pub(crate) fn set_restore(gateway: &Gateway, version: &Version, headers: &mut HeaderMap) {
    let state = restore_state(gateway, &version.storage_class, version.attributes.restore);
    if let Some(value) = state.and_then(restore) {
        set(headers, HeaderName::from_static("x-amz-restore"), &value);
    }
}
