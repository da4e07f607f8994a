//! Conditions of writes and deletes.

use http::HeaderMap;
use types::{ETag, Timestamp};

use super::text;
use crate::{
    date::parse_http_date,
    error::{ErrorCode, S3Error},
};

/// What must hold of a key for a PutObject, CopyObject (its destination) or CompleteMultipartUpload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteCondition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: there is no current version.
    IfAbsent,
    /// `If-Match` with an entity tag.
    IfMatch(ETag),
}

/// What must hold of a version for a DeleteObject, or for one object of a DeleteObjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteCondition {
    /// `If-Match: *`: there is a current version.
    pub exists: bool,
    /// `If-Match` with an entity tag.
    pub etag: Option<ETag>,
    /// `x-amz-if-match-last-modified-time`, compared by whole seconds.
    pub last_modified: Option<Timestamp>,
    /// `x-amz-if-match-size`, in bytes.
    pub size: Option<u64>,
}

impl DeleteCondition {
    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The condition of a write.
///
/// `NotImplemented` for an `If-None-Match` other than `*`, for an `If-Match` of `*`, and for both headers at once, as AWS answers
/// (localstack/localstack, `test_put_object_if_match_validation`). An entity tag in a form that no object has becomes one that matches no
/// object. Source: API Reference, "PutObject".
pub fn write_condition(headers: &HeaderMap) -> Result<WriteCondition, S3Error> {
    check_none_match(headers)?;
    match (text(headers, "if-match")?, headers.contains_key("if-none-match")) {
        (_, true) => Ok(WriteCondition::IfAbsent),
        (None, false) => Ok(WriteCondition::None),
        (Some(tag), false) if is_any(unquoted(tag)) => Err(S3Error::header_not_implemented("If-Match")),
        (Some(tag), false) => Ok(WriteCondition::IfMatch(entity_tag(tag))),
    }
}

/// `NotImplemented` for an `If-None-Match` that no write has: of another text than `*`, or beside an `If-Match`.
pub fn check_none_match(headers: &HeaderMap) -> Result<(), S3Error> {
    match (headers.contains_key("if-match"), text(headers, "if-none-match")?) {
        (_, None) => Ok(()),
        (false, Some(tag)) if is_any(unquoted(tag)) => Ok(()),
        (_, Some(_)) => Err(S3Error::header_not_implemented("If-None-Match")),
    }
}

/// The conditions of a DeleteObject. Source: API Reference, "DeleteObject".
///
/// `InvalidArgument` for a time or size that cannot be read.
pub fn delete_condition(headers: &HeaderMap) -> Result<DeleteCondition, S3Error> {
    const TIME: &str = "x-amz-if-match-last-modified-time";
    const SIZE: &str = "x-amz-if-match-size";
    if headers.contains_key("if-none-match") {
        return Err(S3Error::header_not_implemented("If-None-Match"));
    }
    let tag = text(headers, "if-match")?;
    let invalid = |name, value| {
        S3Error::with_message(ErrorCode::InvalidArgument, "Invalid condition")
            .field("ArgumentName", name)
            .field("ArgumentValue", value)
    };
    let last_modified =
        text(headers, TIME)?.map(|value| parse_http_date(value).ok_or_else(|| invalid(TIME, value)));
    let size = text(headers, SIZE)?.map(|value| value.parse().map_err(|_| invalid(SIZE, value)));
    Ok(DeleteCondition {
        exists: tag.is_some_and(is_any),
        etag: tag.filter(|tag| !is_any(tag)).map(entity_tag),
        last_modified: last_modified.transpose()?,
        size: size.transpose()?,
    })
}

/// The header of [`initiated_condition`].
pub const IF_MATCH_INITIATED_TIME: &str = "x-amz-if-match-initiated-time";

/// When an upload must have been begun for an AbortMultipartUpload to close it, compared by whole seconds. `InvalidArgument` for a
/// time that cannot be read. Source: API Reference, "AbortMultipartUpload".
pub fn initiated_condition(headers: &HeaderMap) -> Result<Option<Timestamp>, S3Error> {
    let Some(value) = text(headers, IF_MATCH_INITIATED_TIME)? else { return Ok(None) };
    let invalid = || S3Error::invalid_argument("Invalid condition", IF_MATCH_INITIATED_TIME, value);
    parse_http_date(value).map(Some).ok_or_else(invalid)
}

fn unquoted(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

pub(crate) fn is_any(tag: &str) -> bool {
    tag.trim() == "*"
}

/// The entity tag, or for any other text one that no object has: of an upload of no parts.
pub(crate) fn entity_tag(text: &str) -> ETag {
    text.trim().parse().unwrap_or(ETag { digest: [0; 16], parts: Some(0) })
}
