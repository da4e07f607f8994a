//! What a caller is told when servers die, freeze or leave, and what is repeated.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use env::{Connection, Env, Listener, Network, RealClock, RealDisk, RealRandom};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    sync::{Notify, Semaphore},
};
use tonic::{
    Request, Response, Status,
    service::{Routes, interceptor::InterceptedService},
};

use super::support::{Server, bucket_name, client, client_with, create_bucket, dead_address, token};
use crate::{
    Error, Metadata,
    client::{Client, Kind, Timing, connect, stub::Stub},
    fake::Fake,
    server::Authenticate,
    wire::{proto, status_of, unwrapped::Done},
};

/// Buckets whose calls begin and do not end until they are let go.
#[derive(Debug)]
struct Slow {
    begun: AtomicUsize,
    one_more: Notify,
    let_go: Semaphore,
}

impl Slow {
    fn new() -> Arc<Self> {
        let (begun, one_more, let_go) = (AtomicUsize::new(0), Notify::new(), Semaphore::new(0));
        Arc::new(Self { begun, one_more, let_go })
    }

    async fn server(self: &Arc<Self>, stop_time: Duration) -> Server {
        let buckets = proto::buckets_server::BucketsServer::from_arc(Arc::clone(self));
        let service = InterceptedService::new(Routes::new(buckets), Authenticate::new(token()));
        Server::start(service, stop_time).await
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn wait(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.one_more.notify_one();
        drop(self.let_go.acquire().await);
    }
}

#[async_trait]
impl proto::buckets_server::Buckets for Slow {
    async fn create_bucket(
        &self,
        _: Request<proto::CreateBucketRequest>,
    ) -> Result<Response<proto::Bucket>, Status> {
        self.wait().await;
        Err(status_of(Error::Internal { reason: "let go".to_owned() }))
    }

    async fn get_bucket(
        &self,
        _: Request<proto::GetBucketRequest>,
    ) -> Result<Response<proto::Bucket>, Status> {
        self.wait().await;
        Err(status_of(Error::Internal { reason: "let go".to_owned() }))
    }

    async fn delete_bucket(
        &self,
        _: Request<proto::DeleteBucketRequest>,
    ) -> Result<Response<proto::DeleteBucketResponse>, Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Err(status_of(Error::Unavailable { reason: "the database is down".to_owned() }))
    }

    async fn list_buckets(
        &self,
        _: Request<proto::ListBucketsRequest>,
    ) -> Result<Response<proto::BucketPage>, Status> {
        Err(Status::unknown("from something between"))
    }

    async fn set_versioning(
        &self,
        _: Request<proto::SetVersioningRequest>,
    ) -> Result<Response<proto::SetVersioningResponse>, Status> {
        Err(Status::unavailable("from something between"))
    }

    async fn set_quota(
        &self,
        _: Request<proto::SetQuotaRequest>,
    ) -> Result<Response<proto::SetQuotaResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn set_object_lock(
        &self,
        _: Request<proto::SetObjectLockRequest>,
    ) -> Result<Response<proto::SetObjectLockResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn set_subresource(
        &self,
        _: Request<proto::SetSubresourceRequest>,
    ) -> Result<Response<proto::SetSubresourceResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn set_inventory(
        &self,
        _: Request<proto::SetInventoryRequest>,
    ) -> Result<Response<proto::SetInventoryResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_inventories(
        &self,
        _: Request<proto::ListInventoriesRequest>,
    ) -> Result<Response<proto::ListInventoriesResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn mark_inventory(
        &self,
        _: Request<proto::MarkInventoryRequest>,
    ) -> Result<Response<proto::MarkInventoryResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_buckets_with_inventories(
        &self,
        _: Request<proto::ListBucketsWithInventoriesRequest>,
    ) -> Result<Response<proto::ListBucketsWithInventoriesResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_buckets_with(
        &self,
        _: Request<proto::ListBucketsWithRequest>,
    ) -> Result<Response<proto::ListBucketsWithResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn get_subresource(
        &self,
        _: Request<proto::GetSubresourceRequest>,
    ) -> Result<Response<proto::GetSubresourceResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }
}

