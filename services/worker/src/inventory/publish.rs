//! Writes the files of a list as any object is written, and takes them away again when the list is not finished.

use std::convert::Infallible;

use bytes::Bytes;
use checksum::{AlgorithmSet, ObjectHasher, Wanted};
use encryption::{DataKey, Sealer};
use futures_util::stream;
use kms::KeyName;
use metadata_api::{
    Bucket, CommitVersion, DeleteCondition, DeleteVersion, DeleteVersions, Error, NewVersion, PAGE_SIZE_MAX,
    Subresource, WriteCondition,
};
use policy::{Account, Delivery, Policy, Service};
use s3_wire::{date::xml_date, header::ServerSideEncryption, xml::parse_encryption};
use types::{
    Attributes, BucketName, Checksum, ChecksumAlgorithm, ChecksumType, ChunkOwner, ETag, Encryption,
    ObjectKey, StorageClassName, Timestamp, VersionId,
};

use super::retry::{Attempts, persistently};
use crate::context::Context;

/// Bytes that are hashed without letting other tasks go on.
const WORK_SLICE: usize = 256 << 10;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) key: String,
    pub(super) version: VersionId,
    pub(super) size: usize,
    /// In hexadecimal digits.
    pub(super) md5: String,
}

/// Why a list is not made.
pub(super) enum Stop {
    /// A step of it failed.
    Failed(Error),
    /// The policy of the destination denies that something is put under this key.
    Denied { key: String },
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A file was not written, or it is not known.
pub(super) struct Failed {
    pub(super) why: Stop,
    /// Whether it may be there all the same.
    pub(super) may_be_there: bool,
}

/// Writes a file, again and again under the same key as long as that may help: what is there in the end is the same however often
/// it was written.
pub(super) async fn publish(
    context: &Context,
    (source, bucket): (&Bucket, &BucketName),
    key: String,
    content_type: &str,
    body: Bytes,
) -> Result<Published, Failed> {
    let (mut attempts, mut may_be_there) = (Attempts::new(context), false);
    loop {
        match persistently(context, || is_denied(context, source, bucket, &key)).await {
            Ok(false) => {}
            Ok(true) => return Err(Failed { why: Stop::Denied { key }, may_be_there }),
            Err(error) => return Err(Failed { why: error.into(), may_be_there }),
        }
        let error = match write(context, bucket, key.clone(), content_type, body.clone()).await {
            Ok(published) => return Ok(published),
            Err(error) => error,
        };
        may_be_there |= matches!(error, Error::TimedOut | Error::Internal { .. });
        if !attempts.go_on_after(&error).await {
            return Err(Failed { why: error.into(), may_be_there });
        }
    }
}

/// Whether the destination's policy, as it is now, denies the service that lists are delivered by at AWS to put this there, or the
/// destination is another account's by now.
pub(super) async fn is_denied(
    context: &Context,
    source: &Bucket,
    bucket: &BucketName,
    key: &str,
) -> Result<bool, Error> {
    let target = context.metadata.get_bucket(bucket).await?;
    if target.owner != source.owner {
        return Ok(true);
    }
    if !target.has_policy {
        return Ok(false);
    }
    let document = context.metadata.get_subresource(bucket, Subresource::Policy).await?;
    let Some(document) = document else { return Ok(false) };
    let policy = Policy::parse(&document, bucket.as_str());
    let policy = policy.map_err(|error| Error::Internal { reason: format!("a bucket's policy: {error}") })?;
    let now = context.env.wall_clock_ms();
    let (number, canonical) = (target.owner.number().into_owned(), target.owner.0.clone());
    Ok(policy.denies_delivery(&Delivery {
        service: Service::S3,
        account: &Account { number, canonical },
        source: source.name.as_str(),
        target: bucket.as_str(),
        key,
        time: xml_date(Timestamp(now)).as_str(),
        epoch_seconds: now.div_euclid(1000),
    }))
}

/// Writes a file under this worker's lease, which its commit checks.
async fn write(
    context: &Context,
    bucket: &BucketName,
    key: String,
    content_type: &str,
    body: Bytes,
) -> Result<Published, Error> {
    let internal = |reason: &str| Error::Internal { reason: reason.to_owned() };
    let object = ObjectKey::new(key.clone().into_bytes()).map_err(|_| internal("a key that cannot be"))?;
    let checksums = AlgorithmSet::from(ChecksumAlgorithm::Crc64nvme);
    let mut hasher = ObjectHasher::new(Wanted { md5: true, checksums, ..Wanted::default() });
    for slice in body.chunks(WORK_SLICE) {
        hasher.update(slice);
        tokio::task::yield_now().await;
    }
    let digests = hasher.finish();
    let etag = digests.etag().ok_or_else(|| internal("a file without a digest"))?;
    let value = digests.checksum(ChecksumAlgorithm::Crc64nvme);
    let checksum = value.map(|value| Checksum { value, kind: ChecksumType::FullObject });
    let storage_class = StorageClassName::standard();
    let owner = ChunkOwner { bucket: bucket.clone(), key: object.clone() }.to_bytes().into();
    let size = body.len();
    let Sealed { pieces, encryption, etag: own_etag } = sealed(context, bucket, body, etag).await?;
    let length = pieces.iter().map(|piece| piece.len() as u64).sum();
    let body = stream::iter(pieces.into_iter().map(Ok::<Bytes, Infallible>));
    let stored = context.pool.write(&storage_class, owner, length, body).await;
    let stored = stored.map_err(|error| Error::Unavailable { reason: error.to_string() })?;
    let is_sealed = encryption.is_some();
    let attributes =
        Attributes { content_type: Some(content_type.to_owned()), encryption, ..Attributes::default() };
    let content = stored.content;
    let version = NewVersion { content, etag: own_etag, checksum, attributes, storage_class };
    let commit = CommitVersion {
        bucket: bucket.clone(),
        key: object,
        lease: stored.lease,
        version,
        condition: WriteCondition::None,
        missing: stored.missing,
    };
    let outcome = context.metadata.commit_version(commit).await;
    match &outcome {
        Ok(_) => stored.claim.named(),
        // It may be named; the lease is given back, and a worker finds out.
        Err(Error::TimedOut | Error::Internal { .. }) => drop(stored.claim),
        Err(_) => stored.claim.refused(),
    }
    let committed = outcome?;
    if is_sealed && committed.size != size as u64 {
        return Err(internal("the metadata service does not keep how bytes are encrypted"));
    }
    Ok(Published { key, version: committed.version_id, size, md5: etag.to_string() })
}

/// What is kept of a file.
struct Sealed {
    pieces: Vec<Bytes>,
    encryption: Option<Encryption>,
    etag: ETag,
}

/// The file itself, or what its bucket has it encrypted to. Its entity tag is not its MD5 where SSE-KMS encrypts it.
async fn sealed(context: &Context, bucket: &BucketName, body: Bytes, etag: ETag) -> Result<Sealed, Error> {
    let Some(document) = context.metadata.get_bucket(bucket).await?.encryption else {
        return Ok(Sealed { pieces: vec![body], encryption: None, etag });
    };
    let unavailable = |reason: &dyn std::fmt::Display| Error::Unavailable { reason: reason.to_string() };
    let default =
        parse_encryption(&document).map_err(|error| Error::Internal { reason: error.to_string() })?;
    let missing = "the bucket encrypts new objects, and this worker has no keys";
    let keys = context.keys.as_ref().ok_or_else(|| unavailable(&missing))?;
    let key = DataKey::new(context.env.random_bytes());
    let (encryption, etag) = match default.algorithm {
        ServerSideEncryption::SseS3 => (keys.wrap(&key), etag),
        ServerSideEncryption::SseKms => {
            let name = default.key.as_deref().map(KeyName::of_checked);
            let id = keys.find(name.as_ref()).map_err(|error| unavailable(&error))?;
            let bucket = default.bucket_key_enabled.then(|| bucket.as_str());
            let wrapped = keys.wrap_named(&key, &id, "", bucket).await;
            (wrapped, ETag { digest: key.entity_tag(etag.digest), ..etag })
        }
    };
    let encryption = Some(encryption.map_err(|error| unavailable(&error))?);
    let (mut sealer, mut pieces) = (Sealer::whole(&key), Vec::new());
    for slice in body.chunks(WORK_SLICE) {
        sealer.seal(slice, &mut pieces);
        tokio::task::yield_now().await;
    }
    sealer.finish(&mut pieces);
    Ok(Sealed { pieces, encryption, etag })
}

/// Takes away what no manifest names, the latest first since it may name those before it, as far as that is possible.
pub(super) async fn withdraw(context: &Context, bucket: &BucketName, files: Vec<Published>) {
    let entries: Vec<DeleteVersion> = files
        .into_iter()
        .rev()
        .filter_map(|file| {
            let key = ObjectKey::new(file.key.into_bytes()).ok()?;
            let condition = DeleteCondition::default();
            Some(DeleteVersion { key, version_id: Some(file.version), condition, bypasses_governance: false })
        })
        .collect();
    for entries in entries.chunks(PAGE_SIZE_MAX) {
        let request =
            || DeleteVersions { bucket: bucket.clone(), entries: entries.to_vec(), marker_owner: None };
        match persistently(context, || context.metadata.delete_versions(request())).await {
            Ok(outcomes) => {
                let files = outcomes.iter().filter(|outcome| outcome.is_err()).count();
                if files > 0 {
                    tracing::info!(files, %bucket, "files of an inventory that was not finished cannot be deleted");
                }
            }
            Err(error) => {
                return tracing::info!(%error, %bucket, "files of an inventory that was not finished were left behind");
            }
        }
    }
}
