//! Versions and the commit order of a bucket.

use std::{fmt, str::FromStr};

use crate::hexadecimal;

/// A position in a bucket's commit order: gapless, ascending from 1, never compared across buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub i64);

/// The id of one version of a key.
///
/// On the wire it is `null` or 32 hexadecimal digits: the commit that created the version, then 64 random bits, so
/// that an id finds its row without an index of its own and still cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionId {
    /// The version that was written while the bucket was not versioned, or while versioning was suspended.
    Null,
    /// A version with an id of its own.
    Numbered {
        /// The commit that created the version.
        sequence: Sequence,
        /// Random bits that make the id unguessable.
        nonce: u64,
    },
}

/// The text is not a version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version id")]
pub struct ParseVersionIdError;

impl FromStr for VersionId {
    type Err = ParseVersionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let bytes: [u8; 16] = hexadecimal::parse(text).ok_or(ParseVersionIdError)?;
        let number = u128::from_be_bytes(bytes);
        let sequence = i64::try_from(number >> 64).map_err(|_| ParseVersionIdError)?;
        // Ids are printed in lower case; another spelling would be a second name for the same version.
        if sequence < 1 || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ParseVersionIdError);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
        Ok(Self::Numbered { sequence: Sequence(sequence), nonce: number as u64 })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Numbered { sequence, nonce } => write!(f, "{:016x}{nonce:016x}", sequence.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sequence, VersionId};

    #[test]
    fn version_ids_round_trip_through_text() {
        let id = VersionId::Numbered { sequence: Sequence(77), nonce: 0xfeed_0000_0000_0001 };
        for id in [VersionId::Null, id] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(id.to_string().len(), 32);
    }

    #[test]
    fn other_text_is_no_version_id() {
        let upper = "000000000000004DFEED000000000001";
        for text in [
            "",
            "NULL",
            "0",
            "zz",
            upper,
            "ffffffffffffffff0000000000000000",
            "00000000000000000000000000000000",
        ] {
            assert!(text.parse::<VersionId>().is_err(), "{text}");
        }
    }
}
