//! The background loop that acquires, renews and gives back leases.

use std::{future::Future, mem, sync::Arc, sync::atomic::Ordering, time::Duration};

use env::{Env, Instant};
use futures_util::future::join_all;
use metadata_api::{Error, Lease, Metadata};
use tokio::sync::watch;
use tracing::{info, warn};
use types::LeaseId;

use super::{Grant, Orders};
use crate::{
    ClusterView,
    limits::{
        CLOSE_PERIOD, METADATA_TIMEOUT, RELEASE_ATTEMPTS_MAX, RENEWAL_PERIOD, RETIRED_LEASES_MAX,
        RETIREMENT_PERIOD,
    },
};

/// What the loop needs of the cluster.
pub(super) trait LeaseService: Send + Sync + 'static {
    fn acquire(&self, holder: &str) -> impl Future<Output = Result<Lease, Error>> + Send;
    /// Takes in the latest cluster map.
    fn refresh(&self) -> impl Future<Output = Result<(), Error>> + Send;
    fn renew(&self, lease: LeaseId) -> impl Future<Output = Result<(), Error>> + Send;
    fn release(&self, lease: LeaseId) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Leases of the metadata service for writing by a view.
pub(super) struct ClusterLeases {
    pub(super) metadata: Arc<dyn Metadata>,
    pub(super) view: Arc<ClusterView>,
}

impl LeaseService for ClusterLeases {
    async fn acquire(&self, holder: &str) -> Result<Lease, Error> {
        self.metadata.acquire_lease(holder).await
    }

    async fn refresh(&self) -> Result<(), Error> {
        self.view.refresh(&*self.metadata).await.map(|_| ())
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), Error> {
        self.metadata.renew_lease(lease, self.view.oldest_epoch_in_use()).await
    }

    async fn release(&self, lease: LeaseId) -> Result<(), Error> {
        self.metadata.release_lease(lease).await
    }
}

/// The background loop.
pub(super) struct Renewal<S> {
    env: Env,
    service: S,
    holder: String,
    /// The grant for new writes.
    current: watch::Sender<Option<Arc<Grant>>>,
    /// Acquired, and not given to writes before the cluster map has been read.
    acquired: Option<Arc<Grant>>,
    /// Given to no new write any more, and kept until no old one uses them.
    retired: Vec<Retired>,
    last_retirement: Option<Instant>,
    orders: Arc<Orders>,
}

struct Retired {
    grant: Arc<Grant>,
    /// Times that it was given back in vain.
    attempts: u32,
}

