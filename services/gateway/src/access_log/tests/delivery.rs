//! Deliveries of a gateway to a cluster in memory, by a clock that stands still while anything can be done.

use std::{
    future::{pending, ready},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use clap::Parser;
use data_pool::{ClusterView, LeaseHolder, Pool};
use env::{Clock, Env, Instant, Random, RealDisk, RealNetwork};
use http::{HeaderName, Method, Uri};
use metadata_api::{
    CreateBucket, ListObjects, ListPosition, Metadata, StorageClassDefinition, Subresource, fake::Fake,
};
use s3_wire::{
    ErrorCode,
    address::{Address, Style},
    header::{SERVER_SIDE_ENCRYPTION, ServerSideEncryption},
    logging::Logging,
    xml,
};
use service_kit::shutdown_channel;
use types::{
    BucketName, Encryption, EncryptionScheme, KeyPrefix, ObjectKey, StorageClassName, Timestamp,
    sealed_length, sealed_part_length,
};

use super::{
    super::{Entrance, Watch, deliver_all, run},
    bucket, known,
};
use crate::{
    Credentials, FrontConfig, Gateway,
    auth::Authenticated,
    encryption,
    request::{EarlyHeaders, Request, RequestId, Target},
    root_account,
};

#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
impl Clock for PausedClock {
    fn now(&self) -> Instant {
        Instant::from_start(tokio::time::Instant::now() - self.0)
    }

    fn wall_clock_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        out.iter_mut().zip(next).for_each(|(out, byte)| *out = byte);
    }
}

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    front: FrontConfig,
}

/// A gateway that delivers after a minute, and buckets of which one is logged into the other. Nothing can be written until there
/// is a storage class.
struct Front {
    env: Env,
    metadata: Arc<Fake>,
    view: Arc<ClusterView>,
    gateway: Arc<Gateway>,
}

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
fn paused() -> Env {
    let clock = PausedClock(tokio::time::Instant::now());
    Env::new(
        Arc::new(clock),
        Arc::new(Counting(AtomicU64::new(0))),
        Arc::new(RealNetwork),
        Arc::new(RealDisk),
    )
}

impl Front {
    async fn new() -> Self {
        let env = paused();
        let metadata = Arc::new(Fake::new(env.clone()));
        for name in ["source", "logs"] {
            metadata.create_bucket(CreateBucket::new(bucket(name), root_account())).await.unwrap();
        }
        let (target_bucket, target_prefix, target_grants) = ("logs".to_owned(), String::new(), Vec::new());
        let logging = Logging { target_bucket, target_prefix, key_format: None, target_grants };
        let document = Some(xml::logging(&logging));
        metadata.set_subresource(&bucket("source"), Subresource::Logging, document).await.unwrap();
        let view = Arc::new(ClusterView::networked(|address| panic!("there is no node, {address} neither")));
        let pool = Pool::new(&env, view.clone(), Arc::new(LeaseHolder::none(&env)), Arc::new(|_| ()));
        let settings = Settings::parse_from(["gateway", "--access-log-interval", "60"]);
        let credentials = Credentials::root("accesskey", "secretkey0123456".parse().unwrap()).unwrap();
        let keys = Arc::new(kms::Keys::none(env.clone()));
        let gateway = Gateway::new(env.clone(), &settings.front, credentials, keys, metadata.clone(), pool);
        Self { env, metadata, view, gateway: Arc::new(gateway) }
    }

    /// From now on objects can be written.
    async fn take_writes(&self) {
        let definition = StorageClassDefinition {
            name: StorageClassName::standard(),
            coding: "2+2".parse().unwrap(),
            inline_limit_bytes: 16 << 20,
            whole_limit_bytes: 32 << 20,
            groups: 1,
            medium: None,
        };
        self.metadata.define_storage_class(definition).await.unwrap();
        self.view.refresh(&*self.metadata).await.unwrap();
    }

    fn push(&self, name: &BucketName, text: &str) {
        self.gateway.access_log.push(name, Timestamp(self.env.wall_clock_ms()), text.to_owned());
    }

    async fn objects(&self) -> usize {
        let request = ListObjects {
            bucket: bucket("logs"),
            prefix: KeyPrefix::default(),
            delimiter: None,
            position: ListPosition::Start,
            limit: 1000,
        };
        self.metadata.list_objects(request).await.unwrap().entries.len()
    }

