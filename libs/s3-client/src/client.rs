//! One connection to the server: HTTP/1.1 with keep-alive, each request signed.
//!
//! The connection is driven by the task that waits for the answer, not by one of its own: a request costs one wake-up
//! of one task. It knows no S3 operation.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use env::{Connection, Env};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sigv4::{Credentials, Payload, Signer};
use tokio_rustls::TlsConnector;

use crate::{Content, Endpoint, RequestBody, xml};

/// Longest answer that is not an object: a page of a listing.
const ANSWER_SIZE_MAX: usize = 16 << 20;
/// Time to connect and agree on TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom to talk to, and as whom. Shared by all connections of a run.
pub struct Access {
    /// Network and time.
    pub env: Env,
    /// The server.
    pub endpoint: Endpoint,
    /// How to agree on TLS, and the name that the certificate must have. Plain HTTP without it.
    pub tls: Option<(TlsConnector, ServerName<'static>)>,
    /// As whom to speak.
    pub credentials: Credentials,
    /// The region to sign for.
    pub region: String,
    /// The service to sign for: `s3`, or what else the endpoint is asked for.
    pub service: &'static str,
    /// Whether the SHA-256 of bodies is signed, rather than UNSIGNED-PAYLOAD.
    pub sign_payload: bool,
    /// Time for an answer, beside a second for each MiB that it or the request holds.
    pub answer_timeout: Duration,
}

impl Access {
    fn time_allowed(&self, bytes: u64) -> Duration {
        self.answer_timeout + Duration::from_secs(bytes >> 20)
    }
}

/// Why a request gave no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server answered with an error.
    Status {
        /// The status.
        status: StatusCode,
        /// The answer's headers.
        headers: Box<HeaderMap>,
        /// S3's error code, or `HTTP` and the status where there is none.
        code: String,
        /// What the server says of it, or nothing.
        message: String,
    },
    /// The connection could not be made: the request was not sent.
    Unreachable(String),
    /// The connection broke: the request may have been carried out.
    Connection(String),
    /// The answer took too long.
    TimedOut,
    /// The answer held other bytes than were stored.
    Corrupt(String),
    /// The answer is not what S3 answers.
    Unexpected(String),
    /// Whoever called did not want it sent any more: it was not.
    Withheld,
}

impl Failure {
    /// The name under which it is counted: S3's error code where there is one.
    pub fn code(&self) -> &str {
        match self {
            Self::Status { code, .. } => code,
            Self::Unreachable(_) | Self::Connection(_) => "ConnectionFailed",
            Self::TimedOut => "TimedOut",
            Self::Corrupt(_) => "CorruptAnswer",
            Self::Unexpected(_) => "UnexpectedAnswer",
            Self::Withheld => "Withheld",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, code, message, .. } if message.is_empty() => {
                write!(f, "{code} ({status})")
            }
            Self::Status { status, code, message, .. } => write!(f, "{code}: {message} ({status})"),
            Self::Unreachable(reason) | Self::Connection(reason) => write!(f, "connection failed: {reason}"),
            Self::TimedOut => f.write_str("no answer in the time allowed"),
            Self::Corrupt(what) => write!(f, "corrupt answer: {what}"),
            Self::Unexpected(what) => write!(f, "unexpected answer: {what}"),
            Self::Withheld => f.write_str("not sent any more"),
        }
    }
}

/// A request, before it is signed.
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query, percent-encoded.
    pub target: String,
    /// Headers beside `Host` and those of the signature.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
}

/// A good answer's head and, unless it was checked against a [`Content`], its body.
pub struct Answer {
    /// A status of success.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unless it was checked.
    pub body: Bytes,
    /// From the first byte sent to the last byte received; hashing and signing come before.
    pub latency: Duration,
}

/// One connection, made when it is first needed and again after it broke.
pub struct Client<'a> {
    access: &'a Access,
    /// The signer of the present second; deriving its key costs more than using it.
    signer: Option<(i64, Signer<'a>)>,
    line: Option<Line>,
}

/// hyper's half of a connection: it reads and writes when it is polled.
type Transport = http1::Connection<TokioIo<Box<dyn Connection>>, RequestBody>;

