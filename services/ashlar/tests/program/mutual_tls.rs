//! A cluster of processes that speak TLS to each other by certificates: it serves S3, nothing of it can be read on the way, and whoever
//! has no certificate, another authority's, or that of another service is refused.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bytes::Bytes;
use chunk_api::{
    ChunkService, ListShards,
    client::{Caller, Client as ChunkClient, ClientOptions},
};
use env::Env;
use http::Method;
use metadata_api::{Error as MetadataError, Metadata, Token};
use s3_client::Access;
use serde_json::Value;
use service_kit::{ClusterSecret, ClusterTls, ClusterTlsConfig};
use tempfile::TempDir;
use types::Role;

use crate::{
    process::{self, ACCESS_KEY, SECRET, SECRET_KEY, Service, access, free_address, send, wait_for},
    tap::Tap,
};

const CONTENT: &[u8] = b"words that nobody on the way may read ";

/// The program with this role's certificate, or without one.
fn program(certificates: &Path, role: Option<&str>, words: &[&str]) -> Command {
    let mut command = process::program(words);
    if let Some(role) = role {
        command.env("ASHLAR_CLUSTER_TLS_CERT", certificates.join(format!("{role}.crt")));
        command.env("ASHLAR_CLUSTER_TLS_KEY", certificates.join(format!("{role}.key")));
        command.env("ASHLAR_CLUSTER_TLS_CA", certificates.join("ca.crt"));
    }
    command
}

fn run(certificates: &Path, role: Option<&str>, words: &[&str]) -> Output {
    program(certificates, role, words).output().expect("the program runs")
}

