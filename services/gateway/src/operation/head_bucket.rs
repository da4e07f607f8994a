//! HeadBucket: whether a bucket is there, and where. S3 API Reference, "HeadBucket".

use http::{HeaderName, StatusCode};
use s3_wire::S3Error;

use crate::{
    Gateway,
    auth::Permit,
    output::{empty, set},
    request::{Request, Response},
};

pub(super) async fn head_bucket(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    let mut response = empty(StatusCode::OK);
    set(response.headers_mut(), HeaderName::from_static("x-amz-access-point-alias"), "false");
    Ok(response)
}
