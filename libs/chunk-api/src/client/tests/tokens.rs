//! Services of the release before, and clocks that are wrong.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use env::{Clock, Env, Instant, RealClock, RealDisk, RealNetwork, RealRandom};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::Service};

use super::{DISK, access, client, derived, serve_by};
use crate::{
    ChunkService, Error, ListShards, Purpose,
    conformance::{self, Sample, Subject},
    fake::FakeChunkService,
    outgoing::OutgoingBody,
    server::ChunkServer,
};

/// A server as the release before has it: it knows one token, says nothing of others, and closes the connection.
#[derive(Clone)]
struct Earlier {
    server: ChunkServer,
    /// What it was shown.
    shown: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Incoming>> for Earlier {
    type Response = Response<OutgoingBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let given = request.headers().get(header::AUTHORIZATION).cloned();
        let given = given.unwrap_or(HeaderValue::from_static("")).to_str().unwrap().to_owned();
        self.shown.lock().unwrap().push(given.clone());
        if given == format!("Bearer {}", derived("0123456789abcdef")("chunk")) {
            return self.server.call(request);
        }
        let mut response = Response::new(OutgoingBody::empty());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Box::pin(async move { Ok(response) })
    }
}

/// A clock that shows another time than the machine's.
struct Wrong {
    clock: RealClock,
    ahead_ms: Arc<AtomicI64>,
}

impl Clock for Wrong {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.clock.wall_clock_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.clock.sleep(duration)
    }
}

fn with_clock(ahead_ms: &Arc<AtomicI64>) -> Env {
    let clock = Wrong { clock: RealClock::new(), ahead_ms: ahead_ms.clone() };
    Env::new(Arc::new(clock), Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(RealDisk))
}

#[tokio::test]
async fn a_service_of_the_release_before_is_called_as_it_wants() {
    let env = Env::real();
    let server = ChunkServer::new(env.clone(), Arc::new(FakeChunkService::new([DISK])), access());
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let served = serve_by(&env, Earlier { server, shown: shown.clone() }).await;
    // The first call is a put of a stream, which can be sent once.
    let service = client(&env, served.address);
    let sample = Sample::single(90, 1, 3 << 20);
    assert_eq!(service.put_shard(DISK, sample.header.clone(), sample.stream(), Purpose::Write).await, Ok(()));
    sample.expect_kept(&service, DISK).await;
    let tokens = shown.lock().unwrap().clone();
    assert_eq!(tokens.iter().filter(|token| !token.starts_with("Bearer ")).count(), 1, "{tokens:?}");
    let service = Arc::new(client(&env, served.address));
    conformance::run(&Subject { env, service, disk: DISK }).await;
}

#[tokio::test]
async fn a_service_of_this_release_is_never_shown_the_token_of_the_cluster() {
    let env = Env::real();
    let fake = Arc::new(FakeChunkService::new([DISK]));
    let access = access().demanding_capabilities(true);
    let served = serve_by(&env, ChunkServer::new(env.clone(), fake, access)).await;
    let service = Arc::new(client(&env, served.address));
    conformance::run(&Subject { env, service, disk: DISK }).await;
}

#[tokio::test]
async fn clocks_may_be_wrong_and_may_be_put_right() {
    let env = Env::real();
    let server = ChunkServer::new(env.clone(), Arc::new(FakeChunkService::new([DISK])), access());
    let refusals = server.refusals();
    let served = serve_by(&env, server).await;
    let ahead_ms = Arc::new(AtomicI64::new(0));
    let service = client(&with_clock(&ahead_ms), served.address);
    // Right, a year behind, a day ahead, right again, and at the end of time.
    for (number, ahead) in [0, -365 * 86_400_000, 86_400_000, 0, 1 << 61].into_iter().enumerate() {
        ahead_ms.store(ahead, Ordering::Relaxed);
        for counter in 0..3 {
            let sample = Sample::single(91, number as u64 * 10 + counter, 1000);
            let put = service.put_shard(DISK, sample.header.clone(), sample.whole(), Purpose::Write).await;
            assert_eq!(put, Ok(()), "{ahead}");
            sample.expect_kept(&service, DISK).await;
        }
        assert_eq!(refusals.ended.get(), number as u64, "once for each time that it was wrong");
    }
    // Cells that come one by one cannot be sent twice: nothing happened, and the next put knows.
    ahead_ms.store(0, Ordering::Relaxed);
    let sample = Sample::single(91, 99, 3 << 20);
    let put = service.put_shard(DISK, sample.header.clone(), sample.stream(), Purpose::Write).await;
    assert!(matches!(put, Err(Error::Unavailable { .. })), "{put:?}");
    let put = service.put_shard(DISK, sample.header.clone(), sample.stream(), Purpose::Write).await;
    assert_eq!(put, Ok(()));
    assert!(service.list_shards(DISK, ListShards::all(None, 1)).await.is_ok());
}
