//! What GetObject and HeadObject share: which version, whether its conditions hold, which bytes, which headers.

use checksum::format_checksum;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use metadata_api::{Error as MetadataError, FoundVersion, GetVersion, Version, VersionState};
use s3_wire::{
    ErrorCode, S3Error,
    date::http_date,
    header::{Outcome, ReadConditions, checksum_mode_enabled, if_range, range},
    lifecycle::Current,
    query::invalid_version_id,
};
use types::{ByteRange, Checksum, ChecksumType, Content, ETag, PartNumber, Sequence, Timestamp, VersionId};

use crate::{
    Gateway,
    archive::{NOT_READABLE, check_readable, set_restore},
    encryption::{self, Opening},
    lifecycle::set_expiration,
    output::{self, set, set_checksum, set_object, set_version_id},
    request::{Request, Response},
};

/// `response-...` parameters and the headers that they override. Source: API Reference, "GetObject".
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-type", header::CONTENT_TYPE),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-expires", header::EXPIRES),
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
];

/// An object that is about to be answered with.
pub(super) struct ObjectRead {
    /// The answer without its body: status and headers.
    pub(super) response: Response,
    /// Where the bytes are.
    pub(super) content: Content,
    /// How they are opened, when they are encrypted and read.
    pub(super) opening: Option<Opening>,
    /// Which of them; `None` when the answer has no body (304).
    pub(super) bytes: Option<ByteRange>,
    /// The version that they are of.
    pub(super) version: ReadVersion,
}

/// A version that is read, to be found again.
pub(super) struct ReadVersion {
    pub(super) wanted: GetVersion,
    pub(super) sequence: Sequence,
    pub(super) etag: ETag,
    pub(super) size: u64,
}

impl ReadVersion {
    fn new(request: &Request, found: &FoundVersion, version: &Version) -> Result<Self, S3Error> {
        let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
        let wanted = GetVersion { bucket, key, version_id: Some(found.version_id), with_content: true };
        Ok(Self { wanted, sequence: found.sequence, etag: version.etag, size: version.size })
    }
}

