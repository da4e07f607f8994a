//! The gateway's lease: the right to name chunks.
//!
//! Chunk ids are minted inside the lease's range, so the lease is the intent record of every chunk that is not yet
//! committed. A holder that dies, or that cannot renew in time, loses the lease, and everything it wrote and did not
//! commit is reaped. A holder that lives but left something behind under its lease (what could not be deleted, or what
//! a commit of unknown outcome may or may not have named) takes another for new writes and gives the old one back as
//! soon as no write uses it, so that it is reaped too.

mod renewal;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use env::{Env, Instant, Task};
use metadata_api::{Lease, Metadata};
use tokio::sync::{Notify, watch};
use types::{ChunkId, LeaseId};

use self::renewal::{ClusterLeases, LeaseService, Renewal};
use crate::{ClusterView, cluster::HeldSnapshot};

/// No lease is held at the moment: none was acquired yet, or it could not be renewed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no lease is held")]
pub struct LeaseNotHeld;

/// Holds a lease, renewing it in the background, until dropped or closed.
///
/// When a lease may have been revoked (it was not renewed within its time to live by this machine's monotonic clock,
/// or the metadata service says so) no more ids are minted under it and another is acquired. Writes are only ever
/// placed by a cluster map that was read after their lease was acquired, and each renewal tells the metadata service
/// of the oldest map that is still written by.
#[derive(Debug)]
pub struct LeaseHolder {
    env: Env,
    current: watch::Receiver<Option<Arc<Grant>>>,
    orders: Arc<Orders>,
    renewal: Task<()>,
}

/// What the background loop is told.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Something is to be done before the next renewal is due.
    wake: Notify,
    /// The leases are to be given back.
    close: AtomicBool,
    /// They were.
    closed: Notify,
}

impl LeaseHolder {
    /// Starts to acquire and hold a lease in the name of `holder`, for showing to operators. `view` is the one by
    /// which chunks are written under the lease; it is refreshed with each lease that is acquired.
    pub fn start(env: &Env, metadata: Arc<dyn Metadata>, view: &Arc<ClusterView>, holder: &str) -> Self {
        Self::start_from(env, ClusterLeases { metadata, view: Arc::clone(view) }, holder)
    }

    /// Never holds a lease: for programs that read and write nothing of their own, such as an operator's tools.
    pub fn none(env: &Env) -> Self {
        let (_, current) = watch::channel(None);
        let renewal = env.spawn(std::future::pending());
        Self { env: env.clone(), current, orders: Arc::default(), renewal }
    }

    fn start_from(env: &Env, service: impl LeaseService, holder: &str) -> Self {
        let (sender, current) = watch::channel(None);
        let orders = Arc::new(Orders::default());
        let renewal = Renewal::new(env.clone(), service, holder, sender, Arc::clone(&orders));
        Self { env: env.clone(), current, orders, renewal: env.spawn(renewal.run()) }
    }

    /// Waits until a lease is held.
    pub async fn held(&self) {
        let mut current = self.current.clone();
        let now = || self.env.now();
        // An error means that the renewal is gone, which only happens when the holder is closed or the runtime stops.
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

    /// Holds no lease any more: nothing can be written from now on, and each lease is given back once no write uses it.
    /// Waits for that; give it a limit, because a write or the metadata service may be slow. Leases that are not given
    /// back are revoked by a worker once they are not renewed any more.
    pub async fn close(&self) {
        self.orders.close.store(true, Ordering::Relaxed);
        let closed = self.orders.closed.notified();
        self.orders.wake.notify_one();
        if !self.renewal.is_finished() {
            closed.await;
        }
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

/// A lease that was given to this process. Whoever holds it uses it: it is not given back meanwhile.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: LeaseId,
    time_to_live: Duration,
    next: AtomicU64,
    valid_until: Mutex<Instant>,
    dirty: AtomicBool,
    /// The oldest map of the writes whose commit may still be on its way. It counts as in use until the lease is given back,
    /// after which nothing is named under it.
    left: Mutex<Option<Arc<HeldSnapshot>>>,
    orders: Arc<Orders>,
}

impl Grant {
    /// A grant of a lease that was asked for, or last renewed, at `asked`: the service's clock began to run later.
    fn new(lease: Lease, asked: Instant, orders: &Arc<Orders>) -> Self {
        // A tenth is left for clocks that do not run at the same speed.
        let time_to_live = lease.time_to_live - lease.time_to_live / 10;
        Self {
            id: lease.id,
            time_to_live,
            next: AtomicU64::new(0),
            valid_until: Mutex::new(asked.after(time_to_live)),
            dirty: AtomicBool::new(false),
            left: Mutex::default(),
            orders: Arc::clone(orders),
        }
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

    /// What a write by this map put may be named under this lease some time, or is left behind.
    pub(crate) fn leave(&self, map: Arc<HeldSnapshot>) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.as_ref().is_none_or(|oldest| map.epoch < oldest.epoch) {
            *left = Some(map);
        }
        drop(left);
        self.mark_dirty();
    }

    /// Something may have been left behind under this lease that only a reaper can find.
    pub(crate) fn mark_dirty(&self) {
        if !self.dirty.swap(true, Ordering::Relaxed) {
            tracing::info!(
                lease = self.id.0,
                "chunks may be left without a name; the lease will be given back"
            );
            self.orders.wake.notify_one();
        }
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
