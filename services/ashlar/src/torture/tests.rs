//! Runs against a real server in this process: a good one is not blamed, and what is done behind its back is seen.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use clap::Parser;
use env::{Env, Task};
use gateway::FrontConfig;
use serde_json::Value;
use service_kit::{Secret, Shutdown, ShutdownTrigger, shutdown_channel};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Args, TortureError,
    args::Command,
    chance::Chance,
    drive::Drive,
    faults::Target,
    findings::{Finding, Kind},
    history::Outcome::Acknowledged,
    judge::judge,
    keys::{Bucket, Key, Use},
    local::{Cluster, LocalError},
    plan::{PART, Part, Plan, Step, Upload},
    player::Player,
    readback::read_back,
    requests::{OnlyIf, Place, Requests},
    stage::Stage,
    values::ValueId,
    workload::{Ended, Workload, make_buckets},
};
use crate::embedded::{Embedded, EmbeddedConfig};
use s3_client::{Connect, Endpoint};

const PLAN: Plan = Plan { seed: 11, keys: 8, size_max: 1 << 20 };

/// `ashlar server` on a folder of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    stop: ShutdownTrigger,
    task: Task<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on(TempDir::with_prefix("ashlar-torture-").unwrap()).await
    }

    /// Stops it, does something to its folder, and starts it again.
    pub(crate) async fn restarted(self, between: impl FnOnce(&Path)) -> Self {
        let Self { folder, stop, task, .. } = self;
        stop.begin();
        task.await.unwrap();
        between(folder.path());
        Self::on(folder).await
    }

    async fn on(folder: TempDir) -> Self {
        let config = EmbeddedConfig {
            data: vec![folder.path().join("1"), folder.path().join("2")],
            front: FrontConfig {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                region: "us-east-1".to_owned(),
                domain: Vec::new(),
                trusted_proxies: Vec::new(),
                object_ownership: gateway::ObjectOwnership::BucketOwnerEnforced,
                website_address: None,
                website_domain: Vec::new(),
                tls_cert: None,
                tls_key: None,
                encryption_keys: None,
                kms: Default::default(),
                customer_keys_over_http: false,
                operator_changes: false,
                signature_v2: false,
                health_listen: None,
                metrics_public: false,
                access_log_interval_seconds: 300,
                audit_log: None,
                audit_log_token_file: None,
                oidc_private_hosts: Vec::new(),
                oidc_ca: None,
                body_rate_min: 1024,
                rates: Default::default(),
                restore_delay_seconds: 0,
                connections_max: 1_000,
            },
            coding: None,
            garbage_hold: Duration::from_secs(5),
            forget_access_keys: false,
            root: Some(("tester".to_owned(), Secret::new("password-of-tests"))),
            lifecycle: Default::default(),
            scrub: Default::default(),
            audit: Default::default(),
        };
        let env = Env::real();
        let embedded = Embedded::start(env.clone(), config).await.unwrap();
        let address = embedded.address();
        let (stop, shutdown) = shutdown_channel();
        let task = env.spawn(embedded.run(shutdown));
        Self { address, folder, stop, task }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A run that can be gone through by hand.
    async fn stage(&self) -> Arc<Stage> {
        let connect = Connect::new(sigv4::Credentials {
            access_key_id: "tester".to_owned(),
            secret_access_key: "password-of-tests".to_owned(),
            session_token: None,
        });
        let endpoint = Endpoint::parse(&format!("http://{}", self.address)).unwrap();
        let access = connect.access(&Env::real(), endpoint).await.unwrap();
        let stage = Arc::new(Stage::new(&Env::real(), vec![access], "hand"));
        make_buckets(&stage).await.unwrap();
        stage
    }
}

