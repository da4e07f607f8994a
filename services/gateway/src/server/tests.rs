//! Requests that are answered by a gateway without a listener. A clock and a random source of the metadata service that panic stand for a
//! defect: its calls are made within the handling of requests.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::State,
};
use clap::Parser;
use data_pool::{ClusterView, LeaseHolder, Pool};
use env::{Clock, Env, Instant, Random, RealClock, RealDisk, RealNetwork, RealRandom};
use http::{HeaderMap, Method, header};
use metadata_api::fake::Fake;
use sha2::{Digest, Sha256};
use sigv4::{Payload, RequestView, Signer};

use super::Front;
use crate::{Credentials, FrontConfig, Gateway};

const ID: &str = "accesskey";
const SECRET: &str = "secretkey0123456";

/// The machine's clock and random source, until they are broken.
#[derive(Debug, Clone)]
struct Breakable {
    clock: Arc<RealClock>,
    is_broken: Arc<AtomicBool>,
    /// How often the clock tells how much time went by before it fails once.
    instants_left: Arc<AtomicI64>,
}

impl Breakable {
    fn new() -> Self {
        Self {
            clock: Arc::new(RealClock::new()),
            is_broken: Arc::default(),
            instants_left: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    fn env(&self) -> Env {
        Env::new(Arc::new(self.clone()), Arc::new(self.clone()), Arc::new(RealNetwork), Arc::new(RealDisk))
    }

    fn check(&self) {
        assert!(!self.is_broken.load(Ordering::Relaxed), "{ID} and {SECRET} are told");
    }
}

impl Clock for Breakable {
    fn now(&self) -> Instant {
        assert!(self.instants_left.fetch_sub(1, Ordering::Relaxed) != 0, "{SECRET} is told");
        self.clock.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.check();
        self.clock.wall_clock_ms()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.clock.sleep(duration)
    }
}

impl Random for Breakable {
    fn fill(&self, out: &mut [u8]) {
        self.check();
        RealRandom.fill(out);
    }
}

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    front: FrontConfig,
}

/// A gateway before a metadata service in memory, and what breaks that.
fn gateway() -> (Arc<Gateway>, Arc<AtomicBool>) {
    let of_metadata = Breakable::new();
    (gateway_of(Env::real(), of_metadata.env()), of_metadata.is_broken)
}

fn gateway_of(env: Env, of_metadata: Env) -> Arc<Gateway> {
    let metadata = Arc::new(Fake::new(of_metadata));
    let view = Arc::new(ClusterView::networked(|address| panic!("there is no node, {address} neither")));
    let pool = Pool::new(&env, view, Arc::new(LeaseHolder::none(&env)), Arc::new(|_| ()));
    let settings = Settings::parse_from(["gateway"]);
    let credentials = Credentials::root(ID, SECRET.parse().expect("a secret")).expect("credentials");
    let keys = Arc::new(kms::Keys::none(env.clone()));
    Arc::new(Gateway::new(env, &settings.front, credentials, keys, metadata, pool))
}

/// What is answered to a request that the root user signs.
async fn ask(gateway: &Arc<Gateway>, service: &str, (method, path): (Method, &str), body: &str) -> Answer {
    let mut request = http::Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    if service != "s3" {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let (mut parts, ()) = request.body(()).expect("a request").into_parts();
    let credentials = sigv4::Credentials {
        access_key_id: ID.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
    };
    let now = gateway.env.wall_clock_ms() / 1000;
    let signer = Signer::for_service(service, &credentials, "us-east-1", now).expect("a signer");
    let payload = Payload::Sha256(Sha256::digest(body).into());
    let mut headers = parts.headers.clone();
    let view = RequestView::from(&parts);
    signer.sign_headers(view.method, view.path, view.query, &mut headers, payload).expect("it is signed");
    parts.headers = headers;
    let request = http::Request::from_parts(parts, Body::from(body.to_owned()));
    let front = Front { gateway: gateway.clone(), metrics: None };
    let (parts, body) = super::answer(State(front), request).await.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into(),
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for() {
    let (gateway, is_broken) = gateway();
    let create = (Method::PUT, "/bucket");
    is_broken.store(true, Ordering::Relaxed);
    let answer = ask(&gateway, "s3", create.clone(), "").await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.body.contains("<Code>InternalError</Code>"), "{answer:?}");
    let id = answer.header("x-amz-request-id");
    assert!(id.len() == 16 && answer.body.contains(&format!("<RequestId>{id}</RequestId>")), "{answer:?}");
    assert_eq!(answer.header("connection"), "close", "nothing else comes on this connection");
    assert!(!answer.body.contains("secretkey") && !answer.body.contains("clock"), "{answer:?}");
    is_broken.store(false, Ordering::Relaxed);
    assert_eq!(ask(&gateway, "s3", create, "").await.status, 200, "others are answered as ever");
}

#[tokio::test]
async fn a_call_that_panics_is_answered_in_its_own_form() {
    let (gateway, is_broken) = gateway();
    let create = "Action=CreateUser&Version=2010-05-08&UserName=ann";
    is_broken.store(true, Ordering::Relaxed);
    let answer = ask(&gateway, "iam", (Method::POST, "/"), create).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.body.contains("<Code>ServiceFailure</Code>"), "{answer:?}");
    let id = answer.header("x-amz-request-id");
    assert!(answer.body.contains(&format!("<RequestId>{id}</RequestId>")), "{answer:?}");
    is_broken.store(false, Ordering::Relaxed);
    assert_eq!(ask(&gateway, "iam", (Method::POST, "/"), create).await.status, 200);
}

/// What panics before an operation is known, or after it was carried out, is answered as well.
#[tokio::test]
async fn what_panics_around_a_handler_is_answered_for() {
    let own = Breakable::new();
    let gateway = gateway_of(own.env(), Env::real());
    // The first tells when the request came, to whatever counts it.
    own.instants_left.store(1, Ordering::Relaxed);
    let answer = ask(&gateway, "s3", (Method::PUT, "/bucket"), "").await;
    assert_eq!(answer.status, 500, "{answer:?}");
    let id = answer.header("x-amz-request-id");
    assert!(answer.body.contains("<Code>InternalError</Code>"), "{answer:?}");
    assert!(id.len() == 16 && answer.body.contains(&format!("<RequestId>{id}</RequestId>")), "{answer:?}");
    assert_eq!(answer.header("connection"), "close", "nothing else comes on this connection");
    assert!(!answer.body.contains("secretkey"), "{answer:?}");
    assert_eq!(ask(&gateway, "s3", (Method::PUT, "/bucket"), "").await.status, 200);
}
