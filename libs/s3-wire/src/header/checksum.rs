//! Checksums that clients send, announce or ask for.
//!
//! Source: Amazon S3 User Guide, "Checking object integrity for data uploads in Amazon S3".

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use types::{ChecksumAlgorithm, ChecksumType, ChecksumValue};

use super::text;
use crate::error::{ErrorCode, S3Error};

/// The checksum that an upload carries or announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestChecksum {
    /// In a header, to be compared with the body's.
    Header(ChecksumValue),
    /// To come in the body's trailer.
    Trailer(ChecksumAlgorithm),
}

impl RequestChecksum {
    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Header(value) => value.algorithm(),
            Self::Trailer(algorithm) => *algorithm,
        }
    }
}

const PREFIX: &str = "x-amz-checksum-";
/// Headers that begin like a checksum and are none.
const NOT_VALUES: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"];
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

/// The checksum of a body: PutObject, UploadPart, DeleteObjects and every PUT of a configuration.
///
/// An unknown `x-amz-sdk-checksum-algorithm` is ignored. Errors: `InvalidRequest` for two checksums, for a value that
/// is not base64 of the right length, for an algorithm that is not the value's, or that is named without any, for a trailer that is no
/// checksum; `NotImplemented` for a checksum by an algorithm that is not built.
pub fn request_checksum(headers: &HeaderMap) -> Result<Option<RequestChecksum>, S3Error> {
    let named = text(headers, SDK_ALGORITHM)?.and_then(ChecksumAlgorithm::from_name);
    let found = match (value_in_header(headers)?, announced(headers)?) {
        (Some(_), Some(_)) => return Err(only_one()),
        (Some((algorithm, text)), None) => Some(RequestChecksum::Header(value(algorithm, text)?)),
        (None, Some(algorithm)) => Some(RequestChecksum::Trailer(algorithm)),
        // API Reference, "PutObject" and "UploadPart", the header of this name.
        (None, None) if named.is_some() => {
            return Err(S3Error::invalid_request(format!(
                "{SDK_ALGORITHM} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
            )));
        }
        (None, None) => None,
    };
    match (found, named) {
        (Some(found), Some(named)) if found.algorithm() != named => {
            Err(S3Error::invalid_request(format!("Value for {SDK_ALGORITHM} header is invalid.")))
        }
        _ => Ok(found),
    }
}

/// A checksum of a whole multipart object as CompleteMultipartUpload sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectChecksum {
    /// Algorithm and value.
    pub value: ChecksumValue,
    /// The number of parts behind a composite value, when the client wrote one.
    pub parts: Option<u16>,
}

/// The checksum of the object in a CompleteMultipartUpload: base64, for a composite one with `-N` behind it or not.
/// Errors as [`request_checksum`].
pub fn object_checksum(headers: &HeaderMap) -> Result<Option<ObjectChecksum>, S3Error> {
    let Some((algorithm, text)) = value_in_header(headers)? else { return Ok(None) };
    let (text, parts) = match text.rsplit_once('-') {
        Some((text, parts)) => (text, Some(parts.parse().map_err(|_| invalid_value(algorithm))?)),
        None => (text, None),
    };
    Ok(Some(ObjectChecksum { value: value(algorithm, text)?, parts }))
}

