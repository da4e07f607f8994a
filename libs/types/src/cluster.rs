//! Nodes, disks, failure domains, placement groups and storage classes.

use std::{fmt, str::FromStr};

use crate::hexadecimal;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hexadecimal::parse(text).map(Self).ok_or(ParseIdError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hexadecimal::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hexadecimal::write(&self.0, f)
            }
        }
    };
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identifier has 32 hexadecimal digits")]
pub struct ParseIdError;

random_id! {
    /// A chunk service's identity, kept on its first disk across restarts and address changes.
    NodeId
}
random_id! {
    /// A disk's identity, written on the disk itself, so that it may move between slots and nodes.
    DiskId
}

/// A placement group: a fixed number that the cluster map turns into an ordered list of disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub i32);

/// Where a node stands: `region/zone/rack/host`. Nodes that share a part share its fate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailureDomain {
    text: Box<str>,
}

/// The text is not `region/zone/rack/host`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a failure domain is region/zone/rack/host: four names of letters, digits, '.', '_' and '-'")]
pub struct FailureDomainError;

impl FromStr for FailureDomain {
    type Err = FailureDomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let good = |part: &str| (1..=63).contains(&part.len()) && part.bytes().all(plain);
        if text.split('/').count() == 4 && text.split('/').all(good) {
            Ok(Self { text: text.into() })
        } else {
            Err(FailureDomainError)
        }
    }
}

impl FailureDomain {
    /// The whole domain as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The domain's first `levels` parts: 1 region, 2 zone, 3 rack, 4 host.
    pub fn ancestor(&self, levels: usize) -> &str {
        let end = self.text.match_indices('/').nth(levels.max(1) - 1).map_or(self.text.len(), |(at, _)| at);
        &self.text[..end]
    }
}

impl fmt::Display for FailureDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A storage class's name: 1 to 64 characters of `A-Z`, `0-9` and `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageClassName(Box<str>);

/// The text is not a storage class's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a storage class's name has 1 to 64 upper-case letters, digits and underscores")]
pub struct StorageClassNameError;

impl StorageClassName {
    /// The class of objects whose writer names none.
    pub fn standard() -> Self {
        Self("STANDARD".into())
    }

    /// REDUCED_REDUNDANCY, which bears fewer losses than STANDARD.
    pub fn reduced_redundancy() -> Self {
        Self("REDUCED_REDUNDANCY".into())
    }

    /// Checks the name and keeps it.
    pub fn new(name: &str) -> Result<Self, StorageClassNameError> {
        let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        if (1..=64).contains(&name.len()) && name.bytes().all(good) {
            Ok(Self(name.into()))
        } else {
            Err(StorageClassNameError)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The archive that it is, if its objects are archived.
    pub fn archive(&self) -> Option<ArchiveClass> {
        ArchiveClass::ALL.into_iter().find(|class| class.name() == self.as_str())
    }
}

/// A class that S3 archives objects in: those are not read before they are restored. GLACIER_IR is none. Source: Amazon S3 User
/// Guide, "Working with archived objects". The numbers are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArchiveClass {
    /// S3 Glacier Flexible Retrieval.
    Glacier = 1,
    /// S3 Glacier Deep Archive.
    DeepArchive = 2,
}

impl ArchiveClass {
    /// Every archive.
    pub const ALL: [Self; 2] = [Self::Glacier, Self::DeepArchive];

    /// The archive of a persistent number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u64 == number)
    }

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }
}

impl fmt::Display for StorageClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorageClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::FailureDomain;

    #[test]
    fn ancestors_of_a_failure_domain() {
        let domain: FailureDomain = "eu/a/r1/h7".parse().expect("a valid domain");
        let ancestors: Vec<&str> = (1..=4).map(|levels| domain.ancestor(levels)).collect();
        assert_eq!(ancestors, ["eu", "eu/a", "eu/a/r1", "eu/a/r1/h7"]);
        for text in ["eu/a/r1", "eu/a/r1/", "eu/a/r1/h 7", "a/b/c/d/e"] {
            assert!(text.parse::<FailureDomain>().is_err(), "{text}");
        }
    }
}
