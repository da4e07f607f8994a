//! GetBucketVersioning. S3 API Reference, "GetBucketVersioning".

use s3_wire::{S3Error, xml};

use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

pub(super) async fn get_bucket_versioning(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let bucket = request.existing_bucket(gateway).await?;
    Ok(output::xml(xml::versioning(bucket.versioning)))
}
