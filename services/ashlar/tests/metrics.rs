//! What `docs/metrics.md` says of what services tell on `/metrics`. To make it anew:
//!
//! ```sh
//! ASHLAR_WRITE_DOCS=1 cargo test -p ashlar --test metrics
//! ```

use std::{collections::BTreeSet, fmt::Write as _};

use telemetry::{Kind, Metric};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");

const HEAD: &str = "\
# Metrics

Every service answers `GET /metrics` on its health listener in the text format of Prometheus, or in OpenMetrics to whoever would rather have that, as Prometheus would; [Observe a cluster](how-to/observe.md) says how to scrape them, or to have them sent by OTLP, by the same names.

Histograms of durations of requests, calls, commits and statements have an exemplar in each bucket, if traces are exported: the trace and the span of what was counted there last and is recorded.

Labels have bounded values: operations, methods, codes, states, and the ids of the cluster's own disks. None has a key, a bucket's name or anything else that a client chooses. A series of a counter or histogram
with labels that name operations, methods, calls, or codes appears when it has counted something. A counter begins at 0 with its process.

`ashlar server` has the metrics of all four services but those of calls of the metadata service, which it makes in its own process. Made from the program's own descriptions by a test; do not edit.

| metric | type | unit | labels | of | meaning |
|---|---|---|---|---|---|
";

/// Who tells of what, in the order of the document.
const TOLD: &[(&str, &[&[&Metric]])] = &[
    ("every service", &[service_kit::METRICS]),
    ("services with TLS", &[service_kit::TLS_METRICS]),
    ("gateway", &[gateway::METRICS]),
    ("gateway, worker", &[data_pool::METRICS]),
    ("metadata", &[metadata_api::server::METRICS, metadata::METRICS]),
    ("chunk", &[chunk::METRICS, chunk_api::server::METRICS, shard_store::METRICS]),
    ("worker", &[worker::METRICS]),
];

fn metrics() -> impl Iterator<Item = (&'static str, &'static Metric)> {
    TOLD.iter()
        .flat_map(|(who, lists)| lists.iter().flat_map(|list| list.iter().map(|metric| (*who, *metric))))
}

#[test]
fn the_list_of_metrics_is_up_to_date() {
    let mut text = HEAD.to_owned();
    for (who, metric) in metrics() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, unit) = (metric.name, metric.kind.name(), metric.unit().unwrap_or(""));
        writeln!(text, "| `{name}` | {kind} | {unit} | {} | {who} | {} |", labels.join(", "), metric.help)
            .expect("a string takes it");
    }
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &text).expect("the document can be written");
    } else {
        let written = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(written == text, "docs/metrics.md is stale; make it anew with ASHLAR_WRITE_DOCS=1");
    }
}

#[test]
fn names_are_used_once_and_are_as_prometheus_wants_them() {
    let mut names = BTreeSet::new();
    for (_, metric) in metrics() {
        let Metric { name, kind, labels, help } = metric;
        assert!(names.insert(*name), "{name} is there twice");
        let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(is_plain(name) && labels.iter().all(|label| is_plain(label)), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(!labels.contains(&"le") && help.ends_with('.') && !help.contains(['|', '\n']), "{name}");
    }
}