fn make_certificates(folder: &Path) {
    let made = run(folder, None, &["admin", "certificates", &folder.display().to_string()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Where services are reached, past the taps.
struct Cluster {
    metadata: String,
    chunk: String,
    gateway: String,
    health: [String; 4],
    taps: [Tap; 2],
    certificates: PathBuf,
    folder: TempDir,
    _services: Vec<Service>,
}

impl Cluster {
    async fn start(env: &Env) -> Self {
        let folder = TempDir::with_prefix("ashlar-tls-").expect("a folder for temporary files");
        let certificates = folder.path().join("certificates");
        make_certificates(&certificates);
        let path = |name: &str| folder.path().join(name).display().to_string();
        let [metadata, chunk, gateway] =
            [free_address(env).await, free_address(env).await, free_address(env).await];
        let taps = [Tap::start(env, &metadata).await, Tap::start(env, &chunk).await];
        let mut health = [const { String::new() }; 4];
        for address in &mut health {
            *address = free_address(env).await;
        }
        let database = format!("sqlite:{}", path("metadata.sqlite"));
        let data = [path("1"), path("2"), path("3")].join(",");
        let by = taps[0].address.as_str();
        let words: [&[&str]; 4] = [
            &["metadata", "--listen", &metadata, "--database-url", &database, "--standard-coding", "2+1"],
            &[
                "chunk",
                "--listen",
                &chunk,
                "--advertise",
                &taps[1].address,
                "--metadata",
                by,
                "--data",
                &data,
            ],
            &["gateway", "--listen", &gateway, "--metadata", by, "--operator-changes"],
            &["worker", "--metadata", by],
        ];
        let start = |(words, health): (&&[&str], &String)| {
            let role = words[0];
            let words = [words, &["--health-listen", health.as_str()][..]].concat();
            Service::spawn(program(&certificates, Some(role), &words), folder.path(), role)
        };
        let services = words.iter().zip(&health).map(start).collect();
        Self { metadata, chunk, gateway, health, taps, certificates, folder, _services: services }
    }

    /// TLS with this role's certificate.
    async fn tls(&self, env: &Env, certificates: &Path, role: &str) -> ClusterTls {
        let path = |name: String| Some(certificates.join(name));
        let config = ClusterTlsConfig {
            certificate: path(format!("{role}.crt")),
            key: path(format!("{role}.key")),
            ca: Some(self.certificates.join("ca.crt")),
        };
        config.load(env, None).await.expect("certificates that can be used").expect("TLS")
    }

    fn metadata(&self, env: Env) -> impl Metadata {
        let secret: ClusterSecret = SECRET.parse().expect("long enough");
        let token = Token::new(&secret.token("metadata")).expect("a token");
        metadata_api::client::connect(env, vec![self.metadata.clone()], token).expect("an address")
    }

    fn chunk(&self, env: Env) -> impl ChunkService {
        let secret: ClusterSecret = SECRET.parse().expect("long enough");
        // Tokens for everything, so that certificates alone refuse.
        let caller = Caller::derived(Role::ALL.into_iter().collect(), |audience| secret.token(audience));
        ChunkClient::new(env, self.chunk.as_str(), caller, ClientOptions::default())
    }
}

/// Status line and all that follows, of the answer to a plain request.
async fn fetch(env: &Env, address: &str, path: &str) -> Option<String> {
    let (head, body) = process::fetch(env, address, path, "").await?;
    Some(format!("{head}\r\n\r\n{body}"))
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_speaks_tls_and_knows_who_calls() {
    let env = Env::real();
    let cluster = Cluster::start(&env).await;
    let front = access(&env, &cluster.gateway).await;
    // Larger than what is kept in the database, so that shards go to disks.
    let content = Bytes::from(CONTENT.repeat(4000));
    wait_for(&env, "a cluster that takes objects", async || {
        let put = send(&front, Method::PUT, "/bucket", Bytes::new()).await.is_ok();
        put && send(&front, Method::PUT, "/bucket/key", content.clone()).await.is_ok()
    })
    .await;
    let read = send(&front, Method::GET, "/bucket/key", Bytes::new()).await.expect("the object");
    assert_eq!(read.body, content);

    // Nothing of it went over the wire in the clear: neither bytes nor names nor the tokens that are in every call.
    let secret: ClusterSecret = SECRET.parse().expect("long enough");
    for (tap, audience, words) in
        [(&cluster.taps[0], "metadata", "ashlar.metadata"), (&cluster.taps[1], "chunk", "HTTP/1.1")]
    {
        let seen = tap.seen();
        assert!(seen.len() > 10_000, "{audience}: {} bytes", seen.len());
        // A handshake, RFC 8446, section 5.1.
        assert_eq!(seen[..2], [22, 3], "{audience}");
        for text in [
            &CONTENT[..20],
            b"bucket",
            b"Ashlar-Capability",
            secret.token(audience).as_bytes(),
            words.as_bytes(),
        ] {
            assert!(!holds(&seen, text), "{audience}: {}", String::from_utf8_lossy(text));
        }
    }

    refuses_strangers(&env, &cluster).await;
    refuses_other_services(&env, &cluster).await;
    answers_operators(&env, &cluster).await;
    reads_the_same_of_a_gateway(&cluster);
    takes_changes_from_gateways_of_operators(&env, &cluster, &front).await;
}

/// Callers that know the secret and have no certificate, or one of an authority of their own.
async fn refuses_strangers(env: &Env, cluster: &Cluster) {
    let others = cluster.folder.path().join("others");
    make_certificates(&others);
    // Its own authority is replaced by the cluster's, so that only the cluster has a reason to refuse.
    let own = ClusterTlsConfig {
        certificate: Some(others.join("gateway.crt")),
        key: Some(others.join("gateway.key")),
        ca: Some(cluster.certificates.join("ca.crt")),
    };
    assert!(own.load(env, None).await.is_err(), "it finds out by itself");
    let foreign = ClusterTlsConfig { ca: Some(others.join("ca.crt")), ..own };
    let foreign = foreign.load(env, None).await.expect("usable among themselves").expect("TLS");
    for (reached, what) in [(None, "no TLS"), (Some(foreign), "another authority's")] {
        let reaching = |role| reached.as_ref().map_or_else(|| env.clone(), |tls| tls.reaching(env, role));
        let metadata = cluster.metadata(reaching(Role::Metadata));
        let refused = metadata.ready().await.expect_err(what);
        assert!(matches!(refused, MetadataError::Unavailable { .. }), "{what}: {refused}");
        let chunk = cluster.chunk(reaching(Role::Chunk));
        let refused = chunk.disks().await.expect_err(what);
        assert!(
            matches!(refused, chunk_api::Error::Unavailable { .. } | chunk_api::Error::TimedOut),
            "{what}: {refused}"
        );
    }
}

/// Services of the cluster that call what is not theirs.
async fn refuses_other_services(env: &Env, cluster: &Cluster) {
    let tls = async |role: &str| cluster.tls(env, &cluster.certificates, role).await;
    let gateway = tls("gateway").await;
    let metadata = cluster.metadata(gateway.reaching(env, Role::Metadata));
    metadata.ready().await.expect("a gateway may ask that");
    let refused = metadata.take_garbage(1).await.expect_err("only workers free what is deleted");
    assert!(matches!(refused, MetadataError::Forbidden { .. }), "{refused}");
    assert!(refused.to_string().contains("that of gateway, and the call is for worker"), "{refused}");

    let chunk = cluster.chunk(gateway.reaching(env, Role::Chunk));
    let disk = chunk.disks().await.expect("a gateway may ask that")[0].disk;
    let refused = chunk.list_shards(disk, ListShards::all(None, 10)).await.expect_err("only for audits");
    assert!(matches!(refused, chunk_api::Error::Forbidden { .. }), "{refused}");

    // A chunk service reads no shards of another, nor any object.
    let stolen = tls("chunk").await;
    let metadata = cluster.metadata(stolen.reaching(env, Role::Metadata));
    metadata.cluster_map(None).await.expect("it has to know the map");
    let name = types::BucketName::new("bucket").expect("a name");
    assert!(matches!(metadata.get_bucket(&name).await, Err(MetadataError::Forbidden { .. })));
    let chunk = cluster.chunk(stolen.reaching(env, Role::Chunk));
    let refused = chunk.list_shards(disk, ListShards::all(None, 10)).await.expect_err("none of its business");
    assert!(matches!(refused, chunk_api::Error::Forbidden { .. }), "{refused}");
    let worker = tls("worker").await;
    let shards = cluster.chunk(worker.reaching(env, Role::Chunk));
    let shards = shards.list_shards(disk, ListShards::all(None, 10)).await.expect("a worker's business");
    let cells = chunk_api::CellRange { first: 0, count: 1 };
    let refused =
        chunk.read_cells(disk, shards[0].header.shard, cells).await.expect_err("not its own either");
    assert!(matches!(refused, chunk_api::Error::Forbidden { .. }), "{refused}");
}

/// Health, metrics and tools.
async fn answers_operators(env: &Env, cluster: &Cluster) {
    let monitor = cluster.tls(env, &cluster.certificates, "monitor").await;
    let gateway = cluster.tls(env, &cluster.certificates, "gateway").await;
    let roles = [Role::Metadata, Role::Chunk, Role::Gateway, Role::Worker];
    for (role, health) in roles.into_iter().zip(&cluster.health) {
        let plain = fetch(env, health, "/health/live").await.unwrap_or_default();
        assert!(!plain.contains("HTTP/1.1 200"), "{role}: {plain}");
        let told = fetch(&monitor.reaching(env, role), health, "/metrics").await.expect("an answer");
        assert!(told.contains("ashlar_tls_certificate_end_seconds{usage=\"cluster\"}"), "{role}: {told}");
        if role == Role::Chunk {
            assert!(told.contains("ashlar_chunk_calls_refused_total{reason=\"role\"} 3"), "{told}");
        }
        let refused = fetch(&gateway.reaching(env, role), health, "/metrics").await.expect("an answer");
        assert!(refused.starts_with("HTTP/1.1 403"), "{role}: {refused}");
        let url = format!("https://{health}/health/ready");
        let checked = run(&cluster.certificates, Some(role.name()), &["admin", "health", &url]);
        assert!(checked.status.success(), "{role}: {}", String::from_utf8_lossy(&checked.stderr));
    }
    let status = ["admin", "status", "--metadata", &cluster.metadata];
    let shown = run(&cluster.certificates, Some("admin"), &status);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(!run(&cluster.certificates, None, &status).status.success(), "without a certificate");
    let refused = run(
        &cluster.certificates,
        Some("monitor"),
        &["admin", "class", "list", "--metadata", &cluster.metadata],
    );
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("admin.ashlar.internal"), "{error}");
    let explained = run(
        &cluster.certificates,
        Some("admin"),
        &["admin", "explain", "--last", "--gateway", &cluster.health[2]],
    );
    assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
}

/// What changes from one reading to the next.
const VOLATILE: [&str; 4] = ["available_bytes", "fullest_disk_bytes", "observed_seconds", "jobs"];

fn without_volatile(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            fields.values_mut().for_each(without_volatile);
        }
        Value::Array(items) => items.iter_mut().for_each(without_volatile),
        _ => {}
    }
}

/// Whoever has no certificate and may ask a gateway reads the same as one who has the operator's.
fn reads_the_same_of_a_gateway(cluster: &Cluster) {
    let endpoint = format!("http://{}", cluster.gateway);
    let as_root = ["--endpoint", &endpoint, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
    for words in [
        &["status"][..],
        &["node", "list"],
        &["disk", "list"],
        &["class", "list"],
        &["bucket", "list"],
        &["repair", "status"],
        &["durability", "--annual-failure-rate", "0.5", "--repair-hours", "2"],
    ] {
        let words = [&["admin"], words].concat();
        let read = |role: Option<&str>, from: &[&str]| {
            let done = run(&cluster.certificates, role, &[&words, from, &["--json"]].concat());
            assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
            let mut read = serde_json::from_slice(&done.stdout).expect("JSON");
            without_volatile(&mut read);
            read
        };
        let direct: Value = read(Some("admin"), &["--metadata", &cluster.metadata]);
        assert_eq!(read(None, &as_root), direct, "{words:?}");
        assert!(!direct.to_string().contains(SECRET), "{words:?}");
        let table = run(&cluster.certificates, None, &[&words, &as_root[..]].concat());
        assert!(table.status.success() && !table.stdout.is_empty(), "{words:?}");
    }
    for (from, told) in [
        (&["--endpoint", &endpoint][..], "no credentials"),
        (
            &["--endpoint", &endpoint, "--access-key", ACCESS_KEY, "--secret-key", "wrong"],
            "SignatureDoesNotMatch",
        ),
        (
            &["--endpoint", "http://127.0.0.1:1", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY],
            "--endpoint",
        ),
    ] {
        let refused = run(&cluster.certificates, None, &[&["admin", "status"], from].concat());
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && error.contains(told), "{error}");
    }
    let waiting = [&["admin", "repair", "status", "--wait"], &as_root[..]].concat();
    let refused = run(&cluster.certificates, None, &waiting);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--metadata"));
}

/// A gateway whose certificate is one of gateways alone changes nothing for an operator, whatever its settings say.
async fn takes_changes_from_gateways_of_operators(env: &Env, cluster: &Cluster, front: &Access) {
    let (target, quota) = ("/_ashlar/v1/buckets/bucket/quota", Bytes::from_static(b"{\"objects\": 9}"));
    let refused =
        send(front, Method::PUT, target, quota.clone()).await.err().expect("not by this certificate");
    assert_eq!(refused.code(), "AccessDenied", "{refused}");
    let folder = cluster.certificates.display().to_string();
    let words = ["admin", "certificates", &folder, "--role", "gateway", "--operating-gateways"];
    assert!(run(&cluster.certificates, None, &words).status.success());
    let address = free_address(env).await;
    let words = ["gateway", "--listen", &address, "--metadata", &cluster.metadata, "--operator-changes"];
    let command = program(&cluster.certificates, Some("gateway"), &words);
    let _other = Service::spawn(command, cluster.folder.path(), "other");
    let other = access(env, &address).await;
    wait_for(env, "a change", async || send(&other, Method::PUT, target, quota.clone()).await.is_ok()).await;
}

/// A service that is given another's certificate says so, and does not start.
#[tokio::test]
async fn a_service_does_not_start_with_anothers_certificate() {
    let folder = TempDir::with_prefix("ashlar-tls-").expect("a folder for temporary files");
    make_certificates(folder.path());
    let database = format!("sqlite:{}", folder.path().join("metadata.sqlite").display());
    let words = [
        "metadata",
        "--listen",
        "127.0.0.1:0",
        "--health-listen",
        "127.0.0.1:0",
        "--database-url",
        &database,
    ];
    let refused = run(folder.path(), Some("gateway"), &words);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("metadata.ashlar.internal"), "{error}");
}
