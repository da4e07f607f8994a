//! One replica of the service: its connection, and whether it can be trusted to answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use env::{Env, Instant};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, ready},
};
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use telemetry::trace;
use tonic::{body::Body, codegen::Service};
use tracing::Instrument;

use super::{Timing, greeting::Greeted, outcome::SendError};
use crate::{
    span::{self, Side},
    transport::{CONNECTION_WINDOW, Executor, HEADERS_SIZE_MAX, STREAM_WINDOW, timer},
};

/// A replica of the service.
#[derive(Debug)]
pub(super) struct Replica {
    env: Env,
    address: String,
    origin: Uri,
    timing: Timing,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The connection, made or being made; all that want one wait for the same.
    connecting: Option<Connecting>,
    /// How many connections were begun: the number of the one above.
    begun: u64,
    /// Until when the replica is passed over.
    avoided_until: Option<Instant>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A connection or why there is none.
type Connecting = Shared<BoxFuture<'static, Result<Connection, Arc<str>>>>;

/// A connection on which one request can be sent. Cheap to clone before that.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// Gone once the request is on its way. A request that is handed over just when the connection ends can be left
    /// in the queue between them, which gives it back when nobody can add to the queue any more.
    sender: Option<SendRequest<Body>>,
}

impl Connection {
    fn is_closed(&self) -> bool {
        self.sender.as_ref().is_none_or(SendRequest::is_closed)
    }
}

impl Replica {
    pub(super) fn new(env: Env, origin: Uri, address: String, timing: Timing) -> Self {
        Self { env, address, origin, timing, state: Arc::default() }
    }

    /// What requests name as their destination.
    pub(super) fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The open connection, or a new one. Fails with the reason within the time for connecting.
    pub(super) async fn connection(&self) -> Result<Connection, String> {
        let connecting = self.connecting();
        connecting.await.map_err(|reason| format!("{}: {reason}", self.address))
    }

    /// Passes the replica over for a while.
    pub(super) fn avoid(&self) {
        self.state().avoided_until = Some(self.env.now().after(self.timing.avoid));
    }

    /// Ends [`avoid`](Self::avoid) early: the replica has answered.
    pub(super) fn trust(&self) {
        self.state().avoided_until = None;
    }

    /// Whether the replica failed just now.
    pub(super) fn is_avoided(&self) -> bool {
        self.state().avoided_until.is_some_and(|until| self.env.now() < until)
    }

    fn connecting(&self) -> Connecting {
        let mut state = self.state();
        if let Some(connecting) = &state.connecting {
            let usable = match connecting.peek() {
                None => true,
                Some(Ok(connection)) => !connection.is_closed(),
                Some(Err(_)) => false,
            };
            if usable {
                return connecting.clone();
            }
        }
        state.begun += 1;
        let end = End { state: Arc::clone(&self.state), number: state.begun };
        let task = self.env.spawn(open(self.env.clone(), self.address.clone(), self.timing, end));
        let connecting = task.map(|end| end.unwrap_or_else(|| Err("connecting was aborted".into())));
        let connecting = connecting.boxed().shared();
        state.connecting = Some(connecting.clone());
        connecting
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // No code panics while it holds the lock; the state would be whole if it did.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the replica let go of a connection that has ended.
struct End {
    state: Arc<Mutex<State>>,
    number: u64,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let ended = if state.begun == self.number { state.connecting.take() } else { None };
        // What is dropped wakes others, who may want the lock.
        drop(state);
        drop(ended);
    }
}

/// Opens a connection within the time allowed and keeps it going in the background until it ends.
async fn open(env: Env, address: String, timing: Timing, end: End) -> Result<Connection, Arc<str>> {
    match env.timeout(timing.connect, greeted(&env, &address, timing, end)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(error.to_string().into()),
        Err(_) => Err("no connection within the time allowed".into()),
    }
}

async fn greeted(env: &Env, address: &str, timing: Timing, end: End) -> Result<Connection, BoxError> {
    let (stream, greeting) = Greeted::new(env.connect(address).await?);
    let (sender, connection) = Builder::new(Executor(env.clone()))
        .timer(timer())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS_SIZE_MAX)
        .keep_alive_interval(timing.ping_after)
        .keep_alive_timeout(timing.ping_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let address = address.to_owned();
    drop(env.spawn(async move {
        let _end = end;
        if let Err(error) = connection.await {
            tracing::debug!(%address, %error, "connection to the metadata service ended");
        }
    }));
    greeting.await.map_err(|_| "the connection was closed before it was used")?;
    Ok(Connection { sender: Some(sender) })
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = SendError;
    type Future = BoxFuture<'static, Result<Self::Response, SendError>>;

    /// Always: what the connection cannot take now waits in it, and is given back if it closes first.
    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(mut sender) = self.sender.take() else {
            return ready(Err(SendError::Spent)).boxed();
        };
        let span = span::of_call(request.uri().path(), Side::Client);
        trace::carry(&span, |name, value| {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                request.headers_mut().insert(name, value);
            }
        });
        let answer = sender.try_send_request(request).map(|answer| answer.map_err(SendError::from));
        answer.instrument(span).boxed()
    }
}
