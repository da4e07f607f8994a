//! What is encrypted, and the wrapping of its data keys by other keys. No byte of an object is touched by it.

use types::{BucketName, ETag, Encryption, ObjectKey, Sequence, UploadId, VersionId};

use crate::{ContentPosition, Error};

/// A version that is there, or an open upload, by its key's name and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptedOwner {
    /// A version. A `null` version may have been replaced by another of the same id, therefore also the commit that made it.
    Version {
        /// Its id.
        version_id: VersionId,
        /// The commit that made it.
        sequence: Sequence,
    },
    /// An upload, whose parts, and the object that they become, are encrypted by its data key.
    Upload(UploadId),
}

/// Something that is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedRow {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which of the key's versions or uploads.
    pub owner: EncryptedOwner,
    /// How.
    pub encryption: Encryption,
}

/// A page of what is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedPage {
    /// The rows.
    pub rows: Vec<EncryptedRow>,
    /// Where the next page begins; `None` after the last. A page may be empty and not be the last.
    pub next: Option<ContentPosition>,
}

/// Puts a data key that is wrapped otherwise in the place of the same one, if it still is as a read found it:
/// `PreconditionFailed` otherwise. That it is the same one, nobody but its caller can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrap {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which of the key's versions or uploads.
    pub owner: EncryptedOwner,
    /// How it must be encrypted.
    pub was: Encryption,
    /// How it is from then on.
    pub encryption: Encryption,
}

impl Rewrap {
    /// Makes the change. It is made once, however often it is asked for. Errors: `PreconditionFailed`.
    pub fn apply(&self, current: Option<ETag>, encryption: &mut Option<Encryption>) -> Result<(), Error> {
        if encryption.as_ref() != Some(&self.was) && encryption.as_ref() != Some(&self.encryption) {
            return Err(Error::PreconditionFailed { current });
        }
        *encryption = Some(self.encryption.clone());
        Ok(())
    }
}
