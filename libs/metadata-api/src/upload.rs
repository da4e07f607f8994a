//! Multipart uploads.

use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, Content, ETag, LeaseId,
    MissingShard, ObjectKey, PartNumber, StorageClassName, Timestamp, UploadId,
};

use crate::{Error, WriteCondition};

/// Least size in bytes of a part that is not the last: 5 MiB. Source: Amazon S3 User Guide, "Amazon S3 multipart
/// upload limits".
pub const fn part_size_min() -> u64 {
    5 << 20
}

/// The checksum that an upload's parts and object will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadChecksum {
    /// Algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// What the object's checksum covers.
    pub kind: ChecksumType,
}

/// Who opened an upload, where that was not the root user of the account that owns the bucket: the canonical user id of the account whose
/// root user it was, or the ARN of a user, of somebody in a role or of a federated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiator(pub String);

impl Initiator {
    /// Most bytes: more than the longest ARN has. IAM and AWS STS quotas: 512 of a path and 64 of a name.
    pub const LENGTH_MAX: usize = 1024;
}

/// Opens an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateUpload {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The object's attributes.
    pub attributes: Attributes,
    /// The object's storage class.
    pub storage_class: StorageClassName,
    /// The object's checksum.
    pub checksum: UploadChecksum,
    /// Whether the client named the checksum's algorithm; S3 shows it only then.
    pub checksum_named: bool,
    /// Who opens it.
    pub initiator: Option<Initiator>,
}

/// An open upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The key.
    pub key: ObjectKey,
    /// When it was opened.
    pub initiated: Timestamp,
    /// The object's attributes.
    pub attributes: Attributes,
    /// The object's storage class.
    pub storage_class: StorageClassName,
    /// The object's checksum.
    pub checksum: UploadChecksum,
    /// Whether the client named the checksum's algorithm.
    pub checksum_named: bool,
    /// Who opened it; `None` also of what was opened before this was kept.
    pub initiator: Option<Initiator>,
}

impl Upload {
    /// Whether a completion says of the object's checksum what is not so. Where the client named no algorithm, a checksum by another one
    /// than the upload's says nothing, as to Amazon S3: nothing was computed by it.
    pub fn is_belied_by(&self, request: &CompleteUpload, actual: &Checksum) -> bool {
        let is_told =
            |value: &ChecksumValue| self.checksum_named || value.algorithm() == self.checksum.algorithm;
        request.checksum_type.is_some_and(|kind| kind != actual.kind)
            || request.checksum.filter(is_told).is_some_and(|value| value != actual.value)
    }
}

/// Adds stored bytes to an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitPart {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part.
    pub number: PartNumber,
    /// The lease under which the content's chunks were minted; none for inline content.
    pub lease: Option<LeaseId>,
    /// Its bytes, already stable.
    pub content: Content,
    /// MD5 of its bytes.
    pub etag: ETag,
    /// Its checksum by the upload's algorithm.
    pub checksum: ChecksumValue,
    /// Shards that are not stable yet.
    pub missing: Vec<MissingShard>,
}

/// Bytes in the part of which this content is kept. Errors: `Malformed`, for encrypted content that no part can have.
pub fn size_of_part(upload: &Upload, content: &Content) -> Result<u64, Error> {
    let size = upload.attributes.size_of_part(content);
    size.ok_or_else(|| Error::Malformed { reason: "no part has encrypted content of this length".to_owned() })
}

/// An uploaded part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Size in bytes.
    pub size: u64,
    /// MD5 of its bytes.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: ChecksumValue,
    /// When it was uploaded.
    pub last_modified: Timestamp,
}

/// Asks for an upload's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListParts {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Only parts with higher numbers.
    pub after: Option<PartNumber>,
    /// At most this many, 1 to [`crate::PAGE_SIZE_MAX`].
    pub limit: usize,
}

/// A page of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPage {
    /// The upload.
    pub upload: Upload,
    /// Its parts, by number.
    pub parts: Vec<Part>,
    /// Whether there are more after the last one.
    pub truncated: bool,
}

/// A part as the completing request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its entity tag.
    pub etag: ETag,
    /// Its checksum, if the request states one.
    pub checksum: Option<ChecksumValue>,
}

/// Completes an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteUpload {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The parts, in ascending order of their numbers, at least one.
    pub parts: Vec<CompletedPart>,
    /// The object's size in bytes, if the request states it.
    pub object_size: Option<u64>,
    /// The object's checksum, if the request states it.
    pub checksum: Option<ChecksumValue>,
    /// The checksum's type, if the request states it; it must be the upload's.
    pub checksum_type: Option<ChecksumType>,
    /// What must hold of the key.
    pub condition: WriteCondition,
}

/// Closes an upload and frees its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbortUpload {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
}
