//! What services tell on `/metrics`: of a cluster of processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use bytes::Bytes;
use env::Env;
use http::Method;
use service_kit::ClusterTlsConfig;
use tempfile::TempDir;
use types::Role;

use crate::process::{Service, access, fetch, free_address, run, send, wait_for};

const LIST: &str = include_str!("../../../../docs/metrics.md");

/// What the document says of a metric.
pub(crate) struct Documented {
    pub(crate) kind: &'static str,
    pub(crate) unit: &'static str,
}

/// Every metric of `docs/metrics.md`, by its name.
pub(crate) fn documented() -> BTreeMap<&'static str, Documented> {
    let rows = LIST.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let mut next = || cells.next().expect("a cell");
        let name = next().trim_end_matches('`');
        (name, Documented { kind: next(), unit: next() })
    })
    .collect()
}

/// What a service tells, by series.
#[derive(Debug)]
struct Scrape {
    text: String,
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(env: &Env, address: &str) -> Self {
        let (head, text) = fetch(env, address, "/metrics", "").await.expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
        let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(of) = line.strip_prefix("# TYPE ") {
                let (name, kind) = of.split_once(' ').expect("a type");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is there twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                let value = value.parse().expect(line);
                assert!(series.insert(name.to_owned(), value).is_none(), "{name} is there twice");
            }
        }
        Self { text, types, series }
    }

    fn get(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// The sum of the series that begin so.
    fn sum(&self, beginning: &str) -> f64 {
        self.series.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, value)| value).sum()
    }

    /// Prometheus's own judgement.
    fn check(&self) {
        let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
        let mut promtool = promtool.expect("promtool is installed, which tests/lib/install does");
        let mut input = promtool.stdin.take().expect("a pipe");
        input.write_all(self.text.as_bytes()).expect("it reads");
        drop(input);
        assert!(promtool.wait().expect("it ends").success(), "promtool finds fault");
    }
}

/// The services of a cluster, by the address of each one's metrics.
struct Cluster {
    gateway: String,
    health: BTreeMap<&'static str, String>,
    _services: Vec<Service>,
    _folder: TempDir,
}

impl Cluster {
    async fn start(env: &Env) -> Self {
        let folder = TempDir::with_prefix("ashlar-metrics-").expect("a folder for temporary files");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (metadata, chunk, gateway) =
            (free_address(env).await, free_address(env).await, free_address(env).await);
        let mut health = BTreeMap::new();
        for service in ["metadata", "chunk", "gateway", "worker"] {
            health.insert(service, free_address(env).await);
        }
        let database = format!("sqlite:{}", path("metadata.sqlite"));
        let data = [path("1"), path("2"), path("3")].join(",");
        let audit_log = path("decisions.log");
        let words: [&[&str]; 4] = [
            &["metadata", "--listen", &metadata, "--database-url", &database, "--standard-coding", "2+1"],
            &["chunk", "--listen", &chunk, "--metadata", &metadata, "--data", &data],
            &["gateway", "--listen", &gateway, "--metadata", &metadata, "--audit-log", &audit_log],
            &["worker", "--metadata", &metadata],
        ];
        let start = |words: &&[&str]| {
            let words = [words, &["--health-listen", health[words[0]].as_str()][..]].concat();
            Service::start(folder.path(), &words)
        };
        let services = words.iter().map(start).collect();
        Self { gateway, health, _services: services, _folder: folder }
    }

    async fn scrape(&self, env: &Env, service: &str) -> Scrape {
        Scrape::of(env, &self.health[service]).await
    }

