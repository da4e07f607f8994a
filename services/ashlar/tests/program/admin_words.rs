//! What operators' commands say and how they end: nothing done is no success, what is asked for wrongly is told with every way to ask for
//! it, and what waits for something that does not come ends.

use env::Env;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{
    ACCESS_KEY, PATIENCE, SECRET, SECRET_KEY, Service, ends, free_address, program, server, told, wait_for,
};

/// A store on two folders, each of which is needed.
async fn store(env: &Env, folder: &TempDir) -> (Service, String) {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (first, second) = (at("1"), at("2"));
    (server(env, folder.path(), &[&first, &second]).await.0, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_that_cannot_end_is_not_waited_for() {
    let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
    let (_server, data) = store(&env, &folder).await;
    let here = ["--data", data.as_str()];
    let disk = told(&[&["disk", "list"], &here[..]].concat())[0]["disk"].clone();
    let disk = disk.as_str().expect("an id");
    let began = env.now();
    let (code, out, error) = ends(&[&["disk", "drain", disk, "--wait"], &here[..]].concat());
    assert!(env.now().since(began) < PATIENCE);
    assert_eq!((code, out.as_str()), (Some(8), ""), "{error}");
    for words in ["needs 2 disks and 1 are left", &format!("`ashlar admin disk serve {disk}`")] {
        assert!(error.contains(words), "{error}");
    }
    let serves = told(&[&["disk", "serve", disk], &here[..]].concat());
    assert_eq!((&serves["id"], &serves["intent"]), (&disk.into(), &"serve".into()));
    let drains = told(&[&["disk", "drain", disk], &here[..]].concat());
    assert_eq!(
        (&drains["intent"], &drains["short_of_disks"][0]["disks_needed"]),
        (&"drain".into(), &2.into())
    );
    assert!(drains["slots"].as_u64().is_some_and(|slots| slots > 0), "{drains}");
    told(&[&["disk", "serve", disk], &here[..]].concat());
}

/// Without a worker nothing moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_is_waited_for_no_longer_than_said() {
    let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let [metadata, chunk] = [free_address(&env).await, free_address(&env).await];
    let [health, other] = [free_address(&env).await, free_address(&env).await];
    let database = format!("sqlite:{}", at("metadata.db"));
    let _metadata = Service::start(
        folder.path(),
        &[
            "metadata",
            "--database-url",
            &database,
            "--listen",
            &metadata,
            "--health-listen",
            &health,
            "--standard-coding",
            "1+1",
        ],
    );
    let data = [at("1"), at("2"), at("3")].join(",");
    let _chunk = Service::start(
        folder.path(),
        &["chunk", "--data", &data, "--metadata", &metadata, "--listen", &chunk, "--health-listen", &other],
    );
    let here = ["--metadata", &metadata, "--cluster-secret", SECRET];
    let full = || -> Option<String> {
        let (_, out, _) = ends(&[&["disk", "list", "--json"], &here[..]].concat());
        let disks: Value = serde_json::from_str(&out).ok()?;
        let used = disks.as_array()?.iter().find(|disk| disk["groups"].as_u64() > Some(0))?;
        (disks.as_array()?.len() == 3).then(|| used["disk"].as_str().map(str::to_owned))?
    };
    wait_for(&env, "a group on a disk", async || full().is_some()).await;
    let disk = full().expect("a disk with groups");
    let waiting = ["disk", "drain", &disk, "--wait", "--timeout", "1", "--json"];
    let (code, out, error) = ends(&[&waiting, &here[..]].concat());
    assert_eq!(code, Some(7), "{error}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert!(told["slots"].as_u64() > Some(0) && error.contains("group slots are left"), "{told} {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_done_is_no_success_and_nothing_there_is_said() {
    let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
    let (_server, data) = store(&env, &folder).await;
    let here = ["--data", data.as_str()];
    let (code, _, error) = ends(&[&["limit", "remove", "--user", "ann"], &here[..]].concat());
    assert!(code == Some(1) && error.contains("no limit of a user ann"), "{error}");
    for (words, said) in [
        (["bucket", "list"], "there are no buckets\n"),
        (["limit", "list"], "there are no limits\n"),
        (["keys", "list"], "nothing is encrypted\n"),
    ] {
        assert_eq!(ends(&[&words, &here[..]].concat()), (Some(0), said.to_owned(), String::new()));
    }

    let (code, out, _) = ends(&[&["class", "recode", "STANDARD", "--coding", "1+1"], &here[..]].concat());
    assert_eq!((code, out.as_str()), (Some(0), "it has this coding already; nothing was changed\n"));

    // What is written over on a terminal is no line of a log.
    let (to, keys) = (folder.path().join("backup").display().to_string(), format!("{data}/encryption.keys"));
    for words in
        [&["backup", "--to", &to][..], &["keys", "rewrap", "--encryption-keys", &keys], &["reconcile"]]
    {
        let (code, _, error) = ends(&[words, &here[..]].concat());
        assert!(code == Some(0) && !error.contains(['\r', '\u{1b}']), "{words:?}: {error:?}");
    }

    // Of a shell that was set up for a cluster.
    for (variable, value, words) in [
        ("ASHLAR_METADATA", "meta1:9300", &["status"][..]),
        ("ASHLAR_DATABASE_URL", "postgres://db/ashlar", &["backup", "--to", "other"]),
    ] {
        let words = [&["admin"], words, &here[..]].concat();
        let output = program(&words).env(variable, value).output().expect("the program runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(variable), "{error}");
    }
}

#[test]
fn what_is_left_out_is_told_with_every_way_to_say_it() {
    for (words, ways) in [
        (&["bucket", "quota", "photos"][..], &["--bytes", "--objects", "--none"][..]),
        (&["quarantine", "release", "07c1"], &["RUN", "--all"]),
        (&["restore", "--data", "nowhere"], &["--from", "--in-place"]),
    ] {
        let (code, _, error) = ends(words);
        assert_eq!(code, Some(2), "{error}");
        let asked = error.split("Usage").next().unwrap_or_default();
        assert!(ways.iter().all(|way| asked.contains(way)), "{words:?}: {error}");
    }
    assert_eq!(ends(&["bucket", "quota", "photos", "--none", "--bytes", "1"]).0, Some(2));
    assert_eq!(ends(&["quarantine", "release", "07c1", "a:1", "--all"]).0, Some(2));
}

/// Writes a certificate of its own for this machine's own names, and its key.
fn certificate(env: &Env, folder: &TempDir, is_ca: IsCa) -> (String, String) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    params.is_ca = is_ca;
    let pair = KeyPair::generate().expect("a key");
    let issued = params.self_signed(&pair).expect("a certificate");
    let written = |name: &str, text: String| {
        let path = folder.path().join(name);
        env.disk().replace_small(&path, text.as_bytes()).expect("a file");
        path.display().to_string()
    };
    (written("chain.pem", issued.pem()), written("key.pem", pair.serialize_pem()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_of_clients_with_a_certificate_is_asked_for_its_health() {
    for (is_ca, is_good) in [(IsCa::ExplicitNoCa, true), (IsCa::Ca(BasicConstraints::Unconstrained), false)] {
        let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
        let (chain, key) = certificate(&env, &folder, is_ca);
        let (data, listen) = (folder.path().join("data").display().to_string(), free_address(&env).await);
        let _server = Service::start(
            folder.path(),
            &["server", &data, "--listen", &listen, "--tls-cert", &chain, "--tls-key", &key],
        );
        let ready = format!("https://{listen}/health/ready");
        wait_for(&env, "the server", async || ends(&["health", "--insecure", &ready]).0 == Some(0)).await;
        let (code, _, error) = ends(&["health", "--ca", &chain, &ready]);
        assert_eq!(code, Some(i32::from(!is_good)), "{error}");
        let (code, _, error) = ends(&["health", &ready]);
        assert!(code == Some(1) && error.contains("--insecure"), "{error}");
        let endpoint = format!("https://{listen}");
        let asked = ["status", "--endpoint", &endpoint, "--ca", &chain];
        let as_root = ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
        let (code, _, error) = ends(&[&asked, &as_root[..]].concat());
        assert_eq!(code, Some(i32::from(!is_good)), "{error}");
        assert!(is_good || error.contains("basicConstraints=critical,CA:FALSE"), "{error}");
    }
}
