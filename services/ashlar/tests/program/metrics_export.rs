//! Metrics as a collector gets them by OTLP: by the names, with the units and at the values of `/metrics`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::Method;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value},
    metrics::v1::{AggregationTemporality, Metric, metric::Data, number_data_point::Value},
};
use prost::Message;
use s3_client::Access;
use service_kit::ShutdownTrigger;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::{
    collector::receive,
    metrics::documented,
    process::{Service, access, fetch, free_address, log_of, send, wait_for},
};

async fn put(access: &Access, target: &str, body: &'static [u8]) -> bool {
    send(access, Method::PUT, target, body).await.is_ok()
}

/// Series by the names that Prometheus's text form gives them.
type AllSeries = BTreeMap<String, f64>;

/// What `/metrics` tells.
async fn scrape(env: &Env, address: &str) -> AllSeries {
    let (_, text) = fetch(env, address, "/metrics", "").await.expect("the health listener");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// One export of one service.
#[derive(Debug, Clone)]
struct Export {
    service: String,
    instance: String,
    metrics: Vec<Metric>,
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> &'a str {
    let found = attributes.iter().find(|pair| pair.key == name).and_then(|pair| pair.value.as_ref());
    match found.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text,
        other => unreachable!("{name} is {other:?}"),
    }
}

/// Labels as Prometheus's text form has them.
fn labels(attributes: &[KeyValue], bound: Option<String>) -> String {
    let told = attributes.iter().map(|pair| (pair.key.clone(), text(attributes, &pair.key).to_owned()));
    let pairs: Vec<String> = told
        .chain(bound.map(|bound| ("le".to_owned(), bound)))
        .map(|(name, value)| format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

impl Export {
    fn series(&self) -> AllSeries {
        let mut series = AllSeries::new();
        let cumulative = i32::from(AggregationTemporality::Cumulative);
        for Metric { name, data, .. } in &self.metrics {
            let points = match data.as_ref().expect("points") {
                Data::Gauge(gauge) => &gauge.data_points,
                Data::Sum(sum) => {
                    assert!(sum.is_monotonic && sum.aggregation_temporality == cumulative, "{name}");
                    assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano > 0), "{name}");
                    &sum.data_points
                }
                Data::Histogram(histogram) => {
                    assert_eq!(histogram.aggregation_temporality, cumulative, "{name}");
                    for point in &histogram.data_points {
                        let bounds = point.explicit_bounds.iter().map(ToString::to_string);
                        let mut count = 0;
                        for (bound, more) in bounds.chain(["+Inf".to_owned()]).zip(&point.bucket_counts) {
                            count += more;
                            let pairs = labels(&point.attributes, Some(bound));
                            series.insert(format!("{name}_bucket{pairs}"), count as f64);
                        }
                        assert_eq!(point.count, count, "{name}");
                        let pairs = labels(&point.attributes, None);
                        series.insert(format!("{name}_sum{pairs}"), point.sum.expect("a sum"));
                        series.insert(format!("{name}_count{pairs}"), count as f64);
                    }
                    continue;
                }
                other => unreachable!("{name} is {other:?}"),
            };
            for point in points {
                let value = match point.value.expect("a value") {
                    Value::AsInt(whole) => whole as f64,
                    Value::AsDouble(number) => number,
                };
                let labels = labels(&point.attributes, None);
                assert!(series.insert(format!("{name}{labels}"), value).is_none(), "{name}{labels}");
            }
        }
        series
    }
}

/// What a collector has received.
struct Collector {
    url: String,
    exports: Arc<Mutex<Vec<Export>>>,
    _stop: ShutdownTrigger,
}

impl Collector {
    async fn start(env: &Env) -> Self {
        let exports = Arc::<Mutex<Vec<Export>>>::default();
        let taken = exports.clone();
        let take = move |body: Bytes| {
            let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.extend(request.resource_metrics.into_iter().map(|of_resource| {
                let resource = of_resource.resource.expect("a resource");
                assert!(!text(&resource.attributes, "service.version").is_empty());
                Export {
                    service: text(&resource.attributes, "service.name").to_owned(),
                    instance: text(&resource.attributes, "service.instance.id").to_owned(),
                    metrics: of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect(),
                }
            }));
        };
        let (url, stop) = receive(env, "/v1/metrics", take).await;
        Self { url, exports, _stop: stop }
    }

    /// What a service has sent so far.
    fn of(&self, service: &str) -> Vec<Export> {
        let exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        exports.iter().filter(|export| export.service == service).cloned().collect()
    }

    /// What a service sends after now, all of it counted after now.
    async fn next(&self, env: &Env, service: &str) -> Export {
        let before = self.of(service).len();
        // The one after next: the next may be under way.
        wait_for(env, "an export", async || self.of(service).len() > before + 1).await;
        self.of(service).swap_remove(before + 1)
    }
}

/// Units in UCUM's words.
fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "" => "",
        other => unreachable!("{other} is a unit that has no name"),
    }
}

/// What a scrape adds to itself: its own connection.
const OF_SCRAPES: &str = "process_open_fds";

