//! Runs against a small S3 in memory: what is counted, what is noticed, what is left behind.

mod fake_s3;

use std::{
    ffi::OsStr,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    process::Command,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use env::{Clock, Env, Instant, RealClock, RealDisk, RealNetwork, RealRandom};
use serde_json::Value;
use service_kit::{Shutdown, ShutdownTrigger, shutdown_channel};

use self::fake_s3::{FakeS3, Fault};
use crate::bench::{Args, BenchError, run};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn args(words: &str) -> Args {
    Cli::try_parse_from(["bench"].into_iter().chain(words.split_whitespace())).unwrap().args
}

/// Makes a run and returns its report beside how it ended.
async fn bench(server: &FakeS3, words: &str) -> (Value, Result<(), BenchError>) {
    let (_trigger, shutdown) = shutdown_channel();
    bench_until(&hasty(), server, words, shutdown).await
}

async fn bench_until(
    env: &Env,
    server: &FakeS3,
    words: &str,
    shutdown: Shutdown,
) -> (Value, Result<(), BenchError>) {
    let common = format!("--endpoint http://{} --access-key k --secret-key s --json", server.address);
    let settings = args(&format!("{common} {words}")).check().unwrap();
    let mut out = Vec::new();
    let result = run::run(env, settings, shutdown, &mut out).await;
    (serde_json::from_slice(&out).unwrap_or(Value::Null), result)
}

/// A clock whose short waits, those after failures, are a hundredth as long; deadlines stay what they are.
struct Hasty(RealClock);

impl Clock for Hasty {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock_ms(&self) -> i64 {
        self.0.wall_clock_ms()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep(if duration <= Duration::from_secs(1) { duration / 100 } else { duration })
    }
}

fn hasty() -> Env {
    let clock = Arc::new(Hasty(RealClock::new()));
    Env::new(clock, Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(RealDisk))
}

fn nothing_is_left(server: &FakeS3) {
    assert_eq!(server.contents(), (vec![], vec![]));
}

#[tokio::test]
async fn every_operation_makes_its_requests_checks_them_and_cleans_up() {
    for (words, bytes) in [
        ("--op put --size 4KiB --requests 50 --concurrency 4", 50 * 4096),
        ("--op put --size 0 --requests 50 --objects 7 --concurrency 4", 0),
        ("--op get --size 100000 --requests 50 --objects 7 --concurrency 4", 50 * 100_000),
        ("--op get --size 3MiB --requests 5 --objects 2 --concurrency 2", 15 << 20),
        ("--op head --size 4KiB --requests 50 --objects 7 --concurrency 4", 0),
        ("--op delete --size 1KiB --requests 50 --concurrency 4", 0),
        ("--op copy --size 1MiB --requests 50 --objects 2 --concurrency 4", 50 << 20),
        ("--op range --size 3MiB --range-size 64KiB --requests 50 --objects 2 --concurrency 4", 50 << 16),
        ("--op range --size 5 --range-size 5 --requests 50 --objects 2 --concurrency 4", 250),
        ("--op multipart --size 11MiB --part-size 5MiB --requests 2 --concurrency 1", 22 << 20),
    ] {
        for more in ["", "--signed-payload"] {
            let server = FakeS3::start(Fault::None).await;
            let (report, result) = bench(&server, &format!("{words} {more}")).await;
            result.unwrap();
            let wanted: u64 =
                words.split_once("--requests ").unwrap().1.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(report["total"]["succeeded"], wanted, "{words}");
            assert_eq!(report["total"]["failed"], 0, "{words}");
            assert_eq!(report["total"]["bytes"], bytes, "{words}");
            assert!(report["total"]["latency_us"]["p50"].as_f64().unwrap() > 0.0);
            assert!(report["total"]["operations_per_second"].as_f64().unwrap() > 0.0);
            assert_eq!(report["ended_by"], "requests");
            nothing_is_left(&server);
        }
    }
}

#[tokio::test]
async fn what_is_to_be_read_is_read_once_before() {
    for (words, gets) in [
        ("--op get --size 4KiB --requests 50 --objects 7 --concurrency 4", 57),
        ("--op range --size 4KiB --range-size 64 --requests 50 --objects 7 --concurrency 4", 57),
        ("--op head --size 4KiB --requests 50 --objects 7 --concurrency 4", 0),
        ("--op delete --size 4KiB --requests 7 --objects 7 --concurrency 4", 0),
    ] {
        let server = FakeS3::start(Fault::None).await;
        bench(&server, words).await.1.unwrap();
        assert_eq!(server.gets(), gets, "{words}");
    }
}

#[tokio::test]
async fn listings_are_walked_and_compared() {
    for words in [
        "--op list --size 0 --objects 2500 --requests 40 --concurrency 3",
        "--op list --size 0 --objects 5000 --requests 40 --concurrency 2",
        "--op list --size 0 --objects 10 --requests 40 --concurrency 3",
        "--op list --size 0 --objects 300 --prefixes 20 --requests 40 --concurrency 3",
        "--op list --size 0 --objects 5 --prefixes 20 --requests 40 --concurrency 3",
    ] {
        let server = FakeS3::start(Fault::None).await;
        let (report, result) = bench(&server, words).await;
        result.unwrap();
        assert_eq!(report["total"]["succeeded"], 40, "{words}");
        nothing_is_left(&server);
    }
}

#[tokio::test]
async fn mixed_makes_all_kinds_and_reads_only_what_is_there() {
    let server = FakeS3::start(Fault::None).await;
    let (report, result) =
        bench(&server, "--op mixed --size 1KiB --objects 64 --requests 3000 --concurrency 8").await;
    result.unwrap();
    for (kind, share) in [("get", 0.45), ("head", 0.30), ("put", 0.15), ("delete", 0.10)] {
        let done = report["kinds"][kind]["succeeded"].as_f64().unwrap() / 3000.0;
        assert!((done - share).abs() < 0.04, "{kind}: {done} instead of {share}");
    }
    assert_eq!(report["total"]["succeeded"], 3000);
    nothing_is_left(&server);
}

#[tokio::test]
async fn one_flipped_bit_among_many_objects_is_corruption() {
    let server = FakeS3::start(Fault::FlippedBit("0000000003")).await;
    let (report, result) =
        bench(&server, "--op get --size 70000 --objects 8 --requests 200 --concurrency 2").await;
    let told = result.unwrap_err();
    let corrupt = report["corrupt"].as_u64().unwrap();
    assert!(matches!(told, BenchError::Corrupt { count } if count == corrupt), "{told}");
    assert!(corrupt > 0 && corrupt < 100, "{corrupt}");
    assert_eq!(report["failures"]["CorruptAnswer"]["count"], corrupt);
    assert_eq!(report["total"]["succeeded"].as_u64().unwrap() + corrupt, 200);
    nothing_is_left(&server);
}

#[tokio::test]
async fn short_answers_and_gaps_in_listings_are_corruption() {
    for (fault, words) in [
        (Fault::Short, "--op get --size 4KiB --objects 4 --requests 10 --concurrency 1"),
        (Fault::Short, "--op head --size 4KiB --objects 4 --requests 10 --concurrency 1"),
        (Fault::Unlisted("0000000123"), "--op list --size 0 --objects 1000 --requests 10 --concurrency 1"),
    ] {
        let server = FakeS3::start(fault).await;
        let (report, result) = bench(&server, words).await;
        assert!(matches!(result, Err(BenchError::Corrupt { count: 10 })), "{words}: {result:?}");
        assert_eq!(report["total"]["succeeded"], 0);
    }
}

#[tokio::test]
async fn failures_are_counted_by_code_and_fail_the_run() {
    let server = FakeS3::start(Fault::SlowDown(5)).await;
    let (report, result) = bench(&server, "--op put --size 10 --requests 100 --concurrency 2").await;
    assert!(matches!(result, Err(BenchError::RequestsFailed { failed: 20, all: 100 })), "{result:?}");
    assert_eq!(report["failures"]["SlowDown"]["count"], 20);
    assert!(report["failures"]["SlowDown"]["example"].as_str().unwrap().contains("because"));
    assert_eq!(report["kinds"]["put"]["succeeded"], 80);
    nothing_is_left(&server);

    let server = FakeS3::start(Fault::HiddenError).await;
    let (report, result) =
        bench(&server, "--op copy --size 10 --requests 5 --objects 1 --concurrency 1").await;
    assert!(result.is_err());
    assert_eq!(report["failures"]["InternalError"]["count"], 5);
}

#[tokio::test]
async fn nothing_but_failures_ends_the_run_early() {
    let server = FakeS3::start(Fault::Broken).await;
    let (report, result) = bench(&server, "--op get --objects 1 --requests 100000 --concurrency 1").await;
    assert!(result.is_err());
    assert_eq!(report["ended_by"], "gave-up");
    assert_eq!(report["total"]["failed"], 20);
}

#[tokio::test]
async fn a_named_bucket_keeps_what_was_there_and_the_objects_of_others() {
    let server = FakeS3::start(Fault::None).await;
    server.make_bucket("mine");
    server.put("mine/precious", b"gold");
    let (_, result) = bench(&server, "--op put --size 10 --requests 5 --bucket mine").await;
    result.unwrap();
    assert_eq!(server.contents(), (vec!["mine".to_owned()], vec!["mine/precious".to_owned()]));
}

#[tokio::test]
async fn objects_that_were_kept_serve_a_later_run() {
    let server = FakeS3::start(Fault::None).await;
    let place = "--bucket many --prefix m/ --size 1KiB --concurrency 2";
    bench(&server, &format!("{place} --op put --requests 1200 --keep")).await.1.unwrap();
    assert_eq!(server.contents().1.len(), 1200);
    let prepared = format!("{place} --objects 1200 --prepared");
    bench(&server, &format!("{prepared} --op list --requests 10 --keep")).await.1.unwrap();
    bench(&server, &format!("{prepared} --op get --requests 10 --keep")).await.1.unwrap();
    assert_eq!(server.contents().1.len(), 1200);
    // A later run that finds the bucket does not remove it, but removes the objects.
    bench(&server, &format!("{prepared} --op head --requests 10")).await.1.unwrap();
    assert_eq!(server.contents(), (vec!["many".to_owned()], vec![]));

    let missing = bench(&server, "--op get --bucket none --prefix m/ --objects 5 --prepared").await.1;
    assert!(matches!(missing, Err(BenchError::NotPrepared { .. })), "{missing:?}");
}

#[tokio::test]
async fn time_ends_a_run() {
    let server = FakeS3::start(Fault::None).await;
    let (report, result) = bench(&server, "--op head --duration 300ms --concurrency 2").await;
    result.unwrap();
    assert_eq!(report["ended_by"], "duration");
    let elapsed = report["elapsed_seconds"].as_f64().unwrap();
    assert!((0.29..5.0).contains(&elapsed), "{elapsed}");
}

#[tokio::test]
async fn an_interrupted_run_reports_what_it_has_and_cleans_up() {
    let server = FakeS3::start(Fault::Slow(Duration::from_millis(50))).await;
    let (trigger, shutdown) = shutdown_channel();
    let env = Env::real();
    let running = bench_until(&env, &server, "--op put --size 10 --duration 1h --concurrency 2", shutdown);
    let stopping = interrupt_when_something_is_stored(&server, trigger);
    let ((report, result), ()) = tokio::join!(running, stopping);
    result.unwrap();
    assert_eq!(report["ended_by"], "interrupted");
    assert!(report["total"]["succeeded"].as_u64().unwrap() > 0);
    nothing_is_left(&server);
}

async fn interrupt_when_something_is_stored(server: &FakeS3, trigger: ShutdownTrigger) {
    while server.contents().1.is_empty() {
        Env::real().sleep(Duration::from_millis(5)).await;
    }
    trigger.begin();
}

#[tokio::test]
async fn the_server_process_is_watched_when_named() {
    let server = FakeS3::start(Fault::None).await;
    // The server is in this process.
    let words = format!("--op put --size 64KiB --requests 300 --server-pid {}", std::process::id());
    let (report, result) = bench(&server, &words).await;
    result.unwrap();
    assert!(report["server"]["resident_peak_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(report["server"]["cpu_seconds"].as_f64().unwrap() >= 0.0);
    let refused = bench(&server, "--op put --requests 1 --server-pid 4294967295").await.1;
    assert!(matches!(refused, Err(BenchError::Process { pid: u32::MAX, .. })), "{refused:?}");
    nothing_is_left(&server);
}

#[tokio::test]
async fn what_stops_a_run_before_it_begins_says_what_to_do() {
    let server = FakeS3::start(Fault::UnknownKey).await;
    let refused = bench(&server, "--op put --requests 1").await.1.unwrap_err().to_string();
    assert!(refused.contains("InvalidAccessKeyId") && refused.contains("--access-key"), "{refused}");

    let address = server.address;
    drop(server);
    let nobody = Env::real().listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let free = nobody.local_address().unwrap();
    drop(nobody);
    assert_ne!(free, address);
    let (_trigger, shutdown) = shutdown_channel();
    let words = format!("--endpoint http://{free} --access-key k --secret-key s --op put");
    let settings = args(&words).check().unwrap();
    let unreachable =
        run::run(&Env::real(), settings, shutdown, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(unreachable.contains("is the server running"), "{unreachable}");
}

/// Files of a certificate for 127.0.0.1 and of its key, made with `openssl`.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
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
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args([OsStr::new("-keyout"), key.as_os_str(), OsStr::new("-out"), certificate.as_os_str()])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

#[tokio::test]
async fn over_https_only_a_trusted_certificate_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path(), "ours");
    let (other, _) = self::certificate(folder.path(), "other");
    let tls = service_kit::ServerTls::load(&Env::real(), &certificate, &key).await.unwrap();
    let server = FakeS3::start_with(Fault::None, Some(tls)).await;

    let load = "--op get --size 200000 --objects 3 --requests 20 --concurrency 2";
    for (trust, trusted) in [
        (format!("--ca {}", certificate.display()), true),
        ("--insecure".to_owned(), true),
        (format!("--ca {}", other.display()), false),
    ] {
        let words =
            format!("--endpoint https://{} --access-key k --secret-key s {load} {trust}", server.address);
        let (_trigger, shutdown) = shutdown_channel();
        let settings = args(&words).check().unwrap();
        let result = run::run(&hasty(), settings, shutdown, &mut Vec::new()).await;
        match result {
            Ok(()) => assert!(trusted, "{trust}"),
            Err(error) => assert!(!trusted && error.to_string().contains("--ca"), "{trust}: {error}"),
        }
    }
    nothing_is_left(&server);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let good = "--endpoint http://h --access-key k --secret-key s";
    for (words, told) in [
        ("--endpoint http://:9000 --access-key k --secret-key s --op put", "names no host"),
        ("--endpoint= --access-key k --secret-key s --op put", "--endpoint"),
        ("--endpoint http://h --access-key= --secret-key s --op put", "--access-key"),
        (&format!("{good} --op put --concurrency 0"), "--concurrency"),
        (&format!("{good} --op put --concurrency 10001"), "--concurrency"),
        (&format!("{good} --op put --requests 0"), "--requests"),
        (&format!("{good} --op put --duration 25h"), "--duration"),
        (&format!("{good} --op put --size 6GiB"), "--size"),
        (&format!("{good} --op range --size 1KiB"), "--range-size"),
        (&format!("{good} --op multipart --size 1GiB --part-size 1MiB"), "--part-size"),
        (&format!("{good} --op multipart --size 1TiB --part-size 5MiB"), "10000 parts"),
        (&format!("{good} --op get --prefixes 3"), "--prefixes"),
        (&format!("{good} --op put --bucket A_B"), "--bucket"),
        (&format!("{good} --op put --prefix a&b"), "--prefix"),
    ] {
        let error = args(words).check().unwrap_err().to_string();
        assert!(error.contains(told), "{words}: {error}");
    }
    for words in [
        "--op mixed --mix get=0",
        "--op mixed --mix get",
        "--op put --size big",
        "--op nothing",
        "--op get --prepared",
    ] {
        assert!(
            Cli::try_parse_from(["bench"].into_iter().chain(words.split_whitespace())).is_err(),
            "{words}"
        );
    }
}
