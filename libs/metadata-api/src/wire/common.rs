//! Names, checksums, contents: values that several calls share.

use bytes::Bytes;
use types::{
    Attributes, BucketName, CHUNK_SIZE_MAX, Checksum, ChecksumAlgorithm, ChecksumType, ChecksumValue,
    ChunkId, Coding, Content, ETag, Encryption, EncryptionScheme, Extent, GroupId, KeyPrefix, LeaseId,
    Manifest, MissingShard, ObjectKey, ObjectPart, PartNumber, RenameMark, Sequence, ShardId, ShardIndex,
    StorageClassName, UploadId, VersionId, VersionLock, Versioning,
};

use super::{WireError, each, messages, optional, proto, required};
use crate::{AccountId, Subresource, UploadChecksum, WriteCondition};

pub(crate) fn bucket_name(name: &str, field: &'static str) -> Result<BucketName, WireError> {
    BucketName::new(name).map_err(|error| WireError::invalid(field, error))
}

pub(crate) fn object_key(key: Bytes, field: &'static str) -> Result<ObjectKey, WireError> {
    ObjectKey::new(key).map_err(|error| WireError::invalid(field, error))
}

pub(super) fn key_prefix(prefix: Bytes, field: &'static str) -> Result<KeyPrefix, WireError> {
    KeyPrefix::new(prefix).map_err(|error| WireError::invalid(field, error))
}

pub(super) fn account(account: String, field: &'static str) -> Result<AccountId, WireError> {
    super::text(account, field).map(AccountId)
}

pub(crate) fn storage_class(name: &str) -> Result<StorageClassName, WireError> {
    StorageClassName::new(name).map_err(|error| WireError::invalid("storage_class", error))
}

/// Identifiers of 16 bytes.
pub(super) fn id(bytes: &[u8], field: &'static str) -> Result<[u8; 16], WireError> {
    bytes.try_into().map_err(|_| WireError::invalid(field, format!("{} bytes are not 16", bytes.len())))
}

pub(crate) fn upload_id(bytes: &[u8]) -> Result<UploadId, WireError> {
    id(bytes, "upload").map(UploadId)
}

pub(crate) fn id_to_wire(id: [u8; 16]) -> Bytes {
    Bytes::copy_from_slice(&id)
}

pub(super) fn part_number(number: u32) -> Result<PartNumber, WireError> {
    let number = u16::try_from(number).map_err(|error| WireError::invalid("number", error))?;
    PartNumber::new(number).map_err(|error| WireError::invalid("number", error))
}

/// A versioning state from the number of its enum.
pub(crate) fn versioning(value: i32) -> Result<Versioning, WireError> {
    match proto::Versioning::try_from(value) {
        Ok(proto::Versioning::Unversioned) => Ok(Versioning::Unversioned),
        Ok(proto::Versioning::Enabled) => Ok(Versioning::Enabled),
        Ok(proto::Versioning::Suspended) => Ok(Versioning::Suspended),
        Ok(proto::Versioning::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "versioning", value })
        }
    }
}

impl From<Versioning> for proto::Versioning {
    fn from(versioning: Versioning) -> Self {
        match versioning {
            Versioning::Unversioned => Self::Unversioned,
            Versioning::Enabled => Self::Enabled,
            Versioning::Suspended => Self::Suspended,
        }
    }
}

/// A kind of sub-resource from the number of its enum.
pub(crate) fn subresource(value: i32) -> Result<Subresource, WireError> {
    let unknown = WireError::UnknownValue { field: "subresource", value };
    Subresource::from_number(value.into()).ok_or(unknown)
}

impl From<Subresource> for proto::Subresource {
    fn from(subresource: Subresource) -> Self {
        match subresource {
            Subresource::Tagging => Self::Tagging,
            Subresource::Cors => Self::Cors,
            Subresource::PublicAccessBlock => Self::PublicAccessBlock,
            Subresource::Lifecycle => Self::Lifecycle,
            Subresource::Website => Self::Website,
            Subresource::Policy => Self::Policy,
            Subresource::Logging => Self::Logging,
            Subresource::Acl => Self::Acl,
            Subresource::OwnershipControls => Self::OwnershipControls,
            Subresource::Encryption => Self::Encryption,
        }
    }
}

