//! Buckets: names, identifiers, versioning state.

use std::{fmt, sync::Arc};

/// A bucket's name: 3 to 63 characters of `a-z`, `0-9`, `.` and `-`.
///
/// Source: Amazon S3 User Guide, "General purpose bucket naming rules".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Arc<str>);

/// The text is not a bucket name; the message says which rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketNameError {
    /// Shorter than 3 or longer than 63 bytes.
    #[error("a bucket name has 3 to 63 characters")]
    Length,
    /// A character outside `a-z 0-9 . -`.
    #[error("a bucket name holds only lower-case letters, digits, dots and hyphens")]
    Character,
    /// Does not begin and end with a letter or digit.
    #[error("a bucket name begins and ends with a letter or digit")]
    Edge,
    /// Two dots in a row, or a hyphen beside a dot.
    #[error("a bucket name holds no two adjacent dots")]
    AdjacentDots,
    /// Shaped like an IPv4 address.
    #[error("a bucket name is not formatted as an IP address")]
    IpAddress,
    /// A prefix or suffix that S3 reserves.
    #[error("this prefix or suffix of a bucket name is reserved")]
    Reserved,
}

impl BucketName {
    /// Checks the naming rules and keeps the name.
    pub fn new(name: &str) -> Result<Self, BucketNameError> {
        const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
        const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
        let bytes = name.as_bytes();
        if !(3..=63).contains(&bytes.len()) {
            return Err(BucketNameError::Length);
        }
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if !bytes.iter().all(|&b| alphanumeric(b) || b == b'.' || b == b'-') {
            return Err(BucketNameError::Character);
        }
        if !alphanumeric(bytes[0]) || !alphanumeric(bytes[bytes.len() - 1]) {
            return Err(BucketNameError::Edge);
        }
        if name.contains("..") {
            return Err(BucketNameError::AdjacentDots);
        }
        if name.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err(BucketNameError::IpAddress);
        }
        if RESERVED_PREFIXES.iter().any(|p| name.starts_with(p))
            || RESERVED_SUFFIXES.iter().any(|s| name.ends_with(s))
        {
            return Err(BucketNameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The number that a bucket keeps for life. Never reused: a bucket that is deleted and created again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub i64);

/// Versioning state of a bucket. Once enabled it can be suspended, never taken back.
///
/// Persisted: the discriminants are stored and sent; never change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Versioning {
    /// Never enabled: a key has at most one version, whose id is `null`.
    Unversioned = 0,
    /// Every write adds a version with an id of its own.
    Enabled = 1,
    /// Writes replace the `null` version; versions with ids stay.
    Suspended = 2,
}

impl Versioning {
    /// The state of a stored number, if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Unversioned),
            1 => Some(Self::Enabled),
            2 => Some(Self::Suspended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketName, BucketNameError};

    #[test]
    fn names_follow_the_rules_of_s3() {
        for name in ["abc", "a-b.c", "0ab", "my.bucket-1", &"a".repeat(63)] {
            assert!(BucketName::new(name).is_ok(), "{name}");
        }
        for (name, error) in [
            ("ab", BucketNameError::Length),
            (&"a".repeat(64), BucketNameError::Length),
            ("Abc", BucketNameError::Character),
            ("a_bc", BucketNameError::Character),
            ("a/c", BucketNameError::Character),
            ("-abc", BucketNameError::Edge),
            ("abc.", BucketNameError::Edge),
            ("a..b", BucketNameError::AdjacentDots),
            ("192.168.5.4", BucketNameError::IpAddress),
            ("xn--abc", BucketNameError::Reserved),
            ("abc-s3alias", BucketNameError::Reserved),
        ] {
            assert_eq!(BucketName::new(name), Err(error), "{name}");
        }
    }
}
