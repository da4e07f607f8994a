//! Requests, and contents without bytes.

use bytes::Bytes;
use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue, ChunkId, Coding,
    Content, ETag, Extent, GroupId, KeyPrefix, LeaseId, Manifest, ObjectKey, PartNumber, StorageClassName,
    UploadId, VersionId,
};

use super::Store;
use metadata_api::{
    CommitPart, CommitVersion, CompleteUpload, CompletedPart, CopyAttributes, CopyVersion, CreateUpload,
    DeleteCondition, DeleteVersion, GetVersion, ListObjects, ListPosition, ListVersions, NewVersion,
    ObjectEntry, ObjectSummary, PAGE_SIZE_MAX, RenameObject, RenamePrefix, RenamedObject, UploadChecksum,
    VersionPosition, WriteCondition,
};

/// A key.
pub fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text.to_owned()).expect("a valid key")
}

/// A prefix.
pub fn prefix(text: &str) -> KeyPrefix {
    KeyPrefix::new(text.to_owned()).expect("a valid prefix")
}

/// An entity tag made of a number.
pub fn etag(number: u64) -> ETag {
    let mut digest = [0; 16];
    digest[8..].copy_from_slice(&number.to_be_bytes());
    ETag { digest, parts: None }
}

/// A CRC-32C made of a number, as the checksum of a whole object.
pub fn crc32c(number: u32) -> Checksum {
    let value = ChecksumValue::new(ChecksumAlgorithm::Crc32c, &number.to_be_bytes()).expect("four bytes");
    Checksum { value, kind: ChecksumType::FullObject }
}

/// Inline content.
pub fn inline(bytes: impl Into<Bytes>) -> Content {
    Content::Inline(bytes.into())
}

