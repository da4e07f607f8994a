//! HTTP/2 (RFC 9113), for clients that speak nothing else.
//!
//! A request looks as in HTTP/1.1: its authority is its `host`. Connections on which nothing is under way are closed after
//! a time, and how much a connection may ask for at once is bounded.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use env::{Env, Instant};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
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

/// What a connection is doing.
#[derive(Debug)]
struct State {
    /// Requests whose answers have not ended.
    under_way: usize,
    /// When the last one ended, or the connection began.
    idle_since: Instant,
}

/// Counts what a connection is doing.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    env: Env,
    state: Arc<Mutex<State>>,
}

impl Activity {
    /// A connection that begins now.
    pub(super) fn new(env: &Env) -> Self {
        let state = State { under_way: 0, idle_since: env.now() };
        Self { env: env.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn begin(&self) -> UnderWay {
        self.change(|state| state.under_way += 1);
        UnderWay(self.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns once nothing has been under way for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let now = self.env.now();
            let left = self.change(|state| {
                if state.under_way > 0 { time } else { time.saturating_sub(now.since(state.idle_since)) }
            });
            if left.is_zero() {
                return;
            }
            self.env.sleep(left).await;
        }
    }
}

/// A request that is under way until this is dropped.
struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = self.0.env.now();
        self.0.change(|state| {
            state.under_way -= 1;
            state.idle_since = now;
        });
    }
}

/// A service whose requests are counted, and look as in HTTP/1.1.
pub(super) struct AsVersion1<S> {
    pub(super) service: S,
    pub(super) activity: Activity,
}

impl<S, B> Service<Request<Incoming>> for AsVersion1<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let under_way = self.activity.begin();
        let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            request.headers_mut().insert(header::HOST, host);
        }
        let answer = self.service.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|body| CountedBody { body, _under_way: under_way }))
        })
    }
}

/// The body of an answer, which is under way until it is dropped.
pub(super) struct CountedBody<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
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
    use std::time::Duration;

    use env::Env;

    use super::Activity;

    const MOMENT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_has_been_under_way_for_the_time() {
        let env = Env::real();
        let activity = Activity::new(&env);
        let began = env.now();
        activity.idle_for(MOMENT).await;
        assert!(env.now().since(began) >= MOMENT);

        let (first, second) = (activity.begin(), activity.begin());
        drop(first);
        assert!(env.timeout(3 * MOMENT, activity.idle_for(MOMENT)).await.is_err(), "one is still under way");
        let ended = env.now();
        drop(second);
        activity.idle_for(MOMENT).await;
        assert!(env.now().since(ended) >= MOMENT);
    }
}
