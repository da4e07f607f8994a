//! UploadPart: stores one part of an upload. S3 API Reference, "UploadPart".

use axum::body::Body;
use checksum::format_checksum;
use data_pool::Claim;
use http::{HeaderName, StatusCode};
use metadata_api::{CommitPart, Part, Upload, UploadChecksum};
use s3_wire::{
    ErrorCode, S3Error,
    header::{RequestChecksum, request_checksum},
    query::Query,
};
use types::{ChecksumType, PartNumber, UploadId};

use super::{UPLOAD_SIZE_MAX, object_read::part_number, put_object::owner_tag};
use crate::{
    Gateway,
    auth::Permit,
    encryption::{self, Sealing},
    error,
    output::{empty, set, set_etag},
    payload::ObjectBody,
    request::{Request, Response},
    settle,
};

/// The `uploadId` parameter. Text that can be no id names no upload.
pub(crate) fn upload_id(query: &Query<'_>) -> Result<UploadId, S3Error> {
    let text = query.get("uploadId").unwrap_or("");
    text.parse().map_err(|_| S3Error::new(ErrorCode::NoSuchUpload).field("UploadId", text))
}

/// The upload and the part that a request names.
pub(super) async fn open_upload(
    gateway: &Gateway,
    request: &Request,
) -> Result<(Upload, PartNumber), S3Error> {
    let query = request.query()?;
    let number = part_number(query.get("partNumber").unwrap_or(""))?;
    let upload = upload_id(&query)?;
    if request.headers.contains_key("x-amz-expected-bucket-owner") {
        request.existing_bucket(gateway).await?;
    }
    let upload = gateway
        .metadata
        .get_upload(request.bucket()?, request.key()?, upload)
        .await
        .map_err(|e| request.metadata_error(e))?;
    Ok((upload, number))
}

/// The checksum of a part must be of the algorithm that the upload names; where the object's is composed of those of its parts, each
/// must have one. Source: Amazon S3 User Guide, "Checking object integrity for data uploads in Amazon S3".
fn check_algorithm(upload: &Upload, sent: Option<&RequestChecksum>) -> Result<(), S3Error> {
    let UploadChecksum { algorithm: expected, kind } = upload.checksum;
    let actual = match sent {
        _ if !upload.checksum_named => return Ok(()),
        Some(sent) if sent.algorithm() != expected => sent.algorithm().name(),
        None if kind == ChecksumType::Composite => "null",
        _ => return Ok(()),
    };
    Err(S3Error::invalid_request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        expected.name().to_ascii_lowercase(),
        actual.to_ascii_lowercase()
    )))
}

pub(super) async fn upload_part(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    // Parse, and refuse what can be refused before the body is read.
    let (upload, number) = open_upload(gateway, request).await?;
    let sent = request_checksum(&request.headers)?;
    check_algorithm(&upload, sent.as_ref())?;
    let sealing = encryption::of_part(gateway, request, &upload, number).await?;
    let algorithm = upload.checksum.algorithm;
    let mut body = ObjectBody::open(gateway, request, body, Some(algorithm), UPLOAD_SIZE_MAX)?;

    // Act.
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let length = body.length().ok_or_else(|| S3Error::new(ErrorCode::MissingContentLength))?;
    let owner = owner_tag(&bucket, &key);
    let (pool, class) = (&gateway.pool, &upload.storage_class);
    let stored = encryption::write_part(pool, class, owner, length, body.stream(), sealing.as_ref())
        .await
        .map_err(error::from_write)?;
    let proved = body.proved()?;
    let (Some(etag), Some(checksum)) = (proved.digests.etag(), proved.checksum) else {
        return Err(S3Error::new(ErrorCode::InternalError));
    };
    let etag = sealing.as_ref().map_or(etag, |sealing| sealing.etag(etag));
    let content = stored.content;
    let commit = CommitPart {
        bucket,
        key,
        upload: upload.id,
        number,
        lease: stored.lease,
        content,
        etag,
        checksum,
        missing: stored.missing,
    };
    let part = commit_part(gateway, request, commit, stored.claim, sealing.as_ref()).await?;

    // Respond.
    let mut response = empty(StatusCode::OK);
    set_etag(response.headers_mut(), &part.etag);
    // One that neither the upload nor the part names is not shown.
    if upload.checksum_named || sent.is_some_and(|sent| sent.algorithm() == algorithm) {
        let name = HeaderName::from_static(algorithm.header_name());
        set(response.headers_mut(), name, &format_checksum(&part.checksum));
    }
    if let Some(sealing) = sealing {
        sealing.set_headers(gateway, response.headers_mut());
    }
    Ok(response)
}

/// Commits a part that was sealed in this way, and tells the pool what became of it.
pub(super) async fn commit_part(
    gateway: &Gateway,
    request: &Request,
    commit: CommitPart,
    claim: Claim,
    sealing: Option<&Sealing>,
) -> Result<Part, S3Error> {
    let kept = commit.content.length();
    let outcome = gateway.metadata.commit_part(commit).await;
    settle(claim, &outcome);
    let part = outcome.map_err(|error| request.metadata_error(error))?;
    encryption::check_kept_part(request, sealing.is_some(), kept, part.size)?;
    Ok(part)
}
