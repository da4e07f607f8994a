//! Heads that are refused before they are a request: no service sees them, and what hyper answers by itself is a status alone. Here
//! the listener's own answer goes out in its place.
//!
//! Nothing is parsed for that. Hyper flushes its connection when all that it had to write is written; what it writes
//! next, though no request has begun and none is under way, is its own answer, with which it ends the connection. Where
//! an answer before it is still being written the two cannot be told apart, and hyper's stays.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use env::{Connection, Env};
use hyper::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::crowd::Activity;

/// What is answered where a head is refused with this status: 400 where it is no HTTP, 431 or 414 where it is too large. Its
/// length and the end of the connection are told by the listener.
pub type AnswerToRefused = Arc<dyn Fn(StatusCode, SocketAddr) -> Response<Bytes> + Send + Sync>;

/// Bytes of what a client goes on to send that are read after it was refused, and the time for it: closed at once, the connection
/// would be reset, and the answer lost.
const DRAIN_BYTES_MAX: usize = 4 << 20;
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// A connection on which heads that are refused have the listener's answer.
pub(super) struct Refusing {
    pub(super) env: Env,
    pub(super) connection: Box<dyn Connection>,
    pub(super) activity: Activity,
    pub(super) peer: SocketAddr,
    pub(super) answer: Option<AnswerToRefused>,
    pub(super) state: State,
}

/// How far a connection is.
pub(super) enum State {
    /// What is written is a request's.
    Busy,
    /// Everything is written, and so many requests have begun. `is_head` is known from the first byte that is read on.
    Quiet { requests: u64, is_head: Option<bool> },
    /// The answer to what was refused, of which so many bytes are sent.
    Answering { bytes: Vec<u8>, sent: usize },
    /// It is sent; the client may be sending still.
    Refused { drained: usize, until: Option<Pin<Box<dyn Future<Output = ()> + Send>>> },
}

impl State {
    /// Of a connection that begins.
    pub(super) const NEW: Self = Self::Quiet { requests: 0, is_head: None };
}

impl Refusing {
    /// Whether these bytes, which hyper writes at once, are its own answer, in whose place another is sent.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        let (requests, is_head) = match self.state {
            State::Answering { .. } => return true,
            State::Quiet { requests, is_head } => (requests, is_head == Some(true)),
            State::Busy | State::Refused { .. } => return false,
        };
        self.state = State::Busy;
        let Some(answer) = &self.answer else { return false };
        let Some(status) = refused_with(bytes).filter(|_| self.activity.is_quiet_since(requests)) else {
            return false;
        };
        let bytes = written(&bytes[..VERSION], &answer(status, self.peer), is_head);
        self.state = State::Answering { bytes, sent: 0 };
        true
    }

    /// Sends what is left of the answer.
    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Answering { bytes, sent } = &mut self.state else { return Poll::Ready(Ok(())) };
        while *sent < bytes.len() {
            let more = ready!(Pin::new(&mut self.connection).poll_write(context, &bytes[*sent..]))?;
            if more == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += more;
        }
        self.state = State::Refused { drained: 0, until: None };
        Poll::Ready(Ok(()))
    }

    /// Reads what the client goes on to send, within bounds.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let State::Refused { drained, until } = &mut self.state else { return Poll::Ready(()) };
        let until = until.get_or_insert_with(|| {
            let env = self.env.clone();
            Box::pin(async move { env.sleep(DRAIN_MAX).await })
        });
        let mut space = [0; 16 << 10];
        while *drained < DRAIN_BYTES_MAX && until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.connection).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *drained += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

/// Bytes of the version at the beginning of an answer, with the space behind it.
const VERSION: usize = "HTTP/1.1 ".len();

/// The status of hyper's own answer, if the bytes are one.
fn refused_with(bytes: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(bytes).ok()?;
    let is_one = head.starts_with("HTTP/1.")
        && head.ends_with("\r\n\r\n")
        && head.contains("\r\ncontent-length: 0\r\n");
    let status = head.get(VERSION..VERSION + 3).filter(|_| is_one)?.parse().ok()?;
    let is_refusal = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    is_refusal.then_some(status)
}

