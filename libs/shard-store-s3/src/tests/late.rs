//! PUTs that come late, or of which nobody heard.

use super::{
    Duration, Error, PutCondition, Remote, S3Store, Sample, ShardStore, gate::Gate, gate::Mode, gone, put,
    read,
};
use crate::{body, name::ObjectName, name::Turn};
use chunk_api::CheckedCells;

/// Puts a shard's object as a PUT that was sent long ago would.
async fn land(remote: &Remote, prefix: &str, sample: &Sample, turn: Turn) {
    let name = ObjectName::new(&sample.header, turn);
    let cells = CheckedCells::new(sample.header.clone(), sample.whole());
    let bytes = body::gather(&sample.header, name.size(), cells).await.unwrap();
    let key = format!("{prefix}/shards/{name}");
    remote.raw().await.put(&key, bytes, PutCondition::Absent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_a_deleted_name_is_removed_at_the_next_listing() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let sample = Sample::single(1, 1, 1000);
    assert_eq!(store.delete(&[sample.shard()]).await, Ok(()));
    land(&remote, "p", &sample, Turn { generation: 1, counter: 77 }).await;
    assert_eq!(read(&store, &sample).await, gone(&sample));
    store.close().await;
    let store = remote.open("p").await;
    assert_eq!(read(&store, &sample).await, gone(&sample));
    remote.wait_for_keys("p/shards/", 0).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_of_which_nobody_heard_is_void_whenever_it_lands() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let store = S3Store::open(&remote.env, remote.options_at(&gate.address, "p")).await.unwrap();
    let sample = Sample::single(1, 1, 1000);
    gate.set(Mode::LoseAnswers);
    assert_eq!(put(&store, &sample).await, Err(Error::TimedOut));
    assert_eq!(remote.keys("p/shards/").await.len(), 1);
    gate.set(Mode::Open);
    assert_eq!(read(&store, &sample).await, gone(&sample));
    // The fence makes it void, so that a later start does not take it for a shard.
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while store.fence(&[sample.shard().chunk.lease]).await.is_err() {
        assert!(remote.env.now() < deadline, "the fence does not hold");
        remote.env.sleep(Duration::from_millis(100)).await;
    }
    remote.wait_for_keys("p/shards/", 0).await;
    // An earlier attempt lands only now.
    land(&remote, "p", &sample, Turn { generation: 1, counter: 1 }).await;
    store.close().await;
    let store = remote.open("p").await;
    assert_eq!(read(&store, &sample).await, gone(&sample));
    remote.wait_for_keys("p/shards/", 0).await;
    store.close().await;
    harness::Logs.take("");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_process_put_late_is_found_by_the_second_listing() {
    let remote = Remote::start().await;
    drop(remote.open("p").await);
    let store = remote.open("p").await;
    let [late, later] = [1, 2].map(|counter| Sample::single(1, counter, 1000));
    land(&remote, "p", &late, Turn { generation: 1, counter: 5 }).await;
    // Whoever sent it puts the shard again meanwhile: the later one counts.
    land(&remote, "p", &later, Turn { generation: 1, counter: 6 }).await;
    assert_eq!(put(&store, &later).await, Ok(()));
    remote.wait_for_keys("p/shards/", 1).await;
    assert_eq!(read(&store, &late).await, gone(&late));
    assert_eq!(read(&store, &later).await, Ok(()));
    store.close().await;
    let store = remote.open("p").await;
    assert_eq!(store.status().await.shards, 1);
    assert_eq!(read(&store, &later).await, Ok(()));
    store.close().await;
}
