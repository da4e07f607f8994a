//! What both ends of a connection share: HTTP/2 settings and the way to spawn.
//!
//! HTTP/2's own timers (pings) run on tokio's clock, which a simulation pauses and advances with its own.

use env::Env;
use hyper_util::rt::TokioTimer;

/// Bytes that one call may have on the way before its receiver has read any.
pub(crate) const STREAM_WINDOW: u32 = 2 << 20;

/// Bytes that all calls of a connection may have on the way together.
pub(crate) const CONNECTION_WINDOW: u32 = 8 << 20;

/// Most bytes of a request's or an answer's headers; a failure's details, which are headers, have at most 8 KiB.
pub(crate) const HEADERS_SIZE_MAX: u32 = 32 << 10;

/// Most calls that one connection carries at a time.
pub(crate) const STREAMS_MAX: u32 = 1024;

/// Spawns a connection's tasks in the environment.
#[derive(Debug, Clone)]
pub(crate) struct Executor(pub(crate) Env);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // The task ends with its connection; nobody waits for it.
        drop(self.0.spawn(future));
    }
}

/// The clock of HTTP/2's pings.
pub(crate) fn timer() -> TokioTimer {
    TokioTimer::new()
}
