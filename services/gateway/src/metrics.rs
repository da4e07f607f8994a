//! What the gateway counts of requests.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use env::Instant;
use http::{StatusCode, header::CONTENT_LENGTH, request::Parts};
use http_body::{Frame, SizeHint};
use s3_wire::{ErrorCode, Operation};
use telemetry::{
    Counter, Gauge, Histogram, Samples, Source, metrics,
    trace::{self, Recorded},
};
use tracing::Span;

use crate::{
    Gateway,
    long_answer::LateOutcome,
    request::{RequestId, Response},
    span,
};

metrics! {
    REQUESTS: counter("ashlar_s3_requests_total", ["operation", "status"], "Requests answered, by operation and class of status (2xx to 5xx); that of its code where an error is in the body of a 200. The operation is Unknown when a request was refused before it was recognised, IAM for calls of IAM and STS, Control for those of S3 Control, Preflight for OPTIONS, Website for visitors of websites.");
    DURATION: histogram("ashlar_s3_request_duration_seconds", ["operation"], "Time from the head of a request to the last byte of its answer.");
    IN_FLIGHT: gauge("ashlar_s3_requests_in_flight", [], "Requests whose answers are not complete.");
    BROKEN_OFF: counter("ashlar_s3_requests_broken_off_total", ["by"], "Answers that ended before their last byte: by the client, who went away, or by the server, whose bytes could not be read or proved.");
    ERRORS: counter("ashlar_s3_errors_total", ["code"], "Error answers of S3 operations, by S3's code.");
    RECEIVED: counter("ashlar_s3_received_bytes_total", [], "Bytes of requests' bodies that were read.");
    SENT: counter("ashlar_s3_sent_bytes_total", [], "Bytes of answers' bodies that were sent.");
    LIMITED: counter("ashlar_s3_rate_limited_requests_total", ["holder"], "Requests refused with SlowDown because somebody was over their rate: a user, a role, an access_key, the root user, or anonymous ones of an address.");
    PACED: counter("ashlar_s3_paced_seconds_total", ["direction"], "Seconds that bodies have waited because somebody was over their rate: received ones, of requests, and sent ones, of answers.");
    RATE_HOLDERS: gauge("ashlar_s3_rate_holders", [], "Users, roles, access keys and addresses of which it is known what they have used of a rate.");
    AUDIT_WRITTEN: counter("ashlar_audit_lines_written_total", [], "Lines of the audit log that were written.");
    AUDIT_DROPPED: counter("ashlar_audit_lines_dropped_total", [], "Lines of the audit log that were dropped: too many waited to be written, or they were not taken.");
}

/// What is asked for beside operations, or before an operation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    Unknown,
    Iam,
    Preflight,
    Website,
    Control,
    Operators,
}

impl Beside {
    const ALL: [Self; 6] =
        [Self::Unknown, Self::Iam, Self::Preflight, Self::Website, Self::Control, Self::Operators];

    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Iam => "IAM",
            Self::Preflight => "Preflight",
            Self::Website => "Website",
            Self::Control => "Control",
            Self::Operators => "Operators",
        }
    }

    fn place(self) -> usize {
        Operation::ALL.len() + self as usize
    }
}

/// Values of the label `status`.
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters by operation, by status and by code.
pub(crate) struct Metrics {
    asked: Box<[Asked]>,
    errors: Box<[Counter]>,
    in_flight: Gauge,
    left_by_client: Counter,
    broken_off: Counter,
    received: Counter,
    sent: Counter,
}

/// Of one operation.
struct Asked {
    answered: [Counter; STATUSES.len()],
    duration: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let asked = || Asked { answered: Default::default(), duration: Histogram::seconds() };
        let places = Operation::ALL.len() + Beside::ALL.len();
        Self {
            asked: std::iter::repeat_with(asked).take(places).collect(),
            errors: ErrorCode::ALL.iter().map(|_| Counter::default()).collect(),
            in_flight: Gauge::default(),
            left_by_client: Counter::default(),
            broken_off: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
        }
    }
}

