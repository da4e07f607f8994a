//! On a real S3 server, the all-in-one server in this process, behind a [`gate::Gate`] that can hold up and lose requests.

mod damage;
mod gate;
mod https;
mod late;
mod takeover;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chunk_api::{CellRange, Error, Purpose, conformance::Sample};
use env::Env;
use harness::{ACCESS_KEY, SECRET_KEY, Server};
use s3_client::{Bucket, Connect, Endpoint, PutCondition};
use shard_store::{ShardStore, conformance};
use types::LeaseId;

use crate::{Credentials, OpenError, S3Options, S3Store, Timings};

/// A remote server and one of its buckets.
struct Remote {
    env: Env,
    address: String,
    bucket: String,
    /// Last, so that what is still connected is gone when it stops.
    _server: Server,
}

impl Remote {
    async fn start() -> Self {
        let server = on_a_thread(Server::start).await;
        let (server, bucket) = on_a_thread(move || {
            let bucket = server.bucket().name;
            (server, bucket)
        })
        .await;
        let address = server.client().host();
        Self { env: Env::real(), address, bucket, _server: server }
    }

    /// How to open a prefix, reached at `address`, with everything much faster than it is.
    fn options_at(&self, address: &str, prefix: &str) -> S3Options {
        let text = format!("s3://{}/{prefix}?endpoint=http://{address}&capacity=64MiB", self.bucket);
        S3Options {
            location: text.parse().unwrap(),
            credentials: Credentials {
                access_key_id: Some(ACCESS_KEY.to_owned()),
                secret_access_key: Some(SECRET_KEY.to_owned()),
                session_token: None,
            },
            timings: Timings {
                claim: Duration::from_secs(4),
                late: Duration::from_secs(2),
                attempt: Duration::from_secs(1),
                fence: Duration::from_millis(500),
            },
        }
    }

    fn options(&self, prefix: &str) -> S3Options {
        self.options_at(&self.address, prefix)
    }

    async fn open(&self, prefix: &str) -> S3Store {
        match S3Store::open(&self.env, self.options(prefix)).await {
            // A renewal of a store that was dropped was on its way; it was the last one.
            Err(OpenError::InUse) => S3Store::open(&self.env, self.options(prefix)).await.unwrap(),
            opened => opened.unwrap(),
        }
    }

    /// The bucket, past the store.
    async fn raw(&self) -> Bucket {
        let connect = Connect::new(sigv4::Credentials {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            session_token: None,
        });
        let endpoint = Endpoint::parse(&format!("http://{}", self.address)).unwrap();
        Bucket::new(connect.access(&self.env, endpoint).await.unwrap(), self.bucket.clone())
    }

    /// The keys under a prefix.
    async fn keys(&self, prefix: &str) -> Vec<String> {
        let page = self.raw().await.list(prefix, None).await.unwrap();
        page.objects.into_iter().map(|listed| listed.key).collect()
    }

    /// Waits until a prefix holds so many objects.
    async fn wait_for_keys(&self, prefix: &str, count: usize) {
        for _ in 0..400 {
            if self.keys(prefix).await.len() == count {
                return;
            }
            self.env.sleep(Duration::from_millis(25)).await;
        }
        panic!("{prefix} does not come to {count} objects: {:?}", self.keys(prefix).await);
    }
}

/// Runs what blocks on a thread of its own.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    Env::real().spawn_blocking(work).await.expect("it does not panic")
}

async fn put(store: &S3Store, sample: &Sample) -> Result<(), Error> {
    store.put(sample.header.clone(), sample.whole(), Purpose::Write).await
}

async fn read(store: &S3Store, sample: &Sample) -> Result<(), Error> {
    let count = u32::try_from(sample.cells.len()).unwrap();
    let read = store.read_cells(sample.shard(), CellRange { first: 0, count }).await?;
    assert_eq!(read, sample.cells);
    Ok(())
}

