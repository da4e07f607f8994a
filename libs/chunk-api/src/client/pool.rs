//! Connections to one chunk service, kept open between calls and bounded in number.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use env::{Env, Instant, Task};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::debug;

use crate::{Error, outgoing::OutgoingBody};

/// A connection unused for this long is closed: the service may be about to do so, and a call caught in between could
/// not tell whether it was heard.
const IDLE_MAX: Duration = Duration::from_secs(10);

pub(super) struct Pool {
    env: Env,
    address: String,
    connect_timeout: Duration,
    idle: Mutex<Vec<(Instant, Idle)>>,
    permits: Arc<Semaphore>,
}

struct Idle {
    sender: SendRequest<OutgoingBody>,
    driver: Driver,
}

/// The task that moves a connection's bytes. Stopped with its connection, so that an abandoned call is seen to be
/// abandoned at the other end.
struct Driver(Task<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection in use by one call. Dropping it closes it.
pub(super) struct Lease {
    pub(super) sender: SendRequest<OutgoingBody>,
    driver: Driver,
    _permit: OwnedSemaphorePermit,
    /// Whether the connection has served a call before.
    pub(super) reused: bool,
}

impl Pool {
    pub(super) fn new(env: Env, address: String, connect_timeout: Duration, connections_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections_max));
        Self { env, address, connect_timeout, idle: Mutex::default(), permits }
    }

    /// A connection: one that was used before when `fresh` is not asked for, else a new one, in as much time at most. Waits as long
    /// for a free one when all are in use; `Busy` when there is none then.
    pub(super) async fn lease(&self, fresh: bool, patience: Duration) -> Result<Lease, Error> {
        let free = self.env.timeout(patience, self.permits.clone().acquire_owned()).await;
        let permit = free.map_err(|_| Error::Busy)?.map_err(|_| unavailable("the client is closed"))?;
        while !fresh && let Some(Idle { mut sender, driver }) = self.take_idle() {
            // Ready at once, unless the peer has closed it.
            if sender.ready().await.is_ok() {
                return Ok(Lease { sender, driver, _permit: permit, reused: true });
            }
        }
        let connected = self.env.timeout(self.connect_timeout.min(patience), self.connect()).await;
        let (sender, driver) = connected.map_err(|_| unavailable("connecting took too long"))??;
        Ok(Lease { sender, driver, _permit: permit, reused: false })
    }

    /// Takes a connection back whose last call has ended on both sides.
    pub(super) fn give_back(&self, lease: Lease) {
        if !lease.sender.is_closed() {
            let idle = Idle { sender: lease.sender, driver: lease.driver };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((self.env.now(), idle));
        }
    }

    /// The connection used last, as the others may then grow old and be closed.
    fn take_idle(&self) -> Option<Idle> {
        let now = self.env.now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let old = idle.partition_point(|(since, _)| now.since(*since) > IDLE_MAX);
        idle.drain(..old);
        idle.pop().map(|(_, idle)| idle)
    }

    async fn connect(&self) -> Result<(SendRequest<OutgoingBody>, Driver), Error> {
        let connection =
            self.env.connect(&self.address).await.map_err(|error| unavailable(&error.to_string()))?;
        let (sender, connection) = http1::handshake(TokioIo::new(connection))
            .await
            .map_err(|error| unavailable(&error.to_string()))?;
        let driver = self.env.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "connection to a chunk service ended");
            }
        });
        Ok((sender, Driver(driver)))
    }
}

fn unavailable(reason: &str) -> Error {
    Error::Unavailable { reason: reason.to_owned() }
}
