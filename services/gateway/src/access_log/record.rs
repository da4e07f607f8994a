//! The record of one request. Amazon S3 User Guide, "Amazon S3 server access log format".

use std::{
    fmt::Write as _,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use env::Instant;
use http::{Extensions, HeaderMap, HeaderName, StatusCode, header, request::Parts};
use http_body::{Body as HttpBody, Frame, SizeHint};
use s3_wire::{
    ErrorCode, Operation,
    address::Address,
    header::copy_source,
    logging::{record_key, record_operation, record_time},
    operation::{RouteInput, recognise},
    query::Query,
};
use service_kit::TlsSession;
use types::{BucketName, Timestamp};

use crate::{
    Gateway,
    long_answer::LateOutcome,
    redact::without_secrets,
    request::{RequestId, Response},
};

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// By the S3 API.
    Api,
    /// By the website listener.
    Website,
}

/// A place for the sender of a request that is watched, for whoever authenticates it.
#[derive(Clone)]
struct Sender(Arc<OnceLock<String>>);

/// Tells who sent a request, which is known where it is authenticated.
pub(crate) fn tell_sender(request: &Extensions, sender: impl FnOnce() -> Option<String>) {
    if let Some(Sender(place)) = request.get::<Sender>()
        && let Some(sender) = sender()
    {
        // It is authenticated once.
        let _ = place.set(sender);
    }
}

/// What became of the entries of a DeleteObjects, which are recorded one by one; goes with the answer.
#[derive(Debug, Clone)]
pub(crate) struct BatchDeleted(pub(crate) Vec<DeletedEntry>);

/// An entry of a DeleteObjects.
#[derive(Debug, Clone)]
pub(crate) struct DeletedEntry {
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
    pub(crate) error: Option<ErrorCode>,
}

/// A record's subject: a bucket that is logged, and what happened there.
struct Subject {
    bucket: BucketName,
    operation: String,
    key: Option<String>,
    version_id: Option<String>,
}

/// A request to a bucket that is logged, while it is answered. Dropping it records the request: once the last byte of the answer
/// is sent, or nobody waits for the rest of it, or the client has gone before there was an answer.
pub(crate) struct Watch {
    gateway: Arc<Gateway>,
    /// The bucket that it is addressed to, if that one is logged.
    subject: Option<Subject>,
    /// The bucket that it copies from, if that one is logged.
    source: Option<Subject>,
    time: Timestamp,
    started: Instant,
    id: RequestId,
    sender: Sender,
    request: Facts,
    /// When the last of the request's body came, in nanoseconds since the request.
    received: Arc<AtomicU64>,
    /// The answer, once there is one.
    outcome: Option<Outcome>,
    batch: Option<BatchDeleted>,
    /// Where an answer that began before it was known tells whether it failed.
    late: Option<LateOutcome>,
    /// Bytes of the answer's body that were sent.
    sent: Arc<AtomicU64>,
}

/// What a record says of a request whatever became of it.
struct Facts {
    remote: Option<SocketAddr>,
    uri: String,
    referer: String,
    user_agent: String,
    signature: &'static str,
    authentication: &'static str,
    host: String,
    tls: Option<TlsSession>,
    is_head: bool,
    operation: Option<Operation>,
    length: Option<String>,
}

impl Watch {
    /// Begins to watch a request, if it is to a bucket that is logged or copies from one.
    pub(crate) fn begin(
        gateway: &Arc<Gateway>,
        parts: &mut Parts,
        id: RequestId,
        entrance: Entrance,
        address: impl FnOnce(&Parts) -> Option<Address>,
    ) -> Option<Self> {
        let logged = gateway.access_log.logged()?;
        let address = address(parts)?;
        let bucket = address.bucket.as_ref()?;
        let is_logged = logged.contains(bucket);
        let copied = parts.headers.get("x-amz-copy-source").and_then(|_| copy_source(&parts.headers).ok());
        let copied = copied.filter(|copied| entrance == Entrance::Api && logged.contains(&copied.bucket));
        if !is_logged && copied.is_none() {
            return None;
        }
        let query = Query::parse(parts.uri.query().unwrap_or("")).unwrap_or_default();
        let input = RouteInput {
            method: &parts.method,
            has_bucket: true,
            has_key: address.key.is_some(),
            query: &query,
            headers: &parts.headers,
        };
        let (operation, name) = match entrance {
            Entrance::Api => {
                let operation = recognise(&input).ok();
                (operation, record_operation(&parts.method, operation, address.key.is_some()))
            }
            Entrance::Website => (Some(Operation::GetObject), format!("WEBSITE.{}.OBJECT", parts.method)),
        };
        let key = address.key.as_ref().map(|key| key.as_str().to_owned());
        let version_id = query.get_nonempty("versionId").map(str::to_owned);
        let subject = Subject { bucket: bucket.clone(), operation: name, key, version_id };
        let source = copied.and_then(|copied| {
            let operation = match operation? {
                Operation::CopyObject => "REST.COPY.OBJECT_GET",
                Operation::UploadPartCopy => "REST.COPY.PART_GET",
                _ => return None,
            };
            Some(Subject {
                bucket: copied.bucket,
                operation: operation.to_owned(),
                key: Some(copied.key.as_str().to_owned()),
                version_id: copied.version_id.map(|id| id.to_string()),
            })
        });
        let request = Facts::of(parts, &query, operation);
        let sender = Sender(Arc::default());
        parts.extensions.insert(sender.clone());
        Some(Self {
            gateway: Arc::clone(gateway),
            subject: is_logged.then_some(subject),
            source,
            time: Timestamp(gateway.env.wall_clock_ms()),
            started: gateway.env.now(),
            id,
            sender,
            request,
            received: Arc::default(),
            outcome: None,
            batch: None,
            late: None,
            sent: Arc::default(),
        })
    }

