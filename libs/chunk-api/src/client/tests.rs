//! Client and server over loopback TCP.

mod slow;
mod tokens;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use env::{Env, Task};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::{CELL_SIZE, DiskId, Role, Roles};

use super::{Caller, Client, ClientOptions};
use crate::{
    CellRange, ChunkService, Error, ListShards, Purpose, ShardBody,
    conformance::{self, Sample, Subject},
    fake::FakeChunkService,
    outgoing::OutgoingBody,
    server::{Access, ChunkServer},
};

const DISK: DiskId = DiskId([7; 16]);

/// The derivation of a cluster whose secret is this.
fn derived(secret: &str) -> impl Fn(&str) -> String {
    move |audience| format!("{secret} {audience}")
}

fn access() -> Access {
    Access::derived(derived("0123456789abcdef"))
}

/// Whoever may make every call, by one role or another.
fn caller() -> Caller {
    caller_of("0123456789abcdef")
}

fn caller_of(secret: &str) -> Caller {
    Caller::derived(Roles::of(&[Role::Worker, Role::Admin]), derived(secret))
}

/// A server on a port of its own. Stops when dropped.
struct Served {
    address: SocketAddr,
    /// Connections so far.
    accepted: Arc<AtomicUsize>,
    task: Task<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(env: &Env, service: Arc<dyn ChunkService>) -> Served {
    serve_by(env, ChunkServer::new(env.clone(), service, access())).await
}

async fn serve_by<S>(env: &Env, server: S) -> Served
where
    S: Service<Request<Incoming>, Response = Response<OutgoingBody>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let spawner = env.clone();
    let task = env.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let server = server.clone();
            spawner.spawn(async move {
                let service = hyper::service::service_fn(move |request| server.call(request));
                // A connection that its client drops ends with an error: that is the client's business.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
            });
        }
    });
    Served { address, accepted, task }
}

fn client(env: &Env, address: SocketAddr) -> Client {
    Client::new(env.clone(), address.to_string(), caller(), ClientOptions::default())
}

#[tokio::test]
async fn it_passes_the_conformance_suite() {
    let env = Env::real();
    let served = serve(&env, Arc::new(FakeChunkService::new([DiskId([1; 16]), DISK]))).await;
    let service = Arc::new(client(&env, served.address));
    conformance::run(&Subject { env, service, disk: DISK }).await;
    let accepted = served.accepted.load(Ordering::Relaxed);
    assert!(accepted < 200, "connections are kept: {accepted} were made");
}

