//! Spans of calls, by OpenTelemetry's semantic conventions for RPC.

use telemetry::{TRACE, trace};
use tracing::{Span, field::Empty, info_span};

/// The side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The span of a call to a method of this path.
pub(crate) fn of_call(path: &str, side: Side) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let name = path.trim_start_matches('/');
    let (service, method) = name.split_once('/').unwrap_or((name, ""));
    let kind = match side {
        Side::Client => "client",
        Side::Server => "server",
    };
    info_span!(
        target: TRACE,
        "call",
        otel.name = name,
        otel.kind = kind,
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = Empty,
    )
}