impl<S: LeaseService> Renewal<S> {
    pub(super) fn new(
        env: Env,
        service: S,
        holder: &str,
        current: watch::Sender<Option<Arc<Grant>>>,
        orders: Arc<Orders>,
    ) -> Self {
        Self {
            env,
            service,
            holder: holder.to_owned(),
            current,
            acquired: None,
            retired: Vec::new(),
            last_retirement: None,
            orders,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.orders.close.load(Ordering::Relaxed) {
            let period = self.step().await;
            // An error means that there is no order yet.
            let _ = self.env.timeout(period, self.orders.wake.notified()).await;
        }
        self.close().await;
        self.orders.closed.notify_waiters();
    }

    /// Does what is due, and answers how long nothing will be.
    async fn step(&mut self) -> Duration {
        self.renew_all().await;
        self.release_unused().await;
        let now = self.env.now();
        let held = self.held().filter(|grant| grant.is_valid(now));
        match held {
            Some(grant) if !(grant.is_dirty() && self.may_retire(now)) => {
                RENEWAL_PERIOD.min(grant.time_to_live / 3)
            }
            _ => {
                self.replace().await;
                RENEWAL_PERIOD.min(Duration::from_millis(500))
            }
        }
    }

    fn held(&self) -> Option<Arc<Grant>> {
        self.current.borrow().clone()
    }

    /// Whether a dirty grant may be retired now: not too often, and not when too many are in use still. Something that
    /// waits to be reaped can wait a little longer.
    fn may_retire(&self, now: Instant) -> bool {
        let recent = |last: Instant| now.since(last) < RETIREMENT_PERIOD;
        self.retired.len() < RETIRED_LEASES_MAX && !self.last_retirement.is_some_and(recent)
    }

    /// Gives writes another grant than the one they have.
    async fn replace(&mut self) {
        let now = self.env.now();
        if self.acquired.as_ref().is_none_or(|grant| !grant.is_valid(now)) {
            self.acquired = None;
            let answer = self.env.timeout(METADATA_TIMEOUT, self.service.acquire(&self.holder)).await;
            match answer.unwrap_or(Err(Error::TimedOut)) {
                Ok(lease) => {
                    info!(lease = lease.id.0, "acquired a lease");
                    self.acquired = Some(Arc::new(Grant::new(lease, now, &self.orders)));
                }
                Err(error) => return warn!(%error, "no lease acquired"),
            }
        }
        // Somebody who moves shards and has seen no lease with an older map must not meet a write by one.
        let answer = self.env.timeout(METADATA_TIMEOUT, self.service.refresh()).await;
        if let Err(error) = answer.unwrap_or(Err(Error::TimedOut)) {
            return warn!(%error, "no cluster map for the lease");
        }
        let before = mem::take(&mut self.acquired).and_then(|grant| self.current.send_replace(Some(grant)));
        let now = self.env.now();
        if let Some(grant) = before.filter(|grant| grant.is_valid(now)) {
            self.last_retirement = Some(now);
            self.retired.push(Retired { grant, attempts: 0 });
        }
    }

    async fn renew_all(&mut self) {
        let now = self.env.now();
        self.retired.retain(|retired| retired.grant.is_valid(now));
        let held = self.held();
        let grants =
            held.iter().chain(&self.acquired).chain(self.retired.iter().map(|retired| &retired.grant));
        let valid = grants.filter(|grant| grant.is_valid(now));
        let lost = join_all(valid.map(|grant| self.renew(grant))).await;
        let lost: Vec<LeaseId> = lost.into_iter().flatten().collect();
        let is_lost = |grant: &Arc<Grant>| lost.contains(&grant.id);
        if held.as_ref().is_some_and(is_lost) {
            self.current.send_replace(None);
        }
        self.acquired = self.acquired.take().filter(|grant| !is_lost(grant));
        self.retired.retain(|retired| !is_lost(&retired.grant));
    }

    /// Answers the lease when it is revoked.
    async fn renew(&self, grant: &Grant) -> Option<LeaseId> {
        let asked = self.env.now();
        let answer = self.env.timeout(METADATA_TIMEOUT, self.service.renew(grant.id)).await;
        match answer.unwrap_or(Err(Error::TimedOut)) {
            // Too late is too late, even though the service accepted it: writes were told so.
            Ok(()) if grant.is_valid(self.env.now()) => grant.renewed(asked),
            Ok(()) => {}
            Err(Error::LeaseRevoked) => {
                warn!(lease = grant.id.0, "the lease was revoked");
                return Some(grant.id);
            }
            Err(error) => warn!(lease = grant.id.0, %error, "the lease was not renewed"),
        }
        None
    }

    /// Gives back retired grants that nothing uses. One that is not taken is not renewed any more in the end, and
    /// revoked for it.
    async fn release_unused(&mut self) {
        let (unused, used) = mem::take(&mut self.retired)
            .into_iter()
            .partition::<Vec<_>, _>(|retired| Arc::strong_count(&retired.grant) == 1);
        self.retired = used;
        for mut retired in unused {
            let lease = retired.grant.id;
            let answer = self.env.timeout(METADATA_TIMEOUT, self.service.release(lease)).await;
            match answer.unwrap_or(Err(Error::TimedOut)) {
                Ok(()) | Err(Error::LeaseRevoked) => info!(lease = lease.0, "gave a lease back"),
                Err(error) => {
                    retired.attempts += 1;
                    warn!(lease = lease.0, attempts = retired.attempts, %error, "a lease was not given back");
                    if retired.attempts < RELEASE_ATTEMPTS_MAX {
                        self.retired.push(retired);
                    }
                }
            }
        }
    }

    /// Gives back everything.
    async fn close(&mut self) {
        let held = self.current.send_replace(None);
        let grants = held.into_iter().chain(self.acquired.take());
        self.retired.extend(grants.map(|grant| Retired { grant, attempts: 0 }));
        loop {
            self.release_unused().await;
            if self.retired.is_empty() {
                return;
            }
            self.env.sleep(CLOSE_PERIOD).await;
            self.renew_all().await;
        }
    }
}