/// What stayed the same while an export was made is the same in it.
async fn compare(env: &Env, collector: &Collector, service: &str, health: &str) {
    let documented = documented();
    let before = scrape(env, health).await;
    let export = collector.next(env, &format!("ashlar-{service}")).await;
    let after = scrape(env, health).await;
    let exported = export.series();
    for metric in &export.metrics {
        let unit = documented.get(metric.name.as_str()).map(|documented| ucum(documented.unit));
        assert_eq!(unit, Some(metric.unit.as_str()), "{}", metric.name);
        assert!(metric.description.ends_with('.'), "{}", metric.name);
    }
    assert!(before.len() > 20, "{before:?}");
    let mut same = 0;
    for (name, value) in &before {
        assert!(exported.contains_key(name), "{service} exports no {name}");
        if after.get(name) == Some(value) && name != OF_SCRAPES {
            assert_eq!(exported.get(name), Some(value), "{service} {name}");
            same += 1;
        }
    }
    assert!(same * 2 > before.len(), "{service}: only {same} of {} are at rest", before.len());
    let known: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let unknown: Vec<_> = exported.keys().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "{service} exports {unknown:?}, which it does not tell");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_exports_what_its_metrics_tell() {
    let env = Env::real();
    let collector = Collector::start(&env).await;
    let folder = TempDir::with_prefix("ashlar-metrics-export-").expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (metadata, chunk, gateway) =
        (free_address(&env).await, free_address(&env).await, free_address(&env).await);
    let database = format!("sqlite:{}", path("metadata.sqlite"));
    let data = [path("1"), path("2"), path("3")].join(",");
    let words: [&[&str]; 4] = [
        &["metadata", "--listen", &metadata, "--database-url", &database, "--standard-coding", "2+1"],
        &["chunk", "--listen", &chunk, "--metadata", &metadata, "--data", &data],
        &["gateway", "--listen", &gateway, "--metadata", &metadata],
        &["worker", "--metadata", &metadata],
    ];
    let export = ["--otlp-metrics-endpoint", collector.url.as_str(), "--otlp-metrics-interval", "1"];
    let (mut services, mut health) = (Vec::new(), Vec::new());
    for words in words {
        let address = free_address(&env).await;
        let listen = ["--health-listen", address.as_str()];
        services.push(Service::start(folder.path(), &[words, &listen[..], &export[..]].concat()));
        health.push((words[0], address));
    }
    let front = access(&env, &gateway).await;
    wait_for(&env, "the cluster", async || {
        put(&front, "/album", &[]).await && put(&front, "/album/first", &[7; 300_000]).await
    })
    .await;
    for (service, address) in &health {
        compare(&env, &collector, service, address).await;
    }

    // What is counted last is sent at the stop, in the same life.
    assert!(put(&front, "/album/last", b"small").await);
    let counted = |export: &Export| {
        let series = export.series();
        let puts = series.iter().filter(|(name, _)| {
            name.starts_with("ashlar_s3_requests_total{") && name.contains("operation=\"PutObject\"")
        });
        puts.map(|(_, count)| count).sum::<f64>()
    };
    let gateway = services.remove(2);
    gateway.stop(&env).await;
    let exports = collector.of("ashlar-gateway");
    let last = exports.last().expect("exports");
    assert!(counted(last) >= 2.0, "{}", counted(last));
    assert!(exports.iter().all(|export| export.instance == last.instance), "one life");
    assert!(exports.windows(2).all(|two| counted(&two[0]) <= counted(&two[1])), "counters only grow");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_of_metrics_that_never_answers_holds_nothing_up() {
    let env = Env::real();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.expect("loopback has a free port");
    let url = format!("http://{}", listener.local_address().expect("it has an address"));
    // Requests are read and never answered.
    let [open, most, all] = [(); 3].map(|()| Arc::<AtomicUsize>::default());
    let (now_open, most_open, taken, own_env) = (open, most.clone(), all.clone(), env.clone());
    env.spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let now = now_open.fetch_add(1, SeqCst) + 1;
            most_open.fetch_max(now, SeqCst);
            taken.fetch_add(1, SeqCst);
            let now_open = now_open.clone();
            own_env.spawn(async move {
                let mut bytes = [0; 4096];
                while matches!(connection.read(&mut bytes).await, Ok(read) if read > 0) {}
                now_open.fetch_sub(1, SeqCst);
            });
        }
    });
    let folder = TempDir::with_prefix("ashlar-metrics-export-").expect("a folder");
    let data = folder.path().join("data").display().to_string();
    let (listen, health) = (free_address(&env).await, free_address(&env).await);
    let words = ["server", &data, "--listen", &listen, "--health-listen", &health];
    let export = ["--otlp-metrics-endpoint", url.as_str(), "--otlp-metrics-interval", "1"];
    let server = Service::start(folder.path(), &[&words[..], &export[..]].concat());
    let front = access(&env, &listen).await;
    wait_for(&env, "the server", async || put(&front, "/album", &[]).await).await;
    wait_for(&env, "an export", async || all.load(SeqCst) > 0).await;
    let begun = env.now();
    for number in 0..50 {
        assert!(put(&front, &format!("/album/{number}"), b"small").await);
    }
    assert!(scrape(&env, &health).await.len() > 20);
    let took = env.now().since(begun);
    assert!(took < Duration::from_secs(30), "{took:?}");
    // One is given up before the next begins.
    wait_for(&env, "another export", async || all.load(SeqCst) > 1).await;
    let stopping = env.now();
    server.stop(&env).await;
    let took = env.now().since(stopping);
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert!(most.load(SeqCst) <= 2, "{most:?} connections at a time");
    let log = log_of(folder.path(), "server");
    assert_eq!(log.matches("the collector takes no metrics").count(), 1, "{log}");
}

#[test]
fn settings_of_the_export_are_checked() {
    let parse = |words: &[&str]| {
        let words = ["ashlar", "server", "data"].iter().chain(words);
        ashlar::command().try_get_matches_from(words).is_ok()
    };
    assert!(parse(&["--otlp-metrics-endpoint", "http://collector:4318", "--otlp-metrics-interval", "15"]));
    assert!(!parse(&["--otlp-metrics-endpoint", "https://collector:4318"]));
    for bad in ["0", "3601", "-1", "often"] {
        assert!(!parse(&[&format!("--otlp-metrics-interval={bad}")]), "{bad}");
    }
}
