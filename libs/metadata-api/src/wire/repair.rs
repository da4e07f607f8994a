//! The repair queue and the listing of contents.

use bytes::Bytes;
use types::{BucketId, LeaseId, Sequence, ShardId};

use super::{
    WireError, bucket_name,
    common::{id_to_wire, part_number, storage_class, upload_id},
    each, limit_from_wire, list, messages, object_key, optional, proto, required, shard_index,
};
use crate::{
    ClassChange, ContentKind, ContentOwner, ContentPage, ContentPosition, ContentRow, PAGE_SIZE_MAX,
    ReplaceChunks, Replacement,
};

/// Most bytes of a position: room for a key and what goes with it.
const POSITION_LENGTH_MAX: usize = 4096;

/// A page's limit.
pub(crate) fn list_limit(limit: u32) -> Result<usize, WireError> {
    limit_from_wire(limit, PAGE_SIZE_MAX)
}

/// Where a page of contents begins.
pub(crate) fn content_position(bytes: Bytes, field: &'static str) -> Result<ContentPosition, WireError> {
    if bytes.len() > POSITION_LENGTH_MAX {
        return Err(WireError::invalid(
            field,
            format!("{} bytes; at most {POSITION_LENGTH_MAX}", bytes.len()),
        ));
    }
    Ok(ContentPosition(bytes.into()))
}

impl From<ShardId> for proto::ShardId {
    fn from(shard: ShardId) -> Self {
        Self { chunk: Some(shard.chunk.into()), index: u32::from(shard.index.0) }
    }
}

impl TryFrom<proto::ShardId> for ShardId {
    type Error = WireError;

    fn try_from(message: proto::ShardId) -> Result<Self, WireError> {
        Ok(Self { chunk: required(message.chunk, "chunk")?, index: shard_index(message.index)? })
    }
}

fn content_kind(value: i32) -> Result<ContentKind, WireError> {
    match proto::ContentKind::try_from(value) {
        Ok(proto::ContentKind::Version) => Ok(ContentKind::Version),
        Ok(proto::ContentKind::Part) => Ok(ContentKind::Part),
        Ok(proto::ContentKind::Garbage) => Ok(ContentKind::Garbage),
        Ok(proto::ContentKind::Unspecified) | Err(_) => Err(WireError::UnknownValue { field: "kind", value }),
    }
}

impl From<ContentKind> for proto::ContentKind {
    fn from(kind: ContentKind) -> Self {
        match kind {
            ContentKind::Version => Self::Version,
            ContentKind::Part => Self::Part,
            ContentKind::Garbage => Self::Garbage,
        }
    }
}

impl From<ContentRow> for proto::ContentRow {
    fn from(row: ContentRow) -> Self {
        Self {
            kind: proto::ContentKind::from(row.kind).into(),
            bucket: row.bucket.0,
            bucket_name: row.bucket_name.map(|name| name.to_string()),
            key: row.key.map(|key| key.to_bytes()),
            owner: row.owner.map(Into::into),
            extents: messages(row.extents),
        }
    }
}

impl TryFrom<proto::ContentRow> for ContentRow {
    type Error = WireError;

    fn try_from(message: proto::ContentRow) -> Result<Self, WireError> {
        Ok(Self {
            kind: content_kind(message.kind)?,
            bucket: BucketId(message.bucket),
            bucket_name: message.bucket_name.map(|name| bucket_name(&name, "bucket_name")).transpose()?,
            key: message.key.map(|key| object_key(key, "key")).transpose()?,
            owner: optional(message.owner)?,
            extents: each(message.extents)?,
        })
    }
}

impl From<ContentPage> for proto::ListContentsResponse {
    fn from(page: ContentPage) -> Self {
        Self { rows: messages(page.rows), next: page.next.map(|next| next.0.into()) }
    }
}

impl TryFrom<proto::ListContentsResponse> for ContentPage {
    type Error = WireError;

    fn try_from(message: proto::ListContentsResponse) -> Result<Self, WireError> {
        let next = message.next.map(|next| content_position(next, "next")).transpose()?;
        Ok(Self { rows: each(message.rows)?, next })
    }
}

impl From<ContentOwner> for proto::ContentOwner {
    fn from(owner: ContentOwner) -> Self {
        use proto::content_owner::Owner;
        let owner = match owner {
            ContentOwner::Version(sequence) => Owner::Sequence(sequence.0),
            ContentOwner::Part { upload, number } => {
                Owner::Part(proto::UploadPart { upload: id_to_wire(upload.0), number: number.get().into() })
            }
        };
        Self { owner: Some(owner) }
    }
}

impl TryFrom<proto::ContentOwner> for ContentOwner {
    type Error = WireError;

    fn try_from(message: proto::ContentOwner) -> Result<Self, WireError> {
        use proto::content_owner::Owner;
        match message.owner.ok_or(WireError::Missing { field: "owner" })? {
            Owner::Sequence(sequence) => Ok(Self::Version(Sequence(sequence))),
            Owner::Part(part) => {
                Ok(Self::Part { upload: upload_id(&part.upload)?, number: part_number(part.number)? })
            }
        }
    }
}

impl From<Replacement> for proto::Replacement {
    fn from(replacement: Replacement) -> Self {
        Self { chunk: Some(replacement.chunk.into()), by: Some(replacement.by.into()) }
    }
}

impl TryFrom<proto::Replacement> for Replacement {
    type Error = WireError;

    fn try_from(message: proto::Replacement) -> Result<Self, WireError> {
        Ok(Self { chunk: required(message.chunk, "chunk")?, by: required(message.by, "by")? })
    }
}

impl From<ClassChange> for proto::ClassChange {
    fn from(change: ClassChange) -> Self {
        Self { from: change.from.to_string(), to: change.to.to_string() }
    }
}

impl TryFrom<proto::ClassChange> for ClassChange {
    type Error = WireError;

    fn try_from(message: proto::ClassChange) -> Result<Self, WireError> {
        Ok(Self { from: storage_class(&message.from)?, to: storage_class(&message.to)? })
    }
}

impl From<ReplaceChunks> for proto::RowReplacement {
    fn from(request: ReplaceChunks) -> Self {
        Self {
            bucket: request.bucket.to_string(),
            key: request.key.to_bytes(),
            owner: Some(request.owner.into()),
            lease: request.lease.map(|lease| lease.0),
            chunks: messages(request.chunks),
            missing: messages(request.missing),
            class: request.class.map(Into::into),
        }
    }
}

impl TryFrom<proto::RowReplacement> for ReplaceChunks {
    type Error = WireError;

    fn try_from(message: proto::RowReplacement) -> Result<Self, WireError> {
        Ok(Self {
            bucket: bucket_name(&message.bucket, "bucket")?,
            key: object_key(message.key, "key")?,
            owner: required(message.owner, "owner")?,
            lease: message.lease.map(LeaseId),
            chunks: list(message.chunks, PAGE_SIZE_MAX, "chunks")?,
            missing: each(message.missing)?,
            class: optional(message.class)?,
        })
    }
}
