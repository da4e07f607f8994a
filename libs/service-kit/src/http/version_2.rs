//! HTTP/2 (RFC 9113), for clients that speak nothing else.
//!
//! A request looks as in HTTP/1.1: its authority is its `host`. Connections on which nothing is under way are closed after
//! a time, and how much a connection may ask for at once is bounded.

use std::time::Duration;

use env::Env;
use hyper::{
    Request,
    body::Incoming,
    header::{self, HeaderValue},
    rt::Executor,
    server::conn::http2,
    service::Service,
};
use hyper_util::rt::TokioTimer;

use super::HttpLimits;

/// Requests that a connection may have under way. RFC 9113 recommends no fewer, and clients begin with as many before they are told.
const STREAMS_MAX: u32 = 100;

/// Bytes of a body, and of all bodies of a connection, that a client may send before they are read.
const WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of answers that wait for a client, for each request.
const SEND_BUFFER_MAX: usize = 256 << 10;

/// How often an idle client is asked whether it is there, and how long it has to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs what a connection has under way on the environment's threads.
#[derive(Clone)]
pub(super) struct Spawner(pub(super) Env);

impl<F> Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Connections with the listener's limits.
pub(super) fn builder(env: &Env, limits: &HttpLimits) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(Spawner(env.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_MAX)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// A service whose requests look as in HTTP/1.1.
pub(super) struct AsVersion1<S>(pub(super) S);

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for AsVersion1<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            request.headers_mut().insert(header::HOST, host);
        }
        self.0.call(request)
    }
}
