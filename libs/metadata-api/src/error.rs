//! What can go wrong in the metadata service.

use types::{BucketName, DiskId, ETag, LeaseId, NodeId, PartNumber};

use crate::AccountId;

/// A failed call. One enum serves every call, because the calls share most of their failures and because one table
/// in the gateway turns them into S3 errors; [`Metadata`](crate::Metadata) says which call answers which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such bucket.
    #[error("bucket {bucket} does not exist")]
    BucketNotFound {
        /// The bucket asked for.
        bucket: BucketName,
    },
    /// The name is taken.
    #[error("bucket {bucket} exists")]
    BucketExists {
        /// The bucket.
        bucket: BucketName,
        /// Whose it is.
        owner: AccountId,
    },
    /// The bucket holds versions or delete markers.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// The bucket.
        bucket: BucketName,
    },
    /// The key has no current version.
    #[error("the key has no current version")]
    KeyNotFound,
    /// The key has no version with this id.
    #[error("the key has no such version")]
    VersionNotFound,
    /// A condition of the request does not hold.
    #[error("a condition of the request does not hold")]
    PreconditionFailed {
        /// The current version's entity tag, if there is one.
        current: Option<ETag>,
    },
    /// No such open upload.
    #[error("the upload does not exist")]
    UploadNotFound,
    /// A part named at completion was not uploaded, or with another entity tag or checksum.
    #[error("part {number} was not uploaded or its entity tag or checksum differs")]
    InvalidPart {
        /// The part.
        number: PartNumber,
    },
    /// Parts named at completion do not ascend.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    /// A part other than the last is smaller than S3 allows.
    #[error("part {number} has {size} bytes; all but the last need at least {minimum}")]
    PartTooSmall {
        /// The part.
        number: PartNumber,
        /// Its size in bytes.
        size: u64,
        /// The least size in bytes.
        minimum: u64,
        /// Its entity tag.
        etag: ETag,
    },
    /// The parts do not add up to the size that the completion states.
    #[error("the parts add up to {actual} bytes, not {stated}")]
    UploadSizeMismatch {
        /// What the request states.
        stated: u64,
        /// What the parts add up to.
        actual: u64,
    },
    /// The object's checksum is not the one that the completion states, or is of another algorithm or type.
    #[error("the object's checksum is not the one stated")]
    UploadChecksumMismatch,
    /// The lease is revoked or unknown: what was written under it must not be named.
    #[error("the lease is revoked")]
    LeaseRevoked,
    /// The lease is active: what was written under it may be named yet.
    #[error("the lease {lease:?} is active")]
    LeaseActive {
        /// The lease.
        lease: LeaseId,
    },
    /// The cluster map has changed since the epoch that the caller acted by.
    #[error("the cluster map is at epoch {epoch}")]
    StaleMap {
        /// The epoch now.
        epoch: i64,
    },
    /// No such node.
    #[error("node {node} is not known")]
    NodeNotFound {
        /// The node asked for.
        node: NodeId,
    },
    /// No such disk.
    #[error("disk {disk} is not known")]
    DiskNotFound {
        /// The disk asked for.
        disk: DiskId,
    },
    /// The move is not there any more, or is another by now.
    #[error("the move is not there")]
    MoveNotFound,
    /// Another worker has taken the job over.
    #[error("the job was taken over")]
    JobLost,
    /// The bucket is in a state that does not allow it.
    #[error("the bucket's state does not allow it: {reason}")]
    InvalidBucketState {
        /// What of its state.
        reason: String,
    },
    /// The bucket has no object lock.
    #[error("the bucket has no object lock")]
    NoObjectLock,
    /// The version's lock forbids it.
    #[error("the version is locked")]
    VersionLocked,
    /// The bucket's quota does not allow it to grow so.
    #[error("the bucket's quota is reached")]
    QuotaExceeded,
    /// More is kept of the objects under a prefix than can be renamed at once.
    #[error("the objects under the prefix take too much to be renamed at once")]
    RenameTooLarge,
    /// The call breaks a bound or rule of the contract: a fault of the caller.
    #[error("malformed call: {reason}")]
    Malformed {
        /// Which rule.
        reason: String,
    },
    /// The caller did not prove to be of this cluster.
    #[error("not authenticated")]
    Unauthenticated,
    /// The caller is a service of this cluster that may not make this call.
    #[error("the call is not for this service: {reason}")]
    Forbidden {
        /// What it is, and whom the call is for.
        reason: String,
    },
    /// The service or its database could not be reached or refused to begin. Nothing happened.
    #[error("the metadata service is unavailable: {reason}")]
    Unavailable {
        /// What stood in the way.
        reason: String,
    },
    /// No answer in time, or the answer to a commit was lost. Whether anything happened is unknown.
    #[error("the metadata service did not answer in time")]
    TimedOut,
    /// A fault of ours, such as a row that cannot be decoded.
    #[error("internal error: {reason}")]
    Internal {
        /// What was found.
        reason: String,
    },
}