#[async_trait]
impl Source for Gateway {
    async fn collect(&self, samples: &mut Samples) {
        let metrics = &self.metrics;
        let names = Operation::ALL.iter().map(|operation| operation.name());
        let names = names.chain(Beside::ALL.map(Beside::name));
        for (name, asked) in names.zip(&metrics.asked) {
            let is_asked = asked.answered.iter().any(|counter| counter.get() > 0);
            for (status, counter) in STATUSES.iter().zip(&asked.answered) {
                // The first failure would not be seen as a growth if its series began with it.
                if is_asked && *status == "5xx" {
                    samples.add(&REQUESTS, &[name, status], counter);
                } else {
                    samples.add_counted(&REQUESTS, &[name, status], counter);
                }
            }
            samples.add_observed(&DURATION, &[name], &asked.duration);
        }
        for (code, counter) in ErrorCode::ALL.iter().zip(&metrics.errors) {
            samples.add_counted(&ERRORS, &[code.as_str()], counter);
        }
        samples.add(&IN_FLIGHT, &[], &metrics.in_flight);
        samples.add(&BROKEN_OFF, &["client"], &metrics.left_by_client);
        samples.add(&BROKEN_OFF, &["server"], &metrics.broken_off);
        samples.add(&RECEIVED, &[], &metrics.received);
        samples.add(&SENT, &[], &metrics.sent);
        for (holder, counter) in self.rates.refused() {
            samples.add(&LIMITED, &[holder], counter);
        }
        let waited = [("received", &self.rates.received_waited_ms), ("sent", &self.rates.sent_waited_ms)];
        for (direction, ms) in waited {
            samples.add(&PACED, &[direction], ms.get() as f64 / 1000.0);
        }
        samples.add(&RATE_HOLDERS, &[], self.rates.known());
        if let Some(audit) = self.decisions.audit() {
            samples.add(&AUDIT_WRITTEN, &[], &audit.written);
            samples.add(&AUDIT_DROPPED, &[], &audit.dropped);
        }
    }
}

impl Metrics {
    /// Counts an answer to what was no request.
    pub(crate) fn refused_head(&self, code: ErrorCode) {
        self.count(Beside::Unknown.place(), code.status(), Some(code));
    }

    fn count(&self, place: usize, status: StatusCode, code: Option<ErrorCode>) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = self.asked.get(place).and_then(|asked| asked.answered.get(class)) {
            counter.increment();
        }
        if let Some(counter) = code.and_then(|code| self.errors.get(code as usize)) {
            counter.increment();
        }
    }
}

/// A request that is being answered, and counted. Dropping it ends it: once the last byte of the answer is sent, or nobody
/// waits for it any more.
pub(crate) struct Seen {
    gateway: Arc<Gateway>,
    started: Instant,
    /// Which of [`Metrics::asked`] it is one of.
    place: AtomicUsize,
    /// What is left to be sent, once there is an answer.
    left: Option<Left>,
    /// Where an answer that began before it was known tells whether it failed.
    late: Option<LateOutcome>,
    span: Span,
    /// Where the span stands in a recorded trace.
    recorded: Option<Recorded>,
}

/// Bytes of an answer's body that were not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Bytes(u64),
    /// It ends when its body does.
    Unknown,
    /// All that did not come, because the body failed.
    Failed,
}

impl Seen {
    /// Begins to count a request.
    pub(crate) fn begin(gateway: &Arc<Gateway>, as_what: Beside, parts: &Parts, id: RequestId) -> Self {
        gateway.metrics.in_flight.add(1);
        let (span, recorded) = span::of_request(gateway.scheme, parts, id);
        let (gateway, started) = (gateway.clone(), gateway.env.now());
        let place = AtomicUsize::new(as_what.place());
        Self { gateway, started, place, left: None, late: None, span, recorded }
    }

