//! Spans of calls, by OpenTelemetry's semantic conventions for HTTP.

use http::{HeaderName, HeaderValue, Method, Request, StatusCode, request::Parts};
use telemetry::{TRACE, trace};
use tracing::{Span, field::Empty, info_span};

/// The span of a call that is made to the service at `address`.
pub(crate) fn of_call(method: &Method, target: &str, address: &str) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let route = route(target);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    info_span!(
        target: TRACE,
        "call",
        otel.name = format!("{method} {route}"),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.response.status_code = Empty,
        url.template = route,
        url.full = format!("http://{address}{target}"),
        server.address = host,
        server.port = port.parse::<i64>().ok(),
    )
}

/// The span of a call that has come.
pub(crate) fn of_answer(parts: &Parts) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let route = route(path);
    let span = info_span!(
        target: TRACE,
        "answer",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.response.status_code = Empty,
        http.route = route,
        url.scheme = "http",
        url.path = path,
        url.query = parts.uri.query(),
    );
    trace::follow(&span, |name| parts.headers.get(name)?.to_str().ok());
    span
}

/// The call of the span that the caller is in has this answer.
pub(crate) fn answered(status: StatusCode) {
    if trace::is_on() {
        let span = Span::current();
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// The request with the context of the trace that the caller is in.
pub(crate) fn carried<B>(mut request: Request<B>) -> Request<B> {
    trace::carry(&Span::current(), |name, value| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers_mut().insert(name, value);
        }
    });
    request
}

/// What a call's path has in common with those of the same kind.
fn route(target: &str) -> &'static str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["v1", "disks"] => "/v1/disks",
        ["v1", "disks", _, "shards"] => "/v1/disks/{disk}/shards",
        ["v1", "disks", _, "shards", _] => "/v1/disks/{disk}/shards/{shard}",
        ["v1", "disks", _, "delete"] => "/v1/disks/{disk}/delete",
        ["v1", "disks", _, "evict"] => "/v1/disks/{disk}/evict",
        ["v1", "disks", _, "fence"] => "/v1/disks/{disk}/fence",
        ["v1", "disks", _, "verify"] => "/v1/disks/{disk}/verify",
        ["v1", "disks", _, "quarantine"] => "/v1/disks/{disk}/quarantine",
        ["v1", "disks", _, "release"] => "/v1/disks/{disk}/release",
        _ => "/",
    }
}
