//! The span of a request: its log lines name it, and its trace is described by OpenTelemetry's semantic conventions for HTTP.

use std::net::IpAddr;

use http::{Method, StatusCode, header, request::Parts};
use s3_wire::{ErrorCode, Operation, operation::Resource};
use telemetry::trace::{self, REQUEST, Recorded, describe};
use tracing::{Span, error_span, field::Empty};

use crate::request::{RequestId, peer};

/// How any other method is named than those that are told apart. Source: as above, the section on `http.request.method`.
const OTHER_METHOD: &str = "_OTHER";

/// Most bytes of what a client chooses that a trace keeps of each.
const TEXT_MAX: usize = 1024;

/// The span of a request that begins, and where it stands in its trace, if that is recorded.
pub(crate) fn of_request(scheme: &'static str, parts: &Parts, id: RequestId) -> (Span, Option<Recorded>) {
    let (span, recorded) = begun(id, |name| text(parts, name));
    // Most requests are not recorded: nothing is described of them.
    if recorded.is_none() {
        return (span, None);
    }
    let method = method(&parts.method);
    trace::rename(&span, method.to_owned());
    describe(&span, "http.request.method", method);
    describe_request(&span, scheme, id, peer(&parts.extensions));
    // The query is left out: it may have a signature.
    describe(&span, "url.path", cut(parts.uri.path()).to_owned());
    for (attribute, name) in [("server.address", header::HOST), ("user_agent.original", header::USER_AGENT)] {
        if let Some(text) = text(parts, name.as_str()) {
            describe(&span, attribute, cut(text).to_owned());
        }
    }
    (span, recorded)
}

/// The span of a head that is refused before it is a request: what it asks for, and whose trace it would be of, nobody knows.
pub(crate) fn of_refused_head(scheme: &'static str, id: RequestId, peer: IpAddr) -> Span {
    let (span, recorded) = begun(id, |_| None);
    if recorded.is_some() {
        // The name where the method is not known. Source: OpenTelemetry, "Semantic conventions for HTTP spans", the section "Name".
        trace::rename(&span, "HTTP".to_owned());
        describe(&span, "http.request.method", OTHER_METHOD);
        describe_request(&span, scheme, id, Some(peer));
    }
    span
}

/// A span that begins in the trace of its caller, who is told by headers, and where it stands, if the trace is recorded.
fn begun<'a>(id: RequestId, header: impl Fn(&str) -> Option<&'a str>) -> (Span, Option<Recorded>) {
    let span = error_span!(target: REQUEST, "request", request_id = %id, trace_id = Empty, otel.kind = Empty);
    if !trace::is_on() {
        return (span, None);
    }
    span.record("otel.kind", "server");
    trace::follow(&span, header);
    let recorded = trace::recorded(&span);
    if let Some(recorded) = &recorded {
        span.record("trace_id", recorded.trace.to_string());
    }
    (span, recorded)
}

/// What is known of everything that is answered.
fn describe_request(span: &Span, scheme: &'static str, id: RequestId, peer: Option<IpAddr>) {
    describe(span, "url.scheme", scheme);
    describe(span, "rpc.system", "aws-api");
    describe(span, "rpc.service", "S3");
    describe(span, "aws.request_id", id.to_string());
    if let Some(peer) = peer {
        describe(span, "client.address", peer.to_string());
    }
}

/// The request is for this operation.
pub(crate) fn is_for(span: &Span, operation: Operation) {
    if !trace::is_on() || trace::is_left_out(span) {
        return;
    }
    let route = match operation.resource() {
        Resource::Service => "/",
        Resource::Bucket => "/{Bucket}",
        Resource::Object => "/{Bucket}/{Key+}",
    };
    describe(span, "http.route", route);
    describe(span, "rpc.method", operation.name());
    trace::rename(span, format!("S3/{}", operation.name()));
}

/// The request has this answer.
pub(crate) fn answered(span: &Span, status: StatusCode, code: Option<ErrorCode>) {
    describe(span, "http.response.status_code", i64::from(status.as_u16()));
    if let Some(code) = code {
        describe(span, "error.type", code.as_str());
    }
    // What a client does wrong is no error of a server. Source: OpenTelemetry, "Semantic conventions for HTTP spans", the
    // section "Status".
    if status.is_server_error() {
        trace::fail(span);
    }
}

/// The body of the request's answer has this error, whatever its status is.
pub(crate) fn failed(span: &Span, code: ErrorCode) {
    describe(span, "error.type", code.as_str());
    if code.status().is_server_error() {
        trace::fail(span);
    }
}

fn text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

/// A method of a bounded set.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER_METHOD,
    }
}
