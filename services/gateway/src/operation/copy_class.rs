//! A copy that is to have another storage class than its source, or to be encrypted otherwise: the bytes are read and written
//! again, because they lie elsewhere or are others. Its entity tag and checksum are those of an object that is written whole, as on S3.

use std::sync::{Arc, Mutex, PoisonError};

use checksum::{AlgorithmSet, ObjectHasher, Wanted};
use metadata_api::{CommitVersion, Committed, CopyAttributes, NewVersion, Version, WriteCondition};
use s3_wire::{ErrorCode, S3Error, header::CopySource};
use types::{
    Attributes, ByteRange, Checksum, ChecksumAlgorithm, ChecksumType, StorageClassName, VersionLock,
};

use super::{
    UPLOAD_SIZE_MAX,
    put_object::owner_tag,
    upload_part_copy::{failure, hashed},
};
use crate::{
    Gateway,
    encryption::{self, Opening, Sealing},
    request::Request,
    settle,
};

/// More is to be copied than is read and written in one request.
pub(super) fn too_large() -> S3Error {
    S3Error::invalid_request(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {UPLOAD_SIZE_MAX}"
    ))
}

/// What the copy is to be.
pub(super) struct ClassCopy {
    /// How the source's bytes are opened.
    pub(super) opening: Option<Opening>,
    /// How the copy's are sealed.
    pub(super) sealing: Option<Sealing>,
    pub(super) class: StorageClassName,
    pub(super) attributes: CopyAttributes,
    /// The checksum that was asked for.
    pub(super) algorithm: Option<ChecksumAlgorithm>,
    pub(super) condition: WriteCondition,
}

impl ClassCopy {
    /// Writes the copy of a version that was found with its content.
    pub(super) async fn write(
        self,
        gateway: &Gateway,
        request: &Request,
        from: &CopySource,
        source: &Version,
    ) -> Result<Committed, S3Error> {
        if source.size > UPLOAD_SIZE_MAX {
            return Err(too_large());
        }
        let bytes = ByteRange::new(0, source.size).ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
        let of_source = source.checksum.map(|checksum| checksum.value.algorithm());
        let algorithm = self.algorithm.or(of_source).unwrap_or(ChecksumAlgorithm::Crc64nvme);
        let hasher = Arc::new(Mutex::new(ObjectHasher::new(Wanted {
            md5: true,
            payload_sha256: false,
            checksums: AlgorithmSet::from(algorithm),
        })));
        let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
        let owner = owner_tag(&bucket, &key);
        let body = hashed(gateway, &source.content, self.opening.as_ref(), bytes, hasher.clone());
        let (pool, sealing) = (&gateway.pool, self.sealing.as_ref());
        let stored = encryption::write(pool, &self.class, owner, Some(source.size), body, sealing).await;
        let stored = match stored {
            Ok(stored) => stored,
            Err(failed) => return Err(failure(gateway, failed, from, &source.content).await),
        };
        let digests = hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
        let (Some(etag), Some(value)) = (digests.etag(), digests.checksum(algorithm)) else {
            return Err(S3Error::new(ErrorCode::InternalError));
        };
        let etag = sealing.map_or(etag, |sealing| sealing.etag(etag));
        let mut attributes = match self.attributes {
            CopyAttributes::Keep => Attributes {
                lock: VersionLock::default(),
                renamed: None,
                acl: None,
                restore: None,
                ..source.attributes.clone()
            },
            CopyAttributes::Replace(attributes) => *attributes,
        };
        attributes.encryption = self.sealing.map(|sealing| sealing.encryption);
        let (is_sealed, kept) = (attributes.encryption.is_some(), stored.content.length());
        let version = NewVersion {
            content: stored.content,
            etag,
            checksum: Some(Checksum { value, kind: ChecksumType::FullObject }),
            attributes,
            storage_class: self.class,
        };
        let (lease, missing, condition) = (stored.lease, stored.missing, self.condition);
        let commit = CommitVersion { bucket, key, lease, version, condition, missing };
        request.confirm_bucket(gateway).await?;
        let outcome = gateway.metadata.commit_version(commit).await;
        settle(stored.claim, &outcome);
        let committed = outcome.map_err(|error| request.metadata_error(error))?;
        encryption::check_kept(request, is_sealed, kept, committed.size)?;
        Ok(committed)
    }
}
