//! Headers of answers that describe an object.

use std::borrow::Cow;

use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use checksum::{format_checksum, format_composite};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use metadata_api::{Committed, FoundVersion, Version};
use s3_wire::date::{http_date, xml_date};
use types::{
    Attributes, Checksum, ChecksumType, ETag, Retention, StorageClassName, VersionId, VersionLock, Versioning,
};

use crate::request::Response;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 200 with an XML body.
pub(crate) fn xml(body: Bytes) -> Response {
    let mut response = http::Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Sets a header whose value is made of characters that headers may have; any other value is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// `ETag`, quoted.
pub(crate) fn set_etag(headers: &mut HeaderMap, etag: &ETag) {
    set(headers, header::ETAG, &format!("\"{etag}\""));
}

/// `x-amz-version-id`, unless the bucket never had versioning.
pub(crate) fn set_version_id(headers: &mut HeaderMap, versioning: Versioning, version_id: VersionId) {
    if versioning != Versioning::Unversioned {
        set(headers, HeaderName::from_static("x-amz-version-id"), &version_id.to_string());
    }
}

/// `x-amz-version-id` of a version that was made, which S3 tells only while versions get ids of their own: not that of a null version, in
/// a bucket whose versioning is suspended. Source: API Reference, "PutObject", the sample responses.
pub(crate) fn set_new_version_id(headers: &mut HeaderMap, versioning: Versioning, version_id: VersionId) {
    if versioning == Versioning::Enabled {
        set_version_id(headers, versioning, version_id);
    }
}

/// A checksum as text: base64, and for a composite one the number of parts.
pub(crate) fn checksum_text(checksum: &Checksum, etag: &ETag) -> String {
    match (checksum.kind, etag.parts) {
        (ChecksumType::Composite, Some(parts)) => format_composite(&checksum.value, parts),
        (ChecksumType::Composite, None) | (ChecksumType::FullObject, _) => format_checksum(&checksum.value),
    }
}

/// `x-amz-checksum-...` and `x-amz-checksum-type`.
pub(crate) fn set_checksum(headers: &mut HeaderMap, checksum: &Checksum, etag: &ETag) {
    let name = HeaderName::from_static(checksum.value.algorithm().header_name());
    set(headers, name, &checksum_text(checksum, etag));
    set(headers, HeaderName::from_static("x-amz-checksum-type"), checksum.kind.name());
}

/// The headers of a commit that made a version.
pub(crate) fn set_committed(headers: &mut HeaderMap, committed: &Committed) {
    set_etag(headers, &committed.etag);
    set_new_version_id(headers, committed.versioning, committed.version_id);
    if let Some(checksum) = &committed.checksum {
        set_checksum(headers, checksum, &committed.etag);
    }
}

/// The headers that GET and HEAD share, without those of length and range.
pub(crate) fn set_object(headers: &mut HeaderMap, found: &FoundVersion, version: &Version) {
    set_etag(headers, &version.etag);
    set(headers, header::LAST_MODIFIED, http_date(found.last_modified).as_str());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set_version_id(headers, found.bucket.versioning, found.version_id);
    if version.storage_class != StorageClassName::standard() {
        set(headers, HeaderName::from_static("x-amz-storage-class"), version.storage_class.as_str());
    }
    set_attributes(headers, &version.attributes);
    if !version.attributes.tags.is_empty() {
        let count = version.attributes.tags.len().to_string();
        set(headers, HeaderName::from_static("x-amz-tagging-count"), &count);
    }
    set_lock(headers, &version.attributes.lock);
}

fn set_lock(headers: &mut HeaderMap, lock: &VersionLock) {
    if let Some(Retention { mode, until }) = lock.retention {
        set(headers, HeaderName::from_static("x-amz-object-lock-mode"), mode.name());
        let name = HeaderName::from_static("x-amz-object-lock-retain-until-date");
        set(headers, name, xml_date(until).as_str());
    }
    if let Some(held) = lock.legal_hold {
        let status = if held { "ON" } else { "OFF" };
        set(headers, HeaderName::from_static("x-amz-object-lock-legal-hold"), status);
    }
}

fn set_attributes(headers: &mut HeaderMap, attributes: &Attributes) {
    let standard = [
        (header::CONTENT_TYPE, attributes.content_type.as_deref().or(Some("binary/octet-stream"))),
        (header::CACHE_CONTROL, attributes.cache_control.as_deref()),
        (header::CONTENT_DISPOSITION, attributes.content_disposition.as_deref()),
        (header::CONTENT_ENCODING, attributes.content_encoding.as_deref()),
        (header::CONTENT_LANGUAGE, attributes.content_language.as_deref()),
        (header::EXPIRES, attributes.expires.as_deref()),
        (
            HeaderName::from_static("x-amz-website-redirect-location"),
            attributes.website_redirect_location.as_deref(),
        ),
    ];
    for (name, value) in standard {
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            headers.insert(name, value);
        }
    }
    for (name, value) in &attributes.user_metadata {
        let name = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes());
        if let (Ok(name), Some(value)) = (name, metadata_value(value)) {
            headers.append(name, value);
        }
    }
}

/// A user metadata value as it was sent; one that is not ASCII is encoded as S3 does (RFC 2047). What is no UTF-8 is taken for Latin-1,
/// which header values were of old (RFC 9110, section 5.5).
fn metadata_value(value: &[u8]) -> Option<HeaderValue> {
    if value.is_ascii() {
        return HeaderValue::from_bytes(value).ok();
    }
    let value = match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().copied().map(char::from).collect()),
    };
    HeaderValue::from_str(&format!("=?UTF-8?B?{}?=", STANDARD.encode(value.as_bytes()))).ok()
}
