//! What a request is addressed to: the service, a bucket, or a key in a bucket.
//!
//! Both styles of S3: `host/bucket/key` and, for the configured base domains, `bucket.host/key`. The path is decoded
//! once and never normalised: `//`, `.`, `..` and an escaped slash are bytes of the key.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use types::{BucketName, KeyError, ObjectKey};

use crate::{
    error::{ErrorCode, S3Error},
    percent::{Plus, decode},
};

/// The bucket and key that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The bucket; `None` for the service itself.
    pub bucket: Option<BucketName>,
    /// The key; only ever there with a bucket.
    pub key: Option<ObjectKey>,
    /// How the bucket was named.
    pub style: Style,
}

/// How a request names its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// In the path.
    Path,
    /// In the `Host` header.
    VirtualHost,
}

/// Reads the address of a request.
///
/// `host` is the `Host` header (with or without port, IPv6 in brackets), `base_domains` the domains under which
/// buckets may be named, in any case and without a port, `path` the raw path of the request target.
///
/// Errors: `InvalidBucketName`, `KeyTooLongError` (over 1,024 bytes), `InvalidURI` (malformed escape, key not UTF-8),
/// `NotImplemented` for the path of WriteGetObjectResponse.
pub fn address<S: AsRef<str>>(
    host: Option<&str>,
    base_domains: &[S],
    path: &str,
) -> Result<Address, S3Error> {
    if path == "/WriteGetObjectResponse" {
        return Err(S3Error::operation_not_implemented(crate::Operation::WriteGetObjectResponse));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    if let Some(bucket) = host.and_then(|host| virtual_bucket(host, base_domains)) {
        return Ok(Address {
            bucket: Some(bucket_name(&bucket)?),
            key: key(path)?,
            style: Style::VirtualHost,
        });
    }
    // Some clients list buckets at `//`.
    if path.bytes().all(|b| b == b'/') {
        return Ok(Address { bucket: None, key: None, style: Style::Path });
    }
    let (bucket, rest) = path.split_once('/').unwrap_or((path, ""));
    let bucket = decode(bucket.as_bytes(), Plus::Literal).map_err(|_| invalid_uri(path))?;
    let bucket = String::from_utf8_lossy(&bucket);
    Ok(Address { bucket: Some(bucket_name(&bucket)?), key: key(rest)?, style: Style::Path })
}

/// The bucket of a request to a website: `BUCKET.domain` names it under one of the base domains, and any other host names the
/// bucket that has its whole name.
///
/// Errors: `NoSuchBucket` for a host that no bucket can be named by.
pub fn website_bucket<S: AsRef<str>>(host: &str, base_domains: &[S]) -> Result<BucketName, S3Error> {
    let name = virtual_bucket(host, base_domains).unwrap_or_else(|| host_name(host).to_ascii_lowercase());
    BucketName::new(&name).map_err(|_| S3Error::no_such_bucket(&name))
}

/// The key that a path of a website names; none for the root.
///
/// Errors: `KeyTooLongError` and `InvalidURI` as [`address`].
pub fn website_key(path: &str) -> Result<Option<ObjectKey>, S3Error> {
    key(path.strip_prefix('/').unwrap_or(path))
}

/// The bucket in front of the longest base domain that `host` ends with.
fn virtual_bucket<S: AsRef<str>>(host: &str, base_domains: &[S]) -> Option<String> {
    if base_domains.is_empty() {
        return None;
    }
    let host = host_name(host).to_ascii_lowercase();
    let label = |domain: &str| {
        let domain = domain.trim_matches('.').to_ascii_lowercase();
        host.strip_suffix(&domain)?.strip_suffix('.').map(str::to_owned)
    };
    let is_base = |domain: &S| domain.as_ref().trim_matches('.').eq_ignore_ascii_case(&host);
    if base_domains.iter().any(is_base) {
        return None;
    }
    let labels = base_domains
        .iter()
        .filter(|d| !d.as_ref().trim_matches('.').is_empty())
        .filter_map(|d| label(d.as_ref()));
    labels.min_by_key(String::len).filter(|label| !label.is_empty())
}

/// The host without its port and final dot. `[::1]:9000` is `[::1]`.
fn host_name(host: &str) -> &str {
    // A bare IPv6 address has no port, only more colons.
    let is_port = |name: &str, port: &str| {
        (name.ends_with(']') || !name.contains(':')) && port.bytes().all(|b| b.is_ascii_digit())
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(name, port) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn bucket_name(name: &str) -> Result<BucketName, S3Error> {
    BucketName::new(name).map_err(|_| S3Error::new(ErrorCode::InvalidBucketName).field("BucketName", name))
}

fn key(path: &str) -> Result<Option<ObjectKey>, S3Error> {
    if path.is_empty() {
        return Ok(None);
    }
    let bytes = match decode(path.as_bytes(), Plus::Literal).map_err(|_| invalid_uri(path))? {
        Cow::Borrowed(bytes) => bytes.to_vec(),
        Cow::Owned(bytes) => bytes,
    };
    let length = bytes.len();
    ObjectKey::new(bytes).map(Some).map_err(|error| key_error(error, length, path))
}

/// The key of a form. `InvalidArgument` for an empty one, `KeyTooLongError` for one of over 1,024 bytes.
pub fn form_key(key: &str) -> Result<ObjectKey, S3Error> {
    ObjectKey::new(key.as_bytes().to_vec()).map_err(|error| match error {
        KeyError::TooLong => key_too_long(key.len()),
        KeyError::Empty | KeyError::NotUtf8 => {
            S3Error::invalid_argument("User key must have a length greater than 0.", "key", key)
        }
    })
}

fn key_error(error: KeyError, length: usize, path: &str) -> S3Error {
    match error {
        KeyError::TooLong => key_too_long(length),
        KeyError::Empty | KeyError::NotUtf8 => invalid_uri(path),
    }
}

/// `KeyTooLongError` with the key's size and the limit.
pub fn key_too_long(length: usize) -> S3Error {
    S3Error::new(ErrorCode::KeyTooLongError)
        .field("Size", length.to_string())
        .field("MaxSizeAllowed", types::KEY_LENGTH_MAX.to_string())
}

fn invalid_uri(path: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidURI).field("URI", path)
}