    /// The request's body, watched for when its last byte comes.
    pub(crate) fn request_body(&self, body: Body) -> Body {
        let (gateway, started, received) =
            (Arc::clone(&self.gateway), self.started, Arc::clone(&self.received));
        let on_data = move |_: usize| {
            let elapsed = gateway.env.now().since(started).as_nanos();
            received.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        Body::new(Counted { body, on_data })
    }

    /// The answer, which is watched while it is sent.
    pub(crate) fn answer(mut self, mut response: Response, error: Option<ErrorCode>) -> Response {
        let ready = self.gateway.env.now().since(self.started);
        let turn_around = ready.saturating_sub(Duration::from_nanos(self.received.load(Ordering::Relaxed)));
        let size = object_size(&self.request, &response);
        let status = response.status().as_u16();
        self.outcome = Some(Outcome { status, error, size, turn_around: Some(turn_around) });
        self.batch = response.extensions_mut().remove::<BatchDeleted>();
        self.late = response.extensions_mut().remove::<LateOutcome>();
        let sent = Arc::clone(&self.sent);
        let watch = self;
        response.map(|body| {
            let on_data = move |bytes: usize| {
                let _ = &watch;
                sent.fetch_add(bytes as u64, Ordering::Relaxed);
            };
            Body::new(Counted { body, on_data })
        })
    }
}

/// The status of a request whose client went away before there was an answer. S3 documents none; it is what web servers write
/// into their logs.
const CLIENT_CLOSED: u16 = 499;

/// What a record says of an answer.
struct Outcome {
    status: u16,
    error: Option<ErrorCode>,
    size: Option<String>,
    turn_around: Option<Duration>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let closed = || Outcome { status: CLIENT_CLOSED, error: None, size: None, turn_around: None };
        let mut outcome = self.outcome.take().unwrap_or_else(closed);
        match self.late.as_ref().map(LateOutcome::get) {
            None => {}
            Some(Some(error)) => outcome.error = error,
            // Its head was sent, but nobody knows what it would have come to.
            Some(None) => outcome = closed(),
        }
        let log = &self.gateway.access_log;
        let total = self.gateway.env.now().since(self.started);
        let sent = self.sent.load(Ordering::Relaxed);
        if let Some(subject) = &self.subject {
            for entry in self.batch.iter().flat_map(|batch| &batch.0) {
                log.push(&subject.bucket, self.time, self.deleted(subject, entry));
            }
            let record = self.record(subject, &outcome, Some((sent, total)));
            log.push(&subject.bucket, self.time, record);
        }
        if let Some(source) = &self.source {
            log.push(&source.bucket, self.time, self.record(source, &outcome, None));
        }
    }
}

impl Watch {
    /// The fields up to the request's id.
    fn begin_record(&self, bucket: &BucketName) -> String {
        let mut out = String::with_capacity(512);
        let remote = self.request.remote.map(|remote| remote.ip().to_canonical().to_string());
        let sender = self.sender.0.get().map(|sender| bare(sender.as_bytes()));
        let time = record_time(self.time);
        let _ = write!(
            out,
            "{bucket} {time} {} {} {} ",
            remote.as_deref().unwrap_or("-"),
            sender.as_deref().unwrap_or("-"),
            self.id
        );
        out
    }

    /// The fields from the host's id on. The last are those of access points, of access lists and of where a request comes
    /// from, of which there are none here.
    fn end_record(&self, out: &mut String) {
        let host_id = &self.gateway.host_id;
        let Facts { signature, authentication, host, tls, .. } = &self.request;
        let cipher = tls.map(|tls| tls.cipher_suite());
        let (cipher, version) = (cipher.as_deref().unwrap_or("-"), tls.map_or("-", |tls| tls.version));
        let _ = write!(out, "{host_id} {signature} {cipher} {authentication} {host} {version} - - -");
    }

