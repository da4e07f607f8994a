//! What damage in the bucket, and a server that does not answer, cost.

use super::{
    Bytes, Duration, Env, Error, OpenError, Purpose, PutCondition, Remote, S3Store, Sample, ShardStore,
    gate::Gate, gate::Mode, gone, put, read,
};

/// Writes an object whatever is there.
async fn overwrite(remote: &Remote, key: &str, bytes: Bytes) {
    let raw = remote.raw().await;
    let (_, etag) = raw.get(key, 8 << 20).await.unwrap().unwrap();
    raw.put(key, bytes, PutCondition::Matches(&etag)).await.unwrap();
}

async fn content(remote: &Remote, key: &str) -> Bytes {
    remote.raw().await.get(key, 8 << 20).await.unwrap().unwrap().0
}

fn corrupt(sample: &Sample, cell: u64) -> Result<(), Error> {
    Err(Error::ShardCorrupt { shard: sample.shard(), cell })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_torn_and_changed_objects_are_corrupt_shards_until_they_are_repaired() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let sample = Sample::single(1, 1, 200_000);
    let lose = |_: &Bytes| None;
    let tear = |bytes: &Bytes| Some(bytes.slice(..bytes.len() / 2));
    let change = |bytes: &Bytes| {
        let mut changed = bytes.to_vec();
        changed[100_000] ^= 1;
        Some(Bytes::from(changed))
    };
    let damages: [fn(&Bytes) -> Option<Bytes>; 3] = [lose, tear, change];
    assert_eq!(put(&store, &sample).await, Ok(()));
    for damage in damages {
        let keys = remote.keys("p/shards/").await;
        match damage(&content(&remote, &keys[0]).await) {
            None => assert_eq!(remote.raw().await.delete(&keys).await, Ok(Vec::new())),
            Some(bytes) => overwrite(&remote, &keys[0], bytes).await,
        }
        assert!(matches!(read(&store, &sample).await, Err(Error::ShardCorrupt { .. })));
        let verdicts = store.verify(&[sample.shard()]).await.unwrap();
        assert!(matches!(verdicts[0], Err(Error::ShardCorrupt { .. })), "{verdicts:?}");
        let again = store.put(sample.header.clone(), sample.whole(), Purpose::Write).await;
        assert_eq!(again, Err(Error::ShardExists { shard: sample.shard() }));
        let repair = async || store.put(sample.header.clone(), sample.whole(), Purpose::Repair).await;
        assert_eq!(repair().await, Ok(()));
        assert_eq!(read(&store, &sample).await, Ok(()));
        assert_eq!(repair().await, Err(Error::ShardExists { shard: sample.shard() }));
        remote.wait_for_keys("p/shards/", 1).await;
    }
    store.close().await;
    harness::Logs.take("");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_finds_what_is_torn_and_lets_strangers_be() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let [lost, torn] = [1, 2].map(|counter| Sample::single(1, counter, 100_000));
    assert_eq!(put(&store, &lost).await, Ok(()));
    assert_eq!(put(&store, &torn).await, Ok(()));
    store.close().await;
    let keys = remote.keys("p/shards/").await;
    let raw = remote.raw().await;
    raw.delete(&keys[..1]).await.unwrap();
    overwrite(&remote, &keys[1], content(&remote, &keys[1]).await.slice(..1000)).await;
    for stranger in ["p/shards/README", "p/shards/1-2-3", "p/other", "p/shards/a/b?c&d"] {
        raw.put(stranger, Bytes::from_static(b"x"), PutCondition::Absent).await.unwrap();
    }

    let store = remote.open("p").await;
    assert_eq!(read(&store, &lost).await, gone(&lost));
    assert_eq!(read(&store, &torn).await, corrupt(&torn, 0));
    let status = store.status().await;
    assert_eq!((status.shards, status.damaged_records), (1, 1));
    assert_eq!(store.list_damaged().await.unwrap()[0].shard, torn.shard());
    let repaired = store.put(torn.header.clone(), torn.whole(), Purpose::Repair).await;
    assert_eq!(repaired, Ok(()));
    assert_eq!(store.list_damaged().await, Ok(Vec::new()));
    assert_eq!(read(&store, &torn).await, Ok(()));
    // The torn object goes; the strangers stay.
    remote.wait_for_keys("p/shards/", 4).await;
    store.close().await;
    harness::Logs.take("");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_of_others_is_not_taken() {
    let remote = Remote::start().await;
    let raw = remote.raw().await;
    raw.put("p/photo", Bytes::from_static(b"x"), PutCondition::Absent).await.unwrap();
    let opened = S3Store::open(&remote.env, remote.options("p")).await;
    assert!(matches!(opened, Err(OpenError::NotEmpty)), "{opened:?}");
    raw.put("q/claim", Bytes::from_static(b"{}"), PutCondition::Absent).await.unwrap();
    let opened = S3Store::open(&remote.env, remote.options("q")).await;
    assert!(matches!(opened, Err(OpenError::ClaimDamaged)), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_did_nothing_and_one_that_is_gone_ends_the_use() {
    let remote = Remote::start().await;
    let gate = Gate::start(&remote.env, &remote.address).await;
    let options = remote.options_at(&gate.address, "p");
    let store = S3Store::open(&remote.env, options).await.unwrap();
    let sample = Sample::single(1, 1, 1000);
    gate.set(Mode::SlowDown);
    let refused = put(&store, &sample).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    let refused = store.delete(&[sample.shard()]).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    gate.set(Mode::Open);
    assert_eq!(put(&store, &sample).await, Ok(()));

    // The claim is not renewed any more: before another process may take it, nothing is answered.
    gate.set(Mode::Shut);
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while store.status().await.writable {
        assert!(remote.env.now() < deadline, "the claim does not lapse");
        remote.env.sleep(Duration::from_millis(50)).await;
    }
    assert!(matches!(read(&store, &sample).await, Err(Error::Unavailable { .. })));
    // Nobody took it meanwhile: it is renewed and goes on.
    gate.set(Mode::Open);
    while !store.status().await.writable {
        assert!(remote.env.now() < deadline, "the claim is not renewed");
        remote.env.sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(read(&store, &sample).await, Ok(()));
    store.close().await;
    harness::Logs.take("");
}

/// A server that carries out every PUT, whatever its condition, and knows nothing else.
async fn unconditional(env: &Env) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const MISSING: &str = "<Error><Code>NoSuchKey</Code></Error>";
    const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let own_env = env.clone();
    env.spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            own_env.spawn(async move {
                let mut request = Vec::new();
                let text = loop {
                    let mut piece = [0; 4096];
                    let Ok(length @ 1..) = client.read(&mut piece).await else { return };
                    request.extend_from_slice(&piece[..length]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    // A claim is a document in braces.
                    if text.contains("\r\n\r\n") && (!text.starts_with("PUT ") || text.ends_with('}')) {
                        break text;
                    }
                };
                let (status, body) = match &text {
                    text if text.starts_with("PUT ") => (200, ""),
                    text if text.contains("list-type") => (200, EMPTY),
                    _ => (404, MISSING),
                };
                let head = format!("HTTP/1.1 {status} X\r\netag: \"e\"\r\nconnection: close");
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = client.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ignores_conditions_is_refused() {
    let remote = Remote::start().await;
    let address = unconditional(&remote.env).await;
    let opened = S3Store::open(&remote.env, remote.options_at(&address, "p")).await;
    assert!(matches!(opened, Err(OpenError::NoConditions)), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_objects_that_are_too_many_to_remember_are_listed_again() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    store.shared.index().graves_max = 2;
    let samples: Vec<_> = (0..12).map(|counter| Sample::single(1, counter, 1000)).collect();
    for sample in &samples {
        assert_eq!(put(&store, sample).await, Ok(()));
    }
    let dead: Vec<_> = samples[2..].iter().map(Sample::shard).collect();
    assert_eq!(store.delete(&dead).await, Ok(()));
    remote.wait_for_keys("p/shards/", 2).await;
    assert_eq!(read(&store, &samples[0]).await, Ok(()));
    let deadline = remote.env.now().after(Duration::from_secs(20));
    while store.status().await.dead_bytes > 0 {
        assert!(remote.env.now() < deadline, "bytes of objects that are gone are still counted");
        remote.env.sleep(Duration::from_millis(25)).await;
    }
    store.close().await;
}
