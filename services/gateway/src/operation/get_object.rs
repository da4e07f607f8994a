//! GetObject: an object's bytes, or a range or part of them. S3 API Reference, "GetObject".

use axum::body::Body;
use futures_util::TryStreamExt;
use s3_wire::S3Error;

use super::object_read;
use crate::{
    Gateway,
    auth::Permit,
    error,
    request::{Request, Response},
};

/// Every byte is proved before it leaves. When that fails in the middle, the connection is broken rather than the
/// answer completed.
pub(super) async fn get_object(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let read = object_read::read(gateway, request, true).await?;
    let mut response = read.response;
    if let Some(bytes) = read.bytes.filter(|bytes| bytes.length() > 0) {
        // The first bytes decide whether there is an answer at all: an unreadable object is an error, not a 200.
        let mut stream = Box::pin(gateway.pool.read(&read.content, bytes));
        let first = stream.try_next().await.map_err(|unreadable| error::from_read(&unreadable))?;
        let first = futures_util::stream::iter(first.map(Ok));
        let rest = stream.inspect_err(|error| tracing::error!(%error, "an answer was broken off"));
        *response.body_mut() = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    }
    Ok(response)
}
