//! The vocabulary of Ashlar as types that cannot be wrong.
//!
//! Every type here is made by a checked constructor and valid ever after. The crate knows no wire format, no
//! database, no async runtime; it depends on none of our other crates. Words of the S3 API keep S3's spelling; the
//! inner world has three of its own: a *chunk* is a run of object bytes, a *shard* is one coded piece of a chunk, a
//! *cell* is the unit in which a shard is written, checked and read.

mod acl;
mod bucket;
mod checksum;
mod chunk;
mod cluster;
mod encryption;
mod hexadecimal;
mod key;
mod multipart;
mod object;
mod object_lock;
mod owner;
mod range;
mod role;
mod timestamp;
mod version;

pub use acl::{Acl, Grant, Grantee, Group, Permission};
pub use bucket::{BucketId, BucketName, BucketNameError, Versioning};
pub use checksum::{
    CHECKSUM_LENGTH_MAX, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ETag, ParseETagError,
};
pub use chunk::{
    CELL_SIZE, CHUNK_SIZE_MAX, ChunkId, Coding, CodingError, Extent, LeaseId, Manifest, MissingShard,
    ShardId, ShardIndex,
};
pub use cluster::{
    ArchiveClass, DiskId, FailureDomain, FailureDomainError, GroupId, NodeId, StorageClassName,
    StorageClassNameError,
};
pub use encryption::{
    Encryption, EncryptionScheme, FRAME_SIZE, FRAME_TAG_LENGTH, PART_SALT_LENGTH, opened_length,
    opened_part_length, sealed_length, sealed_part_length,
};
pub use key::{KEY_LENGTH_MAX, KeyError, KeyPrefix, ObjectKey};
pub use multipart::{PART_NUMBER_MAX, ParseUploadIdError, PartNumber, PartNumberError, UploadId};
pub use object::{Attributes, Content, ObjectPart, RenameMark, Restore, RestoreState};
pub use object_lock::{
    DefaultRetention, ObjectLockConfiguration, Retention, RetentionMode, RetentionPeriod, VersionLock,
};
pub use owner::{ChunkOwner, ChunkOwnerError};
pub use range::ByteRange;
pub use role::{Role, Roles};
pub use timestamp::Timestamp;
pub use version::{ParseVersionIdError, Sequence, VersionId};