const NEVER: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);

fn unavailable<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::Unavailable { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_call_under_way_is_answered_while_the_server_stops() {
    let slow = Slow::new();
    let mut server = slow.server(LONG).await;
    let client = client(&[&server.address]);
    let call = client.create_bucket(create_bucket(1));
    let stop = async {
        slow.one_more.notified().await;
        server.begin_to_stop();
        slow.let_go.add_permits(1);
    };
    let (answer, ()) = tokio::join!(call, stop);
    assert_eq!(answer, Err(Error::Internal { reason: "let go".to_owned() }));
    server.stop().await;
    unavailable(client.create_bucket(create_bucket(1)).await);
    unavailable(client.get_bucket(&bucket_name(1)).await);
    assert_eq!(slow.begun(), 1);
}

/// The mutation may have happened, so it is not repeated although another replica could.
#[tokio::test]
async fn a_mutation_that_is_cut_off_is_timed_out_and_not_repeated() {
    let (slow, other) = (Slow::new(), Slow::new());
    let (server, another) = (slow.server(NEVER).await, other.server(LONG).await);
    let client = client(&[&server.address, &another.address]);
    // Which replica is first in turn is random: make it the one that will be cut off.
    client.next.store(0, Ordering::SeqCst);
    let (answer, ()) = tokio::join!(client.create_bucket(create_bucket(1)), async {
        slow.one_more.notified().await;
        server.stop().await;
    });
    assert_eq!(answer, Err(Error::TimedOut));
    assert_eq!((slow.begun(), other.begun()), (1, 0));
}

#[tokio::test]
async fn a_read_that_is_cut_off_is_repeated_on_another_replica() {
    let fake: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
    let bucket = fake.create_bucket(create_bucket(1)).await.expect("a new bucket");
    let slow = Slow::new();
    let (first, second) = (slow.server(NEVER).await, Server::of(fake).await);
    let client = client(&[&first.address, &second.address]);
    // Which replica is first in turn is random: make it the one that will be cut off.
    client.next.store(0, Ordering::SeqCst);
    let (answer, ()) = tokio::join!(client.get_bucket(&bucket.name), async {
        slow.one_more.notified().await;
        first.stop().await;
    });
    assert_eq!(answer.map(|found| found.id), Ok(bucket.id));
    assert_eq!(slow.begun(), 1);
}

#[tokio::test]
async fn a_service_that_answers_unavailable_is_asked_three_times() {
    let slow = Slow::new();
    let server = slow.server(LONG).await;
    let client = client(&[&server.address]);
    let answer = client.delete_bucket(&bucket_name(1)).await;
    assert_eq!(answer, Err(Error::Unavailable { reason: "the database is down".to_owned() }));
    assert_eq!(slow.begun(), 3);
}

/// Calls that may take long are not repeated for long: somebody waits for the answer that the service is away.
#[tokio::test]
async fn a_call_that_may_take_long_is_not_begun_again_late() {
    let slow = Slow::new();
    let server = slow.server(LONG).await;
    let timing = Timing { call: Duration::from_millis(300), ..IMPATIENT };
    let client = client_with(&[&server.address], timing);
    let late = |stub: Stub, request| async move {
        Env::real().sleep(2 * timing.call).await;
        stub.buckets().delete_bucket(request).await
    };
    let request = proto::DeleteBucketRequest { bucket: bucket_name(1).to_string() };
    let answer: Result<Done, Error> = client.call(Kind::LongMutation, request, late).await;
    unavailable(answer.map(|Done| ()));
    assert_eq!(slow.begun(), 1);
}

/// Only the service's own details promise anything; a gRPC code can come from anywhere.
#[tokio::test]
async fn a_status_without_details_promises_nothing_to_a_mutation() {
    let server = Slow::new().server(LONG).await;
    let client = client(&[&server.address]);
    let answer = client.set_versioning(&bucket_name(1), types::Versioning::Enabled).await;
    assert_eq!(answer, Err(Error::TimedOut));
    let owner = crate::AccountId("me".to_owned());
    let request = crate::ListBuckets { owner, prefix: String::new(), after: None, limit: 1 };
    unavailable(client.list_buckets(request).await);
    // A call of a service that is not there is not carried out.
    assert!(matches!(client.renew_lease(types::LeaseId(1), 0).await, Err(Error::Internal { .. })));
}

#[tokio::test]
async fn one_of_two_replicas_is_enough() {
    let server = Server::of(Arc::new(Fake::new(Env::real()))).await;
    let dead = dead_address().await;
    let client = client(&[&dead, &server.address]);
    for number in 0..40 {
        client.create_bucket(create_bucket(number)).await.expect("the living replica answers");
        client.get_bucket(&bucket_name(number)).await.expect("the living replica answers");
    }
    unavailable(super::support::client(&[&dead]).create_bucket(create_bucket(1)).await);
}

/// Mutations run all the time while one replica after the other is stopped and started again, as in an upgrade. All
/// succeed, and none happens twice: it would be told that its bucket exists.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_replicas_restart_one_at_a_time() {
    let fake: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
    for _ in 0..4 {
        let (first, second) = (Server::of(Arc::clone(&fake)).await, Server::of(Arc::clone(&fake)).await);
        let client = Arc::new(client(&[&first.address, &second.address]));
        let done = Arc::new(AtomicUsize::new(0));
        let failures = Arc::new(Mutex::new(Vec::new()));
        let callers: Vec<_> = (0..32)
            .map(|_| {
                let (client, done, failures) = (client.clone(), done.clone(), failures.clone());
                Env::real().spawn(async move {
                    for _ in 0..40 {
                        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
                        if let Err(error) = client.create_bucket(create_bucket(number)).await {
                            failures.lock().expect("no panic").push(error);
                        }
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        while done.load(Ordering::SeqCst) < 300 {
            tokio::task::yield_now().await;
        }
        first.stop().await;
        for caller in callers {
            caller.await.expect("no panic");
        }
        assert_eq!(*failures.lock().expect("no panic"), []);
        second.stop().await;
    }
}

/// Numbers for buckets that nobody else has.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A network on which every connection opens and a greeting may come, and then nothing.
#[derive(Debug)]
struct Frozen {
    greeting: &'static [u8],
    /// The far ends, kept open.
    ends: Mutex<Vec<DuplexStream>>,
}

/// HTTP/2 settings that change nothing. Source: RFC 9113, section 6.5.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

impl Frozen {
    fn after(greeting: &'static [u8]) -> Arc<Self> {
        Arc::new(Self { greeting, ends: Mutex::default() })
    }

    fn connections(&self) -> usize {
        self.ends.lock().expect("no panic").len()
    }

    /// A client with the product's own timing.
    fn client(self: &Arc<Self>) -> Client {
        let clock = Arc::new(RealClock::new());
        let env = Env::new(clock, Arc::new(RealRandom), self.clone(), Arc::new(RealDisk));
        connect(env, vec!["frozen:1".to_owned()], token()).expect("a valid address")
    }
}

#[async_trait]
impl Network for Frozen {
    async fn listen(&self, _: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, _: &str) -> io::Result<Box<dyn Connection>> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(self.greeting).await?;
        self.ends.lock().expect("no panic").push(far);
        Ok(Box::new(near))
    }
}

/// The call may have been sent, so it is not sent again.
#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the time that passes is the paused clock's")]
async fn a_peer_that_freezes_fails_a_mutation_within_the_deadline() {
    let network = Frozen::after(SETTINGS);
    let client = network.client();
    let start = tokio::time::Instant::now();
    assert_eq!(client.create_bucket(create_bucket(1)).await, Err(Error::TimedOut));
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(network.connections(), 1);
}

/// Nothing is sent to a peer that does not say a word.
#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the time that passes is the paused clock's")]
async fn a_frozen_peer_is_unavailable_within_the_deadline() {
    let network = Frozen::after(&[]);
    let client = network.client();
    let start = tokio::time::Instant::now();
    unavailable(client.create_bucket(create_bucket(1)).await);
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(network.connections(), 3);
}

/// Makes a listener that greets with `greeting` and then freezes, and tells its address.
async fn frozen_listener(greeting: &'static [u8]) -> String {
    let env = Env::real();
    let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a free port");
    let address = listener.local_address().expect("a bound address").to_string();
    drop(env.spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(greeting).await.expect("room for a few bytes");
            kept.push(stream);
        }
    }));
    address
}

const IMPATIENT: Timing = Timing {
    connect: Duration::from_millis(200),
    call: Duration::from_secs(5),
    long_call: Duration::from_secs(30),
    ping_after: Duration::from_millis(50),
    ping_timeout: Duration::from_millis(500),
    avoid: Duration::from_secs(60),
};

/// The pings find out that the peer froze while there is time left for the other replica.
#[tokio::test]
async fn a_read_leaves_a_peer_that_freezes_for_another_replica() {
    let fake: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
    let bucket = fake.create_bucket(create_bucket(1)).await.expect("a new bucket");
    let (server, frozen) = (Server::of(fake).await, frozen_listener(SETTINGS).await);
    let client = client_with(&[&frozen, &server.address], IMPATIENT);
    client.next.store(0, Ordering::SeqCst);
    let found = client.get_bucket(&bucket.name).await;
    assert_eq!(found.map(|found| found.id), Ok(bucket.id));
    // From now on the frozen one is passed over, so that mutations succeed, too.
    client.next.store(0, Ordering::SeqCst);
    client.create_bucket(create_bucket(2)).await.expect("the living replica answers");
}

#[tokio::test]
async fn a_mutation_leaves_a_frozen_peer_for_another_replica() {
    let (server, frozen) = (Server::of(Arc::new(Fake::new(Env::real()))).await, frozen_listener(&[]).await);
    let client = client_with(&[&frozen, &server.address], IMPATIENT);
    client.next.store(0, Ordering::SeqCst);
    client.create_bucket(create_bucket(1)).await.expect("the living replica answers");
}

/// Round robin, except for replicas that failed just now.
#[tokio::test]
async fn calls_go_to_the_replicas_in_turn() {
    let client = client(&["a:1", "b:1", "c:1"]);
    let chosen = |turn| client.choose(turn).origin().host().map(str::to_owned).unwrap_or_default();
    let turns: BTreeSet<String> = (0..3).map(chosen).collect();
    assert_eq!(turns.len(), 3);
    client.replicas[1].avoid();
    assert_eq!([0, 1, 2, 3, 4].map(chosen), ["a", "c", "c", "a", "c"]);
    client.replicas[0].avoid();
    client.replicas[2].avoid();
    assert_eq!([0, 1, 2].map(chosen), ["a", "b", "c"]);
    client.replicas[0].trust();
    assert_eq!([0, 1, 2].map(chosen), ["a", "a", "a"]);
}

/// A lost connection is replaced by the next call.
#[tokio::test]
async fn a_client_outlives_its_server() {
    let fake: Arc<dyn Metadata> = Arc::new(Fake::new(Env::real()));
    let first = Server::of(Arc::clone(&fake)).await;
    let address: SocketAddr = first.address.parse().expect("an address");
    let client = client(&[&first.address]);
    client.create_bucket(create_bucket(1)).await.expect("a new bucket");
    first.stop().await;
    unavailable(client.get_bucket(&bucket_name(1)).await);
    let env = Env::real();
    let listener = env.listen(address).await.expect("the port is free again");
    let token = token();
    let again = crate::server::serve(
        env.clone(),
        listener,
        fake,
        &token,
        None,
        Arc::default(),
        std::future::pending(),
    );
    let name = bucket_name(1);
    tokio::select! {
        () = again => panic!("the server ended"),
        found = client.get_bucket(&name) => drop(found.expect("the bucket is still there")),
    }
}
