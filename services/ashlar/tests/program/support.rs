//! `ashlar admin support`: everything that helps is in its file, and nothing that is secret.

use std::{path::Path, process::Command};

use env::Env;
use serde_json::Value;

use crate::process::{ACCESS_KEY, SECRET_KEY, free_address, run, server};

fn read(path: &Path) -> (Value, String) {
    let text = String::from_utf8(env::Env::real().disk().read_small(path, 64 << 20).expect("a file"));
    let text = text.expect("a text");
    (serde_json::from_str(&text).expect("JSON"), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_what_helps_and_no_secret() {
    let env = Env::real();
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (data, to) = (at("data"), at("support.json"));
    let health = free_address(&env).await;
    let (_server, listen) = server(&env, folder.path(), &[&data, "--health-listen", &health]).await;

    let service = format!("http://{health}");
    let made = run(&["admin", "support", "--to", &to, "--data", &data, "--buckets", "--service", &service]);
    let told = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success() && told.contains("configuration") && told.contains("--endpoint"), "{told}");
    let (bundle, text) = read(Path::new(&to));
    assert!(bundle["status"]["disks"].as_array().is_some_and(|disks| disks.len() == 1), "{text}");
    assert!(bundle["repair"].is_object() && bundle["durability"].is_object() && bundle["buckets"].is_array());
    let answers = &bundle["services"][format!("{service}/")];
    assert_eq!(answers["/health/ready"]["status"], 200);
    assert!(
        answers["/metrics"]["body"].as_str().is_some_and(|metrics| metrics.contains("ashlar_")),
        "{text}"
    );
    let (shared, _) = read(&folder.path().join("data/admin.json"));
    let shared = shared["secret"].as_str().expect("the secret of the server's own services");
    for secret in [SECRET_KEY, shared] {
        assert!(!text.contains(secret), "{text}");
    }

    let endpoint = format!("http://{listen}");
    let as_root = ["--endpoint", &endpoint, "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY];
    let made = run(&[&["admin", "support", "--to", &to], &as_root[..]].concat());
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let (bundle, text) = read(Path::new(&to));
    assert!(bundle["configuration"].is_object() && bundle.get("buckets").is_none(), "{text}");
    assert!(!text.contains(SECRET_KEY), "{text}");

    // A pipe stands for all that is no file: what is renamed over it is lost to whoever reads it.
    let pipe = at("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let refused = run(&["admin", "support", "--to", &pipe, "--data", &data]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && told.contains("is no file"), "{refused:?}");
    let is_pipe = |path: &str| Command::new("test").args(["-p", path]).status().expect("test runs").success();
    assert!(is_pipe(&pipe), "it is as it was");
    let streamed = run(&["admin", "support", "--to", "-", "--data", &data]);
    let bundle: Value = serde_json::from_slice(&streamed.stdout).expect("JSON and nothing else");
    assert!(streamed.status.success() && bundle["status"].is_object(), "{streamed:?}");

    // What was asked for by name and did not answer is told, and the rest is written.
    let silent = format!("http://{}", free_address(&env).await);
    let partial = run(&["admin", "support", "--to", &to, "--data", &data, "--service", &silent]);
    let told = String::from_utf8_lossy(&partial.stderr).into_owned();
    assert!(
        partial.status.code() == Some(1) && told.contains(&format!("not in it: {silent}/metrics")),
        "{told}"
    );
    assert!(read(Path::new(&to)).0["status"].is_object());

    let refused = run(&["admin", "support", "--to", &to, "--data", &data, "--service", "https://a:1"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("monitor"));
    let nowhere = at("missing/support.json");
    let refused = run(&["admin", "support", "--to", &nowhere, "--data", &data]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let other = at("other.json");
    let wrong = ["--endpoint", &endpoint, "--access-key", ACCESS_KEY, "--secret-key", "wrong-wrong"];
    let refused = run(&[&["admin", "support", "--to", &other], &wrong[..]].concat());
    assert!(
        !refused.status.success()
            && String::from_utf8_lossy(&refused.stderr).contains("SignatureDoesNotMatch")
    );
    assert!(!Path::new(&other).exists(), "nothing was read, so nothing is written");
}