fn gone(sample: &Sample) -> Result<(), Error> {
    Err(Error::ShardNotFound { shard: sample.shard() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_conformance_suite() {
    let remote = Arc::new(Remote::start().await);
    // The suite's disk has the identity that it is given; a prefix's is made with its first claim.
    let make = |disk| {
        let remote = remote.clone();
        async move {
            let store = remote.open("conformance").await;
            Arc::new(Renamed { store, disk }) as Arc<dyn ShardStore>
        }
    };
    conformance::run(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_prefix_refuses_puts_and_goes_on_reading_and_deleting() {
    let remote = Remote::start().await;
    let mut options = remote.options("full");
    options.location.capacity_bytes = 3 << 20;
    let store = S3Store::open(&remote.env, options).await.unwrap();
    conformance::full_medium(&store).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_rebuilds_everything_from_the_bucket() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    let disk = store.disk();
    let samples: Vec<_> = (0..20).map(|counter| Sample::new(1, counter, 4, "4+2", 9999 * counter)).collect();
    for sample in &samples {
        assert_eq!(put(&store, sample).await, Ok(()));
    }
    assert_eq!(store.delete(&[samples[3].shard(), samples[4].shard()]).await, Ok(()));
    assert_eq!(store.fence(&[LeaseId(1)]).await, Ok(()));
    let before = store.status().await;
    store.close().await;

    let store = remote.open("p").await;
    assert_eq!(store.disk(), disk);
    let after = store.status().await;
    assert_eq!((after.shards, after.live_bytes), (18, before.live_bytes));
    for (number, sample) in samples.iter().enumerate() {
        let expected = if number == 3 || number == 4 { gone(sample) } else { Ok(()) };
        if number > 0 {
            assert_eq!(read(&store, sample).await, expected);
        }
    }
    let listed = store.list(chunk_api::ListShards::all(None, 1000)).await.unwrap();
    assert_eq!(listed[0].header, samples[0].header);
    assert_eq!(listed.len(), 18);
    assert_eq!(put(&store, &samples[3]).await, Err(Error::ShardDeleted { shard: samples[3].shard() }));
    let new = Sample::single(1, 99, 10);
    assert_eq!(put(&store, &new).await, Err(Error::LeaseFenced { lease: LeaseId(1) }));

    // An eviction ends what is there, and is remembered too.
    let header = &samples[5].header;
    assert_eq!(store.evict_group(header.group, header.shard.index, header.epoch).await, Ok(()));
    assert_eq!(store.status().await.shards, 0);
    store.close().await;
    let store = remote.open("p").await;
    assert_eq!(store.status().await.shards, 0);
    assert_eq!(read(&store, &samples[5]).await, gone(&samples[5]));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_marks_are_kept_in_few_objects() {
    let remote = Remote::start().await;
    let store = remote.open("p").await;
    for call in 0..9 {
        let names: Vec<_> = (0..900).map(|n| Sample::single(3, call * 1000 + n, 0).shard()).collect();
        assert_eq!(store.delete(&names).await, Ok(()));
    }
    assert_eq!(remote.keys("p/marks/").await.len(), 2);
    store.close().await;
    let store = remote.open("p").await;
    for counter in [0, 899, 4000, 8899] {
        let sample = Sample::single(3, counter, 0);
        assert_eq!(put(&store, &sample).await, Err(Error::ShardDeleted { shard: sample.shard() }));
    }
    // The last object is gone on with.
    assert_eq!(store.delete(&[Sample::single(4, 1, 0).shard()]).await, Ok(()));
    assert_eq!(remote.keys("p/marks/").await.len(), 2);
    store.close().await;
}

/// A store under another identity.
struct Renamed {
    store: S3Store,
    disk: types::DiskId,
}

#[async_trait::async_trait]
impl ShardStore for Renamed {
    fn disk(&self) -> types::DiskId {
        self.disk
    }

    async fn put(
        &self,
        header: chunk_api::ShardHeader,
        body: chunk_api::ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        self.store.put(header, body, purpose).await
    }

    async fn read_cells(
        &self,
        shard: types::ShardId,
        cells: CellRange,
    ) -> Result<Vec<chunk_api::Cell>, Error> {
        self.store.read_cells(shard, cells).await
    }

    async fn delete(&self, shards: &[types::ShardId]) -> Result<(), Error> {
        self.store.delete(shards).await
    }

    async fn evict_group(
        &self,
        group: types::GroupId,
        index: types::ShardIndex,
        epoch: i64,
    ) -> Result<(), Error> {
        self.store.evict_group(group, index, epoch).await
    }

    async fn fence(&self, leases: &[LeaseId]) -> Result<(), Error> {
        self.store.fence(leases).await
    }

    async fn verify(&self, shards: &[types::ShardId]) -> Result<Vec<Result<(), Error>>, Error> {
        self.store.verify(shards).await
    }

    async fn list(&self, request: chunk_api::ListShards) -> Result<Vec<chunk_api::ShardSummary>, Error> {
        self.store.list(request).await
    }

    async fn list_damaged(&self) -> Result<Vec<chunk_api::ShardHeader>, Error> {
        self.store.list_damaged().await
    }

    async fn status(&self) -> chunk_api::DiskStatus {
        chunk_api::DiskStatus { disk: self.disk, ..self.store.status().await }
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
