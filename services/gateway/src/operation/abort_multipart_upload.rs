//! AbortMultipartUpload: closes an upload and frees its parts. S3 API Reference, "AbortMultipartUpload".

use http::StatusCode;
use metadata_api::AbortUpload;
use s3_wire::{
    S3Error,
    header::{IF_MATCH_INITIATED_TIME, initiated_condition},
};
use types::UploadId;

use super::upload_part::upload_id;
use crate::{
    Gateway,
    auth::Permit,
    output::empty,
    request::{Request, Response},
};

pub(super) async fn abort_multipart_upload(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let upload = upload_id(&request.query()?)?;
    if request.headers.contains_key("x-amz-expected-bucket-owner") {
        request.existing_bucket(gateway).await?;
    }
    check_initiated(gateway, request, upload).await?;
    let abort = AbortUpload { bucket: request.bucket()?.clone(), key: request.key()?.clone(), upload };
    gateway.metadata.abort_upload(abort).await.map_err(|e| request.metadata_error(e))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// When an upload was begun never changes, nor is its id given to another, so this holds of whatever is closed afterwards. Amazon S3 has
/// the header for directory buckets alone.
async fn check_initiated(gateway: &Gateway, request: &Request, upload: UploadId) -> Result<(), S3Error> {
    let Some(wanted) = initiated_condition(&request.headers)? else { return Ok(()) };
    let found = gateway.metadata.get_upload(request.bucket()?, request.key()?, upload).await;
    let found = found.map_err(|error| request.metadata_error(error))?;
    if found.initiated.seconds() == wanted.seconds() {
        Ok(())
    } else {
        Err(S3Error::precondition_failed(IF_MATCH_INITIATED_TIME))
    }
}