/// One extent that is the whole of an invented chunk.
pub fn extent(chunk: ChunkId, length: u64) -> Extent {
    Extent {
        chunk,
        group: GroupId(1),
        coding: Coding::SINGLE,
        chunk_length: length,
        offset: 0,
        length,
        checksum: chunk.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Mints chunk ids under a lease of its own.
#[derive(Debug, Clone, Copy)]
pub struct Minter {
    /// The lease.
    pub lease: LeaseId,
    next: u64,
}

impl Minter {
    /// A minter with a new lease.
    pub async fn acquire(store: &Store) -> Self {
        Self::under(store.acquire_lease("conformance").await.expect("a lease").id)
    }

    /// A minter under a lease.
    pub fn under(lease: LeaseId) -> Self {
        Self { lease, next: 0 }
    }

    /// The same lease, with chunk ids from another number on, for a task of its own.
    pub fn at(self, next: u64) -> Self {
        Self { next, ..self }
    }

    /// The next chunk id.
    pub fn chunk(&mut self) -> ChunkId {
        self.next += 1;
        ChunkId { lease: self.lease, counter: self.next }
    }

    /// Content in one new chunk for each length.
    pub fn content(&mut self, lengths: &[u64]) -> Content {
        Content::Stored(Manifest {
            extents: lengths.iter().map(|length| extent(self.chunk(), *length)).collect(),
        })
    }
}

/// The chunks that content names.
pub fn chunks(content: &Content) -> Vec<ChunkId> {
    match content {
        Content::Inline(_) => Vec::new(),
        Content::Stored(manifest) => manifest.extents.iter().map(|extent| extent.chunk).collect(),
    }
}

/// A plain version.
pub fn new_version(content: Content, tag: u64) -> NewVersion {
    NewVersion {
        content,
        etag: etag(tag),
        checksum: None,
        attributes: Attributes::default(),
        storage_class: StorageClassName::standard(),
    }
}

/// Asks to commit inline content `tag` with entity tag `tag`.
pub fn write(bucket: &BucketName, key: &ObjectKey, tag: u64) -> CommitVersion {
    CommitVersion {
        bucket: bucket.clone(),
        key: key.clone(),
        lease: None,
        version: new_version(inline(tag.to_string()), tag),
        condition: WriteCondition::None,
        missing: Vec::new(),
    }
}

/// Asks to commit stored content.
pub fn write_stored(
    bucket: &BucketName,
    key: &ObjectKey,
    tag: u64,
    lease: LeaseId,
    content: Content,
) -> CommitVersion {
    CommitVersion { lease: Some(lease), version: new_version(content, tag), ..write(bucket, key, tag) }
}

/// An unconditional entry of a delete.
pub fn entry(key: &ObjectKey, version_id: Option<VersionId>) -> DeleteVersion {
    let condition = DeleteCondition::default();
    DeleteVersion { key: key.clone(), version_id, condition, bypasses_governance: false }
}

/// Asks for everything in one page.
pub fn list(bucket: &BucketName) -> ListObjects {
    ListObjects {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: ListPosition::Start,
        limit: metadata_api::PAGE_SIZE_MAX,
    }
}

/// Asks for all versions in one page.
pub fn list_versions(bucket: &BucketName) -> ListVersions {
    ListVersions {
        bucket: bucket.clone(),
        prefix: KeyPrefix::default(),
        delimiter: None,
        position: VersionPosition::Start,
        limit: metadata_api::PAGE_SIZE_MAX,
    }
}

/// The checksum algorithm of most uploads of the suite.
pub const UPLOAD_CHECKSUM: UploadChecksum =
    UploadChecksum { algorithm: ChecksumAlgorithm::Crc32c, kind: ChecksumType::Composite };

/// Asks for a plain upload.
pub fn new_upload(bucket: &BucketName, key: &ObjectKey) -> CreateUpload {
    CreateUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: Attributes::default(),
        storage_class: StorageClassName::standard(),
        checksum: UPLOAD_CHECKSUM,
        checksum_named: false,
        initiator: None,
    }
}

/// A part's number.
pub fn part_number(number: u16) -> PartNumber {
    PartNumber::new(number).expect("a valid part number")
}

/// Asks to add an inline part; its entity tag and checksum are made of its number.
pub fn inline_part(
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
    number: u16,
    text: &str,
) -> CommitPart {
    CommitPart {
        bucket: bucket.clone(),
        key: key.clone(),
        upload,
        number: part_number(number),
        lease: None,
        content: inline(text.to_owned()),
        etag: etag(u64::from(number)),
        checksum: crc32c(u32::from(number)).value,
        missing: Vec::new(),
    }
}

/// Asks to complete with these parts, named by the entity tags that [`inline_part`] and [`stored_part`] give them.
pub fn completion(bucket: &BucketName, key: &ObjectKey, upload: UploadId, parts: &[u16]) -> CompleteUpload {
    let part = |number: &u16| CompletedPart {
        number: part_number(*number),
        etag: etag(u64::from(*number)),
        checksum: None,
    };
    CompleteUpload {
        bucket: bucket.clone(),
        key: key.clone(),
        upload,
        parts: parts.iter().map(part).collect(),
        object_size: None,
        checksum: None,
        checksum_type: None,
        condition: WriteCondition::None,
    }
}

/// Asks to add a part of `size` bytes in a new chunk; its entity tag and checksum are made of its number.
pub fn stored_part(
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
    number: u16,
    minter: &mut Minter,
    size: u64,
) -> CommitPart {
    CommitPart {
        lease: Some(minter.lease),
        content: minter.content(&[size]),
        ..inline_part(bucket, key, upload, number, "")
    }
}

/// Asks for a rename under no condition.
pub fn rename(
    bucket: &BucketName,
    (source_key, source_version_id): (&ObjectKey, VersionId),
    source_etag: ETag,
    key: &ObjectKey,
) -> RenameObject {
    RenameObject {
        bucket: bucket.clone(),
        source_key: source_key.clone(),
        source_version_id,
        source_etag,
        key: key.clone(),
        mark: None,
        condition: WriteCondition::None,
    }
}

/// Asks for the rename of what is under a prefix as it is now.
pub async fn rename_prefix(
    store: &Store,
    bucket: &BucketName,
    source: &str,
    destination: &str,
) -> RenamePrefix {
    let request = ListObjects {
        bucket: bucket.clone(),
        prefix: prefix(source),
        delimiter: None,
        position: ListPosition::Start,
        limit: PAGE_SIZE_MAX,
    };
    let listed = store.list_objects(request).await.map_or_else(|_| Vec::new(), |page| page.entries);
    let mut objects = Vec::with_capacity(listed.len());
    for entry in listed {
        let ObjectEntry::Object(ObjectSummary { key, etag, .. }) = entry else { continue };
        let request = GetVersion { bucket: bucket.clone(), key, version_id: None, with_content: false };
        if let Ok(found) = store.get_version(request.clone()).await {
            objects.push(RenamedObject { key: request.key, version_id: found.version_id, etag });
        }
    }
    let (source, destination) = (prefix(source), prefix(destination));
    RenamePrefix { bucket: bucket.clone(), source, destination, objects, mark: None }
}

/// Asks for a copy that keeps everything.
pub fn copy(
    (source_bucket, source_key, source_version_id): (&BucketName, &ObjectKey, VersionId),
    source_etag: ETag,
    (bucket, key): (&BucketName, &ObjectKey),
) -> CopyVersion {
    CopyVersion {
        source_bucket: source_bucket.clone(),
        source_key: source_key.clone(),
        source_version_id,
        source_etag,
        source_class: None,
        rewraps: None,
        bucket: bucket.clone(),
        key: key.clone(),
        attributes: CopyAttributes::Keep,
        checksum: None,
        condition: WriteCondition::None,
    }
}