    /// What the gateway tells once all of its requests have ended and so many shards were written: a client has its answer
    /// before the server goes on, and the last shard of an object may be late.
    async fn at_rest(&self, env: &Env, shards: f64) -> Scrape {
        let mut scrape = self.scrape(env, "gateway").await;
        wait_for(env, "the end of the requests", async || {
            scrape = self.scrape(env, "gateway").await;
            scrape.get("ashlar_s3_requests_in_flight") == 0.0
                && scrape.sum("ashlar_pool_shard_writes_total{") >= shards
        })
        .await;
        scrape
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_tells_exactly_what_was_asked_of_it() {
    let env = Env::real();
    let cluster = Cluster::start(&env).await;
    let front = access(&env, &cluster.gateway).await;
    let is_ready = async || {
        let put = send(&front, Method::PUT, "/bucket-of-a-client", Bytes::new()).await.is_ok();
        put && send(&front, Method::PUT, "/bucket-of-a-client/first", body(0)).await.is_ok()
    };
    wait_for(&env, "the cluster", is_ready).await;

    let before = cluster.at_rest(&env, 3.0).await;
    let metadata_before = cluster.scrape(&env, "metadata").await;
    let chunk_before = cluster.scrape(&env, "chunk").await;
    for number in 0..5 {
        let target = format!("/bucket-of-a-client/key-{number}");
        send(&front, Method::PUT, &target, body(number)).await.unwrap();
    }
    for number in 0..3 {
        let target = format!("/bucket-of-a-client/key-{number}");
        assert!(send(&front, Method::GET, &target, Bytes::new()).await.unwrap().body == body(number));
    }
    for name in ["nothing", "nowhere"] {
        let target = format!("/bucket-of-a-client/{name}");
        assert!(send(&front, Method::GET, &target, Bytes::new()).await.is_err());
    }
    assert!(
        send(&front, Method::GET, "/no-such-bucket-of-a-client?list-type=2", Bytes::new()).await.is_err()
    );

    let after = cluster.at_rest(&env, before.sum("ashlar_pool_shard_writes_total{") + 15.0).await;
    let grown = |series: &str| after.get(series) - before.get(series);
    assert_eq!(grown("ashlar_s3_requests_total{operation=\"PutObject\",status=\"2xx\"}"), 5.0);
    assert_eq!(grown("ashlar_s3_requests_total{operation=\"GetObject\",status=\"2xx\"}"), 3.0);
    assert_eq!(grown("ashlar_s3_requests_total{operation=\"GetObject\",status=\"4xx\"}"), 2.0);
    assert_eq!(grown("ashlar_s3_requests_total{operation=\"ListObjectsV2\",status=\"4xx\"}"), 1.0);
    assert_eq!(after.sum("ashlar_s3_requests_total{") - before.sum("ashlar_s3_requests_total{"), 11.0);
    assert_eq!(grown("ashlar_s3_errors_total{code=\"NoSuchKey\"}"), 2.0);
    assert_eq!(grown("ashlar_s3_errors_total{code=\"NoSuchBucket\"}"), 1.0);
    assert_eq!(grown("ashlar_s3_request_duration_seconds_count{operation=\"PutObject\"}"), 5.0);
    assert_eq!(grown("ashlar_s3_request_duration_seconds_count{operation=\"GetObject\"}"), 5.0);
    assert_eq!(grown("ashlar_s3_received_bytes_total"), 5.0 * LENGTH as f64);
    let sent = grown("ashlar_s3_sent_bytes_total");
    assert!(sent > 3.0 * LENGTH as f64 && sent < 3.0 * LENGTH as f64 + 3000.0, "{sent}");
    for by in ["client", "server"] {
        assert_eq!(grown(&format!("ashlar_s3_requests_broken_off_total{{by=\"{by}\"}}")), 0.0);
    }
    // What was asked tells of its failures before there is one.
    let failures = "ashlar_s3_requests_total{operation=\"ListObjectsV2\",status=\"5xx\"}";
    assert_eq!(after.series.get(failures), Some(&0.0));
    assert_eq!(grown("ashlar_pool_shard_writes_total{result=\"ok\"}"), 15.0);
    // The buckets and objects that are there, and those that are not.
    let lines = "ashlar_audit_lines_written_total";
    wait_for(&env, "the lines of ten decisions", async || {
        cluster.scrape(&env, "gateway").await.get(lines) - before.get(lines) >= 10.0
    })
    .await;
    assert_eq!(after.get("ashlar_audit_lines_dropped_total"), 0.0);
    assert!(grown("ashlar_pool_shard_reads_total{result=\"ok\"}") >= 6.0);

    let metadata = cluster.scrape(&env, "metadata").await;
    let grown = |series: &str| metadata.get(series) - metadata_before.get(series);
    let commits = "method=\"Versions/CommitVersion\"";
    assert_eq!(grown(&format!("ashlar_metadata_calls_total{{{commits},code=\"OK\"}}")), 5.0);
    assert_eq!(grown(&format!("ashlar_metadata_call_duration_seconds_count{{{commits}}}")), 5.0);
    let lookups = "ashlar_metadata_calls_total{method=\"Versions/GetVersion\",code=\"NOT_FOUND\"}";
    assert_eq!(grown(lookups), 2.0);
    assert_eq!(grown("ashlar_metadata_commit_batches_total{result=\"committed\"}"), 5.0);
    assert_eq!(grown("ashlar_metadata_commit_batch_mutations_sum"), 5.0);
    assert!(grown("ashlar_database_statements_total{result=\"ok\"}") >= 10.0);
    assert_eq!(metadata.get("ashlar_database_connections_max{pool=\"writer\"}"), 1.0);

    let chunk = cluster.scrape(&env, "chunk").await;
    let grown = |series: &str| chunk.get(series) - chunk_before.get(series);
    assert_eq!(grown("ashlar_chunk_calls_total{call=\"put_shard\",result=\"ok\"}"), 15.0);
    assert_eq!(grown("ashlar_chunk_call_duration_seconds_count{call=\"put_shard\"}"), 15.0);
    assert!(grown("ashlar_chunk_written_bytes_total") >= 1.5 * 5.0 * LENGTH as f64);
    assert!(grown("ashlar_chunk_read_bytes_total") >= 3.0 * LENGTH as f64);
    assert_eq!(chunk.sum("ashlar_disk_shards{") - chunk_before.sum("ashlar_disk_shards{"), 15.0);
    assert!(chunk.sum("ashlar_disk_sync_duration_seconds_count{") > 0.0);
    assert_eq!(chunk.sum("ashlar_disk_writable{"), 3.0);
    assert!(chunk.sum("ashlar_disk_capacity_bytes{") > chunk.sum("ashlar_disk_available_bytes{"));

    let mut worker = cluster.scrape(&env, "worker").await;
    wait_for(&env, "the jobs", async || {
        worker = cluster.scrape(&env, "worker").await;
        worker.sum("ashlar_worker_job_held{") == 9.0 && worker.get("ashlar_leases{state=\"live\"}") == 2.0
    })
    .await;
    assert_eq!(worker.get("ashlar_cluster_disks{state=\"up\"}"), 3.0);
    assert_eq!(worker.get("ashlar_cluster_nodes{state=\"up\"}"), 1.0);

    let mut told = BTreeMap::new();
    for service in cluster.health.keys() {
        let scrape = cluster.scrape(&env, service).await;
        scrape.check();
        assert!(scrape.get("process_resident_memory_bytes") > 1e6 && scrape.get("process_open_fds") > 3.0);
        assert!(scrape.sum(&format!("ashlar_build_info{{service=\"{service}\"")) == 1.0);
        told.extend(scrape.types);
    }
    told.extend(scrape_over_tls(&env).await.types);
    for (name, documented) in documented() {
        assert_eq!(told.remove(name).as_deref(), Some(documented.kind), "{name}");
    }
    assert_eq!(told, BTreeMap::new(), "not in docs/metrics.md");
}

/// What a gateway that speaks TLS tells, which reaches no cluster.
async fn scrape_over_tls(env: &Env) -> Scrape {
    let folder = TempDir::with_prefix("ashlar-metrics-").expect("a folder for temporary files");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=127.0.0.1", "-keyout", &path("tls.key"), "-out", &path("tls.crt")])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = run(&["admin", "certificates", &path("cluster"), "--role", "gateway", "--role", "monitor"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let between = |role: &str| ClusterTlsConfig {
        certificate: Some(path(&format!("cluster/{role}.crt")).into()),
        key: Some(path(&format!("cluster/{role}.key")).into()),
        ca: Some(path("cluster/ca.crt").into()),
    };
    let monitor = between("monitor").load(env, None).await.expect("certificates that can be used");
    let by_tls = monitor.expect("TLS").reaching(env, Role::Gateway);
    let [nowhere, listen, health] =
        [free_address(env).await, free_address(env).await, free_address(env).await];
    let words = [
        ["--metadata", &nowhere],
        ["--listen", &listen],
        ["--health-listen", &health],
        ["--tls-cert", &path("tls.crt")],
        ["--tls-key", &path("tls.key")],
        ["--cluster-tls-cert", &path("cluster/gateway.crt")],
        ["--cluster-tls-key", &path("cluster/gateway.key")],
        ["--cluster-tls-ca", &path("cluster/ca.crt")],
    ];
    let _gateway = Service::start(folder.path(), &[&["gateway"], words.as_flattened()].concat());
    wait_for(env, "the gateway", async || fetch(&by_tls, &health, "/health/live", "").await.is_some()).await;
    Scrape::of(&by_tls, &health).await
}

const LENGTH: usize = 300_000;

fn body(number: usize) -> Bytes {
    let seed = number as u8;
    Bytes::from((0..LENGTH).map(|at| seed.wrapping_add((at % 251) as u8)).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_choose_is_in_no_label() {
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-metrics-").expect("a folder for temporary files");
    let data = folder.path().join("data").display().to_string();
    let [listen, health] = [free_address(&env).await, free_address(&env).await];
    let words = ["server", &data, "--listen", &listen, "--health-listen", &health];
    let _server = Service::start(folder.path(), &words);
    let front = access(&env, &listen).await;
    let ask = async |word: &str| {
        let method = Method::from_bytes(word.to_uppercase().as_bytes()).unwrap();
        let _ = send(&front, Method::PUT, &format!("/{word}"), Bytes::new()).await;
        let _ = send(&front, Method::PUT, &format!("/{word}/{word}"), body(1)).await;
        let _ = send(&front, Method::GET, &format!("/{word}/{word}?{word}={word}"), Bytes::new()).await;
        let _ = send(&front, Method::GET, &format!("/{word}/absent"), Bytes::new()).await;
        let _ = send(&front, method, &format!("/{word}"), Bytes::new()).await;
        let _ = fetch(&env, &listen, &format!("/{word}?Action={word}"), "").await;
    };
    wait_for(&env, "the server", async || fetch(&env, &health, "/health/ready", "").await.is_some()).await;
    wait_for(&env, "the server", async || send(&front, Method::GET, "/", Bytes::new()).await.is_ok()).await;

    ask("chosen0").await;
    let labels = |scrape: &Scrape| {
        let families =
            ["ashlar_s3_", "ashlar_pool_", "ashlar_chunk_", "ashlar_metadata_", "ashlar_database_"];
        let names =
            scrape.series.keys().filter(|name| families.iter().any(|family| name.starts_with(family)));
        names.cloned().collect::<BTreeSet<String>>()
    };
    let first = Scrape::of(&env, &health).await;
    for number in 1..20 {
        ask(&format!("chosen{number}")).await;
    }
    let last = Scrape::of(&env, &health).await;
    assert_eq!(labels(&first), labels(&last));
    assert!(!last.text.to_lowercase().contains("chosen"), "{}", last.text);
    last.check();

    // Clients are not told.
    let (head, _) = fetch(&env, &listen, "/metrics", "").await.unwrap();
    assert!(!head.starts_with("HTTP/1.1 200"), "{head}");
}

/// Changes a byte in each file of shards that reaches so far.
#[expect(clippy::disallowed_methods, reason = "the medium does what no service does")]
fn damage(folder: &Path, offset: u64) -> usize {
    use std::os::unix::fs::FileExt as _;

    let mut damaged = 0;
    for entry in std::fs::read_dir(folder).expect("the disk's folder") {
        let path = entry.expect("a file of the disk").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path);
        if let (true, Ok(file)) = (name.ends_with(".segment"), file) {
            let mut byte = [0];
            if file.read_exact_at(&mut byte, offset).is_ok() && byte != [0] {
                file.write_all_at(&[!byte[0]], offset).expect("a byte can be changed");
                damaged += 1;
            }
        }
    }
    damaged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_the_server_breaks_off_is_told_from_one_that_its_client_leaves() {
    const MIB: usize = 1 << 20;
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-metrics-").expect("a folder for temporary files");
    let data = folder.path().join("data").display().to_string();
    let [listen, health] = [free_address(&env).await, free_address(&env).await];
    let words = ["server", &data, "--listen", &listen, "--health-listen", &health];
    let _server = Service::start(folder.path(), &words);
    let front = access(&env, &listen).await;
    wait_for(&env, "the server", async || {
        send(&front, Method::PUT, "/bucket-of-a-client", Bytes::new()).await.is_ok()
    })
    .await;
    let large = Bytes::from(vec![1; 16 * MIB]);
    send(&front, Method::PUT, "/bucket-of-a-client/large", large).await.unwrap();
    let get = async || send(&front, Method::GET, "/bucket-of-a-client/large", Bytes::new()).await;
    assert_eq!(get().await.unwrap().body.len(), 16 * MIB);

    assert_eq!(damage(&folder.path().join("data/shards"), 14 * MIB as u64), 1);
    assert!(get().await.is_err());
    let of = |scrape: &Scrape, by: &str| {
        scrape.get(&format!("ashlar_s3_requests_broken_off_total{{by=\"{by}\"}}"))
    };
    let mut scrape = Scrape::of(&env, &health).await;
    wait_for(&env, "the end of the request", async || {
        scrape = Scrape::of(&env, &health).await;
        of(&scrape, "server") >= 1.0
    })
    .await;
    assert_eq!(of(&scrape, "client"), 0.0);
    // Its head had been sent.
    assert!(scrape.get("ashlar_s3_requests_total{operation=\"GetObject\",status=\"2xx\"}") >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_public_if_the_operator_wants_that() {
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-metrics-").expect("a folder for temporary files");
    let data = folder.path().join("data").display().to_string();
    let listen = free_address(&env).await;
    let _server = Service::start(folder.path(), &["server", &data, "--listen", &listen, "--metrics-public"]);
    wait_for(&env, "the server", async || fetch(&env, &listen, "/health/ready", "").await.is_some()).await;
    let scrape = Scrape::of(&env, &listen).await;
    assert_eq!(scrape.sum("ashlar_build_info{service=\"server\""), 1.0);
    scrape.check();
}
