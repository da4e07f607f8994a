//! PutObject: stores one object as a new current version. S3 API Reference, "PutObject".

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use metadata_api::{
    Bucket, CommitVersion, Committed, Error as MetadataError, GetVersion, NewVersion, VersionState,
    WriteCondition,
};
use s3_wire::{
    ErrorCode, S3Error,
    header::{self, attributes, content_md5, request_checksum, storage_class, tags},
    lifecycle::Current,
};
use types::{
    Attributes, BucketName, Checksum, ChecksumType, ChunkOwner, ObjectKey, StorageClassName, VersionLock,
};

use super::{UPLOAD_SIZE_MAX, access_control::acl_of_new, object_retention::check_lock};
use crate::{
    Gateway,
    auth::Permit,
    encryption, error,
    lifecycle::set_expiration,
    output::{empty, set_committed},
    payload::ObjectBody,
    request::{Request, Response},
    settle,
};

pub(super) async fn put_object(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let tags = tags(&request.headers)?;
    let body = ObjectBody::open(gateway, request, body, None, UPLOAD_SIZE_MAX)?;
    let written = store(gateway, request, tags, body, permit).await?;
    let mut response = empty(StatusCode::OK);
    written.set_headers(response.headers_mut());
    Ok(response)
}

/// An object that was stored.
pub(super) struct Written {
    pub(super) committed: Committed,
    /// How it is encrypted and when it expires, as headers.
    beside: HeaderMap,
}

impl Written {
    /// The headers that tell of it.
    pub(super) fn set_headers(self, headers: &mut HeaderMap) {
        set_committed(headers, &self.committed);
        headers.extend(self.beside);
    }
}

/// Stores a body as a new current version, of which the request's headers say the rest.
pub(super) async fn store(
    gateway: &Gateway,
    request: &Request,
    tags: Vec<(String, String)>,
    mut body: ObjectBody<'_>,
    _permit: &Permit,
) -> Result<Written, S3Error> {
    // Parse.
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let mut attributes = Attributes { tags, ..attributes(&request.headers)? };
    let storage_class = writable_class(gateway, request)?;
    let condition = write_condition(request)?;

    // What can be refused is refused before the body is read.
    let target = request.existing_bucket(gateway).await?;
    check_lock(gateway, &target, &attributes.lock)?;
    require_checksum(request, &target, &attributes.lock)?;
    attributes.acl = acl_of_new(gateway, request, &target).await?;
    let sealing = encryption::of_new(gateway, request, &target).await?;
    check_early(gateway, request, condition).await?;

    // Act. Bytes become stable first; one metadata commit then makes them visible.
    let owner = owner_tag(&bucket, &key);
    let (pool, length) = (&gateway.pool, body.length());
    let stored =
        encryption::write(pool, &storage_class, owner, length, body.stream(), sealing.as_ref()).await;
    let stored = stored.map_err(error::from_write)?;
    let proved = body.proved()?;
    let etag = proved.digests.etag().ok_or_else(|| S3Error::new(ErrorCode::InternalError))?;
    let checksum = proved.checksum.map(|value| Checksum { value, kind: ChecksumType::FullObject });
    let tags = attributes.tags.clone();
    let (mut etag, mut beside) = (etag, HeaderMap::new());
    if let Some(sealing) = sealing {
        etag = sealing.etag(etag);
        sealing.set_headers(gateway, &mut beside);
        attributes.encryption = Some(sealing.encryption);
    }
    let (is_sealed, kept) = (attributes.encryption.is_some(), stored.content.length());
    let version = NewVersion { content: stored.content, etag, checksum, attributes, storage_class };
    let commit =
        CommitVersion { bucket, key, lease: stored.lease, version, condition, missing: stored.missing };
    request.confirm_bucket(gateway).await?;
    let outcome = gateway.metadata.commit_version(commit).await;
    settle(stored.claim, &outcome);
    let committed = outcome.map_err(|error| request.metadata_error(error))?;
    encryption::check_kept(request, is_sealed, kept, committed.size)?;
    set_expiration(gateway, &target, current(request, &committed, &tags)?, &mut beside).await;
    Ok(Written { committed, beside })
}

/// What lifecycle rules ask of a version that was made.
pub(super) fn current<'a>(
    request: &'a Request,
    committed: &Committed,
    tags: &'a [(String, String)],
) -> Result<Current<'a>, S3Error> {
    let (key, size) = (request.key()?.as_str(), committed.size);
    Ok(Current { key, size, tags, last_modified: committed.last_modified })
}