fn checksum_algorithm(value: i32) -> Result<ChecksumAlgorithm, WireError> {
    match proto::ChecksumAlgorithm::try_from(value) {
        Ok(proto::ChecksumAlgorithm::Crc32) => Ok(ChecksumAlgorithm::Crc32),
        Ok(proto::ChecksumAlgorithm::Crc32c) => Ok(ChecksumAlgorithm::Crc32c),
        Ok(proto::ChecksumAlgorithm::Crc64nvme) => Ok(ChecksumAlgorithm::Crc64nvme),
        Ok(proto::ChecksumAlgorithm::Sha1) => Ok(ChecksumAlgorithm::Sha1),
        Ok(proto::ChecksumAlgorithm::Sha256) => Ok(ChecksumAlgorithm::Sha256),
        Ok(proto::ChecksumAlgorithm::Sha512) => Ok(ChecksumAlgorithm::Sha512),
        Ok(proto::ChecksumAlgorithm::Md5) => Ok(ChecksumAlgorithm::Md5),
        Ok(proto::ChecksumAlgorithm::Xxhash64) => Ok(ChecksumAlgorithm::Xxhash64),
        Ok(proto::ChecksumAlgorithm::Xxhash3) => Ok(ChecksumAlgorithm::Xxhash3),
        Ok(proto::ChecksumAlgorithm::Xxhash128) => Ok(ChecksumAlgorithm::Xxhash128),
        Ok(proto::ChecksumAlgorithm::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "algorithm", value })
        }
    }
}

impl From<ChecksumAlgorithm> for proto::ChecksumAlgorithm {
    fn from(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Self::Crc32,
            ChecksumAlgorithm::Crc32c => Self::Crc32c,
            ChecksumAlgorithm::Crc64nvme => Self::Crc64nvme,
            ChecksumAlgorithm::Sha1 => Self::Sha1,
            ChecksumAlgorithm::Sha256 => Self::Sha256,
            ChecksumAlgorithm::Sha512 => Self::Sha512,
            ChecksumAlgorithm::Md5 => Self::Md5,
            ChecksumAlgorithm::Xxhash64 => Self::Xxhash64,
            ChecksumAlgorithm::Xxhash3 => Self::Xxhash3,
            ChecksumAlgorithm::Xxhash128 => Self::Xxhash128,
        }
    }
}

pub(super) fn checksum_type(value: i32) -> Result<ChecksumType, WireError> {
    match proto::ChecksumType::try_from(value) {
        Ok(proto::ChecksumType::FullObject) => Ok(ChecksumType::FullObject),
        Ok(proto::ChecksumType::Composite) => Ok(ChecksumType::Composite),
        Ok(proto::ChecksumType::Unspecified) | Err(_) => {
            Err(WireError::UnknownValue { field: "checksum_type", value })
        }
    }
}

impl From<ChecksumType> for proto::ChecksumType {
    fn from(kind: ChecksumType) -> Self {
        match kind {
            ChecksumType::FullObject => Self::FullObject,
            ChecksumType::Composite => Self::Composite,
        }
    }
}

impl From<ETag> for proto::ETag {
    fn from(etag: ETag) -> Self {
        Self { digest: id_to_wire(etag.digest), parts: etag.parts.map(u32::from) }
    }
}

impl TryFrom<proto::ETag> for ETag {
    type Error = WireError;

    fn try_from(message: proto::ETag) -> Result<Self, WireError> {
        let parts = message.parts.map(u16::try_from).transpose();
        Ok(Self {
            digest: id(&message.digest, "etag")?,
            parts: parts.map_err(|error| WireError::invalid("etag", error))?,
        })
    }
}

impl From<ChecksumValue> for proto::ChecksumValue {
    fn from(checksum: ChecksumValue) -> Self {
        Self {
            algorithm: proto::ChecksumAlgorithm::from(checksum.algorithm()).into(),
            value: Bytes::copy_from_slice(checksum.as_bytes()),
        }
    }
}

impl TryFrom<proto::ChecksumValue> for ChecksumValue {
    type Error = WireError;

    fn try_from(message: proto::ChecksumValue) -> Result<Self, WireError> {
        let algorithm = checksum_algorithm(message.algorithm)?;
        Self::new(algorithm, &message.value).ok_or_else(|| {
            let reason = format!("{} bytes are not {}", message.value.len(), algorithm.length());
            WireError::invalid("checksum", reason)
        })
    }
}