/// The algorithm and type that a CreateMultipartUpload names: `x-amz-checksum-algorithm`, `x-amz-checksum-type`.
/// `None` when it names no algorithm.
///
/// Without a type, CRC-64/NVME means the full object and every other algorithm means composite. `InvalidRequest` for
/// an unknown algorithm or type, for a type without algorithm, and for a pair that S3 does not have.
/// Source: User Guide, "Full object and composite checksum types".
pub fn multipart_checksum(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, ChecksumType)>, S3Error> {
    let kind = text(headers, "x-amz-checksum-type")?;
    let Some(name) = text(headers, "x-amz-checksum-algorithm")? else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(S3Error::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    let algorithm = algorithm_by_name(name)?;
    let is_crc64 = algorithm == ChecksumAlgorithm::Crc64nvme;
    match kind {
        None if is_crc64 => Ok(Some((algorithm, ChecksumType::FullObject))),
        None => Ok(Some((algorithm, ChecksumType::Composite))),
        Some("FULL_OBJECT") if algorithm.is_crc() => Ok(Some((algorithm, ChecksumType::FullObject))),
        Some("COMPOSITE") if !is_crc64 => Ok(Some((algorithm, ChecksumType::Composite))),
        Some(kind @ ("FULL_OBJECT" | "COMPOSITE")) => {
            let name = algorithm.name().to_ascii_lowercase();
            let message =
                format!("The {kind} checksum type cannot be used with the {name} checksum algorithm.");
            Err(S3Error::invalid_request(message))
        }
        Some(_) => Err(S3Error::invalid_request("Value for x-amz-checksum-type header is invalid.")),
    }
}

/// The algorithm that `x-amz-checksum-algorithm` names; `InvalidRequest` for none of S3's.
pub fn algorithm_by_name(name: &str) -> Result<ChecksumAlgorithm, S3Error> {
    ChecksumAlgorithm::from_name(name).ok_or_else(|| {
        let names = ChecksumAlgorithm::ALL.map(ChecksumAlgorithm::name).join(", ");
        S3Error::invalid_request(format!(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [{names}]",
        ))
    })
}

/// Whether a GET or HEAD asks for checksums: `x-amz-checksum-mode: ENABLED`; `InvalidRequest` for another value.
pub fn checksum_mode_enabled(headers: &HeaderMap) -> Result<bool, S3Error> {
    match headers.get("x-amz-checksum-mode") {
        None => Ok(false),
        Some(mode) if mode.as_bytes().eq_ignore_ascii_case(b"ENABLED") => Ok(true),
        Some(_) => Err(S3Error::invalid_request("Value for x-amz-checksum-mode header is invalid.")),
    }
}

/// The raw MD5 in `Content-MD5`; `InvalidDigest` unless it is base64 of 16 bytes.
pub fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    let invalid = || {
        let shown = String::from_utf8_lossy(value.as_bytes());
        S3Error::with_message(ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.")
            .field("Content-MD5", shown)
    };
    let digest = STANDARD.decode(value.as_bytes()).map_err(|_| invalid())?;
    digest.try_into().map(Some).map_err(|_| invalid())
}

/// The length of an aws-chunked body's content, in bytes: `x-amz-decoded-content-length`.
pub fn decoded_content_length(headers: &HeaderMap) -> Result<Option<u64>, S3Error> {
    length(headers, "x-amz-decoded-content-length")
}

/// The size that the client expects a completed object to have, in bytes: `x-amz-mp-object-size`.
pub fn mp_object_size(headers: &HeaderMap) -> Result<Option<u64>, S3Error> {
    length(headers, "x-amz-mp-object-size")
}

fn length(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, S3Error> {
    let Some(value) = text(headers, name)? else { return Ok(None) };
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number.map(Some).ok_or_else(|| S3Error::invalid_argument("The length is not a number", name, value))
}

/// The one checksum among the headers.
fn value_in_header(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, &str)>, S3Error> {
    let mut found = None;
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with(PREFIX) || NOT_VALUES.contains(&name) {
            continue;
        }
        let algorithm = algorithm_of(name).ok_or_else(|| S3Error::header_not_implemented(name))?;
        let value = value.to_str().map_err(|_| invalid_value(algorithm))?;
        if found.replace((algorithm, value)).is_some() {
            return Err(only_one());
        }
    }
    Ok(found)
}

/// The checksum that `x-amz-trailer` announces.
fn announced(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let mut found = None;
    for value in headers.get_all("x-amz-trailer") {
        for name in value.to_str().unwrap_or("?").split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            let algorithm = algorithm_of(&name).ok_or_else(|| not_a_trailer(&name))?;
            if found.replace(algorithm).is_some() {
                return Err(only_one());
            }
        }
    }
    Ok(found)
}

fn algorithm_of(header: &str) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.header_name() == header)
}

fn not_a_trailer(name: &str) -> S3Error {
    if name.starts_with(PREFIX) {
        return S3Error::header_not_implemented(name);
    }
    S3Error::invalid_request("The value specified in the x-amz-trailer header is not supported")
}

/// A value from its base64 text.
pub(crate) fn value(algorithm: ChecksumAlgorithm, text: &str) -> Result<ChecksumValue, S3Error> {
    let bytes = STANDARD.decode(text.trim()).ok();
    bytes.and_then(|bytes| ChecksumValue::new(algorithm, &bytes)).ok_or_else(|| invalid_value(algorithm))
}

fn invalid_value(algorithm: ChecksumAlgorithm) -> S3Error {
    S3Error::invalid_request(format!("Value for {} header is invalid.", algorithm.header_name()))
}

fn only_one() -> S3Error {
    S3Error::invalid_request(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    )
}
