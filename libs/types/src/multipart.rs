//! Multipart uploads: upload ids and part numbers.

use std::{fmt, str::FromStr};

use crate::hexadecimal;

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

/// A multipart upload's id: 128 random bits, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub [u8; 16]);

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
