//! Multipart uploads: upload ids and part numbers.

use std::{fmt, str::FromStr};

use crate::{Timestamp, hexadecimal};

/// Highest part number. Source: Amazon S3 User Guide, "Amazon S3 multipart upload limits".
pub const PART_NUMBER_MAX: u16 = 10_000;

/// A part's number: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

/// The number is not a part number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part number is between 1 and {PART_NUMBER_MAX}")]
pub struct PartNumberError;

impl PartNumber {
    /// Checks the bounds and keeps the number.
    pub fn new(number: u16) -> Result<Self, PartNumberError> {
        if (1..=PART_NUMBER_MAX).contains(&number) { Ok(Self(number)) } else { Err(PartNumberError) }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A multipart upload's id, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub [u8; 16]);

impl UploadId {
    /// A new upload's id: 48 bits of the milliseconds since 1970 at which it was opened, then random bits.
    ///
    /// A listing shows a key's uploads in the order in which they were opened (API Reference, "ListMultipartUploads"),
    /// which is so the order of their ids.
    pub fn new(opened: Timestamp, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&opened.0.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        Self(bytes)
    }
}

/// The text is not an upload id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an upload id")]
pub struct ParseUploadIdError;

impl FromStr for UploadId {
    type Err = ParseUploadIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseUploadIdError);
        }
        hexadecimal::parse(text).map(Self).ok_or(ParseUploadIdError)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal::write(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::UploadId;
    use crate::Timestamp;

    #[test]
    fn upload_ids_sort_by_age() {
        let times = [0, 1, 255, 256, 1_795_000_000_000, 1_795_000_000_001, (1 << 48) - 1];
        let ids = times.map(|time| UploadId::new(Timestamp(time), [0xff; 10]));
        assert!(ids.is_sorted_by(|a, b| a < b && a.to_string() < b.to_string()));
        assert_ne!(UploadId::new(Timestamp(1), [0; 10]), UploadId::new(Timestamp(1), [1; 10]));
    }
}
