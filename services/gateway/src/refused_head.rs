//! The answer to heads that are no request of HTTP/1.1, or are larger than one may be. Nobody knows whose they are or what they ask
//! for; they have an id all the same, by which the log finds them.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use s3_wire::{ErrorCode, S3Error};

use crate::{Gateway, request::RequestId, server::decorate};

/// The answer to a head that the listener refuses with this status.
pub(crate) fn answer(gateway: &Gateway, status: StatusCode, peer: SocketAddr) -> Response<Bytes> {
    let id = RequestId::new(&gateway.env);
    let error = match status {
        StatusCode::BAD_REQUEST => {
            let message = "An error occurred when parsing the HTTP request.";
            S3Error::with_message(ErrorCode::BadRequest, message)
        }
        _ => S3Error::new(ErrorCode::RequestHeaderSectionTooLarge),
    };
    let body = error.to_xml("", &id.to_string(), &gateway.host_id);
    let mut response = Response::new(body);
    *response.status_mut() = error.status();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    decorate(response.headers_mut(), gateway, id);
    gateway.metrics.refused_head(error.code);
    tracing::debug!(request_id = %id, %peer, code = error.code.as_str(), "refused a head");
    response
}
