//! GetBucketLocation: the region of a bucket. S3 API Reference, "GetBucketLocation".

use s3_wire::{S3Error, xml};

use crate::{
    Gateway,
    auth::Permit,
    output,
    request::{Request, Response},
};

pub(super) async fn get_bucket_location(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    request.existing_bucket(gateway).await?;
    Ok(output::xml(xml::location_constraint(&gateway.region)))
}
