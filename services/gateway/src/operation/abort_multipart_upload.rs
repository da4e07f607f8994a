//! AbortMultipartUpload: closes an upload and frees its parts. S3 API Reference, "AbortMultipartUpload".

use http::StatusCode;
use metadata_api::AbortUpload;
use s3_wire::S3Error;

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
    let abort = AbortUpload { bucket: request.bucket()?.clone(), key: request.key()?.clone(), upload };
    gateway.metadata.abort_upload(abort).await.map_err(|e| request.metadata_error(e))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
