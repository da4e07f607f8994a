//! The keys that a run works on.

use std::fmt;

/// Keys of a listing share a folder of so many.
pub(crate) const FOLDER: u32 = 16;

/// One of the run's two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bucket {
    /// Without versioning.
    Plain,
    /// With versioning, so that each delete can be told from any other by its marker.
    Versioned,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// Everything.
    Register,
    /// Created by several clients at once, of which one may win, and never deleted.
    Race,
}

/// A key in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) bucket: Bucket,
    pub(crate) purpose: Use,
    pub(crate) number: u32,
}

impl Key {
    /// The folder that it is listed with.
    pub(crate) fn folder(self) -> Folder {
        Folder { bucket: self.bucket, purpose: self.purpose, number: self.number / FOLDER }
    }

    /// Its name. Names of a folder sort by number.
    pub(crate) fn name(self) -> String {
        format!("{}{:02}", self.folder().prefix(), self.number % FOLDER)
    }

    /// The key beside it that is copied but takes no copies, so that its ETags are unlike: the even one.
    pub(crate) fn original(self) -> Self {
        Self { number: self.number & !1, ..self }
    }

    /// The key beside it that takes copies: the odd one.
    pub(crate) fn copy(self) -> Self {
        Self { number: self.number | 1, ..self }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.bucket, self.name())
    }
}

/// Keys with a prefix in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Folder {
    pub(crate) bucket: Bucket,
    pub(crate) purpose: Use,
    pub(crate) number: u32,
}

impl Folder {
    /// What its keys begin with; no other key does.
    pub(crate) fn prefix(self) -> String {
        let kind = match self.purpose {
            Use::Register => "r",
            Use::Race => "race",
        };
        format!("{kind}/{:06}/", self.number)
    }

    /// Its first key.
    pub(crate) fn first(self) -> Key {
        Key { bucket: self.bucket, purpose: self.purpose, number: self.number * FOLDER }
    }

    /// All keys that it can have, in order.
    pub(crate) fn keys(self) -> impl Iterator<Item = Key> {
        let first = self.first();
        (first.number..first.number + FOLDER).map(move |number| Key { number, ..first })
    }

    /// The key of this name.
    pub(crate) fn key(self, name: &str) -> Option<Key> {
        let within: u32 = name.strip_prefix(&self.prefix())?.parse().ok()?;
        let key = Key { bucket: self.bucket, purpose: self.purpose, number: self.number * FOLDER + within };
        (within < FOLDER && key.name() == name).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Key, Use};

    #[test]
    fn names_sort_by_number_and_lead_back_to_their_key() {
        let keys: Vec<Key> =
            (0..200).map(|number| Key { bucket: Bucket::Plain, purpose: Use::Register, number }).collect();
        let names: Vec<String> = keys.iter().map(|key| key.name()).collect();
        assert!(names.is_sorted());
        for (key, name) in keys.iter().zip(&names) {
            assert_eq!(key.folder().key(name), Some(*key));
        }
        assert_eq!(keys[0].folder().key(&names[16]), None);
        assert_eq!(keys[0].folder().key("r/000000/5"), None);
    }
}
