//! GetObjectAttributes: what is known of an object, as far as it is asked for. S3 API Reference, "GetObjectAttributes".

use http::{HeaderMap, HeaderName, StatusCode, header};
use metadata_api::{FoundVersion, Version};
use s3_wire::{
    ErrorCode, S3Error,
    date::http_date,
    header::{Outcome, ReadConditions},
    xml::{self, AttributePage, AttributeParts, ObjectAttributes},
};
use types::ChecksumType;

use super::object_read;
use crate::{
    Gateway,
    auth::Permit,
    encryption,
    output::{self, set, set_etag, set_version_id},
    request::{Request, Response},
};

/// Which attributes, separated by commas.
const ATTRIBUTES: HeaderName = HeaderName::from_static("x-amz-object-attributes");
const MAX_PARTS: HeaderName = HeaderName::from_static("x-amz-max-parts");
const PART_NUMBER_MARKER: HeaderName = HeaderName::from_static("x-amz-part-number-marker");

/// Most parts in one answer.
const PARTS_MAX: u32 = 1000;

/// Which attributes are asked for.
#[derive(Default)]
struct Wanted {
    etag: bool,
    checksum: bool,
    parts: bool,
    storage_class: bool,
    size: bool,
}

pub(super) async fn get_object_attributes(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let wanted = wanted(request)?;
    // One that is no number is passed over, as Amazon S3 does (versity/versitygw#1806).
    let limit = number(request, &MAX_PARTS).ok().flatten().unwrap_or(PARTS_MAX).min(PARTS_MAX);
    let marker = number(request, &PART_NUMBER_MARKER)?.unwrap_or(0);
    let (found, version) = object_read::find_asked_for(gateway, request).await?;
    let mut encrypted = HeaderMap::new();
    encryption::check(gateway, request, version.attributes.encryption.as_ref(), &mut encrypted).await?;
    let now = gateway.now();
    match ReadConditions::for_read(&request.headers).evaluate(&version.etag, found.last_modified, now) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            let mut response = output::empty(StatusCode::NOT_MODIFIED);
            set_etag(response.headers_mut(), &version.etag);
            set_headers(&mut response, &found);
            return Ok(response);
        }
        failed @ Outcome::PreconditionFailed(_) => {
            return Err(failed.error().unwrap_or_else(|| S3Error::new(ErrorCode::PreconditionFailed)));
        }
    }
    let answer = ObjectAttributes {
        etag: wanted.etag.then_some(&version.etag),
        checksum: version.checksum.as_ref().filter(|_| wanted.checksum),
        parts: (wanted.parts && !version.parts.is_empty()).then(|| parts(&version, marker, limit)),
        storage_class: wanted.storage_class.then(|| version.storage_class.as_str()),
        size: wanted.size.then_some(version.size),
    };
    let mut response = output::xml(xml::object_attributes(&answer));
    set_headers(&mut response, &found);
    response.headers_mut().extend(encrypted);
    Ok(response)
}

fn set_headers(response: &mut Response, found: &FoundVersion) {
    let headers = response.headers_mut();
    set(headers, header::LAST_MODIFIED, http_date(found.last_modified).as_str());
    set_version_id(headers, found.bucket.versioning, found.version_id);
}

fn wanted(request: &Request) -> Result<Wanted, S3Error> {
    let mut wanted = Wanted::default();
    let invalid = |value: &str| {
        S3Error::invalid_argument("Invalid attribute name specified.", ATTRIBUTES.as_str(), value)
    };
    let mut any = false;
    for value in request.headers.get_all(&ATTRIBUTES) {
        let value = value.to_str().map_err(|_| invalid("not text"))?;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            any = true;
            match name {
                "ETag" => wanted.etag = true,
                "Checksum" => wanted.checksum = true,
                "ObjectParts" => wanted.parts = true,
                "StorageClass" => wanted.storage_class = true,
                "ObjectSize" => wanted.size = true,
                other => return Err(invalid(other)),
            }
        }
    }
    if any {
        Ok(wanted)
    } else {
        Err(S3Error::invalid_request("The x-amz-object-attributes header is required."))
    }
}

fn number(request: &Request, name: &HeaderName) -> Result<Option<u32>, S3Error> {
    let Some(value) = request.headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let number = text.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok());
    let message = "The value must be an integer between 0 and 2147483647";
    number.map(Some).ok_or_else(|| S3Error::invalid_argument(message, name.as_str(), text))
}

/// The parts, and of those whose checksums the object's is composed of, them that are behind `marker`, by their places in the object, as
/// `partNumber` has them.
fn parts(version: &Version, marker: u32, limit: u32) -> AttributeParts<'_> {
    let count = version.parts.len();
    let is_composite = version.checksum.as_ref().is_some_and(|sum| sum.kind == ChecksumType::Composite);
    let begin = usize::try_from(marker).map_or(count, |marker| marker.min(count));
    let end = begin.saturating_add(limit as usize).min(count);
    let page = is_composite.then(|| AttributePage {
        marker,
        limit,
        truncated: end < count,
        first: begin + 1,
        parts: &version.parts[begin..end],
        last: if end > begin { end } else { 0 },
    });
    AttributeParts { count, page }
}
