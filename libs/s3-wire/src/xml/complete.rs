//! The body of CompleteMultipartUpload.

use types::{ChecksumAlgorithm, ChecksumValue, ETag, PART_NUMBER_MAX, PartNumber};

use super::read::{XmlReader, set};
use crate::{
    error::{ErrorCode, S3Error},
    header::{checksum_value, entity_tag},
};

/// Most parts in one request. Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
pub const PARTS_MAX: usize = PART_NUMBER_MAX as usize;

/// Largest body in bytes: ten thousand parts, each with an entity tag, a SHA-256 and markup.
pub const COMPLETE_BODY_MAX: usize = 4 << 20;

/// One part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its entity tag. Text that is none became a tag that no part has.
    pub etag: ETag,
    /// Its checksum, if the client repeats it.
    pub checksum: Option<ChecksumValue>,
}

/// Reads the body: 1 to 10,000 parts in the order of the request.
///
/// `MalformedXML` for anything else, `InvalidArgument` for a number that no part can have and for a checksum that is not base64 of its
/// length or a second one, `NotImplemented` for a checksum that is not built.
pub fn parse_complete(body: &[u8]) -> Result<Vec<CompletedPart>, S3Error> {
    let mut reader = XmlReader::open(body, COMPLETE_BODY_MAX, "CompleteMultipartUpload")?;
    let mut parts = Vec::new();
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Part" if parts.len() < PARTS_MAX => parts.push(part(&mut reader)?),
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    if parts.is_empty() { Err(S3Error::malformed_xml()) } else { Ok(parts) }
}

/// Checks that part numbers ascend strictly; `InvalidPartOrder` otherwise.
pub fn check_part_order(parts: &[CompletedPart]) -> Result<(), S3Error> {
    if parts.is_sorted_by(|a, b| a.number < b.number) {
        Ok(())
    } else {
        Err(S3Error::new(ErrorCode::InvalidPartOrder))
    }
}

fn part(reader: &mut XmlReader<'_>) -> Result<CompletedPart, S3Error> {
    let (mut number, mut etag, mut checksums) = (None, None, Vec::new());
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "PartNumber" => set(&mut number, part_number(&reader.word()?)?)?,
            "ETag" => set(&mut etag, entity_tag(&reader.word()?))?,
            _ if checksums.len() < ChecksumAlgorithm::ALL.len() => {
                checksums.push((checksum_algorithm(&name)?, reader.word()?));
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    let (Some(number), Some(etag)) = (number, etag) else { return Err(S3Error::malformed_xml()) };
    Ok(CompletedPart { number, etag, checksum: only_checksum(&checksums)? })
}

fn only_checksum(found: &[(ChecksumAlgorithm, String)]) -> Result<Option<ChecksumValue>, S3Error> {
    let value = match found {
        [] => return Ok(None),
        [(algorithm, text)] => checksum_value(*algorithm, text).ok(),
        _ => None,
    };
    value.map(Some).ok_or_else(|| {
        let all: String =
            found.iter().map(|(algorithm, text)| format!("{}:{text};", algorithm.name())).collect();
        S3Error::invalid_argument("Invalid Base64 or multiple checksums present in request", "Checksum", &all)
    })
}

fn part_number(text: &str) -> Result<PartNumber, S3Error> {
    let number: i64 = text.parse().map_err(|_| S3Error::malformed_xml())?;
    let number = u16::try_from(number).ok().and_then(|number| PartNumber::new(number).ok());
    number.ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        S3Error::invalid_argument(message, "partNumber", text)
    })
}

/// The algorithm of an element such as `ChecksumCRC32`.
fn checksum_algorithm(element: &str) -> Result<ChecksumAlgorithm, S3Error> {
    let name = element.strip_prefix("Checksum").ok_or_else(S3Error::malformed_xml)?;
    let found = ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    found.ok_or_else(|| S3Error::field_not_implemented(element))
}
