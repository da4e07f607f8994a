//! The answer to heads that are no request of HTTP/1.1, or are larger than one may be. Nobody knows whose they are or what they ask
//! for; they have an id all the same, by which the log and a trace find them.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use s3_wire::{ErrorCode, S3Error};
use telemetry::trace;

use crate::{Gateway, request::RequestId, server::decorate, span};

/// The answer to a head that the listener refuses with this status.
pub(crate) fn answer(gateway: &Gateway, status: StatusCode, peer: SocketAddr) -> Response<Bytes> {
    let id = RequestId::new(&gateway.env);
    let span = span::of_refused_head(gateway.scheme, id, peer.ip().to_canonical());
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
    span.in_scope(|| tracing::debug!(%peer, code = error.code.as_str(), "refused a head"));
    span::answered(&span, response.status(), Some(error.code));
    trace::end(&span);
    response
}
