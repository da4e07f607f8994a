//! Checksums and ETags as values; `libs/checksum` computes them.

use std::{fmt, str::FromStr};

use crate::hexadecimal;

/// The longest value in bytes: a SHA-512.
pub const CHECKSUM_LENGTH_MAX: usize = 64;

/// A checksum algorithm of the S3 API. Source: API Reference, "Checksum" data type.
///
/// Persisted: the discriminants are stored and sent; never change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO HDLC), 4 bytes.
    Crc32 = 1,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c = 2,
    /// CRC-64/NVME, 8 bytes.
    Crc64nvme = 3,
    /// SHA-1, 20 bytes.
    Sha1 = 4,
    /// SHA-256, 32 bytes.
    Sha256 = 5,
    /// SHA-512, 64 bytes.
    Sha512 = 6,
    /// MD5, 16 bytes.
    Md5 = 7,
    /// XXH64 with seed 0, 8 bytes.
    Xxhash64 = 8,
    /// XXH3 of 64 bits with seed 0, 8 bytes.
    Xxhash3 = 9,
    /// XXH3 of 128 bits with seed 0, 16 bytes.
    Xxhash128 = 10,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64nvme,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Md5,
        Self::Xxhash64,
        Self::Xxhash3,
        Self::Xxhash128,
    ];

    /// The algorithm of a stored number, if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|a| *a as u8 == number)
    }

    /// S3's name: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Md5 => "MD5",
            Self::Xxhash64 => "XXHASH64",
            Self::Xxhash3 => "XXHASH3",
            Self::Xxhash128 => "XXHASH128",
        }
    }

    /// The algorithm with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// The header that carries a value: `x-amz-checksum-crc32` and so on.
    pub fn header_name(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
            Self::Md5 => "x-amz-checksum-md5",
            Self::Xxhash64 => "x-amz-checksum-xxhash64",
            Self::Xxhash3 => "x-amz-checksum-xxhash3",
            Self::Xxhash128 => "x-amz-checksum-xxhash128",
        }
    }

    /// Length of a value in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme | Self::Xxhash64 | Self::Xxhash3 => 8,
            Self::Md5 | Self::Xxhash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Whether the checksum of the whole object can be made from those of its parts: CRCs alone.
    pub fn is_crc(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64nvme)
    }
}

/// What a multipart object's checksum covers.
///
/// Persisted: the discriminants are stored and sent; never change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChecksumType {
    /// The bytes of the whole object.
    FullObject = 1,
    /// The checksums of its parts, one after the other; shown with `-N` behind it.
    Composite = 2,
}

impl ChecksumType {
    /// The type of a stored number, if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::FullObject),
            2 => Some(Self::Composite),
            _ => None,
        }
    }

    /// S3's name: `FULL_OBJECT` or `COMPOSITE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// A checksum's algorithm and value, big-endian for CRCs and XXH; the value has the algorithm's length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChecksumValue {
    algorithm: ChecksumAlgorithm,
    bytes: [u8; CHECKSUM_LENGTH_MAX],
}

impl ChecksumValue {
    /// Keeps a value whose length is the algorithm's; `None` for any other length.
    pub fn new(algorithm: ChecksumAlgorithm, value: &[u8]) -> Option<Self> {
        if value.len() != algorithm.length() {
            return None;
        }
        let mut bytes = [0; CHECKSUM_LENGTH_MAX];
        bytes[..value.len()].copy_from_slice(value);
        Some(Self { algorithm, bytes })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The value's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.length()]
    }
}

impl fmt::Debug for ChecksumValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm.name())?;
        hexadecimal::write(self.as_bytes(), f)
    }
}

/// An object's checksum as S3 reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// Algorithm and value.
    pub value: ChecksumValue,
    /// What it covers.
    pub kind: ChecksumType,
}

/// An entity tag: 16 bytes shown as 32 hexadecimal digits, and the number of parts of a multipart object.
///
/// The MD5 of the bytes for an object written whole; the MD5 of the parts' MD5s with `-N` for a multipart one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ETag {
    /// The digest.
    pub digest: [u8; 16],
    /// Number of parts, for a multipart object.
    pub parts: Option<u16>,
}

/// The text is not one of our entity tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an entity tag")]
pub struct ParseETagError;

impl FromStr for ETag {
    type Err = ParseETagError;

    /// Accepts the tag with or without its quotes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
        let (digits, parts) = match text.split_once('-') {
            None => (text, None),
            Some((digits, parts)) => {
                let number: u16 = parts.parse().map_err(|_| ParseETagError)?;
                (digits, Some(number))
            }
        };
        Ok(Self { digest: hexadecimal::parse(digits).ok_or(ParseETagError)?, parts })
    }
}

impl fmt::Display for ETag {
    /// Without quotes; headers and XML add them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal::write(&self.digest, f)?;
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn etags_round_trip_with_and_without_quotes() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-12"] {
            let tag: ETag = text.parse().expect("a valid tag");
            assert_eq!(tag.to_string(), text);
            assert_eq!(format!("\"{text}\"").parse(), Ok(tag));
        }
        for text in ["", "x", "d41d8cd98f00b204e9800998ecf8427e-", "d41d8cd98f00b204e9800998ecf8427"] {
            assert!(text.parse::<ETag>().is_err(), "{text}");
        }
    }
}
