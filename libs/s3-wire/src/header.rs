//! Request headers as types, with the errors that S3 gives for bad ones.
//!
//! Nothing here decides anything about stored objects: conditions and ranges are parsed first and evaluated against
//! what was found later.

mod attributes;
mod checksum;
mod conditions;
mod copy_source;
mod encryption;
mod entity_tag;
mod misplaced;
mod object_lock;
mod range;
mod rename;
mod restore;
#[cfg(test)]
mod tests;
mod unsupported;
mod write_conditions;

use http::{HeaderMap, HeaderValue};

pub use attributes::{
    Directive, USER_METADATA_MAX, attributes, metadata_directive, storage_class, tagging_directive, tags,
    website_redirect_location,
};
pub use checksum::{
    ObjectChecksum, RequestChecksum, algorithm_by_name, checksum_mode_enabled, content_md5,
    decoded_content_length, mp_object_size, multipart_checksum, object_checksum, request_checksum,
};
pub use conditions::{Outcome, ReadConditions, if_range};
pub use copy_source::{CopySource, copy_source, copy_source_range};
pub use encryption::{
    CustomerKey, KmsParameters, SERVER_SIDE_ENCRYPTION, ServerSideEncryption, copy_source_customer_key,
    customer_key, kms_parameters, refuse_misplaced_encryption, server_side_encryption,
};
pub use object_lock::{bucket_object_lock, bypasses_governance, object_lock};
pub use range::{RangeSpec, range};
pub use rename::{client_token, rename_source};
pub use restore::{restore, wants_restore_status};
pub use unsupported::{Scope, UNSUPPORTED_HEADERS, UnsupportedHeader, refuse_unsupported_headers};
pub use write_conditions::{
    DeleteCondition, IF_MATCH_INITIATED_TIME, WriteCondition, check_none_match, delete_condition,
    initiated_condition, write_condition,
};

pub(crate) use checksum::value as checksum_value;
pub(crate) use write_conditions::{entity_tag, is_any};

use crate::{error::S3Error, lifecycle::DefaultMinimumSize};

/// The header of [`transition_default_minimum_object_size`], which answers have too.
pub const TRANSITION_DEFAULT_MINIMUM_OBJECT_SIZE: &str = "x-amz-transition-default-minimum-object-size";

/// How small objects may be that lifecycle rules move. Errors: `InvalidRequest` for a setting that S3 does not know.
/// Source: API Reference, "PutBucketLifecycleConfiguration".
pub fn transition_default_minimum_object_size(headers: &HeaderMap) -> Result<DefaultMinimumSize, S3Error> {
    let Some(name) = text(headers, TRANSITION_DEFAULT_MINIMUM_OBJECT_SIZE)? else {
        return Ok(DefaultMinimumSize::default());
    };
    DefaultMinimumSize::from_name(name)
        .ok_or_else(|| S3Error::invalid_request("Invalid TransitionDefaultMinimumObjectSize found"))
}

/// The account id that the bucket must belong to: `x-amz-expected-bucket-owner`. The caller compares and answers
/// `AccessDenied`.
pub fn expected_bucket_owner(headers: &HeaderMap) -> Result<Option<&str>, S3Error> {
    text(headers, "x-amz-expected-bucket-owner")
}

/// The same for the bucket of a copy's source: `x-amz-source-expected-bucket-owner`.
pub fn expected_source_bucket_owner(headers: &HeaderMap) -> Result<Option<&str>, S3Error> {
    text(headers, "x-amz-source-expected-bucket-owner")
}

/// A header's first value as text; `InvalidArgument` when it is not UTF-8.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, S3Error> {
    headers.get(name).map(|value| utf8(name, value)).transpose()
}

fn utf8<'a>(name: &str, value: &'a HeaderValue) -> Result<&'a str, S3Error> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| {
        let shown = String::from_utf8_lossy(value.as_bytes());
        S3Error::invalid_argument("A header's value is not UTF-8", name, &shown)
    })
}
