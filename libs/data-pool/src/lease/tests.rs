use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use metadata_api::{Error, Lease, Metadata, fake::Fake};
use types::LeaseId;

use super::{LeaseHolder, LeaseNotHeld, LeaseService};
use crate::tests::harness::paused_env;

const SECOND: Duration = Duration::from_secs(1);

/// A service that can be cut off, by silence or by refusal.
#[derive(Debug, Default)]
struct Service {
    granted: AtomicI64,
    silent: AtomicBool,
    refusing: AtomicBool,
}

impl Service {
    async fn answer<T>(&self, value: T) -> Result<T, Error> {
        if self.silent.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.refusing.load(Ordering::Relaxed) {
            return Err(Error::Unavailable { reason: "refused".to_owned() });
        }
        Ok(value)
    }
}

impl LeaseService for Arc<Service> {
    async fn acquire(&self, _holder: &str) -> Result<Lease, Error> {
        self.answer(()).await?;
        let id = LeaseId(self.granted.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(Lease { id, time_to_live: 30 * SECOND })
    }

    async fn renew(&self, _lease: LeaseId) -> Result<(), Error> {
        self.answer(()).await
    }
}

#[tokio::test(start_paused = true)]
async fn ids_are_minted_once_each_under_a_lease_that_is_kept_alive() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    let holder = LeaseHolder::start_from(&env, Arc::clone(&service), "test");
    assert_eq!(holder.mint(), Err(LeaseNotHeld));
    holder.held().await;
    let first = holder.mint().unwrap();
    env.sleep(300 * SECOND).await;
    let second = holder.mint().unwrap();
    assert_eq!((first.lease, first.counter), (LeaseId(1), 0));
    assert_eq!((second.lease, second.counter), (LeaseId(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_not_renewed_in_time_mints_nothing_until_another_is_acquired() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    let holder = LeaseHolder::start_from(&env, Arc::clone(&service), "test");
    holder.held().await;
    let old = holder.grant().unwrap();
    for cut in [&service.silent, &service.refusing] {
        let held = holder.lease().unwrap();
        cut.store(true, Ordering::Relaxed);
        env.sleep(20 * SECOND).await;
        assert_eq!(holder.mint().map(|chunk| chunk.lease), Ok(held), "not for less than its time to live");
        env.sleep(10 * SECOND).await;
        assert_eq!(holder.mint(), Err(LeaseNotHeld));
        assert_eq!(holder.lease(), None);
        cut.store(false, Ordering::Relaxed);
        holder.held().await;
        assert!(holder.mint().unwrap().lease > held);
    }
    // A write that began under the first lease gets no more names from it.
    assert_eq!(old.mint(env.now()), Err(LeaseNotHeld));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lease_is_replaced() {
    let env = paused_env();
    let metadata = Arc::new(Fake::new(env.clone()));
    let holder = LeaseHolder::start(&env, Arc::clone(&metadata) as Arc<dyn Metadata>, "test");
    holder.held().await;
    let first = holder.lease().unwrap();
    let seen = metadata.list_leases().await.unwrap()[0].renewals;
    assert!(metadata.revoke_lease(first, seen).await.unwrap());
    env.sleep(3 * SECOND).await;
    assert!(holder.lease().unwrap() > first);
    drop(holder);
    let renewals = metadata.list_leases().await.unwrap();
    env.sleep(60 * SECOND).await;
    assert_eq!(metadata.list_leases().await.unwrap(), renewals, "a dropped holder renews no more");
}