    /// The span that it is answered in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It asks for this operation.
    pub(crate) fn is_for(&self, operation: Operation) {
        self.place.store(operation as usize, Relaxed);
        span::is_for(&self.span, operation);
    }

    /// It asks for something beside the operations.
    pub(crate) fn is_beside(&self, what: Beside) {
        self.place.store(what.place(), Relaxed);
    }

    /// The body of the request, counted as it is read.
    pub(crate) fn request_body(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Received { body, gateway: self.gateway.clone() })
    }

    /// The answer, which is counted; its body takes this along if there is something to wait for.
    pub(crate) fn answer(mut self, response: Response, code: Option<ErrorCode>) -> Response {
        let metrics = &self.gateway.metrics;
        self.late = response.extensions().get().cloned();
        // What has begun before it was known is counted when it ends.
        if self.late.is_none() {
            self.count(response.status(), code);
        }
        span::answered(&self.span, response.status(), code);
        // What is as long as is known is in memory.
        if let Some(length) = response.body().size_hint().exact() {
            metrics.sent.add(length);
            self.left = Some(Left::Bytes(0));
            return response;
        }
        let length =
            response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let has_body = response.status() != StatusCode::NOT_MODIFIED;
        self.left = Some(length.filter(|_| has_body).map_or(Left::Unknown, Left::Bytes));
        response.map(|body| Body::new(Sent { body, seen: self }))
    }

    fn count(&self, status: StatusCode, code: Option<ErrorCode>) {
        self.gateway.metrics.count(self.place.load(Relaxed), status, code);
    }

    fn asked(&self) -> Option<&Asked> {
        self.gateway.metrics.asked.get(self.place.load(Relaxed))
    }

    fn sent(&mut self, more: usize) {
        self.gateway.metrics.sent.add(more as u64);
        if let Some(Left::Bytes(left)) = &mut self.left {
            *left = left.saturating_sub(more as u64);
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let metrics = &self.gateway.metrics;
        match self.left {
            Some(Left::Bytes(0)) => {}
            Some(Left::Failed) => metrics.broken_off.increment(),
            Some(Left::Bytes(_) | Left::Unknown) | None => metrics.left_by_client.increment(),
        }
        // What nobody knows the end of is not counted, as where there was no answer at all.
        if let Some(code) = self.late.as_ref().and_then(LateOutcome::get) {
            self.count(code.map_or(StatusCode::OK, ErrorCode::status), code);
            if let Some(code) = code {
                span::failed(&self.span, code);
            }
        }
        if let (Some(asked), Some(_)) = (self.asked(), self.left) {
            let env = &self.gateway.env;
            let took = env.now().since(self.started);
            asked.duration.took_within(took, self.recorded, || env.wall_clock_ms());
        }
        // Last, so that all of it is counted when none is in flight.
        metrics.in_flight.add(-1);
        // A shard that is late may still be on its way.
        trace::end(&self.span);
    }
}

/// The body of a request.
struct Received {
    body: Body,
    gateway: Arc<Gateway>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.gateway.metrics.received.add(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
struct Sent {
    body: Body,
    seen: Seen,
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, seen } = &mut *self;
        let polled = seen.span.in_scope(|| Pin::new(body).poll_frame(context));
        match &polled {
            Poll::Ready(Some(Ok(frame))) => seen.sent(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(Some(Err(_))) => seen.left = Some(Left::Failed),
            Poll::Ready(None) if seen.left == Some(Left::Unknown) => seen.left = Some(Left::Bytes(0)),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use s3_wire::{ErrorCode, Operation};

    use super::Beside;

    #[test]
    fn every_operation_and_code_has_its_place() {
        for (place, operation) in Operation::ALL.iter().enumerate() {
            assert_eq!(*operation as usize, place);
        }
        for (place, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, place);
        }
        for (place, beside) in Beside::ALL.iter().enumerate() {
            assert_eq!(beside.place(), Operation::ALL.len() + place);
        }
    }
}
