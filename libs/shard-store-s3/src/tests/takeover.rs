//! One process at a time uses a prefix.

use super::{Duration, Error, OpenError, Remote, S3Store, Sample, ShardStore, put, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_in_use_is_refused() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let second = S3Store::open(&remote.env, remote.options("p")).await;
    assert!(matches!(second, Err(OpenError::InUse)), "{second:?}");
    assert_eq!(put(&store, &Sample::single(1, 1, 10)).await, Ok(()));
    store.close().await;
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
    assert!(remote.env.now().since(begun) >= remote.options("p").timings.claim);
    assert_eq!(read(&store, &sample).await, Ok(()));
    // Until what the killed one sent has surely come or not, no fence holds.
    assert_eq!(store.fence(&[types::LeaseId(1)]).await, Err(Error::TimedOut));
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while store.fence(&[types::LeaseId(1)]).await.is_err() {
        assert!(remote.env.now() < deadline, "it does not settle");
        remote.env.sleep(Duration::from_millis(100)).await;
    }
    store.close().await;
}
