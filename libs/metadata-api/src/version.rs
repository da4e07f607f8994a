//! Object versions: commit, read, delete, copy.

use types::{
    Acl, Attributes, BucketName, Checksum, Content, ETag, Encryption, LeaseId, MissingShard, ObjectKey,
    ObjectPart, RenameMark, Restore, Retention, Sequence, StorageClassName, Timestamp, VersionId,
    VersionLock, Versioning,
};

use crate::{AccountId, Bucket, Error};

/// What must hold of a key's current version for a write to go on. A current delete marker counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteCondition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: there is no current version.
    IfAbsent,
    /// `If-Match`: the current version has this entity tag; `KeyNotFound` when there is none.
    IfMatch(ETag),
    /// `If-Match: *`: there is a current version; `KeyNotFound` when there is none.
    IfPresent,
}

/// What a new version is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Its bytes, already stable. They tell the size: [`size_of`].
    pub content: Content,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// Headers and user metadata.
    pub attributes: Attributes,
    /// The class that the content was stored by.
    pub storage_class: StorageClassName,
}

/// Makes stored bytes visible as a key's new current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitVersion {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The lease under which the content's chunks were minted; none for inline content.
    pub lease: Option<LeaseId>,
    /// The version.
    pub version: NewVersion,
    /// What must hold.
    pub condition: WriteCondition,
    /// Shards that are not stable yet, recorded for repair in the same commit.
    pub missing: Vec<MissingShard>,
}

/// The outcome of a commit that made a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The bucket's versioning state in this commit; S3 shows `version_id` only when it is not unversioned.
    pub versioning: Versioning,
    /// The new version's id.
    pub version_id: VersionId,
    /// The commit's number.
    pub sequence: Sequence,
    /// When.
    pub last_modified: Timestamp,
    /// The new version's size in bytes.
    pub size: u64,
    /// The new version's entity tag.
    pub etag: ETag,
    /// The new version's checksum.
    pub checksum: Option<Checksum>,
}

/// Asks for a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetVersion {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; the current one when `None`.
    pub version_id: Option<VersionId>,
    /// Whether the answer carries the content (inline bytes or manifest); without it the content is an empty one.
    pub with_content: bool,
}

/// A version that was found, at one commit of its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVersion {
    /// The bucket.
    pub bucket: Bucket,
    /// The version's id.
    pub version_id: VersionId,
    /// The commit that made it, which tells it from others of the key, also from other `null` versions.
    pub sequence: Sequence,
    /// Whether it is the key's current version.
    pub is_current: bool,
    /// When it was made.
    pub last_modified: Timestamp,
    /// What it is.
    pub state: VersionState,
}

/// A version is an object or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionState {
    /// An object.
    Object(Box<Version>),
    /// A delete marker.
    DeleteMarker,
}

/// An object version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Bytes in the object.
    pub size: u64,
    /// Where they are.
    pub content: Content,
    /// Entity tag.
    pub etag: ETag,
    /// Checksum.
    pub checksum: Option<Checksum>,
    /// Headers and user metadata.
    pub attributes: Attributes,
    /// Storage class.
    pub storage_class: StorageClassName,
    /// The parts of a multipart object; empty for one written whole.
    pub parts: Vec<ObjectPart>,
}

/// An `If-Match` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ETagCondition {
    /// `*`
    Any,
    /// An entity tag.
    Is(ETag),
}

/// What must hold of the version that a delete is about: the named one, else the current one.
///
/// When any of it is stated, the answer is `KeyNotFound` where that version is not there, and `PreconditionFailed` without a
/// tag where it is a delete marker; with `marker`, `KeyNotFound` where it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeleteCondition {
    /// Its entity tag.
    pub etag: Option<ETagCondition>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its modification time, compared in whole seconds.
    pub last_modified: Option<Timestamp>,
    /// It is a delete marker. Nothing else is asked of it then.
    pub marker: bool,
}

/// One entry of a delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteVersion {
    /// The key.
    pub key: ObjectKey,
    /// The version to remove for good; without it the key is deleted as its bucket's versioning state asks.
    pub version_id: Option<VersionId>,
    /// What must hold.
    pub condition: DeleteCondition,
    /// Whether a retention in governance mode is no hindrance.
    pub bypasses_governance: bool,
}

/// Deletes keys or versions of one bucket in one commit, which has a number if any entry changed anything.
///
/// Entries see what those before them did. Two entries that ask for a delete marker of the same key make one, which
/// both are answered: a commit makes at most one version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteVersions {
    /// The bucket.
    pub bucket: BucketName,
    /// The entries, at most [`crate::PAGE_SIZE_MAX`].
    pub entries: Vec<DeleteVersion>,
    /// Whose the delete markers will be, where that is another account than the bucket's.
    pub marker_owner: Option<AccountId>,
}

/// The outcome of one entry of a delete, as S3 reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedVersion {
    /// The bucket's versioning state in this commit.
    pub versioning: Versioning,
    /// The id of the delete marker that was made, or of the version that was asked to be removed; `None` when an
    /// unversioned key was deleted.
    pub version_id: Option<VersionId>,
    /// Whether that is a delete marker: one made, or one removed.
    pub delete_marker: bool,
}

/// Bytes in the object that a version will be. Errors: `Malformed`, for encrypted content that no object can have.
pub fn size_of(version: &NewVersion) -> Result<u64, Error> {
    let size = version.attributes.size_of(&version.content);
    size.ok_or_else(|| Error::Malformed {
        reason: "no object has encrypted content of this length".to_owned(),
    })
}