    fn held(&self) -> usize {
        self.gateway.access_log.buffers().records()
    }
}

#[tokio::test(start_paused = true)]
async fn steady_traffic_has_an_object_in_each_interval() {
    let front = Front::new().await;
    front.take_writes().await;
    let (trigger, shutdown) = shutdown_channel();
    let rounds = front.env.spawn(run(Arc::clone(&front.gateway), shutdown));
    let source = bucket("source");
    // So that records come while an object is written: a burst at each of the times at which it is looked what is due.
    for _ in 0..600 {
        for number in 0..5 {
            front.push(&source, &number.to_string());
            tokio::task::yield_now().await;
        }
        front.env.sleep(Duration::from_secs(1)).await;
    }
    let made = front.objects().await;
    assert!((9..=10).contains(&made), "{made} objects in ten minutes");
    trigger.begin();
    rounds.await.unwrap();
    deliver_all(&front.gateway, ready(())).await;
    assert_eq!((front.objects().await, front.held()), (made + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_tries_again_what_could_not_be_written() {
    let front = Front::new().await;
    front.push(&bucket("source"), "a");
    let (begun, stop) = (front.env.now(), deliver_all(&front.gateway, ready(())));
    let mended = async {
        front.env.sleep(Duration::from_secs(6)).await;
        front.take_writes().await;
    };
    tokio::join!(stop, mended);
    let took = front.env.now().since(begun);
    assert!((6..=7).contains(&took.as_secs()), "{took:?}");
    assert_eq!((front.objects().await, front.held()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_though_nothing_can_be_written_or_a_round_does_not_end() {
    let front = Front::new().await;
    front.push(&bucket("source"), "a");
    let (trigger, shutdown) = shutdown_channel();
    let rounds = front.env.spawn(run(Arc::clone(&front.gateway), shutdown));
    front.env.sleep(Duration::from_secs(90)).await;
    assert_eq!(front.held(), 1, "it was tried, and is held");
    trigger.begin();
    let begun = front.env.now();
    deliver_all(&front.gateway, async { rounds.await.unwrap() }).await;
    assert_eq!(front.env.now().since(begun).as_secs(), 10);
    front.take_writes().await;
    let begun = front.env.now();
    deliver_all(&front.gateway, pending()).await;
    assert_eq!((front.env.now().since(begun).as_secs(), front.held()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn what_has_nowhere_to_go_is_dropped_and_counted() {
    let front = Front::new().await;
    front.take_writes().await;
    front.metadata.delete_bucket(&bucket("logs")).await.unwrap();
    front.push(&bucket("source"), "a");
    front.push(&bucket("not-logged"), "b");
    deliver_all(&front.gateway, ready(())).await;
    let buffers = front.gateway.access_log.buffers();
    // Only what was to go somewhere is a loss.
    assert_eq!((buffers.records(), buffers.dropped_total()), (0, 1));
}

/// The document of a bucket whose new objects are encrypted.
fn encryption_document() -> Bytes {
    let algorithm = ServerSideEncryption::SseS3;
    xml::encryption(&xml::DefaultEncryption { algorithm, key: None, bucket_key_enabled: false })
}

/// A gateway without master keys writes nothing in plain where everything is to be encrypted.
#[tokio::test(start_paused = true)]
async fn a_log_is_not_delivered_in_plain_where_it_is_to_be_encrypted() {
    let front = Front::new().await;
    front.take_writes().await;
    let logs = bucket("logs");
    let document = Some(encryption_document());
    front.metadata.set_subresource(&logs, Subresource::Encryption, document).await.unwrap();
    front.push(&bucket("source"), "a");
    deliver_all(&front.gateway, ready(())).await;
    assert_eq!((front.objects().await, front.held()), (0, 1));
    front.metadata.set_subresource(&logs, Subresource::Encryption, None).await.unwrap();
    deliver_all(&front.gateway, ready(())).await;
    assert_eq!((front.objects().await, front.held()), (1, 0));
}

/// Whatever asks for encryption by the store's keys is refused where there are none: by the request, by the bucket's default and by
/// the source of a copy.
#[tokio::test(start_paused = true)]
async fn without_master_keys_nothing_is_taken_that_is_to_be_encrypted() {
    let front = Front::new().await;
    let plain = front.metadata.get_bucket(&bucket("source")).await.unwrap();
    let document = Some(encryption_document());
    front.metadata.set_subresource(&bucket("logs"), Subresource::Encryption, document).await.unwrap();
    let encrypting = front.metadata.get_bucket(&bucket("logs")).await.unwrap();
    let source = Encryption::new(EncryptionScheme::SseS3, "key", Bytes::from_static(b"wrapped"));
    let (asks, says_nothing) = (request(Some("AES256")), request(None));
    let asks_kms = request(Some("aws:kms"));
    let of_new = async |request, bucket| {
        encryption::of_new(&front.gateway, request, bucket).await.map(|sealing| sealing.is_some())
    };
    let of_copy = async |request, bucket, source| {
        let copy = encryption::of_copy(&front.gateway, request, bucket, source)?;
        copy.sealing(&front.gateway).await.map(|sealing| sealing.is_some())
    };
    assert_eq!(of_new(&says_nothing, &plain).await, Ok(false));
    assert_eq!(of_copy(&says_nothing, &plain, None).await, Ok(false));
    for refused in [
        of_new(&asks, &plain).await,
        of_new(&asks_kms, &plain).await,
        of_new(&asks, &encrypting).await,
        of_new(&says_nothing, &encrypting).await,
        of_copy(&asks, &plain, None).await,
        of_copy(&says_nothing, &encrypting, None).await,
        of_copy(&says_nothing, &plain, Some(&source)).await,
    ] {
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotImplemented);
    }
}

/// A metadata service that does not keep how bytes are encrypted takes the length of what is kept for the size.
#[test]
fn what_was_taken_for_plain_is_not_answered_as_encrypted() {
    let request = request(Some("AES256"));
    for length in [0, 1, 65_536, 200_000] {
        let (kept, part) = (sealed_length(length), sealed_part_length(length));
        assert!(encryption::check_kept(&request, true, kept, length).is_ok());
        assert!(encryption::check_kept_part(&request, true, part, length).is_ok());
        assert!(encryption::check_kept(&request, false, length, length).is_ok());
        for refused in [
            encryption::check_kept(&request, true, kept, kept),
            encryption::check_kept_part(&request, true, part, part),
        ] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::InternalError);
        }
    }
}

/// A request to put `source/key`.
fn request(asked: Option<&str>) -> Request {
    let (bucket, key) = (Some(bucket("source")), Some(ObjectKey::new("key").unwrap()));
    let headers =
        asked.map(|asked| (HeaderName::from_static(SERVER_SIDE_ENCRYPTION), asked.parse().unwrap()));
    Request {
        method: Method::PUT,
        uri: Uri::from_static("/source/key"),
        headers: headers.into_iter().collect(),
        address: Address { bucket, key, style: Style::Path },
        authenticated: Authenticated::nobody(),
        peer: None,
        tls: None,
        id: RequestId::new(&env::Env::real()),
        target: Target::default(),
        pacing: Default::default(),
        early: EarlyHeaders::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_recorded_as_closed() {
    let front = Front::new().await;
    let source = bucket("source");
    front.gateway.access_log.note(&source, true);
    let request =
        http::Request::put("/source/key?X-Amz-Signature=abc").header("referer", "http://h/?Signature=abc");
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let address = Address {
        bucket: Some(source.clone()),
        key: Some(ObjectKey::new("key").unwrap()),
        style: Style::Path,
    };
    let id = RequestId::new(&front.env);
    let watch = Watch::begin(&front.gateway, &mut parts, id, Entrance::Api, |_| Some(address));
    drop(watch.expect("the bucket is logged"));
    let mut buffers = front.gateway.access_log.buffers();
    buffers.set_known(&source, known(None));
    let batch = buffers.next(&source, "region", Timestamp(0), 1).expect("a record");
    let text = String::from_utf8(batch.body.to_vec()).unwrap();
    let request = "REST.PUT.OBJECT key \"PUT /source/key?X-Amz-Signature=REDACTED HTTP/1.1\" 499 - - - 0 - ";
    assert!(text.contains(request) && text.contains("\"http://h/?Signature=REDACTED\""), "{text}");
}
