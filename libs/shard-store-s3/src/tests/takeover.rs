//! One process at a time uses a prefix.

use super::{
    Arc, Bytes, Duration, Error, OpenError, PutCondition, Remote, S3Store, Sample, ShardStore, gate::Gate,
    gate::Mode, put, read,
};
use crate::{
    claim,
    keeper::{Keeper, Renewed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_in_use_is_refused() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let second = S3Store::open(&remote.env, remote.options("p")).await;
    assert!(matches!(second, Err(OpenError::InUse)), "{second:?}");
    assert_eq!(put(&store, &Sample::single(1, 1, 10)).await, Ok(()));
    assert!(store.shared.is_held());
    store.close().await;
    assert!(!store.shared.is_held(), "what it puts now is acknowledged no more");
    // One that was let go is taken at once, and needs no second listing.
    let store = remote.open("p").await;
    assert_eq!(store.fence(&[types::LeaseId(1)]).await, Ok(()));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_that_was_not_let_go_is_taken_over_after_one_expiry() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let sample = Sample::single(1, 1, 1000);
    assert_eq!(put(&store, &sample).await, Ok(()));
    // As a process that is killed.
    drop(store);
    let begun = remote.env.now();
    let store = remote.open("p").await;
    let timings = remote.options("p").timings;
    let opened = remote.env.now();
    assert!(opened.since(begun) >= timings.claim);
    assert_eq!(read(&store, &sample).await, Ok(()));
    // Until what the killed one sent has surely come or not, no fence holds.
    assert_eq!(store.fence(&[types::LeaseId(1)]).await, Err(Error::TimedOut));
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while store.fence(&[types::LeaseId(1)]).await.is_err() {
        assert!(remote.env.now() < deadline, "it does not settle");
        remote.env.sleep(Duration::from_millis(100)).await;
    }
    // An attempt that began while the killed one's claim held may have been given up so late.
    assert!(remote.env.now().since(opened) > timings.late + timings.attempt / 2);
    store.close().await;
}

/// What is sent once the claim has lapsed may land after the next holder's second listing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_shard_is_sent_once_the_claim_has_lapsed() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let mut options = remote.options_at(&gate.address, "p");
    // The store's own keeper does nothing for half a minute.
    options.timings.claim = Duration::from_secs(120);
    let store = Arc::new(S3Store::open(&remote.env, options).await.unwrap());
    gate.set(Mode::Hold);
    let under_way = store.clone();
    let putting = remote.env.spawn(async move { put(&under_way, &Sample::single(1, 1, 1000)).await });
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while gate.shard_puts() == 0 {
        assert!(remote.env.now() < deadline, "the shard is not sent");
        remote.env.sleep(Duration::from_millis(5)).await;
    }
    *store.shared.held_until() = Some(remote.env.now());
    gate.set(Mode::Shut);
    assert_eq!(putting.await.unwrap(), Err(Error::TimedOut));
    assert_eq!(gate.shard_puts(), 1, "it was sent again");
    // Nor is one sent that has not been yet.
    gate.set(Mode::Open);
    assert!(matches!(put(&store, &Sample::single(1, 2, 1000)).await, Err(Error::Unavailable { .. })));
    assert_eq!(gate.shard_puts(), 1);
    harness::Logs.take("");
}

/// The second call must not take the first one's claim, which a standby may have been watching since, for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_of_which_nobody_heard_does_not_make_the_claim_hold_later() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let mut options = remote.options_at(&gate.address, "p");
    // The store's own keeper does nothing for half a minute.
    options.timings.claim = Duration::from_secs(120);
    let store = S3Store::open(&remote.env, options).await.unwrap();
    let shared = store.shared.clone();
    let (claim, _, etag) = claim::read(&shared.bucket, &shared.claim_key()).await.unwrap().unwrap();
    let mut keeper = Keeper { shared: shared.clone(), claim, etag };
    let before = *shared.held_until();
    gate.lose_answers(4);
    assert_eq!(keeper.renew().await, Renewed::NotNow);
    gate.lose_answers(1);
    assert_eq!(keeper.renew().await, Renewed::NotNow);
    assert_eq!(*shared.held_until(), before);
    // One that is answered does.
    assert_eq!(keeper.renew().await, Renewed::Yes);
    assert!(*shared.held_until() > before);
    drop(store);
    harness::Logs.take("");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_that_is_let_go_while_it_is_watched_is_taken_at_once() {
    let remote = Remote::start().await;
    let mut options = remote.options("p");
    options.timings.claim = Duration::from_secs(120);
    let store = S3Store::open(&remote.env, options.clone()).await.unwrap();
    let (env, begun) = (remote.env.clone(), remote.env.now());
    let next = remote.env.spawn(async move { S3Store::open(&env, options).await });
    remote.env.sleep(Duration::from_millis(500)).await;
    store.close().await;
    next.await.unwrap().unwrap().close().await;
    assert!(remote.env.now().since(begun) < Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_tells_when_another_process_has_its_prefix() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let raw = remote.raw().await;
    let (_, etag) = raw.get("p/claim", 4096).await.unwrap().unwrap();
    let overwritten = raw.put("p/claim", Bytes::from_static(b"{}"), PutCondition::Matches(&etag)).await;
    assert!(overwritten.is_ok(), "{overwritten:?}");
    remote.env.timeout(Duration::from_secs(20), store.lost()).await.unwrap();
    assert!(matches!(put(&store, &Sample::single(1, 1, 10)).await, Err(Error::Unavailable { .. })));
    store.close().await;
    harness::Logs.take("");
}
