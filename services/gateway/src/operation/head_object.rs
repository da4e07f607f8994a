//! HeadObject: what GetObject answers, without the body. S3 API Reference, "HeadObject".

use s3_wire::S3Error;

use super::object_read;
use crate::{
    Gateway,
    auth::Permit,
    request::{Request, Response},
};

pub(super) async fn head_object(
    gateway: &Gateway,
    request: &Request,
    permit: &Permit,
) -> Result<Response, S3Error> {
    let mut response = object_read::read(gateway, request, false).await?.response;
    permit.hide_private(request, response.headers_mut());
    Ok(response)
}
