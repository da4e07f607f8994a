//! Traces of a cluster of processes, as a collector gets them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Method};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message;
use s3_client::{Access, Answer, Failure};
use service_kit::ShutdownTrigger;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    collector::receive,
    process::{Service, access, fetch, free_address, log_of, send_with, wait_for},
};

async fn send(
    access: &Access,
    method: Method,
    target: &str,
    body: &[u8],
    traceparent: Option<&str>,
) -> Result<Answer, Failure> {
    let mut headers = HeaderMap::new();
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", HeaderValue::from_str(traceparent).expect("a header"));
    }
    send_with(access, method, target, Bytes::copy_from_slice(body), headers).await
}

/// A span, and the service that sent it.
#[derive(Debug, Clone)]
struct Received {
    service: String,
    span: Span,
}

impl Received {
    fn text(&self, name: &str) -> Option<&str> {
        text(&self.span.attributes, name)
    }

    fn number(&self, name: &str) -> Option<i64> {
        match value(&self.span.attributes, name)? {
            Value::IntValue(number) => Some(*number),
            _ => None,
        }
    }

    fn is(&self, service: &str, kind: SpanKind, name: &str) -> bool {
        self.service == service && self.span.kind() == kind && self.span.name == name
    }
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    attributes.iter().find(|pair| pair.key == name)?.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match value(attributes, name)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The spans that a collector has received.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Received>>>,
    _stop: ShutdownTrigger,
}

impl Collector {
    async fn start(env: &Env) -> Self {
        let spans = Arc::<Mutex<Vec<Received>>>::default();
        let taken = spans.clone();
        let take =
            move |body: Bytes| take_in(&taken, ExportTraceServiceRequest::decode(body).expect("spans"));
        let (url, stop) = receive(env, "/v1/traces", take).await;
        Self { url, spans, _stop: stop }
    }

