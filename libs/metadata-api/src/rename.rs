//! Renames of prefixes.

use types::{BucketName, ETag, KeyPrefix, ObjectKey, RenameMark, VersionId};

use crate::{Error, PAGE_SIZE_MAX, RenameObject, WriteCondition};

/// Most bytes that are kept of all objects that a prefix is renamed with: content that is inline, manifests, lists of parts
/// and attributes, about as they are encoded. They are in memory at once, and the reference rows of their chunks, of which
/// one takes some 40 bytes of a manifest, are written in one transaction.
pub const RENAME_BYTES_MAX: u64 = 4 << 20;

/// Gives all current objects under a prefix keys under another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamePrefix {
    /// The bucket.
    pub bucket: BucketName,
    /// The prefix that the objects have, with a slash at its end.
    pub source: KeyPrefix,
    /// The prefix that they get, with a slash at its end, too. Neither begins with the other.
    pub destination: KeyPrefix,
    /// All of them, in the order of their keys: 1 to [`PAGE_SIZE_MAX`].
    pub objects: Vec<RenamedObject>,
    /// What the request is known by when it comes again, kept with each version.
    pub mark: Option<RenameMark>,
}

/// An object of a prefix, as an earlier read found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedObject {
    /// The key that it has.
    pub key: ObjectKey,
    /// Its version.
    pub version_id: VersionId,
    /// Its entity tag.
    pub etag: ETag,
}

impl RenamePrefix {
    /// Checks what the contract says of it. Errors: `Malformed`.
    pub fn check(&self) -> Result<(), Error> {
        let malformed = |reason: &str| Err(Error::Malformed { reason: reason.to_owned() });
        let (source, destination) = (self.source.as_bytes(), self.destination.as_bytes());
        if !source.ends_with(b"/") || !destination.ends_with(b"/") {
            return malformed("a prefix without a slash at its end");
        }
        if source.starts_with(destination) || destination.starts_with(source) {
            return malformed("a prefix within the other");
        }
        if !(1..=PAGE_SIZE_MAX).contains(&self.objects.len()) {
            return malformed("the number of objects is out of bounds");
        }
        if !self.objects.is_sorted_by(|one, next| one.key < next.key) {
            return malformed("the keys do not ascend");
        }
        match self.objects.iter().find(|object| self.key_of(&object.key).is_none()) {
            Some(_) => malformed("a key of another prefix, or one that becomes too long"),
            None => Ok(()),
        }
    }

    /// The rename of one of the objects; `None` where [`RenamePrefix::key_of`] has none.
    pub fn of_one(&self, object: &RenamedObject) -> Option<RenameObject> {
        Some(RenameObject {
            bucket: self.bucket.clone(),
            source_key: object.key.clone(),
            source_version_id: object.version_id,
            source_etag: object.etag,
            key: self.key_of(&object.key)?,
            mark: self.mark,
            condition: WriteCondition::None,
        })
    }

    /// The key that an object gets; `None` where its key does not begin with the prefix or would be too long.
    pub fn key_of(&self, key: &ObjectKey) -> Option<ObjectKey> {
        let rest = key.as_bytes().strip_prefix(self.source.as_bytes())?;
        ObjectKey::new([self.destination.as_bytes(), rest].concat()).ok()
    }
}