/// `ashlar torture run` at an address; its line, and how it ended.
pub(crate) async fn torture(address: SocketAddr, words: &[&str]) -> (Value, Result<(), TortureError>) {
    let endpoint = format!("http://{address}");
    let common = ["torture", "run", "--endpoint", &endpoint, "--access-key", "tester"];
    let common = common.into_iter().chain(["--secret-key", "password-of-tests", "--seed", "5"]);
    let args = Args::try_parse_from(common.chain(words.iter().copied())).unwrap();
    let Command::Run(args) = args.command else { panic!("it is a run") };
    let (env, clear, audited) = (Env::real(), !args.keep(), args.audited());
    let (settings, endpoints, connect, commands) = args.check(&env).unwrap();
    let accesses = vec![connect.access(&env, endpoints[0].clone()).await.unwrap()];
    let target = Target::Foreign(commands);
    let drive = Drive { env, scenario: "run", settings, accesses, target, audited, clear };
    let (_trigger, shutdown) = shutdown_channel();
    let mut out = Vec::new();
    let result = drive.run(&shutdown, &mut out).await;
    (serde_json::from_slice(&out).unwrap_or(Value::Null), result)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_server_is_not_blamed_and_nothing_is_left_behind() {
    let server = Server::start().await;
    let stage = server.stage().await;
    let words = ["--operations", "400", "--keys", "8", "--clients", "6", "--size-max", "2MiB"];
    let (line, result) = torture(server.address, &words).await;
    result.unwrap();
    for field in ["lost", "wrong", "stale", "resurrected", "unknown"] {
        assert_eq!(line[field], 0, "{field}: {line}");
    }
    assert!(line["acked"].as_u64().unwrap() >= 400, "{line}");
    assert!(line["reads"].as_u64().unwrap() >= 400, "{line}");
    assert_eq!((&line["seed"], &line["ended_by"]), (&Value::from(5), &Value::from("goal")));
    assert_eq!(line["leaked_bytes"], Value::Null);
    // Only the buckets of the test's own are there.
    let mut requests = Requests::new(&stage.accesses[0]);
    let buckets = requests.buckets().await.unwrap();
    assert_eq!(buckets, [stage.plain.clone(), stage.versioned.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_commands_and_a_failing_one_ends_the_run() {
    let server = Server::start().await;
    let (made, undone) = (server.path().join("made"), server.path().join("undone"));
    let append = |path: &Path| format!("echo x >> {}", path.display());
    let words = ["--operations", "60", "--faults", "3", "--hold-max", "5ms", "--fault-command"];
    let (fault, undo) = (append(&made), append(&undone));
    let (line, result) =
        torture(server.address, &[&words[..], &[&fault, "--recover-command", &undo]].concat()).await;
    result.unwrap();
    assert_eq!(line["commands"], 3);
    for path in [made, undone] {
        assert_eq!(Env::real().disk().read_small(&path, 100).unwrap(), b"x\nx\nx\n");
    }
    let (line, result) = torture(server.address, &[&words[..], &["false"]].concat()).await;
    assert!(matches!(result, Err(TortureError::Command { .. })), "{result:?}");
    assert_eq!(line["ended_by"], "broken");
}

/// Carries bytes to a server and back, and turns one bit in each answer that is long.
async fn flip_bits(upstream: SocketAddr) -> SocketAddr {
    let env = Env::real();
    let listener = env.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_address().unwrap();
    env.clone().spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = env.connect(&upstream.to_string()).await.unwrap();
            let (mut client_read, mut client_write) = tokio::io::split(client);
            let (mut server_read, mut server_write) = tokio::io::split(server);
            env.spawn(async move { tokio::io::copy(&mut client_read, &mut server_write).await });
            env.spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length) = server_read.read(&mut buffer).await
                    && length > 0
                {
                    if length > 32 << 10 {
                        buffer[length - 1] ^= 1;
                    }
                    if client_write.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_in_an_answer_is_wrong_bytes() {
    let server = Server::start().await;
    let tampered = flip_bits(server.address).await;
    let (line, result) = torture(tampered, &["--operations", "150", "--keys", "8", "--keep"]).await;
    assert!(line["wrong"].as_u64().unwrap() > 0, "{line}");
    assert!(matches!(result, Err(TortureError::Found { seed: 5, .. })), "{result:?}");
}

fn kinds(stage: &Stage) -> Vec<Kind> {
    let mut findings: Vec<Finding> = stage.findings();
    findings.extend(judge(stage.log.records()));
    findings.into_iter().map(|finding| finding.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_disappears_behind_its_back_is_lost() {
    let server = Server::start().await;
    let stage = server.stage().await;
    let workload = Workload { plan: PLAN, clients: 4, goal: 150, silence_max: Duration::from_secs(60) };
    let (_trigger, shutdown): (_, Shutdown) = shutdown_channel();
    let (ended, result) = workload.run(&stage, &shutdown, async { Ok(()) }).await;
    assert_eq!(ended, Ended::Goal);
    result.unwrap();
    read_back(&stage, 4, Duration::from_secs(30)).await;
    assert_eq!(kinds(&stage), []);

    let mut requests = Requests::new(&stage.accesses[0]);
    let records = stage.log.records();
    let (victim, version) = records
        .keys
        .iter()
        .find_map(|(key, history)| Some((*key, history.writes.iter().find_map(|w| w.version.clone())?)))
        .unwrap();
    requests.delete_version(&stage.versioned, &victim.name(), &version).await.unwrap();
    read_back(&stage, 4, Duration::from_secs(30)).await;
    assert!(kinds(&stage).contains(&Kind::Lost), "{:?}", kinds(&stage));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_behind_its_back_is_stale_or_resurrected() {
    let server = Server::start().await;
    for (bucket, deleted, wanted) in [
        (Bucket::Plain, true, Kind::Resurrected),
        (Bucket::Versioned, true, Kind::Resurrected),
        (Bucket::Plain, false, Kind::Stale),
    ] {
        let stage = server.stage().await;
        let key = Key { bucket, purpose: Use::Register, number: 1 };
        let mut player = Player::new(&stage, Chance::new(1, &[]).number(), 0);
        player.take(Step::Put { key, size: 5_000 }, ValueId(1)).await.unwrap();
        let replaced = if deleted { Step::Delete { key } } else { Step::Put { key, size: 6_000 } };
        player.take(replaced, ValueId(2)).await.unwrap();
        player.take(Step::Get { key }, ValueId(3)).await.unwrap();
        assert_eq!(kinds(&stage), []);
        let (name, old) = (key.name(), stage.values.get(ValueId(1)).unwrap());
        let place = Place { bucket: stage.bucket(bucket), key: &name };
        let label = stage.values.label(ValueId(1));
        let mut requests = Requests::new(&stage.accesses[0]);
        requests.put(&place, &label, stage.values.content(old), OnlyIf::Always).await.unwrap();
        player.take(Step::Get { key }, ValueId(4)).await.unwrap();
        assert_eq!(kinds(&stage), [wanted]);
        requests.delete(&place).await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_not_used() {
    let folder = TempDir::with_prefix("ashlar-torture-").unwrap();
    let path = folder.path().display().to_string();
    let args = Args::try_parse_from(["torture", "local", &path]).unwrap();
    let Command::Local(args) = args.command else { panic!("it is local") };
    let env = Env::real();
    let (_, layout) = args.check(&env).unwrap();
    env.disk().replace_small(&folder.path().join("precious"), b"data").unwrap();
    let connect = Connect::new(Cluster::credentials(&env));
    let refused = Cluster::start(&env, layout, connect).await.map(drop);
    assert!(matches!(refused, Err(LocalError::NotEmpty(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_copied_parts_and_versions_are_done_and_their_faults_seen() {
    let server = Server::start().await;
    for bucket in [Bucket::Plain, Bucket::Versioned] {
        let stage = server.stage().await;
        let key = |number| Key { bucket, purpose: Use::Register, number };
        let mut player = Player::new(&stage, 1, 0);
        player.take(Step::Put { key: key(0), size: 5_000 }, ValueId(1)).await.unwrap();
        let copied = Part::Copied { from: key(0), range: Some((100, 900)) };
        let upload = Upload { parts: vec![Part::Own(PART), copied], again: Some(0), aborted: false };
        player.take(Step::Multipart { key: key(3), upload }, ValueId(2)).await.unwrap();
        let whole = Part::Copied { from: key(0), range: None };
        let upload = Upload { parts: vec![whole], again: None, aborted: false };
        player.take(Step::Multipart { key: key(5), upload }, ValueId(3)).await.unwrap();
        player.take(Step::Rename { from: key(0), to: key(4) }, ValueId(4)).await.unwrap();
        player.take(Step::Rename { from: key(4), to: key(7) }, ValueId(5)).await.unwrap();
        let mut read = Vec::new();
        for number in [0, 3, 4, 5, 7] {
            read.push(player.read(key(number), None).await.unwrap());
        }
        assert_eq!(read, [None, Some(ValueId(2)), None, Some(ValueId(3)), Some(ValueId(1))]);
        let sizes = [2, 3].map(|id| stage.values.get(ValueId(id)).unwrap().size);
        assert_eq!(sizes, [PART + 4_000, 5_000]);
        let versions = Step::Versions { folder: key(0).folder(), after: None, limit: 2 };
        player.take(versions, ValueId(6)).await.unwrap();
        let records = stage.log.records();
        assert_eq!(
            records.renames.iter().map(|rename| rename.outcome).collect::<Vec<_>>(),
            [Acknowledged; 2]
        );
        let [listing] = &records.versions[..] else { panic!("one listing") };
        let listed: usize = listing.pages.iter().map(|page| page.entries.len()).sum();
        let wanted = if bucket == Bucket::Plain { (3, 2) } else { (7, 4) };
        assert_eq!((listed, listing.pages.len(), listing.is_whole), (wanted.0, wanted.1, true));
        assert_eq!(kinds(&stage), []);

        // As if the last rename had left its source.
        let (name, value) = (key(4).name(), stage.values.get(ValueId(1)).unwrap());
        let place = Place { bucket: stage.bucket(bucket), key: &name };
        let mut requests = Requests::new(&stage.accesses[0]);
        let label = stage.values.label(ValueId(1));
        requests.put(&place, &label, stage.values.content(value), OnlyIf::Always).await.unwrap();
        player.take(Step::Get { key: key(4) }, ValueId(7)).await.unwrap();
        let kinds = kinds(&stage);
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == Kind::Resurrected), "{kinds:?}");
    }
}
