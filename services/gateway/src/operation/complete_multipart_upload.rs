//! CompleteMultipartUpload: makes an object of an upload's parts. S3 API Reference, "CompleteMultipartUpload".

use std::collections::BTreeMap;

use axum::body::Body;
use http::header::HOST;
use metadata_api::{
    Committed, CompleteUpload, CompletedPart, Error as MetadataError, FoundVersion, GetVersion, ListParts,
    PAGE_SIZE_MAX, Upload, UploadChecksum, VersionState,
};
use s3_wire::{
    ErrorCode, S3Error,
    header::{mp_object_size, object_checksum},
    xml::{self, COMPLETE_BODY_MAX},
};
use types::{ChecksumType, ChecksumValue, PartNumber, UploadId};

use super::{
    put_object::{current, write_condition},
    upload_part::upload_id,
};
use crate::{
    Gateway,
    auth::Permit,
    encryption::{self, set_encryption},
    lifecycle::set_expiration,
    output::{self, set_new_version_id},
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn complete_multipart_upload(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    // Parse. The checksum headers of this request are the object's, not the document's.
    let upload = upload_id(&request.query()?)?;
    let condition = write_condition(request)?;
    let checksum = object_checksum(&request.headers)?;
    let checksum_type = stated_type(request)?;
    let object_size = mp_object_size(&request.headers)?;
    let body = ObjectBody::open_document_without_checksum(gateway, request, body, COMPLETE_BODY_MAX)?;
    if request.headers.contains_key("x-amz-expected-bucket-owner") {
        request.existing_bucket(gateway).await?;
    }
    let parts = xml::parse_complete(&body.collect().await?)?;
    xml::check_part_order(&parts).map_err(|error| error.field("UploadId", upload.to_string()))?;
    if checksum.and_then(|checksum| checksum.parts).is_some_and(|stated| usize::from(stated) != parts.len()) {
        return Err(bad_digest(checksum.map(|checksum| checksum.value)));
    }

    // What every part has and what nothing is said of needs no look at the upload.
    let lacks_checksum = parts.iter().any(|part| part.checksum.is_none());
    if encryption::is_spoken_of(request) || checksum_type.is_some() || lacks_checksum {
        match gateway.metadata.get_upload(request.bucket()?, request.key()?, upload).await {
            Ok(upload) => {
                encryption::check_upload(gateway, request, &upload).await?;
                check_checksums(&upload, checksum_type, &parts)?;
            }
            // It may be that it ended already, and that this is asked again.
            Err(MetadataError::UploadNotFound) => {}
            Err(error) => return Err(request.metadata_error(error)),
        }
    }

    // Act.
    let complete = CompleteUpload {
        bucket: request.bucket()?.clone(),
        key: request.key()?.clone(),
        upload,
        parts: parts
            .iter()
            .map(|part| CompletedPart { number: part.number, etag: part.etag, checksum: part.checksum })
            .collect(),
        object_size,
        checksum: checksum.map(|checksum| checksum.value),
        checksum_type,
        condition,
    };
    let stated = complete.checksum;
    let committed = match gateway.metadata.complete_upload(complete).await {
        Ok(committed) => committed,
        Err(MetadataError::UploadChecksumMismatch) => return Err(bad_digest(stated)),
        Err(MetadataError::InvalidPart { number }) => {
            return Err(refuse_part(gateway, request, upload, &parts, number).await);
        }
        Err(error) => return Err(refusal(request, upload, &parts, error)),
    };

    // Respond.
    let host = request.header(&HOST).unwrap_or("");
    let location = format!("{}://{host}{}", gateway.scheme, request.uri.path());
    let result = xml::CompleteMultipartUpload {
        location: &location,
        bucket: request.bucket()?.as_str(),
        key: request.key()?.as_str(),
        etag: committed.etag,
        checksum: committed.checksum,
    };
    let mut response = output::xml(xml::complete_multipart_upload(&result));
    set_new_version_id(response.headers_mut(), committed.versioning, committed.version_id);
    say_what_it_has(gateway, request, &committed, &mut response).await?;
    Ok(response)
}

/// The checksum that was stated is not the object's.
fn bad_digest(stated: Option<ChecksumValue>) -> S3Error {
    let name = stated.map_or("checksum", |stated| stated.algorithm().name()).to_ascii_lowercase();
    let message = format!("The {name} you specified did not match the calculated checksum.");
    S3Error::with_message(ErrorCode::BadDigest, message)
}

/// Refuses what a part that does not match made fail. Where its checksum is by another algorithm than the upload names, that is said,
/// unless a part is named that is not there, which comes first.
async fn refuse_part(
    gateway: &Gateway,
    request: &Request,
    upload: UploadId,
    parts: &[xml::CompletedPart],
    number: PartNumber,
) -> S3Error {
    let invalid = |number| refusal(request, upload, parts, MetadataError::InvalidPart { number });
    let Some(of_another) = of_another_algorithm(gateway, request, upload, parts, number).await else {
        return invalid(number);
    };
    match first_missing(gateway, request, upload, parts).await {
        Some(missing) => invalid(missing),
        None => of_another,
    }
}

/// The first of the named parts that was not uploaded, or is another by its entity tag.
async fn first_missing(
    gateway: &Gateway,
    request: &Request,
    upload: UploadId,
    parts: &[xml::CompletedPart],
) -> Option<PartNumber> {
    let (mut uploaded, mut after) = (BTreeMap::new(), None);
    loop {
        let (bucket, key) = (request.bucket().ok()?.clone(), request.key().ok()?.clone());
        let wanted = ListParts { bucket, key, upload, after, limit: PAGE_SIZE_MAX };
        let page = gateway.metadata.list_parts(wanted).await.ok()?;
        after = page.parts.last().map(|part| part.number);
        uploaded.extend(page.parts.into_iter().map(|part| (part.number, part.etag)));
        if !page.truncated || after.is_none() {
            break;
        }
    }
    parts.iter().find(|part| uploaded.get(&part.number) != Some(&part.etag)).map(|part| part.number)
}

/// What is wrong with a part whose checksum is by another algorithm than the upload names, if it is that.
async fn of_another_algorithm(
    gateway: &Gateway,
    request: &Request,
    upload: UploadId,
    parts: &[xml::CompletedPart],
    number: PartNumber,
) -> Option<S3Error> {
    let stated = parts.iter().find(|part| part.number == number)?.checksum?.algorithm();
    let upload =
        gateway.metadata.get_upload(request.bucket().ok()?, request.key().ok()?, upload).await.ok()?;
    (upload.checksum_named && upload.checksum.algorithm != stated).then(|| {
        let (name, number) = (stated.name().to_ascii_lowercase(), number.get());
        let message = format!("The {name} you specified for part {number} did not match what we received.");
        S3Error::with_message(ErrorCode::BadDigest, message)
    })
}

/// What a failure means to the client, with the upload and the part that it is about.
fn refusal(
    request: &Request,
    upload: UploadId,
    parts: &[xml::CompletedPart],
    error: MetadataError,
) -> S3Error {
    let number = match error {
        MetadataError::InvalidPart { number } => Some(number),
        _ => None,
    };
    let error = request.metadata_error(error);
    let error = match error.code {
        ErrorCode::InvalidPart | ErrorCode::InvalidPartOrder => error.field("UploadId", upload.to_string()),
        _ => error,
    };
    let Some(number) = number else { return error };
    let error = error.field("PartNumber", number.get().to_string());
    // What can be no entity tag was not kept.
    match parts.iter().find(|part| part.number == number && part.etag.parts != Some(0)) {
        Some(part) => error.field("ETag", part.etag.to_string()),
        None => error,
    }
}

/// What a request says of checksums must be what the upload was created with; where the object's is composed of those of its parts, it
/// must repeat each. Source: Amazon S3 User Guide, "Checking object integrity for data uploads in Amazon S3".
fn check_checksums(
    upload: &Upload,
    stated: Option<ChecksumType>,
    parts: &[xml::CompletedPart],
) -> Result<(), S3Error> {
    let UploadChecksum { algorithm, kind } = upload.checksum;
    if stated.is_some_and(|stated| stated != kind) {
        return Err(S3Error::invalid_request(format!(
            "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
            kind.name()
        )));
    }
    let missing = parts.iter().find(|part| part.checksum.is_none());
    match missing.filter(|_| upload.checksum_named && kind == ChecksumType::Composite) {
        Some(part) => Err(S3Error::invalid_request(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {} in the request.",
            algorithm.name().to_ascii_lowercase(),
            part.number.get()
        ))),
        None => Ok(()),
    }
}

