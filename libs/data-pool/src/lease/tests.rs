use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use metadata_api::{Error, Lease, Metadata, fake::Fake};
use types::LeaseId;

use super::{LeaseHolder, LeaseNotHeld, renewal::LeaseService};
use crate::{ClusterView, tests::harness::paused_env};

const SECOND: Duration = Duration::from_secs(1);

/// A service that can be cut off, by silence or by refusal.
#[derive(Debug, Default)]
struct Service {
    granted: AtomicI64,
    silent: AtomicBool,
    refusing: AtomicBool,
    mapless: AtomicBool,
    unforgiving: AtomicBool,
    renewed: Mutex<Vec<LeaseId>>,
    released: Mutex<Vec<LeaseId>>,
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

    async fn refresh(&self) -> Result<(), Error> {
        if self.mapless.load(Ordering::Relaxed) { Err(Error::TimedOut) } else { self.answer(()).await }
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), Error> {
        self.renewed.lock().unwrap().push(lease);
        self.answer(()).await
    }

    async fn release(&self, lease: LeaseId) -> Result<(), Error> {
        self.released.lock().unwrap().push(lease);
        if self.unforgiving.load(Ordering::Relaxed) { Err(Error::TimedOut) } else { self.answer(()).await }
    }
}

/// A holder that holds its first lease.
async fn holder(env: &env::Env, service: &Arc<Service>) -> LeaseHolder {
    let holder = LeaseHolder::start_from(env, Arc::clone(service), "test");
    holder.held().await;
    holder
}

fn take(leases: &Mutex<Vec<LeaseId>>) -> Vec<LeaseId> {
    std::mem::take(&mut leases.lock().unwrap())
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
    let view = Arc::new(ClusterView::in_process(HashMap::new()));
    let holder = LeaseHolder::start(&env, Arc::clone(&metadata) as Arc<dyn Metadata>, &view, "test");
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

#[tokio::test(start_paused = true)]
async fn a_lease_is_not_used_before_the_map_was_read_anew() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    service.mapless.store(true, Ordering::Relaxed);
    let holder = LeaseHolder::start_from(&env, Arc::clone(&service), "test");
    env.sleep(100 * SECOND).await;
    assert_eq!(holder.mint(), Err(LeaseNotHeld));
    assert!(take(&service.renewed).len() > 10, "it is kept meanwhile");
    service.mapless.store(false, Ordering::Relaxed);
    holder.held().await;
    assert_eq!(holder.lease(), Some(LeaseId(1)), "one is enough");
}

#[tokio::test(start_paused = true)]
async fn a_dirty_lease_is_kept_for_those_who_use_it_and_then_given_back() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    let holder = holder(&env, &service).await;
    let old = holder.grant().unwrap();
    old.mark_dirty();
    env.sleep(SECOND).await;
    assert_eq!(holder.lease(), Some(LeaseId(2)), "at once");
    env.sleep(300 * SECOND).await;
    assert!(old.mint(env.now()).is_ok());
    assert_eq!(take(&service.released), []);
    drop(old);
    env.sleep(3 * SECOND).await;
    assert_eq!(take(&service.released), [LeaseId(1)]);
    take(&service.renewed);
    env.sleep(60 * SECOND).await;
    assert!(!take(&service.renewed).contains(&LeaseId(1)));
    assert_eq!(holder.lease(), Some(LeaseId(2)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_not_taken_back_is_not_renewed_for_ever() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    service.unforgiving.store(true, Ordering::Relaxed);
    let holder = holder(&env, &service).await;
    holder.grant().unwrap().mark_dirty();
    env.sleep(60 * SECOND).await;
    assert_eq!(take(&service.released), [LeaseId(1); 10]);
    take(&service.renewed);
    env.sleep(60 * SECOND).await;
    assert!(!take(&service.renewed).contains(&LeaseId(1)));
    assert_eq!(take(&service.released), []);
}

#[tokio::test(start_paused = true)]
async fn leases_are_not_given_up_faster_than_their_number_can_bear() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    let holder = holder(&env, &service).await;
    let mut used = Vec::new();
    for _ in 0..600 {
        let grant = holder.grant().unwrap();
        grant.mark_dirty();
        if used.last().is_none_or(|last: &Arc<super::Grant>| last.id != grant.id) {
            used.push(grant);
        }
        env.sleep(SECOND / 10).await;
    }
    assert_eq!(used.len(), 7, "one every ten seconds in a minute, and the first");
    for _ in 0..600 {
        let grant = holder.grant().unwrap();
        grant.mark_dirty();
        if used.last().unwrap().id != grant.id {
            used.push(grant);
        }
        env.sleep(SECOND).await;
    }
    assert_eq!(used.len(), 9, "eight are in use, and a dirty one is better than none");
    used.clear();
    env.sleep(60 * SECOND).await;
    assert!(holder.lease().unwrap() > LeaseId(9));
}

#[tokio::test(start_paused = true)]
async fn a_closed_holder_gives_everything_back_once_it_is_not_used() {
    let env = paused_env();
    let service = Arc::new(Service::default());
    let holder = holder(&env, &service).await;
    let first = holder.grant().unwrap();
    first.mark_dirty();
    env.sleep(SECOND).await;
    let second = holder.grant().unwrap();
    assert!(env.timeout(60 * SECOND, holder.close()).await.is_err(), "both are in use");
    assert_eq!((holder.mint(), take(&service.released)), (Err(LeaseNotHeld), vec![]));
    assert!(second.is_valid(env.now()), "writes in progress may end");
    drop((first, second));
    holder.close().await;
    let mut released = take(&service.released);
    released.sort_unstable();
    assert_eq!(released, [LeaseId(1), LeaseId(2)]);
}