#[tokio::test]
async fn a_wrong_token_is_unauthenticated_and_learns_nothing() {
    let env = Env::real();
    let served = serve(&env, Arc::new(FakeChunkService::new([DISK]))).await;
    for secret in ["", "0123456789abcdeF", "0123456789abcde", "0123456789abcdef0"] {
        let caller = caller_of(secret);
        let client = Client::new(env.clone(), served.address.to_string(), caller, ClientOptions::default());
        let sample = Sample::single(1, 1, 10 * CELL_SIZE as u64);
        assert_eq!(client.disks().await, Err(Error::Unauthenticated));
        assert_eq!(client.list_shards(DISK, ListShards::all(None, 1)).await, Err(Error::Unauthenticated));
        assert_eq!(client.delete_shards(DISK, &[sample.shard()]).await, Err(Error::Unauthenticated));
        assert_eq!(
            client.read_cells(DISK, sample.shard(), CellRange { first: 0, count: 1 }).await,
            Err(Error::Unauthenticated)
        );
        let small = Sample::single(1, 2, 10);
        let put = client.put_shard(DISK, small.header.clone(), small.whole(), Purpose::Write).await;
        assert_eq!(put, Err(Error::Unauthenticated));
    }
    // Whatever the path, the answer is the same and empty.
    for path in ["/v1/disks", "/", "/health/live", "/no/such/path"] {
        let mut connection = env.connect(&served.address.to_string()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(!answer.to_lowercase().contains("server:"), "{answer}");
    }
    let good = client(&env, served.address);
    assert_eq!(good.list_shards(DISK, ListShards::all(None, 1)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let env = Env::real();
    let address = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap().local_address().unwrap();
    let client = client(&env, address);
    let sample = Sample::single(1, 1, 10);
    for body in [sample.whole(), sample.stream()] {
        let put = client.put_shard(DISK, sample.header.clone(), body, Purpose::Write).await;
        assert!(matches!(put, Err(Error::Unavailable { .. })), "{put:?}");
    }
    let disks = client.disks().await;
    assert!(matches!(disks, Err(Error::Unavailable { .. })), "{disks:?}");
}

#[tokio::test]
async fn a_service_that_accepts_and_then_hangs_fails_every_call_in_time() {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let options = ClientOptions { stall_timeout: Duration::from_millis(400), ..ClientOptions::default() };
    let client = Client::new(env.clone(), address.to_string(), caller(), options);
    let begun = env.now();
    let small = Sample::single(1, 1, 10);
    let large = Sample::single(1, 2, 20 << 20);
    let range = CellRange { first: 0, count: 1 };
    let put = |sample: &Sample, body: ShardBody| {
        client.put_shard(DISK, sample.header.clone(), body, Purpose::Write)
    };
    let (whole, streamed, read, deleted, listed, disks) = tokio::join!(
        put(&small, small.whole()),
        put(&large, large.stream()),
        client.read_cells(DISK, small.shard(), range),
        client.delete_shards(DISK, &[]),
        client.list_shards(DISK, ListShards::all(None, 1)),
        client.disks(),
    );
    assert_eq!(whole, Err(Error::TimedOut));
    assert_eq!(streamed, Err(Error::TimedOut));
    assert_eq!(read, Err(Error::TimedOut));
    assert_eq!(deleted, Err(Error::TimedOut));
    assert_eq!(listed, Err(Error::TimedOut));
    assert_eq!(disks, Err(Error::TimedOut));
    let waited = env.now().since(begun);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}

#[tokio::test]
async fn a_slow_producer_is_not_a_hung_service() {
    let env = Env::real();
    let served = serve(&env, Arc::new(FakeChunkService::new([DISK]))).await;
    let options = ClientOptions { stall_timeout: Duration::from_millis(200), ..ClientOptions::default() };
    let client = Client::new(env.clone(), served.address.to_string(), caller(), options);
    let sample = Sample::single(1, 1, 3 * CELL_SIZE as u64);
    let pause = env.clone();
    let cells = futures_util::stream::unfold(sample.cells.clone().into_iter(), move |mut cells| {
        let env = pause.clone();
        async move {
            env.sleep(Duration::from_millis(500)).await;
            cells.next().map(|cell| (Ok(cell), cells))
        }
    });
    let put = client
        .put_shard(DISK, sample.header.clone(), ShardBody::Stream(Box::pin(cells)), Purpose::Write)
        .await;
    assert_eq!(put, Ok(()));
    sample.expect_kept(&client, DISK).await;
}

#[tokio::test]
async fn connections_closed_while_idle_are_replaced_unnoticed() {
    let env = Env::real();
    let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_address().unwrap();
    let server = ChunkServer::new(env.clone(), Arc::new(FakeChunkService::new([DISK])), access());
    let clock = env.clone();
    let task = env.spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let server = server.clone();
            // One answer, then the connection is closed without a word: keep-alive was promised.
            let service = hyper::service::service_fn(move |request| server.call(request));
            let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
            // Whether it ended by itself or was cut off is the same here.
            let _ = clock.timeout(Duration::from_millis(30), serving).await;
        }
    });
    let client = client(&env, address);
    for counter in 0..5 {
        let sample = Sample::single(1, counter, 1000);
        assert_eq!(
            client.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await,
            Ok(())
        );
        env.sleep(Duration::from_millis(60)).await;
        sample.expect_kept(&client, DISK).await;
        env.sleep(Duration::from_millis(60)).await;
    }
    task.abort();
}

#[tokio::test]
async fn calls_wait_for_a_connection_and_no_more_are_made_than_allowed() {
    let env = Env::real();
    let served = serve(&env, Arc::new(FakeChunkService::new([DISK]))).await;
    let options = ClientOptions { connections_max: 3, ..ClientOptions::default() };
    let client = Client::new(env.clone(), served.address.to_string(), caller(), options);
    let samples: Vec<_> = (0..40).map(|counter| Sample::single(1, counter, 5000)).collect();
    let puts = samples
        .iter()
        .map(|sample| client.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write));
    for put in futures_util::future::join_all(puts).await {
        assert_eq!(put, Ok(()));
    }
    assert!(served.accepted.load(Ordering::Relaxed) <= 3);
}

#[tokio::test]
async fn a_call_that_finds_no_free_connection_says_nothing_of_the_service() {
    let env = Env::real();
    let served = serve(&env, Arc::new(FakeChunkService::new([DISK]))).await;
    let options = ClientOptions {
        connections_max: 1,
        stall_timeout: Duration::from_millis(200),
        ..ClientOptions::default()
    };
    let client = Client::new(env.clone(), served.address.to_string(), caller(), options);
    let sample = Sample::single(1, 1, 3 * CELL_SIZE as u64);
    let cells = ShardBody::Stream(Box::pin(futures_util::stream::pending()));
    let put = client.put_shard(DISK, sample.header.clone(), cells, Purpose::Write);
    let put = env.timeout(Duration::from_secs(600), put);
    let refused = async {
        loop {
            // The put may not have begun yet.
            if let Err(error) = client.disks().await {
                break error;
            }
        }
    };
    tokio::select! {
        _ = put => panic!("it has no cells"),
        error = refused => assert_eq!(error, Error::Busy),
    }
    assert!(client.disks().await.is_ok(), "the connection is free again");
}
