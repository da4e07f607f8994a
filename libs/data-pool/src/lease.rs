//! The gateway's lease: the right to name chunks.
//!
//! Chunk ids are minted inside the lease's range, so the lease is the intent record of every chunk that is not yet
//! committed. A holder that dies, or that cannot renew in time, loses the lease, and everything it wrote and did not
//! commit is reaped.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use env::{Env, Instant, Task};
use metadata_api::{Error, Lease, Metadata};
use tokio::sync::watch;
use tracing::{info, warn};
use types::{ChunkId, LeaseId};

use crate::limits::{METADATA_TIMEOUT, RENEWAL_PERIOD};

/// No lease is held at the moment: none was acquired yet, or it could not be renewed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no lease is held")]
pub struct LeaseNotHeld;

/// Holds a lease, renewing it in the background, until dropped.
///
/// When a lease may have been revoked (it was not renewed within its time to live by this machine's monotonic clock,
/// or the metadata service says so) no more ids are minted under it and another is acquired.
#[derive(Debug)]
pub struct LeaseHolder {
    env: Env,
    current: watch::Receiver<Option<Arc<Grant>>>,
    renewal: Task<()>,
}

impl LeaseHolder {
    /// Starts to acquire and hold a lease in the name of `holder`, for showing to operators.
    pub fn start(env: &Env, metadata: Arc<dyn Metadata>, holder: &str) -> Self {
        Self::start_from(env, metadata, holder)
    }

    fn start_from(env: &Env, service: impl LeaseService, holder: &str) -> Self {
        let (sender, current) = watch::channel(None);
        let renewal = Renewal { env: env.clone(), service, holder: holder.to_owned(), current: sender };
        Self { env: env.clone(), current, renewal: env.spawn(renewal.run()) }
    }

    /// Waits until a lease is held.
    pub async fn held(&self) {
        let mut current = self.current.clone();
        let now = || self.env.now();
        // An error means that the renewal is gone, which only happens when the runtime stops.
        let _ = current.wait_for(|grant| grant.as_ref().is_some_and(|grant| grant.is_valid(now()))).await;
    }

    /// The lease that is held now, if any.
    pub fn lease(&self) -> Option<LeaseId> {
        self.grant().ok().map(|grant| grant.id)
    }

    /// Names a chunk. The name was never used and never will be by anyone else.
    ///
    /// Errors: `LeaseNotHeld`.
    pub fn mint(&self) -> Result<ChunkId, LeaseNotHeld> {
        self.grant()?.mint(self.env.now())
    }

    /// The lease that is held now. One write mints all its chunks from one grant, because its commit names one lease.
    pub(crate) fn grant(&self) -> Result<Arc<Grant>, LeaseNotHeld> {
        let grant = self.current.borrow().clone();
        grant.filter(|grant| grant.is_valid(self.env.now())).ok_or(LeaseNotHeld)
    }
}

impl Drop for LeaseHolder {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// A lease that was given to this process.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: LeaseId,
    time_to_live: Duration,
    next: AtomicU64,
    valid_until: Mutex<Instant>,
}

impl Grant {
    /// A grant of a lease that was asked for, or last renewed, at `asked`: the service's clock began to run later.
    fn new(lease: Lease, asked: Instant) -> Self {
        // A tenth is left for clocks that do not run at the same speed.
        let time_to_live = lease.time_to_live - lease.time_to_live / 10;
        let valid_until = Mutex::new(asked.after(time_to_live));
        Self { id: lease.id, time_to_live, next: AtomicU64::new(0), valid_until }
    }

    pub(crate) fn is_valid(&self, now: Instant) -> bool {
        now < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renewed(&self, asked: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = asked.after(self.time_to_live);
    }

    pub(crate) fn mint(&self, now: Instant) -> Result<ChunkId, LeaseNotHeld> {
        if !self.is_valid(now) {
            return Err(LeaseNotHeld);
        }
        Ok(ChunkId { lease: self.id, counter: self.next.fetch_add(1, Ordering::Relaxed) })
    }
}

/// What the loop needs of the metadata service.
trait LeaseService: Send + Sync + 'static {
    fn acquire(&self, holder: &str) -> impl Future<Output = Result<Lease, Error>> + Send;
    fn renew(&self, lease: LeaseId) -> impl Future<Output = Result<(), Error>> + Send;
}

impl LeaseService for Arc<dyn Metadata> {
    async fn acquire(&self, holder: &str) -> Result<Lease, Error> {
        self.acquire_lease(holder).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), Error> {
        self.renew_lease(lease, 0).await
    }
}

/// The background loop.
struct Renewal<S> {
    env: Env,
    service: S,
    holder: String,
    current: watch::Sender<Option<Arc<Grant>>>,
}

impl<S: LeaseService> Renewal<S> {
    async fn run(self) {
        loop {
            let held = self.current.borrow().clone();
            let period = match held {
                Some(grant) if grant.is_valid(self.env.now()) => {
                    self.renew(&grant).await;
                    RENEWAL_PERIOD.min(grant.time_to_live / 3)
                }
                _ => {
                    self.acquire().await;
                    RENEWAL_PERIOD.min(Duration::from_millis(500))
                }
            };
            self.env.sleep(period).await;
        }
    }

    async fn acquire(&self) {
        let asked = self.env.now();
        let answer = self.env.timeout(METADATA_TIMEOUT, self.service.acquire(&self.holder)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            Ok(lease) => {
                info!(lease = lease.id.0, "acquired a lease");
                self.current.send_replace(Some(Arc::new(Grant::new(lease, asked))));
            }
            Err(error) => warn!(%error, "no lease acquired"),
        }
    }

    async fn renew(&self, grant: &Grant) {
        let asked = self.env.now();
        let answer = self.env.timeout(METADATA_TIMEOUT, self.service.renew(grant.id)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            // Too late is too late, even though the service accepted it: writes were told so.
            Ok(()) if grant.is_valid(self.env.now()) => grant.renewed(asked),
            Ok(()) => {}
            Err(Error::LeaseRevoked) => {
                warn!(lease = grant.id.0, "the lease was revoked");
                self.current.send_replace(None);
            }
            Err(error) => warn!(lease = grant.id.0, %error, "the lease was not renewed"),
        }
    }
}

#[cfg(test)]
mod tests;