/// Whoever has an object retained has to say what it is. Source: API Reference, "PutObject", "Content-MD5".
fn require_checksum(request: &Request, target: &Bucket, lock: &VersionLock) -> Result<(), S3Error> {
    let default = target.object_lock.is_some_and(|configuration| configuration.default_retention.is_some());
    let headers = &request.headers;
    if (default || lock.retention.is_some())
        && content_md5(headers)?.is_none()
        && request_checksum(headers)?.is_none()
    {
        return Err(S3Error::invalid_request(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        ));
    }
    Ok(())
}

/// The storage class that the request names, which must be one that this cluster has. While it has none at all, the request
/// is to come again.
pub(super) fn writable_class(gateway: &Gateway, request: &Request) -> Result<StorageClassName, S3Error> {
    let class = storage_class(&request.headers)?.unwrap_or_else(StorageClassName::standard);
    check_class(&class, |class| gateway.pool.has_class(class))?;
    Ok(class)
}

fn check_class(
    class: &StorageClassName,
    has_class: impl Fn(&StorageClassName) -> bool,
) -> Result<(), S3Error> {
    if has_class(class) {
        Ok(())
    } else if !has_class(&StorageClassName::standard()) {
        Err(error::no_classes())
    } else {
        Err(S3Error::new(ErrorCode::InvalidStorageClass).field("StorageClassRequested", class.as_str()))
    }
}

/// Whether this cluster has a storage class.
pub(super) fn has_class(gateway: &Gateway, class: &StorageClassName) -> bool {
    *class == StorageClassName::standard() || gateway.pool.has_class(class)
}

/// The request's condition in the metadata contract's words.
pub(super) fn write_condition(request: &Request) -> Result<WriteCondition, S3Error> {
    Ok(match header::write_condition(&request.headers)? {
        header::WriteCondition::None => WriteCondition::None,
        header::WriteCondition::IfAbsent => WriteCondition::IfAbsent,
        header::WriteCondition::IfMatch(etag) => WriteCondition::IfMatch(etag),
    })
}

/// Looks whether a condition fails already, to spare the body. The commit decides.
pub(super) async fn check_early(
    gateway: &Gateway,
    request: &Request,
    condition: WriteCondition,
) -> Result<(), S3Error> {
    if condition == WriteCondition::None {
        return Ok(());
    }
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let wanted = GetVersion { bucket, key, version_id: None, with_content: false };
    let current = match gateway.metadata.get_version(wanted).await {
        Ok(found) => match found.state {
            VersionState::Object(version) => Some(version.etag),
            VersionState::DeleteMarker => None,
        },
        Err(MetadataError::KeyNotFound) => None,
        Err(error) => return Err(request.metadata_error(error)),
    };
    let failed = match (condition, current) {
        (WriteCondition::None, _)
        | (WriteCondition::IfAbsent, None)
        | (WriteCondition::IfPresent, Some(_)) => false,
        (WriteCondition::IfMatch(_) | WriteCondition::IfPresent, None) => {
            return Err(request.metadata_error(MetadataError::KeyNotFound));
        }
        (WriteCondition::IfAbsent, Some(_)) => true,
        (WriteCondition::IfMatch(wanted), Some(current)) => wanted != current,
    };
    if failed { Err(request.metadata_error(MetadataError::PreconditionFailed { current })) } else { Ok(()) }
}

/// What shards carry to say whose they are.
pub(super) fn owner_tag(bucket: &BucketName, key: &ObjectKey) -> Bytes {
    ChunkOwner { bucket: bucket.clone(), key: key.clone() }.to_bytes().into()
}

#[cfg(test)]
mod tests {
    use s3_wire::ErrorCode;
    use types::StorageClassName;

    use super::check_class;

    #[test]
    fn a_write_comes_again_while_the_cluster_has_no_storage_class_and_is_refused_one_that_it_lacks() {
        let (standard, reduced) = (StorageClassName::standard(), StorageClassName::reduced_redundancy());
        let code = |class, there: &[&StorageClassName]| {
            check_class(class, |class| there.contains(&class)).err().map(|error| error.code)
        };
        for class in [&standard, &reduced] {
            assert_eq!(code(class, &[]), Some(ErrorCode::ServiceUnavailable));
            assert_eq!(code(class, &[&standard, &reduced]), None);
        }
        assert_eq!(code(&reduced, &[&standard]), Some(ErrorCode::InvalidStorageClass));
    }
}
