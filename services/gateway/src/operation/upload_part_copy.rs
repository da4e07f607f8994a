//! UploadPartCopy: a part whose bytes are read from an object. S3 API Reference, "UploadPartCopy".
//!
//! The bytes are read and written again: the part's entity tag is their MD5, so they have to be read in any case.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use checksum::{AlgorithmSet, ObjectHasher, Wanted};
use data_pool::{ReadError, Stored, WriteError};
use futures_util::{Stream, TryStreamExt};
use http::HeaderMap;
use metadata_api::CommitPart;
use s3_wire::{
    ErrorCode, S3Error,
    header::{CopySource, copy_source, copy_source_range},
    xml::{self, CopyResult},
};
use types::{ByteRange, Checksum, ChecksumType, Content};

use super::{
    UPLOAD_SIZE_MAX, copy_class,
    copy_object::set_source_version,
    copy_source::{find_source, unreadable},
    put_object::owner_tag,
    upload_part::{commit_part, open_upload},
};
use crate::{
    Gateway,
    auth::Permit,
    encryption::{self, Opening},
    error, output,
    payload::prove_unused,
    request::{Request, Response},
};

pub(super) async fn upload_part_copy(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    permit: &Permit,
) -> Result<Response, S3Error> {
    // Parse.
    let source = copy_source(&request.headers)?;
    let range = copy_source_range(&request.headers)?;
    prove_unused(gateway, request, body).await?;
    let (found, version) = find_source(gateway, request, &source, true, permit, false).await?;
    let opening = encryption::open_source(gateway, request, &version).await?;
    let (upload, number) = open_upload(gateway, request).await?;
    let sealing = encryption::of_part(gateway, request, &upload, number).await?;
    let bytes = match range {
        Some(range) => within(version.size, range)?,
        None => ByteRange::new(0, version.size).ok_or_else(|| S3Error::new(ErrorCode::InternalError))?,
    };
    if bytes.length() > UPLOAD_SIZE_MAX {
        return Err(copy_class::too_large());
    }

    // Act.
    let mut headers = HeaderMap::new();
    set_source_version(&mut headers, &found);
    if let Some(sealing) = &sealing {
        sealing.set_headers(gateway, &mut headers);
    }
    request.early.set(headers.clone());
    let algorithm = upload.checksum.algorithm;
    let hasher = ObjectHasher::new(Wanted {
        md5: true,
        payload_sha256: false,
        checksums: AlgorithmSet::from(algorithm),
    });
    let hasher = Arc::new(Mutex::new(hasher));
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let owner = owner_tag(&bucket, &key);
    let body = hashed(gateway, &version.content, opening.as_ref(), bytes, hasher.clone());
    let (pool, class, length) = (&gateway.pool, &upload.storage_class, bytes.length());
    let stored = encryption::write_part(pool, class, owner, length, body, sealing.as_ref()).await;
    let Stored { content, lease, missing, claim, .. } = match stored {
        Ok(stored) => stored,
        Err(failed) => return Err(failure(gateway, failed, &source, &version.content).await),
    };
    let digests = hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
    let (Some(etag), Some(checksum)) = (digests.etag(), digests.checksum(algorithm)) else {
        return Err(S3Error::new(ErrorCode::InternalError));
    };
    let etag = sealing.as_ref().map_or(etag, |sealing| sealing.etag(etag));
    let commit =
        CommitPart { bucket, key, upload: upload.id, number, lease, content, etag, checksum, missing };
    let part = commit_part(gateway, request, commit, claim, sealing.as_ref()).await?;

    // Respond.
    let value = Checksum { value: part.checksum, kind: ChecksumType::FullObject };
    let checksum = upload.checksum_named.then_some(value);
    let result = CopyResult { etag: part.etag, last_modified: part.last_modified, checksum };
    let mut response = output::xml(xml::copy_part(&result));
    response.headers_mut().extend(headers);
    Ok(response)
}

/// A range of a copy must lie within its source; a read would be cut to what is there. One that has nothing of it is answered otherwise
/// than one that goes beyond its end. Source: localstack/localstack, the answers of Amazon S3 recorded for `test_upload_part_copy_range`.
fn within(size: u64, (first, last): (u64, u64)) -> Result<ByteRange, S3Error> {
    if first >= size {
        return Err(S3Error::invalid_request(
            "The specified copy range is invalid for the source object size",
        ));
    }
    let bytes = last.checked_add(1).filter(|end| *end <= size).and_then(|end| ByteRange::new(first, end));
    bytes.ok_or_else(|| {
        S3Error::invalid_argument(
            format!("Range specified is not valid for source object of size: {size}"),
            "x-amz-copy-source-range",
            &format!("bytes={first}-{last}"),
        )
    })
}

/// The source's bytes, hashed on their way. Whether something of them is lost is for [`failure`] to find out.
pub(super) fn hashed(
    gateway: &Gateway,
    content: &Content,
    opening: Option<&Opening>,
    bytes: ByteRange,
    hasher: Arc<Mutex<ObjectHasher>>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + use<> {
    encryption::read(&gateway.pool.leaving_losses(), content, opening, bytes).inspect_ok(move |bytes| {
        hasher.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
    })
}

pub(super) async fn failure(
    gateway: &Gateway,
    failed: WriteError<ReadError>,
    source: &CopySource,
    content: &Content,
) -> S3Error {
    match failed {
        WriteError::Body(error) => unreadable(gateway, source, content, &error).await,
        other => {
            tracing::warn!(error = %other, "what was to be copied was not written");
            error::slow_down()
        }
    }
}