    /// The spans of a trace that have come, by their ids.
    fn trace(&self, id: &str) -> BTreeMap<Vec<u8>, Received> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let of_trace = spans.iter().filter(|received| hex::encode(&received.span.trace_id) == id);
        of_trace.map(|received| (received.span.span_id.clone(), received.clone())).collect()
    }

    fn count(&self) -> usize {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn take_in(spans: &Mutex<Vec<Received>>, request: ExportTraceServiceRequest) {
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.expect("a resource");
        let service = text(&resource.attributes, "service.name").expect("a name").to_owned();
        assert!(text(&resource.attributes, "service.version").is_some());
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let received = Received { service: service.clone(), span };
            spans.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        }
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_is_followed_from_its_client_to_the_disks() {
    let env = Env::real();
    let collector = Collector::start(&env).await;
    let folder = TempDir::with_prefix("ashlar-traces-").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (metadata, chunk, gateway) =
        (free_address(&env).await, free_address(&env).await, free_address(&env).await);
    let health = [free_address(&env).await, free_address(&env).await, free_address(&env).await];
    let database = format!("sqlite:{}", path("metadata.sqlite"));
    let data = [path("1"), path("2"), path("3")].join(",");
    let words: [&[&str]; 3] = [
        &["metadata", "--listen", &metadata, "--database-url", &database, "--standard-coding", "2+1"],
        &["chunk", "--listen", &chunk, "--metadata", &metadata, "--data", &data],
        &[
            "gateway",
            "--listen",
            &gateway,
            "--metadata",
            &metadata,
            "--log",
            "gateway=debug",
            "--log-format",
            "json",
        ],
    ];
    let export = ["--otlp-endpoint", &collector.url, "--trace-sample", "0"];
    let start = |(words, health): (&&[&str], &String)| {
        let words = [words, &["--health-listen", health][..], &export[..]].concat();
        Service::start(folder.path(), &words)
    };
    let mut services: Vec<Service> = words.iter().zip(&health).map(start).collect();
    let front = access(&env, &gateway).await;
    let body = vec![7; 300_000];
    wait_for(&env, "the cluster", async || {
        send(&front, Method::PUT, "/album", &[], None).await.is_ok()
            && send(&front, Method::PUT, "/album/first", &body, None).await.is_ok()
    })
    .await;

    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let answer = send(&front, Method::PUT, "/album/a%20key", &body, Some(&traceparent)).await.unwrap();
    let request_id = answer.headers.get("x-amz-request-id").unwrap().to_str().unwrap().to_owned();
    let unrecorded = format!("00-{}-{CALLER}-00", TRACE.replace('4', "5"));
    send(&front, Method::PUT, "/album/another", &body, Some(&unrecorded)).await.unwrap();
    expect_exemplars(&env, &health).await;
    // What waits is sent at the stop.
    while let Some(service) = services.pop() {
        service.stop(&env).await;
    }

    let spans = collector.trace(TRACE);
    assert_eq!(collector.count(), spans.len(), "no other trace is recorded");
    let find = |service: &str, kind: SpanKind, name: &str| -> Vec<&Received> {
        spans.values().filter(|received| received.is(service, kind, name)).collect()
    };
    let parent = |of: &Received| spans.get(&of.span.parent_span_id);
    let is_below = |of: &Received, above: &Received| {
        std::iter::successors(parent(of), |of| parent(of)).any(|of| of.span.span_id == above.span.span_id)
    };

    // One tree below the client's span.
    let outer: Vec<_> = spans.values().filter(|received| parent(received).is_none()).collect();
    let [server] = outer[..] else { unreachable!("several spans have no parent: {outer:#?}") };
    assert_eq!(hex::encode(&server.span.parent_span_id), CALLER);
    assert!(server.is("ashlar-gateway", SpanKind::Server, "S3/PutObject"), "{server:#?}");
    assert_eq!(server.text("http.request.method"), Some("PUT"));
    assert_eq!(server.text("http.route"), Some("/{Bucket}/{Key+}"));
    assert_eq!(server.text("url.path"), Some("/album/a%20key"));
    assert_eq!(server.text("rpc.method"), Some("PutObject"));
    assert_eq!(server.number("http.response.status_code"), Some(200));
    assert_eq!(server.text("aws.request_id"), Some(request_id.as_str()));
    assert!(
        spans.values().all(
            |received| received.span.end_time_unix_nano <= server.span.end_time_unix_nano + 1_000_000_000
        )
    );

    // The metadata service and its database.
    let commit = "ashlar.metadata.v1.Versions/CommitVersion";
    let [called] = find("ashlar-gateway", SpanKind::Client, commit)[..] else { unreachable!("{spans:#?}") };
    let [answered] = find("ashlar-metadata", SpanKind::Server, commit)[..] else {
        unreachable!("{spans:#?}")
    };
    assert!(is_below(called, server));
    assert_eq!(answered.span.parent_span_id, called.span.span_id);
    assert_eq!(
        (answered.text("rpc.system"), answered.number("rpc.grpc.status_code")),
        (Some("grpc"), Some(0))
    );
    for statement in ["BEGIN", "INSERT", "COMMIT"] {
        let statements = find("ashlar-metadata", SpanKind::Client, statement);
        assert!(!statements.is_empty(), "{statement}");
        for found in statements {
            assert!(is_below(found, answered), "{found:#?}");
            assert_eq!(found.text("db.system.name"), Some("sqlite"));
            assert!(found.text("db.query.text").is_some_and(|text| text.starts_with(statement)));
            assert!(!found.text("db.query.text").is_some_and(|text| text.contains("a key")));
        }
    }

    // The chunk service and its three disks.
    let put = "PUT /v1/disks/{disk}/shards/{shard}";
    let written = find("ashlar-chunk", SpanKind::Internal, "put_shard");
    let disks: BTreeSet<_> = written.iter().filter_map(|written| written.text("ashlar.disk")).collect();
    assert_eq!((written.len(), disks.len()), (3, 3));
    for written in written {
        let answered = parent(written).unwrap();
        assert!(answered.is("ashlar-chunk", SpanKind::Server, put), "{answered:#?}");
        let called = parent(answered).unwrap();
        assert!(called.is("ashlar-gateway", SpanKind::Client, put), "{called:#?}");
        assert_eq!(called.number("http.response.status_code"), Some(204));
        assert_eq!(called.text("server.address"), Some("127.0.0.1"));
        assert!(is_below(called, server));
    }

    // Log lines say which request and which trace they are about.
    let log = log_of(folder.path(), "gateway");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_request: Vec<_> = lines.filter(|line| line["span"]["request_id"] == request_id.as_str()).collect();
    assert!(of_request.iter().any(|line| line["message"] == "answered"), "{log}");
    assert!(of_request.iter().all(|line| line["span"]["trace_id"] == TRACE), "{of_request:?}");
}

/// Histograms of the metadata service, the chunk service and the gateway name the trace that is recorded, and no other, to whoever asks for
/// the form that has a place for it.
async fn expect_exemplars(env: &Env, health: &[String; 3]) {
    let [metadata, chunk, gateway] = health;
    for (address, series) in [
        (metadata, "ashlar_metadata_call_duration_seconds_bucket{method=\"Versions/CommitVersion\""),
        (metadata, "ashlar_metadata_commit_duration_seconds_bucket{"),
        (metadata, "ashlar_database_statement_duration_seconds_bucket{"),
        (chunk, "ashlar_chunk_call_duration_seconds_bucket{call=\"put_shard\""),
        (gateway, "ashlar_s3_request_duration_seconds_bucket{operation=\"PutObject\""),
    ] {
        let ask = async |accept: &str| fetch(env, address, "/metrics", accept).await.expect("an answer");
        // The client has its answer before it is counted.
        wait_for(env, "an exemplar", async || {
            let (head, text) = ask("accept: application/openmetrics-text;version=1.0.0\r\n").await;
            assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
            assert!(text.ends_with("# EOF\n"), "{text}");
            let named: Vec<_> = text.lines().filter(|line| line.contains("trace_id=")).collect();
            let recorded = format!("# {{trace_id=\"{TRACE}\",span_id=\"");
            assert!(named.iter().all(|line| line.contains(&recorded)), "{named:#?}");
            named.iter().any(|line| line.starts_with(series))
        })
        .await;
        let (head, text) = ask("").await;
        assert!(head.contains("text/plain; version=0.0.4") && !text.contains(TRACE), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_traced_by_the_share_that_is_asked_for() {
    let env = Env::real();
    let collector = Collector::start(&env).await;
    for (sample, traced) in [("1", true), ("0", false)] {
        let folder = TempDir::with_prefix("ashlar-traces-").unwrap();
        let data = folder.path().join("data").display().to_string();
        let listen = free_address(&env).await;
        let words = [
            "server",
            &data,
            "--listen",
            &listen,
            "--otlp-endpoint",
            &collector.url,
            "--trace-sample",
            sample,
        ];
        let server = Service::start(folder.path(), &words);
        let front = access(&env, &listen).await;
        wait_for(&env, "the server", async || send(&front, Method::PUT, "/album", &[], None).await.is_ok())
            .await;
        let before = collector.count();
        send(&front, Method::PUT, "/album/key", &[1; 300_000], None).await.unwrap();
        send(&front, Method::GET, "/album/key", &[], None).await.unwrap();
        assert!(send(&front, Method::GET, "/album/absent", &[], None).await.is_err());
        server.stop(&env).await;
        let spans = collector.spans.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
        assert_eq!(!spans.is_empty(), traced, "{sample} {before}");
        if traced {
            let named = |name: &str| spans.iter().filter(|received| received.span.name == name).count();
            assert_eq!((named("S3/PutObject"), named("S3/GetObject")), (1, 2));
            let absent =
                spans.iter().find(|received| received.number("http.response.status_code") == Some(404));
            assert_eq!(absent.unwrap().text("error.type"), Some("NoSuchKey"));
            let server = spans.iter().find(|received| received.span.name == "S3/GetObject").unwrap();
            let reads = spans.iter().filter(|received| {
                received.span.name == "read_cells" && received.span.trace_id == server.span.trace_id
            });
            assert!(reads.count() > 0, "reading happens while the answer is sent");
        }
    }
}

/// What is refused before it is a request has one id, too: in the head and the body of its answer, in the log and in a trace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_refused_is_found_by_its_id() {
    let env = Env::real();
    let collector = Collector::start(&env).await;
    let folder = TempDir::with_prefix("ashlar-traces-").unwrap();
    let data = folder.path().join("data").display().to_string();
    let listen = free_address(&env).await;
    let words = ["server", &data, "--listen", &listen, "--log", "gateway=debug", "--log-format", "json"];
    let export = ["--otlp-endpoint", &collector.url, "--trace-sample", "1"];
    let server = Service::start(folder.path(), &[&words[..], &export].concat());
    let front = access(&env, &listen).await;
    wait_for(&env, "the server", async || send(&front, Method::PUT, "/album", &[], None).await.is_ok()).await;

    let mut connection = env.connect(&listen).await.unwrap();
    connection.write_all(b"GARBAGE\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    env.timeout(Duration::from_secs(30), connection.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let id = head.lines().find_map(|line| line.strip_prefix("x-amz-request-id: ")).unwrap();
    assert!(body.contains(&format!("<RequestId>{id}</RequestId>")), "{answer}");
    server.stop(&env).await;

    let spans = collector.spans.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
    let of_head: Vec<_> = spans.iter().filter(|span| span.text("aws.request_id") == Some(id)).collect();
    let [found] = of_head[..] else { unreachable!("one span: {of_head:#?}") };
    assert!(found.is("ashlar-server", SpanKind::Server, "HTTP"), "{found:#?}");
    assert!(found.span.parent_span_id.is_empty() && found.span.end_time_unix_nano > 0, "{found:#?}");
    assert_eq!(found.text("http.request.method"), Some("_OTHER"));
    assert_eq!(found.number("http.response.status_code"), Some(400));
    assert_eq!(found.text("error.type"), Some("BadRequest"));
    assert_eq!(found.text("client.address"), Some("127.0.0.1"));
    let log = log_of(folder.path(), "server");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_head: Vec<_> = lines.filter(|line| line["span"]["request_id"] == id).collect();
    let [line] = &of_head[..] else { unreachable!("one line: {log}") };
    assert_eq!(line["span"]["trace_id"], hex::encode(&found.span.trace_id));
    assert_eq!(line["message"], "refused a head");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_nothing_up() {
    let env = Env::real();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.unwrap();
    let url = format!("http://{}", listener.local_address().unwrap());
    // Connections are taken and left alone.
    env.spawn(async move {
        let mut silent = Vec::new();
        while let Ok(connection) = listener.accept().await {
            silent.push(connection);
        }
    });
    let folder = TempDir::with_prefix("ashlar-traces-").unwrap();
    let data = folder.path().join("data").display().to_string();
    let listen = free_address(&env).await;
    let words = ["server", &data, "--listen", &listen, "--otlp-endpoint", &url, "--trace-sample", "1"];
    let server = Service::start(folder.path(), &words);
    let front = access(&env, &listen).await;
    wait_for(&env, "the server", async || send(&front, Method::PUT, "/album", &[], None).await.is_ok()).await;
    // Each makes a dozen spans and more, so that there are more than wait.
    let begun = env.now();
    for number in 0..600 {
        send(&front, Method::PUT, &format!("/album/{number}"), b"small", None).await.unwrap();
    }
    let took = env.now().since(begun);
    assert!(took < Duration::from_secs(60), "{took:?}");
    let stopping = env.now();
    server.stop(&env).await;
    let took = env.now().since(stopping);
    assert!(took < Duration::from_secs(25), "{took:?}");
    let log = log_of(folder.path(), "server");
    assert_eq!(log.matches("the collector takes no spans").count(), 1, "{log}");
}

#[test]
fn settings_of_traces_are_checked() {
    let parse = |words: &[&str]| {
        let words = ["ashlar", "server", "data"].iter().chain(words);
        ashlar::command().try_get_matches_from(words).is_ok()
    };
    assert!(parse(&["--otlp-endpoint", "http://collector:4318", "--trace-sample", "0.5"]));
    for bad in ["-0.1", "1.1", "NaN", "all"] {
        assert!(!parse(&[&format!("--trace-sample={bad}")]), "{bad}");
    }
    assert!(!parse(&["--otlp-endpoint", "https://collector:4318"]));
}
