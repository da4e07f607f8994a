//! DeleteBucket: removes an empty bucket. S3 API Reference, "DeleteBucket".

use http::StatusCode;
use s3_wire::S3Error;

use crate::{
    Gateway,
    auth::Permit,
    output::empty,
    request::{Request, Response},
};

pub(super) async fn delete_bucket(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    gateway.metadata.delete_bucket(request.bucket()?).await.map_err(|e| request.metadata_error(e))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