/// An open connection.
pub(crate) struct Line {
    sender: http1::SendRequest<RequestBody>,
    connection: Pin<Box<Transport>>,
    ended: bool,
}

impl<'a> Client<'a> {
    /// A client that has not connected yet.
    pub fn new(access: &'a Access) -> Self {
        Self::resume(access, None)
    }

    /// A client that goes on with a connection of another one, if there is one.
    pub(crate) fn resume(access: &'a Access, line: Option<Line>) -> Self {
        Self { access, signer: None, line }
    }

    /// The connection, if it is fit for another request.
    pub(crate) fn into_line(self) -> Option<Line> {
        self.line
    }

    /// Connects, unless that was done before and the server has not hung up since.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        self.line = self.open_line().await.map(Some)?;
        Ok(())
    }

    async fn open_line(&mut self) -> Result<Line, Failure> {
        if let Some(mut line) = self.line.take()
            && !line.is_closed().await
        {
            return Ok(line);
        }
        self.access
            .env
            .timeout(CONNECT_TIMEOUT, Line::open(self.access))
            .await
            .map_err(|_| Failure::Unreachable("no connection in the time allowed".to_owned()))?
    }

    /// Sends a request and reads its answer. A body of a good answer is compared with `expected`, if given, and
    /// dropped; else it is returned. Anything but 2xx is a failure. Not repeated: every failure counts.
    pub async fn send(&mut self, call: Call, expected: Option<Content>) -> Result<Answer, Failure> {
        let bytes = expected.as_ref().map_or(0, Content::remaining);
        self.send_judged(call, bytes, |_| Ok(expected)).await
    }

    /// The same when only the head of the answer tells what its body, of `bytes` or so, must hold: `judge` says it.
    pub async fn send_judged(
        &mut self,
        call: Call,
        bytes: u64,
        judge: impl FnOnce(&HeaderMap) -> Result<Option<Content>, Failure>,
    ) -> Result<Answer, Failure> {
        let bytes = call.body.length() + bytes;
        let request = self.sign(call)?;
        let mut line = self.open_line().await?;
        let env = &self.access.env;
        let begun = env.now();
        let answer = env.timeout(self.access.time_allowed(bytes), line.exchange(request, judge)).await;
        let mut answer = answer.map_err(|_| Failure::TimedOut)??;
        answer.latency = env.now().since(begun);
        // After a failure something may still be on its way; a new connection is cheaper than to find out.
        self.line = Some(line);
        Ok(answer)
    }

    fn sign(&mut self, call: Call) -> Result<Request<RequestBody>, Failure> {
        let unsendable = |reason: &dyn fmt::Display| Failure::Unexpected(format!("cannot send: {reason}"));
        let payload =
            if self.access.sign_payload { Payload::Sha256(sha256(&call.body)) } else { Payload::Unsigned };
        let mut headers = call.headers;
        headers.insert(header::HOST, self.access.endpoint.host_header().clone());
        let (path, query) = match call.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (call.target.as_str(), None),
        };
        let signer = self.signer()?;
        signer
            .sign_headers(&call.method, path, query, &mut headers, payload)
            .map_err(|error| unsendable(&error))?;
        if call.body.length() == 0 && matches!(call.method, Method::PUT | Method::POST) {
            // hyper announces no length for a body that has ended before it began; S3 wants one.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let uri: Uri = call.target.parse().map_err(|error| unsendable(&error))?;
        let mut request = Request::new(call.body);
        *request.method_mut() = call.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn signer(&mut self) -> Result<&Signer<'a>, Failure> {
        let now_seconds = self.access.env.wall_clock_ms() / 1000;
        if self.signer.as_ref().is_none_or(|(second, _)| *second != now_seconds) {
            let Access { service, credentials, region, .. } = self.access;
            let signer = Signer::for_service(service, credentials, region, now_seconds)
                .map_err(|error| Failure::Unexpected(format!("cannot sign: {error}")))?;
            self.signer = Some((now_seconds, signer));
        }
        let (_, signer) = self.signer.as_ref().expect("it was set above");
        Ok(signer)
    }
}

