//! The trace that work belongs to: what its spans are called, and how its context goes along with calls.
//!
//! Spans of traces are `tracing` spans with the target [`TRACE`], which is enabled only while traces are exported. Their
//! fields are named by OpenTelemetry's semantic conventions. The span of a client's request has the target [`REQUEST`]: it
//! is there for log lines too, which have all of its fields, so that the trace gets more than these by [`describe`].

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{
    Value,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{SpanId, Status, TraceContextExt, TraceId},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of spans that belong to traces.
pub const TRACE: &str = "ashlar::trace";

/// The target of the span of a client's request, which is always there.
pub const REQUEST: &str = "ashlar::request";

/// The headers that name the trace and the span that a call is made by. Source: W3C, "Trace Context".
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Whether traces are exported: of the process, as its subscriber of spans is. To ask the subscriber itself would leave its
/// filters in the state of the question.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Traces are exported from now on, by the process's subscriber of spans.
pub fn turn_on() {
    EXPORTED.store(true, Ordering::Relaxed);
}

/// Whether traces are exported.
pub fn is_on() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Has a call made within the span carry the context of its trace: `set` sets a header.
pub fn carry(span: &Span, set: impl FnMut(&str, String)) {
    struct Headers<F>(F);

    impl<F: FnMut(&str, String)> Injector for Headers<F> {
        fn set(&mut self, key: &str, value: String) {
            (self.0)(key, value);
        }
    }

    if is_on() {
        let context = span.context();
        if context.span().span_context().is_valid() {
            TraceContextPropagator::new().inject_context(&context, &mut Headers(set));
        }
    }
}

/// Makes the span one of the trace that a call carries, if it does: `get` gets a header. To be called before the span is
/// entered.
pub fn follow<'a>(span: &Span, get: impl Fn(&str) -> Option<&'a str>) {
    struct Headers<'a>([(&'static str, Option<&'a str>); 2]);

    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.iter().find(|(name, _)| *name == key).and_then(|(_, value)| *value)
        }

        fn keys(&self) -> Vec<&str> {
            self.0.iter().map(|(name, _)| *name).collect()
        }
    }

    if !is_on() {
        return;
    }
    let headers = Headers([TRACEPARENT, TRACESTATE].map(|name| (name, get(name))));
    let context = TraceContextPropagator::new().extract(&headers);
    if context.span().span_context().is_valid() {
        // It fails only for a span that has begun.
        let _ = span.set_parent(context);
    }
}

/// Tells the trace of the span more than log lines have.
pub fn describe(span: &Span, attribute: &'static str, value: impl Into<Value>) {
    if is_on() {
        span.set_attribute(attribute, value);
    }
}

/// Gives a span that has begun another name, once it is known what it is about.
pub fn rename(span: &Span, name: String) {
    if is_on() {
        span.context().span().update_name(name);
    }
}

/// What the span is about has failed.
pub fn fail(span: &Span) {
    if is_on() {
        span.set_status(Status::error(""));
    }
}

/// What the span is about has ended, whatever of it goes on: a span is open else until the last one below it has ended.
pub fn end(span: &Span) {
    if is_on() {
        span.context().span().end();
    }
}

/// Whether the span is of a trace that is not recorded, so that nothing of it needs to be described. It is not where there is no trace.
pub fn is_left_out(span: &Span) -> bool {
    if !is_on() || span.is_none() {
        return false;
    }
    let context = span.context();
    let span = context.span();
    span.span_context().is_valid() && !span.span_context().is_sampled()
}

/// Where work stands in a trace that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The trace.
    pub trace: TraceId,
    /// The span of the work.
    pub span: SpanId,
}

/// Where the span stands, if its trace is recorded.
pub fn recorded(span: &Span) -> Option<Recorded> {
    if !is_on() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    let stands = || Recorded { trace: context.trace_id(), span: context.span_id() };
    (context.is_valid() && context.is_sampled()).then(stands)
}

/// Where what is done now stands, if its trace is recorded.
pub fn recorded_now() -> Option<Recorded> {
    // A span is only looked for where there may be one.
    is_on().then(Span::current).and_then(|span| recorded(&span))
}
