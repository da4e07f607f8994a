//! `x-amz-copy-source` and `x-amz-copy-source-range`.

use http::HeaderMap;
use types::{BucketName, ObjectKey, VersionId};

use super::{RangeSpec, range, text};
use crate::{
    address::key_too_long,
    error::{ErrorCode, S3Error},
    percent::{Plus, decode},
    query::{Query, empty_version_id, invalid_version_id},
};

/// What a copy reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version; the current one when `None`.
    pub version_id: Option<VersionId>,
}

const HEADER: &str = "x-amz-copy-source";

/// The source of a CopyObject or UploadPartCopy: `bucket/key`, a slash in front or not, percent-encoded, with
/// `?versionId=` or not. `+` means a space, as AWS and clients that encode it as `%2B` understand it.
///
/// `InvalidArgument` when the header is missing or malformed, for another parameter (JCLOUDS-1447), or for a
/// version id that cannot be, `NotImplemented` for an ARN of an access point. Source: API Reference, "CopyObject".
pub fn copy_source(headers: &HeaderMap) -> Result<CopySource, S3Error> {
    let value = text(headers, HEADER)?.ok_or_else(|| invalid(""))?;
    if value.trim_start_matches('/').starts_with("arn:") {
        return Err(S3Error::header_not_implemented(HEADER).field("Value", value));
    }
    let (path, query) = value.split_once('?').unwrap_or((value, ""));
    let query = Query::parse(query).map_err(|_| invalid(value))?;
    let mut parameters = query.iter();
    let version = match (parameters.next(), parameters.next()) {
        (None, _) => None,
        (Some(("versionId", version)), None) => Some(version),
        _ => {
            let message = "Unsupported copy source parameter.";
            return Err(S3Error::invalid_argument(message, HEADER, value));
        }
    };
    let path = decode(path.as_bytes(), Plus::Space).map_err(|_| invalid(value))?;
    let path = path.strip_prefix(b"/").unwrap_or(&path);
    let slash = path.iter().position(|&b| b == b'/').ok_or_else(|| invalid(value))?;
    let (bucket, key) = (String::from_utf8_lossy(&path[..slash]), &path[slash + 1..]);
    let bucket = BucketName::new(&bucket)
        .map_err(|_| S3Error::new(ErrorCode::InvalidBucketName).field("BucketName", bucket.as_ref()))?;
    let key = ObjectKey::new(key.to_vec()).map_err(|error| match error {
        types::KeyError::TooLong => key_too_long(key.len()),
        types::KeyError::Empty | types::KeyError::NotUtf8 => invalid(value),
    })?;
    let version_id = match version {
        Some("") => return Err(empty_version_id()),
        Some(version) => Some(version.parse().map_err(|_| invalid_version_id(version))?),
        None => None,
    };
    Ok(CopySource { bucket, key, version_id })
}

/// The range of a part that is copied, its first byte and its last: `bytes=a-b`, both there. `InvalidArgument` otherwise.
pub fn copy_source_range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, S3Error> {
    const HEADER: &str = "x-amz-copy-source-range";
    let Some(value) = text(headers, HEADER)? else { return Ok(None) };
    match value.trim().strip_prefix("bytes=").and_then(range::parse) {
        Some(RangeSpec::Inclusive(first, last)) => Ok(Some((first, last))),
        _ => {
            let message = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy";
            Err(S3Error::invalid_argument(message, HEADER, value))
        }
    }
}

fn invalid(value: &str) -> S3Error {
    S3Error::invalid_argument(
        "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        HEADER,
        value,
    )
}
