//! Parts that several answers have in common.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use types::{CHECKSUM_LENGTH_MAX, ChecksumAlgorithm, ChecksumType, ChecksumValue, RestoreState};

use super::Document;

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its canonical id.
    pub id: &'a str,
    /// Its name, which AWS no longer shows in most regions.
    pub display_name: Option<&'a str>,
}

impl Owner<'_> {
    pub(super) fn write(&self, element: &str, document: &mut Document) {
        document.open(element);
        document.element("ID", self.id);
        document.optional("DisplayName", self.display_name);
        document.close(element);
    }
}

/// The element for a checksum of this algorithm: `ChecksumCRC32` and so on.
pub(super) fn checksum_element(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
        ChecksumAlgorithm::Sha512 => "ChecksumSHA512",
        ChecksumAlgorithm::Md5 => "ChecksumMD5",
        ChecksumAlgorithm::Xxhash64 => "ChecksumXXHASH64",
        ChecksumAlgorithm::Xxhash3 => "ChecksumXXHASH3",
        ChecksumAlgorithm::Xxhash128 => "ChecksumXXHASH128",
    }
}

/// Writes a checksum's value, with `-N` behind that of N parts.
pub(super) fn write_checksum(value: &ChecksumValue, parts: Option<u16>, document: &mut Document) {
    let mut text = [0; CHECKSUM_LENGTH_MAX.div_ceil(3) * 4];
    let length = STANDARD.encode_slice(value.as_bytes(), &mut text).unwrap_or_default();
    let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
    let element = checksum_element(value.algorithm());
    match parts {
        Some(parts) => document.plain(element, format_args!("{text}-{parts}")),
        None => document.element(element, text),
    }
}

/// Writes which checksum an object has.
pub(super) fn write_checksum_kind(
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    document: &mut Document,
) {
    if let Some((algorithm, kind)) = checksum {
        document.element("ChecksumAlgorithm", algorithm.name());
        document.element("ChecksumType", kind.name());
    }
}

/// Writes the restore of an archived object; nothing without one. Source: API Reference, "RestoreStatus".
pub(super) fn write_restore_status(restore: Option<RestoreState>, document: &mut Document) {
    let expiry = match restore {
        None | Some(RestoreState::Over) => return,
        Some(RestoreState::Ongoing) => None,
        Some(RestoreState::Restored(until)) => Some(until),
    };
    document.open("RestoreStatus");
    document.boolean("IsRestoreInProgress", expiry.is_none());
    if let Some(expiry) = expiry {
        document.date("RestoreExpiryDate", expiry);
    }
    document.close("RestoreStatus");
}