    /// The record of the request, with bytes sent and the time that it took where they belong to the subject.
    fn record(&self, subject: &Subject, outcome: &Outcome, sent: Option<(u64, Duration)>) -> String {
        let Outcome { status, error, size, turn_around } = outcome;
        let mut out = self.begin_record(&subject.bucket);
        let key = subject.key.as_deref().map_or("-".to_owned(), record_key);
        let error = error.map_or("-", ErrorCode::as_str);
        let number = |number: u64| if number == 0 { "-".to_owned() } else { number.to_string() };
        let (bytes, total) = match sent {
            Some((bytes, total)) => (number(bytes), total.as_millis().to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let turn_around = turn_around.filter(|_| sent.is_some());
        let turn_around = turn_around.map_or("-".to_owned(), |time| time.as_millis().to_string());
        let size = size.as_deref().filter(|_| sent.is_some()).unwrap_or("-");
        let version = subject.version_id.as_deref().map_or("-".to_owned(), |id| bare(id.as_bytes()));
        let Facts { uri, referer, user_agent, .. } = &self.request;
        let _ = write!(
            out,
            "{} {key} \"{uri}\" {status} {error} {bytes} {size} {total} {turn_around} \"{referer}\" \"{user_agent}\" {version} ",
            subject.operation,
        );
        self.end_record(&mut out);
        out
    }

    /// The record of an entry of a DeleteObjects.
    fn deleted(&self, subject: &Subject, entry: &DeletedEntry) -> String {
        let mut out = self.begin_record(&subject.bucket);
        let status = entry.error.map_or(StatusCode::NO_CONTENT, ErrorCode::status).as_u16();
        let error = entry.error.map_or("-", ErrorCode::as_str);
        let version = entry.version_id.as_deref().map_or("-".to_owned(), |id| bare(id.as_bytes()));
        let key = record_key(&entry.key);
        let _ = write!(out, "BATCH.DELETE.OBJECT {key} - {status} {error} - - - - - - {version} ");
        self.end_record(&mut out);
        out
    }
}

impl Facts {
    fn of(parts: &Parts, query: &Query<'_>, operation: Option<Operation>) -> Self {
        let headers = &parts.headers;
        let (signature, authentication) = authentication(headers, query);
        let field = |name: HeaderName| headers.get(name).map(|value| quoted(value.as_bytes()));
        let dash = || "-".to_owned();
        let length = headers.get("x-amz-decoded-content-length").or(headers.get(header::CONTENT_LENGTH));
        let length = length.and_then(|length| length.to_str().ok()).map(str::to_owned);
        let host = headers.get(header::HOST).map(|host| bare(host.as_bytes()));
        Self {
            remote: parts.extensions.get::<SocketAddr>().copied(),
            uri: request_uri(parts),
            referer: field(header::REFERER).map_or_else(dash, |referer| without_secrets(&referer)),
            user_agent: field(header::USER_AGENT).unwrap_or_else(dash),
            signature,
            authentication,
            host: host.unwrap_or_else(dash),
            tls: parts.extensions.get::<TlsSession>().copied(),
            is_head: parts.method == http::Method::HEAD,
            operation,
            length,
        }
    }
}

/// The version of the signature, and where it is.
fn authentication(headers: &HeaderMap, query: &Query<'_>) -> (&'static str, &'static str) {
    match headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()) {
        Some(value) if value.starts_with(b"AWS4-") => ("SigV4", "AuthHeader"),
        Some(value) if value.starts_with(b"AWS ") => ("SigV2", "AuthHeader"),
        Some(_) => ("-", "AuthHeader"),
        None if query.has("X-Amz-Signature") => ("SigV4", "QueryString"),
        None if query.has("Signature") => ("SigV2", "QueryString"),
        None => ("-", "-"),
    }
}

/// The request's first line, as it was sent but for what in it is secret.
fn request_uri(parts: &Parts) -> String {
    let uri = without_secrets(&parts.uri.to_string());
    quoted(format!("{} {uri} {:?}", parts.method, parts.version).as_bytes())
}

/// Text for a field in quotes: a quote, and what is no printable character of ASCII, as `%XX`.
fn quoted(value: &[u8]) -> String {
    escaped(value, |byte| (b' '..=b'~').contains(&byte) && byte != b'"')
}

/// Text for a field without quotes, in which a space would begin the next field.
fn bare(value: &[u8]) -> String {
    let text = escaped(value, |byte| (b'!'..=b'~').contains(&byte) && byte != b'"');
    if text.is_empty() { "-".to_owned() } else { text }
}

fn escaped(value: &[u8], is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value {
        if is_plain(*byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The size of the object that a request is about, where the request or its answer tells it.
fn object_size(request: &Facts, response: &Response) -> Option<String> {
    let header = |name: HeaderName| response.headers().get(name)?.to_str().ok();
    match request.operation? {
        Operation::GetObject | Operation::HeadObject if response.status().is_success() => {
            let range = header(header::CONTENT_RANGE).and_then(|range| range.rsplit_once('/'));
            let of_range = range.map(|(_, size)| size.to_owned());
            of_range.or_else(|| header(header::CONTENT_LENGTH).map(str::to_owned))
        }
        Operation::PutObject | Operation::UploadPart if !request.is_head => request.length.clone(),
        _ => None,
    }
}

/// A body of which the bytes are counted as they pass.
struct Counted<F> {
    body: Body,
    on_data: F,
}

impl<F: Fn(usize) + Unpin> HttpBody for Counted<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            (self.on_data)(frame.data_ref().map_or(0, Bytes::len));
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