impl Line {
    async fn open(access: &Access) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::Unreachable(chain(error));
        let stream = access.env.connect(&access.endpoint.address()).await.map_err(|error| failed(&error))?;
        let stream: Box<dyn Connection> = match &access.tls {
            Some((tls, name)) => {
                let failed = |error| Failure::Unreachable(crate::tls::in_words(&chain(&error)));
                Box::new(tls.connect(name.clone(), stream).await.map_err(failed)?)
            }
            None => stream,
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        Ok(Self { sender, connection: Box::pin(connection), ended: false })
    }

    /// Whether the server has hung up, as far as the machine knows by now.
    async fn is_closed(&mut self) -> bool {
        let Self { sender, connection, ended } = self;
        let mut driver = Driver { connection, ended };
        poll_fn(|context| {
            driver.advance(context);
            Poll::Ready(*driver.ended || sender.is_closed())
        })
        .await
    }

    async fn exchange(
        &mut self,
        request: Request<RequestBody>,
        judge: impl FnOnce(&HeaderMap) -> Result<Option<Content>, Failure>,
    ) -> Result<Answer, Failure> {
        let Self { sender, connection, ended } = self;
        let mut driver = Driver { connection, ended };
        driver.drive(sender.ready()).await.map_err(broken)?;
        let response = driver.drive(sender.send_request(request)).await.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let text = collect(&mut driver, &mut body).await?;
            return Err(xml::failure(head.status, head.headers, &text));
        }
        let body = match judge(&head.headers)? {
            Some(content) => compare(&mut driver, &mut body, content).await.map(|()| Bytes::new())?,
            None => collect(&mut driver, &mut body).await?,
        };
        Ok(Answer { status: head.status, headers: head.headers, body, latency: Duration::ZERO })
    }
}

/// Keeps a connection going while something is awaited on it.
struct Driver<'a> {
    connection: &'a mut Pin<Box<Transport>>,
    ended: &'a mut bool,
}

impl Driver<'_> {
    async fn drive<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            self.advance(context);
            future.as_mut().poll(context)
        })
        .await
    }

    /// Reads and writes as far as possible. An error reaches whoever awaits an answer by hyper's own ways.
    fn advance(&mut self, context: &mut Context<'_>) {
        if !*self.ended {
            *self.ended = self.connection.as_mut().poll(context).is_ready();
        }
    }
}

async fn collect(driver: &mut Driver<'_>, body: &mut Incoming) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = driver.drive(body.frame()).await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > ANSWER_SIZE_MAX {
            return Err(Failure::Unexpected(format!("it is longer than {ANSWER_SIZE_MAX} bytes")));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() { Ok(first) } else { Ok([&first[..], &rest[..]].concat().into()) }
}

async fn compare(driver: &mut Driver<'_>, body: &mut Incoming, mut expected: Content) -> Result<(), Failure> {
    let length = expected.remaining();
    if let Some(announced) = body.size_hint().exact().filter(|announced| *announced != length) {
        return Err(Failure::Corrupt(format!("{announced} bytes instead of {length}")));
    }
    while let Some(frame) = driver.drive(body.frame()).await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let offset = length - expected.remaining();
        if !expected.matches(&data) {
            return Err(Failure::Corrupt(format!(
                "not what was stored, at byte {offset} or up to {} after",
                data.len()
            )));
        }
    }
    if expected.remaining() > 0 {
        return Err(Failure::Corrupt(format!("{} bytes of {length} are missing", expected.remaining())));
    }
    Ok(())
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Connection(chain(&error))
}

fn sha256(body: &RequestBody) -> [u8; 32] {
    use checksum::{ObjectHasher, Wanted};
    let mut hasher = ObjectHasher::new(Wanted { payload_sha256: true, ..Wanted::default() });
    match body {
        RequestBody::Content(content) => content.clone().for_each(|piece| hasher.update(piece)),
        RequestBody::Bytes(bytes) => hasher.update(bytes),
    }
    hasher.finish().payload_sha256().unwrap_or_default()
}

/// An error and its causes, one after the other.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