/// Which attributes a copy gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyAttributes {
    /// The source's, without its lock, its access control list and its restore.
    Keep,
    /// These, of which how the bytes are encrypted is as the source has it, whose bytes they are, or as [`CopyVersion::rewraps`]
    /// allows: `PreconditionFailed` when it has it otherwise by now.
    Replace(Box<Attributes>),
}

/// Gives a version other tags in place of those it has. Everything else stays, also when it was last modified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTags {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; the current one when `None`.
    pub version_id: Option<VersionId>,
    /// The tags, each key once.
    pub tags: Vec<(String, String)>,
}

/// Changes what keeps a version from being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetLock {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; the current one when `None`.
    pub version_id: Option<VersionId>,
    /// What to change.
    pub change: LockChange,
    /// Whether a retention in governance mode is no hindrance.
    pub bypasses_governance: bool,
}

/// Gives a version another access control list in place of the one it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version; the current one when `None`.
    pub version_id: Option<VersionId>,
    /// The list; `None` where the owner alone has every right.
    pub acl: Option<Acl>,
}

/// Records a restore of a version, if it still is what a read found: `PreconditionFailed` otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRestore {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// Which version. A `null` version may since have been replaced by another of the same id, therefore also:
    pub version_id: VersionId,
    /// The commit that made it.
    pub sequence: Sequence,
    /// The restore that it must have.
    pub was: Option<Restore>,
    /// The restore that it gets. It must have the class that this is of.
    pub restore: Restore,
}

impl SetRestore {
    /// Makes the change of a version that is this one. It is made once, however often it is asked for.
    /// Errors: `PreconditionFailed`.
    pub fn apply(
        &self,
        (sequence, etag): (Sequence, ETag),
        storage_class: &StorageClassName,
        restore: &mut Option<Restore>,
    ) -> Result<(), Error> {
        let is_same = sequence == self.sequence && storage_class.archive() == Some(self.restore.class);
        if !is_same || *restore != self.was && *restore != Some(self.restore) {
            return Err(Error::PreconditionFailed { current: Some(etag) });
        }
        *restore = Some(self.restore);
        Ok(())
    }
}

/// A change of a version's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockChange {
    /// Its retention becomes this, or none.
    Retention(Option<Retention>),
    /// Whether it is held.
    LegalHold(bool),
}

impl LockChange {
    /// Makes the change, if the lock allows it at this time. Errors: `VersionLocked`.
    pub fn apply(
        self,
        lock: &mut VersionLock,
        now: Timestamp,
        bypasses_governance: bool,
    ) -> Result<(), Error> {
        match self {
            Self::Retention(retention) => {
                let yields = |current: Retention| current.yields_to(retention, now, bypasses_governance);
                if !lock.retention.is_none_or(yields) {
                    return Err(Error::VersionLocked);
                }
                lock.retention = retention;
            }
            Self::LegalHold(held) => lock.legal_hold = Some(held),
        }
        Ok(())
    }
}

/// The version whose tags, lock, access control list or restore were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged {
    /// The bucket's versioning state then.
    pub versioning: Versioning,
    /// The version's id.
    pub version_id: VersionId,
}

/// Gives an object another key of its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenameObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The key that the object has.
    pub source_key: ObjectKey,
    /// The object's version, as an earlier read resolved it, which must still be the key's current one.
    pub source_version_id: VersionId,
    /// The entity tag that the earlier read saw; `PreconditionFailed` when the version now has another.
    pub source_etag: ETag,
    /// The key that it gets; another one.
    pub key: ObjectKey,
    /// What the request is known by when it comes again, kept with the version.
    pub mark: Option<RenameMark>,
    /// What must hold of the key that it gets.
    pub condition: WriteCondition,
}

/// Makes a new version of the source's chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyVersion {
    /// The source's bucket.
    pub source_bucket: BucketName,
    /// The source's key.
    pub source_key: ObjectKey,
    /// The source version, as an earlier read resolved it. A `null` version may since have been replaced by another
    /// of the same id, therefore also:
    pub source_version_id: VersionId,
    /// The entity tag that the earlier read saw; `PreconditionFailed` when the version now has another.
    pub source_etag: ETag,
    /// The storage class that the earlier read saw, when it matters: the copy has the source's. `PreconditionFailed` when the
    /// version has another by now.
    pub source_class: Option<StorageClassName>,
    /// How the source must be encrypted where `attributes`, which replace its own, have its data key wrapped otherwise:
    /// `PreconditionFailed` when it is encrypted otherwise by now. That it is the same data key, nobody but the caller can tell.
    pub rewraps: Option<Encryption>,
    /// The destination's bucket.
    pub bucket: BucketName,
    /// The destination's key.
    pub key: ObjectKey,
    /// Attributes.
    pub attributes: CopyAttributes,
    /// A checksum to keep instead of the source's, when the caller computed another from the same bytes.
    pub checksum: Option<Checksum>,
    /// What must hold of the destination.
    pub condition: WriteCondition,
}

impl CopyVersion {
    /// The attributes of the copy of a source that has these; `None` when the source is encrypted otherwise than the caller saw.
    pub fn attributes_of(&self, source: Attributes) -> Option<Attributes> {
        match &self.attributes {
            CopyAttributes::Keep => {
                let lock = VersionLock::default();
                Some(Attributes { lock, renamed: None, acl: None, restore: None, ..source })
            }
            CopyAttributes::Replace(attributes) => {
                let is_encrypted_so = match &self.rewraps {
                    Some(was) => source.encryption.as_ref() == Some(was) && attributes.encryption.is_some(),
                    None => source.encryption == attributes.encryption,
                };
                is_encrypted_so.then(|| (**attributes).clone())
            }
        }
    }
}
