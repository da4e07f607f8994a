//! PutBucketVersioning: enables or suspends versioning. S3 API Reference, "PutBucketVersioning".

use axum::body::Body;
use http::StatusCode;
use s3_wire::{
    S3Error,
    xml::{VERSIONING_BODY_MAX, parse_versioning},
};

use crate::{
    Gateway,
    auth::Permit,
    output::empty,
    payload::ObjectBody,
    request::{Request, Response},
};

pub(super) async fn put_bucket_versioning(
    gateway: &Gateway,
    request: &Request,
    body: &mut Body,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let body = ObjectBody::open_document(gateway, request, body, VERSIONING_BODY_MAX)?;
    request.existing_bucket(gateway).await?;
    let versioning = parse_versioning(&body.document().await?)?;
    let bucket = request.bucket()?;
    gateway.metadata.set_versioning(bucket, versioning).await.map_err(|e| request.metadata_error(e))?;
    Ok(empty(StatusCode::OK))
}