/// Its tags, which rules may ask for when it expires, and how it is encrypted came with the upload.
async fn say_what_it_has(
    gateway: &Gateway,
    request: &Request,
    committed: &Committed,
    response: &mut Response,
) -> Result<(), S3Error> {
    let (bucket, key) = (request.bucket()?.clone(), request.key()?.clone());
    let wanted = GetVersion { bucket, key, version_id: Some(committed.version_id), with_content: false };
    // It may have been replaced by now.
    if let Ok(FoundVersion { bucket, state: VersionState::Object(version), .. }) =
        gateway.metadata.get_version(wanted).await
    {
        let object = current(request, committed, &version.attributes.tags)?;
        set_expiration(gateway, &bucket, object, response.headers_mut()).await;
        set_encryption(gateway, response.headers_mut(), version.attributes.encryption.as_ref());
    }
    Ok(())
}

fn stated_type(request: &Request) -> Result<Option<ChecksumType>, S3Error> {
    match request.headers.get("x-amz-checksum-type").map(http::HeaderValue::as_bytes) {
        None => Ok(None),
        Some(b"FULL_OBJECT") => Ok(Some(ChecksumType::FullObject)),
        Some(b"COMPOSITE") => Ok(Some(ChecksumType::Composite)),
        Some(_) => Err(S3Error::invalid_request("Value for x-amz-checksum-type header is invalid.")),
    }
}
