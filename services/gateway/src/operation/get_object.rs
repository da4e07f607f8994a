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

/// Times that a read is begun whose version is replaced each time between being found and being read.
const ATTEMPTS_MAX: u32 = 4;

/// Every byte is proved before it leaves. When that fails in the middle, the connection is broken rather than the
/// answer completed.
pub(super) async fn get_object(
    gateway: &Gateway,
    request: &Request,
    _permit: &Permit,
) -> Result<Response, S3Error> {
    let mut read = object_read::read(gateway, request, true).await?;
    let mut attempt = 1;
    loop {
        let Some(bytes) = read.bytes.filter(|bytes| bytes.length() > 0) else { return Ok(read.response) };
        // The first bytes decide whether there is an answer at all: an unreadable object is an error, not a 200.
        let mut stream = Box::pin(gateway.pool.read(&read.content, bytes));
        let unreadable = match stream.try_next().await {
            Ok(first) => {
                let first = futures_util::stream::iter(first.map(Ok));
                let rest = stream.inspect_err(|error| tracing::error!(%error, "an answer was broken off"));
                let mut response = read.response;
                *response.body_mut() = Body::from_stream(futures_util::StreamExt::chain(first, rest));
                return Ok(response);
            }
            Err(unreadable) => unreadable,
        };
        // The version may have been replaced meanwhile and its bytes freed; then what is there now is the answer.
        let now = object_read::read(gateway, request, true).await?;
        if now.content == read.content || attempt == ATTEMPTS_MAX {
            return Err(error::from_read(&unreadable));
        }
        attempt += 1;
        read = now;
    }
}
