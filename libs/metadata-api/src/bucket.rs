//! Buckets.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use types::{BucketId, BucketName, ObjectLockConfiguration, Sequence, Timestamp, Versioning};

use crate::AccountId;

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its number.
    pub id: BucketId,
    /// Its name.
    pub name: BucketName,
    /// Whose it is.
    pub owner: AccountId,
    /// When it was made.
    pub created: Timestamp,
    /// Its versioning state.
    pub versioning: Versioning,
    /// Its last commit.
    pub commit_sequence: Sequence,
    /// What it holds, exact as of `commit_sequence`.
    pub usage: BucketUsage,
    /// Its object lock; with one, versioning stays enabled.
    pub object_lock: Option<ObjectLockConfiguration>,
    /// What it may hold at most.
    pub quota: BucketQuota,
    /// Whether it has a [`Subresource::Policy`], so that whoever reads it for a request knows whether to ask for that.
    pub has_policy: bool,
    /// Whether it has a [`Subresource::Lifecycle`], so that whoever reads it for a request knows whether to ask for that.
    pub has_lifecycle: bool,
    /// Its [`Subresource::OwnershipControls`], since they tell whether any access control list is to be asked for.
    pub ownership_controls: Option<Bytes>,
    /// Its [`Subresource::Encryption`], which whoever writes an object has to know.
    pub encryption: Option<Bytes>,
}

/// How long the name of a bucket that was deleted is given to no other account than that which had it. What a gateway decided on for
/// the bucket is carried out by the bucket's name: it does so within this time, or looks whether it is the same bucket still.
pub const BUCKET_NAME_HOLD: Duration = Duration::from_secs(15 * 60);

/// What a bucket may hold at most. A write that would take it past a bound, and makes it grow, is refused by its commit; nothing
/// else is, so that a bucket which holds more than it may can be emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BucketQuota {
    /// Most bytes of all versions: [`BucketUsage::version_bytes`]. At most `i64::MAX`.
    pub bytes: Option<u64>,
    /// Most objects: [`BucketUsage::objects`]. At most `i64::MAX`.
    pub objects: Option<u64>,
}

/// What a bucket holds, counted in its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BucketUsage {
    /// Keys whose current version is not a delete marker.
    pub objects: u64,
    /// Bytes of those current versions.
    pub object_bytes: u64,
    /// All versions and delete markers.
    pub versions: u64,
    /// Bytes of all versions.
    pub version_bytes: u64,
}

/// Asks for a new bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateBucket {
    /// Its name.
    pub name: BucketName,
    /// Whose it will be.
    pub owner: AccountId,
    /// Whether it begins with versioning enabled and an object lock.
    pub object_lock: bool,
    /// What it has from the beginning beside its objects; of each kind one document.
    pub subresources: BTreeMap<Subresource, Bytes>,
}

impl CreateBucket {
    /// A bucket with nothing but a name and an owner.
    pub fn new(name: BucketName, owner: AccountId) -> Self {
        Self { name, owner, object_lock: false, subresources: BTreeMap::new() }
    }
}

/// Asks for a page of an account's buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBuckets {
    /// Whose buckets.
    pub owner: AccountId,
    /// Only names that begin with this.
    pub prefix: String,
    /// Only names after this one.
    pub after: Option<String>,
    /// At most this many, 1 to 10,000.
    pub limit: usize,
}

/// A page of buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPage {
    /// The buckets, by name.
    pub buckets: Vec<Bucket>,
    /// Whether there are more after the last one.
    pub truncated: bool,
}

/// Longest document of a sub-resource, in bytes.
pub const SUBRESOURCE_LENGTH_MAX: usize = 512 << 10;

/// What a bucket can have beside its objects: one document of each kind, in the form that the gateway gave it. The numbers
/// are persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subresource {
    /// Its tags.
    Tagging = 1,
    /// Its rules for scripts of other origins.
    Cors = 2,
    /// What of public access it shuts out.
    PublicAccessBlock = 3,
    /// When what is in it expires.
    Lifecycle = 4,
    /// How it is served as a website.
    Website = 5,
    /// Who may do what with it.
    Policy = 6,
    /// Where the records of its requests go.
    Logging = 7,
    /// Who is granted what of it.
    Acl = 9,
    /// Who owns what is in it, and whether access control lists have an effect.
    OwnershipControls = 10,
    /// How new objects are encrypted that name no encryption.
    Encryption = 11,
}

impl Subresource {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Tagging,
        Self::Cors,
        Self::PublicAccessBlock,
        Self::Lifecycle,
        Self::Website,
        Self::Policy,
        Self::Logging,
        Self::Acl,
        Self::OwnershipControls,
        Self::Encryption,
    ];

    /// The kind of a persistent number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number)
    }
}