/// An answer as it is sent, with which its connection ends.
fn written(version: &[u8], answer: &Response<Bytes>, is_head: bool) -> Vec<u8> {
    let mut bytes = version.to_vec();
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    bytes.extend_from_slice(format!("{} {reason}\r\n", status.as_str()).as_bytes());
    for (name, value) in answer.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    let length = answer.body().len();
    bytes.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
    if !is_head {
        bytes.extend_from_slice(answer.body());
    }
    bytes
}

impl AsyncRead for Refusing {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buffer.filled().len());
        let polled = Pin::new(&mut this.connection).poll_read(context, buffer);
        if let State::Quiet { is_head: is_head @ None, .. } = &mut this.state
            && let Some(read) = buffer.filled().get(before..).filter(|read| !read.is_empty())
        {
            *is_head = Some(read.starts_with(b"HEAD "));
        }
        polled
    }
}

impl AsyncWrite for Refusing {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.takes(bytes) {
            ready!(this.poll_answer(context))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let total = slices.iter().map(|slice| slice.len()).sum();
        let first = slices.iter().find(|slice| !slice.is_empty());
        // Its own answer is a head alone.
        let alone = first.filter(|first| first.len() == total).map_or(&[][..], |first| &first[..]);
        if this.takes(alone) {
            ready!(this.poll_answer(context))?;
            return Poll::Ready(Ok(total));
        }
        Pin::new(&mut this.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.state, State::Busy)
            && this.answer.is_some()
            && let Some(requests) = this.activity.quiet()
        {
            this.state = State::Quiet { requests, is_head: None };
        }
        Pin::new(&mut this.connection).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = ready!(Pin::new(&mut this.connection).poll_shutdown(context));
        ready!(this.poll_drain(context));
        Poll::Ready(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

    use bytes::Bytes;
    use env::Env;
    use http_body_util::{BodyExt, Full};
    use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{super::HttpServer, refused_with};
    use crate::{HttpLimits, ShutdownTrigger, shutdown_channel};

    /// The answer of a service that looks like hyper's own.
    const LIKE_HYPERS: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

    async fn start(env: &Env) -> (SocketAddr, ShutdownTrigger) {
        let (running, shutdown) = shutdown_channel();
        let listener = env.listen(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let address = listener.local_address().expect("it is bound");
        let limits = HttpLimits { head_bytes_max: 8 << 10, headers_max: 20, ..HttpLimits::default() };
        let server = HttpServer { env: env.clone(), listener, tls: None, limits };
        let service = service_fn(|request: Request<Incoming>| async move {
            let path = request.uri().path().to_owned();
            let read = request.into_body().collect().await;
            let body = match path.as_str() {
                "/large" => vec![b'a'; 3 << 20],
                "/like" => LIKE_HYPERS.to_vec(),
                _ => read.map_or(Vec::new(), |read| read.to_bytes().to_vec()),
            };
            let mut response = Response::new(Full::new(Bytes::from(body)));
            if path == "/bad" {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            Ok::<_, Infallible>(response)
        });
        let to_refused = Arc::new(|status: StatusCode, _| {
            let mut response = Response::new(Bytes::from(format!("refused with {}", status.as_u16())));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response.headers_mut().insert("x-id", "1".parse().expect("a value"));
            response
        });
        env.spawn(async move { server.run_answering(service, to_refused, shutdown).await });
        (address, running)
    }

    /// All that comes, when the parts are sent one after the other, each after what was asked for before has come to its end.
    async fn answers(address: SocketAddr, parts: &[(&[u8], &str)]) -> String {
        let env = Env::real();
        let mut stream = env.connect(&address.to_string()).await.expect("it listens");
        let mut all = Vec::new();
        for (sent, until) in parts {
            // The other end may have closed already, with its answer on the way.
            let _ = stream.write_all(sent).await;
            let reading = async {
                let mut buffer = vec![0; 64 << 10];
                while until.is_empty() || !all.ends_with(until.as_bytes()) {
                    let read = stream.read(&mut buffer).await.expect("no reset");
                    if read == 0 {
                        break;
                    }
                    all.extend_from_slice(&buffer[..read]);
                }
            };
            env.timeout(Duration::from_secs(30), reading).await.expect("an answer");
        }
        String::from_utf8(all).expect("text")
    }

    const OWN: &str =
        "HTTP/1.1 400 Bad Request\r\nx-id: 1\r\ncontent-length: 16\r\nconnection: close\r\n\r\nrefused with ";

    #[tokio::test]
    async fn a_head_that_is_refused_has_the_listeners_answer() {
        let (address, _running) = start(&Env::real()).await;
        let many = (0..30).fold(String::new(), |head, number| format!("{head}x-{number}: 1\r\n"));
        for (bytes, status) in [
            ("GARBAGE\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(9 << 10)), 431),
            // More than is read before it is refused: the connection is not reset while it is sent.
            (format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2 << 20)), 431),
        ] {
            let answer = answers(address, &[(bytes.as_bytes(), "")]).await;
            assert_eq!(answer, format!("{OWN}{status}"), "{:?}", &bytes[..20.min(bytes.len())]);
        }
        let answer = answers(address, &[(b"HEAD / HTTP/1.1\r\nno colon\r\n\r\n", "")]).await;
        assert_eq!(answer, OWN.trim_end_matches("refused with "));
    }

    #[tokio::test]
    async fn what_services_answer_is_sent_as_it_is_and_a_refusal_after_it() {
        let (address, _running) = start(&Env::real()).await;
        let (get, bad, like) =
            ("GET / HTTP/1.1\r\n\r\n", "GET /bad HTTP/1.1\r\n\r\n", "GET /like HTTP/1.1\r\n\r\n");
        let put = "PUT / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
        let garbage: (&[u8], &str) = (b"GARBAGE\r\n\r\n", "");
        let end = "\r\n\r\n";
        for (before, until, status) in [(get, end, 200), (bad, end, 400), (like, end, 200), (put, "abc", 200)]
        {
            let all = answers(address, &[(before.as_bytes(), until), garbage]).await;
            let (first, refusal) = all.split_at(all.len() - OWN.len() - 3);
            assert_eq!(refusal, format!("{OWN}400"), "after {before}");
            assert!(first.starts_with(&format!("HTTP/1.1 {status} ")) && !first.contains("x-id"), "{first}");
        }
        // What is asked for at once, too: whichever answer the refusal has, nothing before it is lost or taken for one.
        for (before, body) in [(get, 0), (like, LIKE_HYPERS.len()), ("GET /large HTTP/1.1\r\n\r\n", 3 << 20)]
        {
            let both = format!("{before}GARBAGE\r\n\r\n");
            let all = answers(address, &[(both.as_bytes(), "")]).await;
            let (head, rest) = all.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.starts_with("HTTP/1.1 200") && head.contains(&format!("content-length: {body}")),
                "{head}"
            );
            assert!(rest[body..].starts_with("HTTP/1.1 400 "), "{:?}", &rest[body..]);
        }
    }

    #[test]
    fn only_its_own_answers_are_taken_for_hypers() {
        let refused = |text: &str| refused_with(text.as_bytes()).map(|status| status.as_u16());
        assert_eq!(refused("HTTP/1.1 431 Too Large\r\ncontent-length: 0\r\ndate: now\r\n\r\n"), Some(431));
        assert_eq!(refused("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), None);
        assert_eq!(refused("HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n"), None);
        assert_eq!(refused("HTTP/1.1 100 Continue\r\n\r\n"), None);
        assert_eq!(refused(""), None);
    }
}
