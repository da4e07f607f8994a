//! Listings: pages of objects, versions and uploads in byte order of their keys.
//!
//! With a delimiter, keys that hold it after the prefix are rolled up into common prefixes. A page's cost grows with
//! what it returns, never with what hides behind a common prefix.

use types::{
    BucketName, ChecksumAlgorithm, ChecksumType, ETag, KeyPrefix, ObjectKey, Restore, Sequence,
    StorageClassName, Timestamp, UploadId, VersionId,
};

use crate::{AccountId, Upload};

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListPosition {
    /// At the beginning.
    #[default]
    Start,
    /// After this text, which need not be a key that exists. If it begins with a common prefix of the listing, that
    /// common prefix has been shown and is not shown again.
    After(KeyPrefix),
}

/// Asks for current objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListObjects {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin with this.
    pub prefix: KeyPrefix,
    /// Rolls keys up; not empty.
    pub delimiter: Option<KeyPrefix>,
    /// Where to go on.
    pub position: ListPosition,
    /// Objects and common prefixes together, 1 to [`crate::PAGE_SIZE_MAX`].
    pub limit: usize,
}

/// A page of objects and common prefixes, in byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPage {
    /// The entries.
    pub entries: Vec<ObjectEntry>,
    /// Whether there are more; the next page begins after the last entry.
    pub truncated: bool,
    /// The bucket's owner.
    pub owner: AccountId,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectEntry {
    /// An object.
    Object(ObjectSummary),
    /// A common prefix, which ends with the delimiter.
    CommonPrefix(KeyPrefix),
}

/// What a listing shows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Key.
    pub key: ObjectKey,
    /// Modification time.
    pub last_modified: Timestamp,
    /// Entity tag.
    pub etag: ETag,
    /// Size in bytes.
    pub size: u64,
    /// Storage class.
    pub storage_class: StorageClassName,
    /// Checksum algorithm and type.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// The last restore, of an object of an archive class.
    pub restore: Option<Restore>,
    /// Whose it is by its list, where that is another account than the bucket's; boxed, as most have none.
    pub owner: Option<Box<AccountId>>,
}

/// Where a listing of versions goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VersionPosition {
    /// At the beginning.
    #[default]
    Start,
    /// After every version of this key; as [`ListPosition::After`].
    AfterKey(KeyPrefix),
    /// After this version of this key. When the version is not there (any more) the listing goes on with the
    /// versions that are older than it, as far as the id tells, else after the key.
    AfterVersion(ObjectKey, VersionId),
}

/// Asks for versions and delete markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListVersions {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin with this.
    pub prefix: KeyPrefix,
    /// Rolls keys up; not empty.
    pub delimiter: Option<KeyPrefix>,
    /// Where to go on.
    pub position: VersionPosition,
    /// Versions and common prefixes together, 1 to [`crate::PAGE_SIZE_MAX`].
    pub limit: usize,
}

/// A page of versions and common prefixes, by key and newest first within a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionPage {
    /// The entries.
    pub entries: Vec<VersionEntry>,
    /// Whether there are more; the next page begins after the last entry ([`Self::next`]).
    pub truncated: bool,
    /// The commit that made the last entry, if that is a version.
    pub last_commit: Option<Sequence>,
    /// The bucket's owner.
    pub owner: AccountId,
}

impl VersionPage {
    /// Where the listing goes on; `None` after the last page.
    ///
    /// A version is named by the commit that made it also where its id is `null`, which another version may have by then, or
    /// none: what is older than the version that was listed follows, whatever becomes of that.
    pub fn next(&self) -> Option<VersionPosition> {
        match self.entries.last().filter(|_| self.truncated)? {
            VersionEntry::Version(last) => {
                let id = match (last.version_id, self.last_commit) {
                    (VersionId::Null, Some(sequence)) => VersionId::Numbered { sequence, nonce: 0 },
                    (id, _) => id,
                };
                Some(VersionPosition::AfterVersion(last.key.clone(), id))
            }
            VersionEntry::CommonPrefix(last) => Some(VersionPosition::AfterKey(last.clone())),
        }
    }
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionEntry {
    /// A version or delete marker.
    Version(VersionSummary),
    /// A common prefix, which ends with the delimiter.
    CommonPrefix(KeyPrefix),
}

/// What a listing shows of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    /// Key.
    pub key: ObjectKey,
    /// Version id.
    pub version_id: VersionId,
    /// Whether it is the key's newest.
    pub is_latest: bool,
    /// Modification time.
    pub last_modified: Timestamp,
    /// The object's facts; `None` for a delete marker.
    pub object: Option<ObjectSummary>,
    /// Whose a delete marker is, where that is another account than the bucket's.
    pub marker_owner: Option<Box<AccountId>>,
}

impl VersionSummary {
    /// Whose it is, where that is another account than the bucket's.
    pub fn owner(&self) -> Option<&AccountId> {
        match &self.object {
            Some(object) => object.owner.as_deref(),
            None => self.marker_owner.as_deref(),
        }
    }
}

/// Where a listing of uploads goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UploadPosition {
    /// At the beginning.
    #[default]
    Start,
    /// After every upload of this key; as [`ListPosition::After`].
    AfterKey(KeyPrefix),
    /// After this upload of this key, in the order (key, upload id).
    AfterUpload(KeyPrefix, UploadId),
}

/// Asks for open uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListUploads {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that begin with this.
    pub prefix: KeyPrefix,
    /// Rolls keys up; not empty.
    pub delimiter: Option<KeyPrefix>,
    /// Where to go on.
    pub position: UploadPosition,
    /// Uploads and common prefixes together, 1 to [`crate::PAGE_SIZE_MAX`].
    pub limit: usize,
}

/// A page of uploads and common prefixes, by key, then by upload id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPage {
    /// The entries.
    pub entries: Vec<UploadEntry>,
    /// Whether there are more; the next page begins after the last entry.
    pub truncated: bool,
    /// The bucket's owner.
    pub owner: AccountId,
}

/// One entry of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadEntry {
    /// An open upload.
    Upload(Box<Upload>),
    /// A common prefix, which ends with the delimiter.
    CommonPrefix(KeyPrefix),
}
