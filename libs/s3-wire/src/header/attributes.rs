//! What an upload says of its object, to be given back to every reader byte for byte.

use bytes::Bytes;
use http::{HeaderMap, header};
use types::{Attributes, StorageClassName};

use super::{object_lock, text, utf8};
use crate::{
    error::{ErrorCode, S3Error},
    tags::parse_header,
};

/// Most bytes in the names (without `x-amz-meta-`) and values of an object's user metadata.
/// Source: Amazon S3 User Guide, "Working with object metadata".
pub const USER_METADATA_MAX: usize = 2048;

const USER_PREFIX: &str = "x-amz-meta-";
const WEBSITE_REDIRECT: &str = "x-amz-website-redirect-location";

/// Longest place to redirect to, in bytes. Source: Amazon S3 User Guide, "(Optional) Configuring a webpage redirect".
const WEBSITE_REDIRECT_MAX: usize = 2048;

/// The attributes in the headers of PutObject, CreateMultipartUpload, or CopyObject with REPLACE.
///
/// `aws-chunked` is framing, not an encoding of the object, and is taken out of `Content-Encoding`. A header of user
/// metadata that is sent more than once becomes one with commas. Errors: `MetadataTooLarge`, `InvalidArgument` for a
/// standard header that is not UTF-8 and for half an object lock, `InvalidRedirectLocation`.
pub fn attributes(headers: &HeaderMap) -> Result<Attributes, S3Error> {
    let owned = |name: header::HeaderName| text(headers, name.as_str()).map(|value| value.map(str::to_owned));
    Ok(Attributes {
        content_type: owned(header::CONTENT_TYPE)?,
        cache_control: owned(header::CACHE_CONTROL)?,
        content_disposition: owned(header::CONTENT_DISPOSITION)?,
        content_encoding: content_encoding(headers)?,
        content_language: owned(header::CONTENT_LANGUAGE)?,
        expires: owned(header::EXPIRES)?,
        website_redirect_location: website_redirect_location(headers)?,
        user_metadata: user_metadata(headers)?,
        tags: Vec::new(),
        lock: object_lock(headers)?,
        renamed: None,
        encryption: None,
        acl: None,
        restore: None,
    })
}

fn content_encoding(headers: &HeaderMap) -> Result<Option<String>, S3Error> {
    let is_framing = |coding: &str| coding.trim().eq_ignore_ascii_case("aws-chunked");
    let mut kept = String::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = utf8("content-encoding", value)?;
        let whole = !value.split(',').any(is_framing);
        let codings = value.split(',').filter(|coding| !is_framing(coding)).map(str::trim);
        let codings = if whole { value.to_owned() } else { codings.collect::<Vec<_>>().join(",") };
        if !kept.is_empty() && !codings.is_empty() {
            kept.push(',');
        }
        kept.push_str(&codings);
    }
    Ok((!kept.is_empty()).then_some(kept))
}

/// `x-amz-website-redirect-location`: where a website sends who asks for the object. `InvalidRedirectLocation` when it is
/// no path and no URL, or is longer than 2 KiB. A copy never has its source's (API Reference, "CopyObject").
pub fn website_redirect_location(headers: &HeaderMap) -> Result<Option<String>, S3Error> {
    let Some(location) = text(headers, WEBSITE_REDIRECT)? else { return Ok(None) };
    if location.len() > WEBSITE_REDIRECT_MAX {
        return Err(S3Error::with_message(
            ErrorCode::InvalidRedirectLocation,
            "The length of website redirect location cannot exceed 2,048 characters.",
        ));
    }
    if ["/", "http://", "https://"].iter().any(|start| location.starts_with(start)) {
        return Ok(Some(location.to_owned()));
    }
    Err(S3Error::new(ErrorCode::InvalidRedirectLocation))
}

fn user_metadata(headers: &HeaderMap) -> Result<Vec<(String, Bytes)>, S3Error> {
    let (mut out, mut size) = (Vec::new(), 0);
    for full_name in headers.keys() {
        let Some(name) = full_name.as_str().strip_prefix(USER_PREFIX) else { continue };
        let values: Vec<&[u8]> = headers.get_all(full_name).iter().map(http::HeaderValue::as_bytes).collect();
        let value = if let [only] = values[..] {
            Bytes::copy_from_slice(only)
        } else {
            values.join(&b","[..]).into()
        };
        size += name.len() + value.len();
        out.push((name.to_owned(), value));
    }
    if size > USER_METADATA_MAX {
        return Err(S3Error::new(ErrorCode::MetadataTooLarge)
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", USER_METADATA_MAX.to_string()));
    }
    // One order, whatever the map's.
    out.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// The storage class in `x-amz-storage-class`; `InvalidStorageClass` when it cannot be a name of one. Whether there
/// is such a class is for the caller to find out.
pub fn storage_class(headers: &HeaderMap) -> Result<Option<StorageClassName>, S3Error> {
    let Some(name) = text(headers, "x-amz-storage-class")? else { return Ok(None) };
    let invalid = || S3Error::new(ErrorCode::InvalidStorageClass).field("StorageClassRequested", name);
    StorageClassName::new(name).map(Some).map_err(|_| invalid())
}

/// The tags in `x-amz-tagging`; none without it. Errors: those of [`crate::tags::parse_header`].
pub fn tags(headers: &HeaderMap) -> Result<Vec<(String, String)>, S3Error> {
    text(headers, "x-amz-tagging")?.map_or(Ok(Vec::new()), parse_header)
}

/// Where a copy's attributes or tags come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// The source.
    Copy,
    /// The request.
    Replace,
}

/// `x-amz-metadata-directive`, `COPY` when there is none; `InvalidArgument` for anything else.
pub fn metadata_directive(headers: &HeaderMap) -> Result<Directive, S3Error> {
    directive(headers, "x-amz-metadata-directive", "Unknown metadata directive.")
}

/// `x-amz-tagging-directive`, `COPY` when there is none; `InvalidArgument` for anything else.
pub fn tagging_directive(headers: &HeaderMap) -> Result<Directive, S3Error> {
    directive(headers, "x-amz-tagging-directive", "Unknown tagging directive.")
}

fn directive(headers: &HeaderMap, header: &str, unknown: &'static str) -> Result<Directive, S3Error> {
    match text(headers, header)? {
        None | Some("COPY") => Ok(Directive::Copy),
        Some("REPLACE") => Ok(Directive::Replace),
        Some(other) => Err(S3Error::invalid_argument(unknown, header, other)),
    }
}