/// Resolves a GET, with its content, or a HEAD up to its body.
pub(super) async fn read(
    gateway: &Gateway,
    request: &Request,
    with_content: bool,
) -> Result<ObjectRead, S3Error> {
    let query = request.query()?;
    let version_id = version_id(query.version_id()?)?;
    let part = query.get("partNumber").map(part_number).transpose()?;
    let shows_checksum = checksum_mode_enabled(&request.headers)?;
    if part.is_some() && request.headers.contains_key(header::RANGE) {
        return Err(S3Error::invalid_request(
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    let (found, mut version) = find(gateway, request, version_id, with_content).await?;
    if with_content {
        // Before conditions, which are for what could be answered without them. RFC 9110, section 13.2.1.
        check_readable(gateway, &version, NOT_READABLE)?;
    }
    let mut encrypted = HeaderMap::new();
    let data_key =
        encryption::check(gateway, request, version.attributes.encryption.as_ref(), &mut encrypted).await?;

    let now = gateway.now();
    match ReadConditions::for_read(&request.headers).evaluate(&version.etag, found.last_modified, now) {
        Outcome::Proceed => {}
        Outcome::NotModified => return not_modified(request, &found, &version, encrypted),
        failed @ Outcome::PreconditionFailed(_) => {
            return Err(failed.error().unwrap_or_else(|| S3Error::new(ErrorCode::PreconditionFailed)));
        }
    }

    let mut response = output::empty(StatusCode::OK);
    let headers = response.headers_mut();
    set_object(headers, &found, &version);
    set_restore(gateway, &version, headers);
    headers.extend(encrypted);
    for (parameter, name) in OVERRIDES {
        if let Some(value) = query.get(parameter) {
            // Anybody could make others believe that the bucket's owner says so. API Reference, "GetObject".
            if request.authenticated.account().is_none() {
                return Err(S3Error::invalid_request(
                    "Request specific response headers cannot be used for anonymous GET requests.",
                ));
            }
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| S3Error::invalid_argument("Invalid header value", parameter, value))?;
            headers.insert(name, value);
        }
    }
    if found.is_current {
        let (key, tags) = (request.key()?.as_str(), &version.attributes.tags);
        let object = Current { key, size: version.size, tags, last_modified: found.last_modified };
        set_expiration(gateway, &found.bucket, object, headers).await;
    }
    let (bytes, partial) = select(request, &found, &version, (part, shows_checksum), headers)?;
    set(headers, header::CONTENT_LENGTH, &bytes.length().to_string());
    if partial {
        set_content_range(headers, bytes, version.size);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let opening = if with_content { encryption::open(gateway, &version, data_key).await? } else { None };
    let content = std::mem::replace(&mut version.content, Content::Inline(bytes::Bytes::new()));
    let version = ReadVersion::new(request, &found, &version)?;
    Ok(ObjectRead { response, content, opening, bytes: Some(bytes), version })
}

/// The version that the request names, or the current one, without its content.
pub(super) async fn find_asked_for(
    gateway: &Gateway,
    request: &Request,
) -> Result<(FoundVersion, Box<Version>), S3Error> {
    let version_id = version_id(request.query()?.version_id()?)?;
    find(gateway, request, version_id, false).await
}

/// Refuses a change of a version that is not there before its document is sent, where the sender waits to be told to go on.
pub(super) async fn check_before_body(gateway: &Gateway, request: &Request) -> Result<(), S3Error> {
    match request.headers.contains_key(header::EXPECT) {
        true => find_asked_for(gateway, request).await.map(drop),
        false => Ok(()),
    }
}

/// The version that a read is about; a delete marker is answered as S3 does.
async fn find(
    gateway: &Gateway,
    request: &Request,
    version_id: Option<VersionId>,
    with_content: bool,
) -> Result<(FoundVersion, Box<Version>), S3Error> {
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let wanted = GetVersion { bucket, key, version_id, with_content };
    let found = match request.target.take_version() {
        Some(found) => found,
        None => gateway.metadata.get_version(wanted).await,
    };
    let mut found = found.map_err(|error| missing(request, version_id, error))?;
    request.check_owner(&found.bucket, "x-amz-expected-bucket-owner")?;
    match std::mem::replace(&mut found.state, VersionState::DeleteMarker) {
        VersionState::Object(version) => Ok((found, version)),
        VersionState::DeleteMarker => Err(delete_marker(request, &found, tells_of_marker(request)?)),
    }
}

fn missing(request: &Request, version_id: Option<VersionId>, error: MetadataError) -> S3Error {
    let error = request.metadata_error(error);
    match version_id {
        Some(version_id) if error.code == ErrorCode::NoSuchVersion => {
            error.field("VersionId", version_id.to_string())
        }
        _ => error,
    }
}

/// Whether a delete marker is answered with as what it is, and not as no object: where it is named, and also where it is current, when
/// its tags are asked for or set, or a list is set. Source: localstack/localstack, the answers of Amazon S3 recorded for
/// `test_object_tagging_versioned` and `test_put_object_acl_on_delete_marker`.
fn tells_of_marker(request: &Request) -> Result<bool, S3Error> {
    let query = request.query()?;
    Ok(query.has("versionId") || query.has("tagging") || query.has("acl") && request.method == Method::PUT)
}

fn delete_marker(request: &Request, found: &FoundVersion, is_told: bool) -> S3Error {
    let error = if is_told {
        S3Error::method_not_allowed(&request.method, "DeleteMarker", "DELETE")
            .header(header::LAST_MODIFIED, date_value(found.last_modified))
    } else {
        S3Error::no_such_key(request.address.key.as_ref().map_or("", |key| key.as_str()))
    };
    let mut headers = HeaderMap::new();
    set_version_id(&mut headers, found.bucket.versioning, found.version_id);
    let error =
        error.header(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    headers.into_iter().fold(error, |error, (name, value)| match name {
        Some(name) => error.header(name, value),
        None => error,
    })
}

fn date_value(time: Timestamp) -> HeaderValue {
    HeaderValue::from_bytes(http_date(time).as_bytes()).unwrap_or(HeaderValue::from_static(""))
}

fn not_modified(
    request: &Request,
    found: &FoundVersion,
    version: &Version,
    encrypted: HeaderMap,
) -> Result<ObjectRead, S3Error> {
    let mut response = output::empty(StatusCode::NOT_MODIFIED);
    set_object(response.headers_mut(), found, version);
    response.headers_mut().extend(encrypted);
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
        response.headers_mut().remove(name);
    }
    let version = ReadVersion::new(request, found, version)?;
    let content = Content::Inline(bytes::Bytes::new());
    Ok(ObjectRead { response, content, opening: None, bytes: None, version })
}

/// The bytes asked for, and whether they were asked for as a part; sets the headers that depend on the choice.
fn select(
    request: &Request,
    found: &FoundVersion,
    version: &Version,
    (part, shows_checksum): (Option<PartNumber>, bool),
    headers: &mut HeaderMap,
) -> Result<(ByteRange, bool), S3Error> {
    let whole = ByteRange::new(0, version.size).ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
    if let Some(part) = part {
        let bytes = select_part(version, part, shows_checksum, headers)?;
        // No part of nothing has a place that a `Content-Range` could tell. RFC 9110, section 14.4.
        return Ok((bytes, bytes.length() > 0));
    }
    let applies = if_range(&request.headers, &version.etag, found.last_modified);
    let spec = range(&request.headers).filter(|_| applies);
    let ranged = match spec.filter(|spec| !spec.is_whole(version.size)) {
        Some(spec) => Some(spec.resolve(version.size, request.header(&header::RANGE).unwrap_or_default())?),
        None => None,
    };
    let bytes = ranged.unwrap_or(whole);
    // A checksum covers the whole object, so it is shown with all of its bytes only.
    if bytes == whole
        && shows_checksum
        && let Some(checksum) = &version.checksum
    {
        set_checksum(headers, checksum, &version.etag);
    }
    Ok((bytes, ranged.is_some()))
}

/// A part, by its place in the object, from 1: whoever reads parts up to `x-amz-mp-parts-count` gets them all, whatever
/// numbers they were uploaded by. An object that was written whole is its own first part.
fn select_part(
    version: &Version,
    part: PartNumber,
    shows_checksum: bool,
    headers: &mut HeaderMap,
) -> Result<ByteRange, S3Error> {
    let count = version.parts.len().max(1);
    let invalid = || {
        S3Error::new(ErrorCode::InvalidPartNumber)
            .field("PartNumberRequested", part.get().to_string())
            .field("ActualPartCount", count.to_string())
    };
    let checksum = version.checksum.as_ref().filter(|_| shows_checksum);
    if version.parts.is_empty() {
        let whole = ByteRange::new(0, version.size).filter(|_| part.get() == 1).ok_or_else(invalid)?;
        if let Some(checksum) = checksum {
            set_checksum(headers, checksum, &version.etag);
        }
        return Ok(whole);
    }
    set(headers, HeaderName::from_static("x-amz-mp-parts-count"), &version.parts.len().to_string());
    let index = usize::from(part.get()) - 1;
    let selected = version.parts.get(index).ok_or_else(invalid)?;
    let start: u64 = version.parts[..index].iter().map(|part| part.size).sum();
    let bytes = ByteRange::new(start, start + selected.size).ok_or_else(invalid)?;
    // S3 has a checksum of each part only where the object's is composed of them, and else that of an only part.
    if let Some(Checksum { kind, .. }) = checksum
        && (*kind == ChecksumType::Composite || version.parts.len() == 1)
        && let Some(value) = &selected.checksum
    {
        let name = HeaderName::from_static(value.algorithm().header_name());
        set(headers, name, &format_checksum(value));
        set(headers, HeaderName::from_static("x-amz-checksum-type"), kind.name());
    }
    Ok(bytes)
}

fn set_content_range(headers: &mut HeaderMap, bytes: ByteRange, size: u64) {
    let text = format!("bytes {}-{}/{size}", bytes.start(), bytes.end().saturating_sub(1));
    set(headers, header::CONTENT_RANGE, &text);
}

/// The `partNumber` parameter.
pub(super) fn part_number(text: &str) -> Result<PartNumber, S3Error> {
    text.parse().ok().and_then(|number| PartNumber::new(number).ok()).ok_or_else(|| {
        S3Error::invalid_argument(
            "Part number must be an integer between 1 and 10000, inclusive",
            "partNumber",
            text,
        )
    })
}

/// The `versionId` parameter. An id that no version can have is an invalid argument, as AWS answers.
pub(super) fn version_id(text: Option<&str>) -> Result<Option<VersionId>, S3Error> {
    text.map(|text| text.parse().map_err(|_| invalid_version_id(text))).transpose()
}