impl From<Checksum> for proto::Checksum {
    fn from(checksum: Checksum) -> Self {
        Self { value: Some(checksum.value.into()), r#type: proto::ChecksumType::from(checksum.kind).into() }
    }
}

impl TryFrom<proto::Checksum> for Checksum {
    type Error = WireError;

    fn try_from(message: proto::Checksum) -> Result<Self, WireError> {
        Ok(Self { value: required(message.value, "value")?, kind: checksum_type(message.r#type)? })
    }
}

impl From<UploadChecksum> for proto::ChecksumForm {
    fn from(checksum: UploadChecksum) -> Self {
        Self {
            algorithm: proto::ChecksumAlgorithm::from(checksum.algorithm).into(),
            r#type: proto::ChecksumType::from(checksum.kind).into(),
        }
    }
}

impl TryFrom<proto::ChecksumForm> for UploadChecksum {
    type Error = WireError;

    fn try_from(message: proto::ChecksumForm) -> Result<Self, WireError> {
        Ok(Self { algorithm: checksum_algorithm(message.algorithm)?, kind: checksum_type(message.r#type)? })
    }
}

impl From<VersionId> for proto::VersionId {
    fn from(version_id: VersionId) -> Self {
        use proto::version_id::Id;
        let id = match version_id {
            VersionId::Null => Id::Null(proto::Nothing {}),
            VersionId::Numbered { sequence, nonce } => {
                Id::Numbered(proto::NumberedVersionId { sequence: sequence.0, nonce })
            }
        };
        Self { id: Some(id) }
    }
}

impl TryFrom<proto::VersionId> for VersionId {
    type Error = WireError;

    fn try_from(message: proto::VersionId) -> Result<Self, WireError> {
        use proto::version_id::Id;
        match message.id.ok_or(WireError::Missing { field: "version_id" })? {
            Id::Null(_) => Ok(Self::Null),
            Id::Numbered(id) if id.sequence >= 1 => {
                Ok(Self::Numbered { sequence: Sequence(id.sequence), nonce: id.nonce })
            }
            Id::Numbered(_) => Err(WireError::invalid("version_id", "its commit is less than 1")),
        }
    }
}

pub(crate) fn tags_to_wire(tags: Vec<(String, String)>) -> Vec<proto::Tag> {
    tags.into_iter().map(|(key, value)| proto::Tag { key, value }).collect()
}

pub(crate) fn tags_from_wire(tags: Vec<proto::Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

impl From<Attributes> for proto::Attributes {
    fn from(attributes: Attributes) -> Self {
        let entry = |(name, value)| proto::UserMetadata { name, value };
        Self {
            content_type: attributes.content_type,
            cache_control: attributes.cache_control,
            content_disposition: attributes.content_disposition,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            expires: attributes.expires,
            website_redirect_location: attributes.website_redirect_location,
            user_metadata: attributes.user_metadata.into_iter().map(entry).collect(),
            tags: tags_to_wire(attributes.tags),
            lock: (attributes.lock != VersionLock::default()).then(|| attributes.lock.into()),
            renamed: attributes.renamed.map(Into::into),
            acl: attributes.acl.map(Into::into),
            restore: attributes.restore.map(Into::into),
            encryption: attributes.encryption.map(Into::into),
        }
    }
}

impl TryFrom<proto::Attributes> for Attributes {
    type Error = WireError;

    fn try_from(message: proto::Attributes) -> Result<Self, WireError> {
        let entry = |entry: proto::UserMetadata| (entry.name, entry.value);
        Ok(Self {
            content_type: message.content_type,
            cache_control: message.cache_control,
            content_disposition: message.content_disposition,
            content_encoding: message.content_encoding,
            content_language: message.content_language,
            expires: message.expires,
            website_redirect_location: message.website_redirect_location,
            user_metadata: message.user_metadata.into_iter().map(entry).collect(),
            tags: tags_from_wire(message.tags),
            lock: optional(message.lock)?.unwrap_or_default(),
            renamed: optional(message.renamed)?,
            acl: optional(message.acl)?,
            restore: optional(message.restore)?,
            encryption: optional(message.encryption)?,
        })
    }
}

impl From<Encryption> for proto::Encryption {
    fn from(encryption: Encryption) -> Self {
        let scheme = match encryption.scheme {
            EncryptionScheme::SseS3 => proto::EncryptionScheme::SseS3,
            EncryptionScheme::SseC => proto::EncryptionScheme::SseC,
            EncryptionScheme::SseKms => proto::EncryptionScheme::SseKms,
        };
        let Encryption { scheme: _, key_id, wrapped_key, context, bucket_key } = encryption;
        Self { scheme: scheme.into(), key_id, wrapped_key, context, bucket_key }
    }
}

impl TryFrom<proto::Encryption> for Encryption {
    type Error = WireError;

    fn try_from(message: proto::Encryption) -> Result<Self, WireError> {
        let scheme = match proto::EncryptionScheme::try_from(message.scheme) {
            Ok(proto::EncryptionScheme::SseS3) => EncryptionScheme::SseS3,
            Ok(proto::EncryptionScheme::SseC) => EncryptionScheme::SseC,
            Ok(proto::EncryptionScheme::SseKms) => EncryptionScheme::SseKms,
            Ok(proto::EncryptionScheme::Unspecified) | Err(_) => {
                return Err(WireError::UnknownValue { field: "scheme", value: message.scheme });
            }
        };
        let proto::Encryption { scheme: _, key_id, wrapped_key, context, bucket_key } = message;
        Ok(Self { scheme, key_id, wrapped_key, context, bucket_key })
    }
}

impl From<RenameMark> for proto::RenameMark {
    fn from(mark: RenameMark) -> Self {
        Self { token: id_to_wire(mark.token), parameters: id_to_wire(mark.parameters) }
    }
}

impl TryFrom<proto::RenameMark> for RenameMark {
    type Error = WireError;

    fn try_from(message: proto::RenameMark) -> Result<Self, WireError> {
        Ok(Self { token: id(&message.token, "token")?, parameters: id(&message.parameters, "parameters")? })
    }
}

impl From<Content> for proto::Content {
    fn from(content: Content) -> Self {
        use proto::content::Content as Wire;
        let content = match content {
            Content::Inline(bytes) => Wire::Inline(bytes),
            Content::Stored(manifest) => Wire::Stored(manifest.into()),
        };
        Self { content: Some(content) }
    }
}

impl TryFrom<proto::Content> for Content {
    type Error = WireError;

    fn try_from(message: proto::Content) -> Result<Self, WireError> {
        use proto::content::Content as Wire;
        match message.content.ok_or(WireError::Missing { field: "content" })? {
            Wire::Inline(bytes) => Ok(Self::Inline(bytes)),
            Wire::Stored(manifest) => manifest.try_into().map(Self::Stored),
        }
    }
}

impl From<Manifest> for proto::Manifest {
    fn from(manifest: Manifest) -> Self {
        Self { extents: messages(manifest.extents) }
    }
}

impl TryFrom<proto::Manifest> for Manifest {
    type Error = WireError;

    fn try_from(message: proto::Manifest) -> Result<Self, WireError> {
        // No sum of lengths can overflow: an extent has at most `CHUNK_SIZE_MAX` bytes.
        Ok(Self { extents: each(message.extents)? })
    }
}

impl From<ChunkId> for proto::ChunkId {
    fn from(chunk: ChunkId) -> Self {
        Self { lease: chunk.lease.0, counter: chunk.counter }
    }
}

impl From<proto::ChunkId> for ChunkId {
    fn from(message: proto::ChunkId) -> Self {
        Self { lease: LeaseId(message.lease), counter: message.counter }
    }
}

impl From<Coding> for proto::Coding {
    fn from(coding: Coding) -> Self {
        // Both are at most 32.
        let number = |shards: usize| u32::try_from(shards).unwrap_or(u32::MAX);
        Self { data: number(coding.data()), parity: number(coding.parity()) }
    }
}

impl TryFrom<proto::Coding> for Coding {
    type Error = WireError;

    fn try_from(message: proto::Coding) -> Result<Self, WireError> {
        let number = |shards| u8::try_from(shards).map_err(|error| WireError::invalid("coding", error));
        Self::new(number(message.data)?, number(message.parity)?)
            .map_err(|error| WireError::invalid("coding", error))
    }
}

fn chunk_length(length: u64) -> Result<u64, WireError> {
    if length > CHUNK_SIZE_MAX {
        return Err(WireError::invalid("chunk_length", format!("{length} is more than {CHUNK_SIZE_MAX}")));
    }
    Ok(length)
}

impl From<Extent> for proto::Extent {
    fn from(extent: Extent) -> Self {
        Self {
            chunk: Some(extent.chunk.into()),
            group: extent.group.0,
            coding: Some(extent.coding.into()),
            chunk_length: extent.chunk_length,
            offset: extent.offset,
            length: extent.length,
            checksum: extent.checksum,
        }
    }
}

impl TryFrom<proto::Extent> for Extent {
    type Error = WireError;

    fn try_from(message: proto::Extent) -> Result<Self, WireError> {
        let chunk_length = chunk_length(message.chunk_length)?;
        let end = message.offset.checked_add(message.length);
        if end.is_none_or(|end| end > chunk_length) {
            return Err(WireError::invalid("extent", "it ends after its chunk"));
        }
        Ok(Self {
            chunk: required(message.chunk, "chunk")?,
            group: GroupId(message.group),
            coding: required(message.coding, "coding")?,
            chunk_length,
            offset: message.offset,
            length: message.length,
            checksum: message.checksum,
        })
    }
}

impl From<MissingShard> for proto::MissingShard {
    fn from(missing: MissingShard) -> Self {
        Self {
            chunk: Some(missing.shard.chunk.into()),
            index: u32::from(missing.shard.index.0),
            group: missing.group.0,
            coding: Some(missing.coding.into()),
            chunk_length: missing.chunk_length,
        }
    }
}

impl TryFrom<proto::MissingShard> for MissingShard {
    type Error = WireError;

    fn try_from(message: proto::MissingShard) -> Result<Self, WireError> {
        let coding: Coding = required(message.coding, "coding")?;
        let index = u8::try_from(message.index).map_err(|error| WireError::invalid("index", error))?;
        if usize::from(index) >= coding.total() {
            return Err(WireError::invalid("index", format!("{coding} has no shard {index}")));
        }
        Ok(Self {
            shard: ShardId { chunk: required(message.chunk, "chunk")?, index: ShardIndex(index) },
            group: GroupId(message.group),
            coding,
            chunk_length: chunk_length(message.chunk_length)?,
        })
    }
}

impl From<ObjectPart> for proto::ObjectPart {
    fn from(part: ObjectPart) -> Self {
        Self {
            number: u32::from(part.number.get()),
            size: part.size,
            etag: Some(part.etag.into()),
            checksum: part.checksum.map(Into::into),
        }
    }
}

impl TryFrom<proto::ObjectPart> for ObjectPart {
    type Error = WireError;

    fn try_from(message: proto::ObjectPart) -> Result<Self, WireError> {
        Ok(Self {
            number: part_number(message.number)?,
            size: message.size,
            etag: required(message.etag, "etag")?,
            checksum: optional(message.checksum)?,
        })
    }
}

/// A condition into the wire, where asking for nothing is the absence of the message.
pub(super) fn write_condition_to_wire(condition: WriteCondition) -> Option<proto::WriteCondition> {
    use proto::write_condition::Condition;
    let condition = match condition {
        WriteCondition::None => return None,
        WriteCondition::IfAbsent => Condition::IfAbsent(proto::Nothing {}),
        WriteCondition::IfMatch(etag) => Condition::IfMatch(etag.into()),
        WriteCondition::IfPresent => Condition::IfPresent(proto::Nothing {}),
    };
    Some(proto::WriteCondition { condition: Some(condition) })
}

/// A condition of a message. One that this release does not know is refused rather than passed over.
pub(super) fn write_condition(message: Option<proto::WriteCondition>) -> Result<WriteCondition, WireError> {
    use proto::write_condition::Condition;
    let Some(message) = message else { return Ok(WriteCondition::None) };
    match message.condition.ok_or(WireError::Missing { field: "condition" })? {
        Condition::IfAbsent(_) => Ok(WriteCondition::IfAbsent),
        Condition::IfMatch(etag) => etag.try_into().map(WriteCondition::IfMatch),
        Condition::IfPresent(_) => Ok(WriteCondition::IfPresent),
    }
}
