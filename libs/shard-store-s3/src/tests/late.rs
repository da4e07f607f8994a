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

/// A delete whose marks never reach the bucket is not answered as done when it is repeated, and removes nothing before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_did_not_arrive_are_stored_before_anything_is_removed_or_answered() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let store = S3Store::open(&remote.env, remote.options_at(&gate.address, "p")).await.unwrap();
    let sample = Sample::single(1, 1, 1000);
    assert_eq!(put(&store, &sample).await, Ok(()));
    gate.set(Mode::Shut);
    assert_eq!(store.delete(&[sample.shard()]).await, Err(Error::TimedOut));
    assert_eq!(read(&store, &sample).await, gone(&sample));
    assert_eq!(remote.keys("p/marks/").await, Vec::<String>::new());
    gate.set(Mode::Open);
    assert_eq!(store.delete(&[sample.shard()]).await, Ok(()));
    assert_eq!(remote.keys("p/marks/").await.len(), 1);
    remote.wait_for_keys("p/shards/", 0).await;

    // Nor does a batch that goes on into the next object leave behind what is not in the former one.
    let names = |from: u64, count: u64| -> Vec<_> {
        (from..from + count).map(|counter| Sample::single(2, counter, 0).shard()).collect()
    };
    for call in 0..4 {
        assert_eq!(store.delete(&names(call * 1000, 1000)).await, Ok(()));
    }
    gate.set(Mode::Shut);
    assert_eq!(store.delete(&names(4000, 90)).await, Err(Error::TimedOut));
    gate.set(Mode::Open);
    assert_eq!(store.delete(&names(5000, 900)).await, Ok(()));
    drop(store);
    let store = remote.open("p").await;
    for counter in [0, 3999, 4000, 4089, 5000, 5899] {
        let sample = Sample::single(2, counter, 0);
        assert_eq!(put(&store, &sample).await, Err(Error::ShardDeleted { shard: sample.shard() }));
    }
    store.close().await;
    harness::Logs.take("");
}

/// As above, but the marks have arrived and nobody heard of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_that_arrived_unheard_are_gone_on_with() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let store = S3Store::open(&remote.env, remote.options_at(&gate.address, "p")).await.unwrap();
    for counter in 0..3 {
        let sample = Sample::single(1, counter, 1000);
        gate.set(Mode::LoseAnswers);
        assert_eq!(store.delete(&[sample.shard()]).await, Err(Error::TimedOut));
        gate.set(Mode::Open);
        assert_eq!(store.delete(&[sample.shard()]).await, Ok(()));
    }
    assert_eq!(remote.keys("p/marks/").await.len(), 1);
    drop(store);
    let store = remote.open("p").await;
    for counter in 0..3 {
        let sample = Sample::single(1, counter, 1000);
        assert_eq!(put(&store, &sample).await, Err(Error::ShardDeleted { shard: sample.shard() }));
    }
    store.close().await;
    harness::Logs.take("");
}

/// A killed process had put a shard and did not hear of it, and what makes it void was on its way: its successor, which has
/// listed the shard by then, answers for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_of_a_killed_process_do_not_land_once_its_successor_has_read_them() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let store = S3Store::open(&remote.env, remote.options_at(&gate.address, "p")).await.unwrap();
    let sample = Sample::single(1, 1, 1000);
    gate.set(Mode::Orphan);
    assert_eq!(put(&store, &sample).await, Err(Error::TimedOut));
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while gate.marks_held().0 == 0 {
        assert!(remote.env.now() < deadline, "the shard is not made void");
        remote.env.sleep(Duration::from_millis(10)).await;
    }
    drop(store);

    let store = remote.open("p").await;
    assert_eq!(read(&store, &sample).await, Ok(()));
    gate.set(Mode::Open);
    while gate.marks_held().1 == 0 {
        assert!(remote.env.now() < deadline, "what was held does not arrive");
        remote.env.sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
    let store = remote.open("p").await;
    assert_eq!(read(&store, &sample).await, Ok(()));
    store.close().await;
    harness::Logs.take("");
}
