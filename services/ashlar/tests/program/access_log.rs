//! Access logs of a gateway that is a process: one that is killed loses what it has not delivered and nothing else, one that is
//! stopped in order delivers it.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http::Method;
use s3_client::{Access, Bucket};
use tempfile::TempDir;

use crate::process::{self, Service, access, free_address, wait_for};

/// A server that delivers its records after an hour.
async fn start(env: &Env, folder: &TempDir, address: &str) -> Service {
    let data = folder.path().join("data").display().to_string();
    let words = ["server", &data, "--listen", address, "--access-log-interval", "3600"];
    let service = Service::start(folder.path(), &words);
    let front = access(env, address).await;
    wait_for(env, "the server", async || send(&front, Method::GET, "/", "").await.is_some()).await;
    service
}

async fn send(access: &Access, method: Method, target: &str, body: &'static str) -> Option<Bytes> {
    process::send(access, method, target, body).await.ok().map(|answer| answer.body)
}

/// The lines of every log object.
async fn records(access: &Access, logs: &Bucket) -> Vec<String> {
    let mut lines = Vec::new();
    for object in logs.list("", None).await.expect("a listing").objects {
        let body = send(access, Method::GET, &format!("/logs/{}", object.key), "").await.expect("an object");
        lines.extend(String::from_utf8(body.to_vec()).expect("text").lines().map(str::to_owned));
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_loses_what_waits_and_an_orderly_one_delivers_it() {
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-access-log-").unwrap();
    let address = free_address(&env).await;

    let killed = start(&env, &folder, &address).await;
    let front = access(&env, &address).await;
    for bucket in ["/source", "/logs"] {
        assert!(send(&front, Method::PUT, bucket, "").await.is_some());
    }
    let logging = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix></TargetPrefix>\
        </LoggingEnabled></BucketLoggingStatus>";
    assert!(send(&front, Method::PUT, "/source?logging", logging).await.is_some());
    for number in 0..10 {
        assert!(send(&front, Method::PUT, &format!("/source/killed-{number}"), "content").await.is_some());
    }
    // By SIGKILL.
    drop(killed);

    let stopped = start(&env, &folder, &address).await;
    let front = access(&env, &address).await;
    let logs = Bucket::new(access(&env, &address).await, "logs");
    // It finds out by itself that the bucket is logged.
    env.sleep(Duration::from_secs(7)).await;
    for number in 0..10 {
        let body = send(&front, Method::GET, &format!("/source/killed-{number}"), "").await;
        assert_eq!(body.as_deref(), Some(&b"content"[..]), "what was answered is there");
    }
    assert!(records(&front, &logs).await.is_empty(), "nothing is due for an hour");
    stopped.stop(&env).await;

    let _last = start(&env, &folder, &address).await;
    let front = access(&env, &address).await;
    let found = records(&front, &logs).await;
    let count = |part: &str| found.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count(" REST.PUT.OBJECT "), count(" REST.GET.OBJECT killed-")), (0, 10), "{found:#?}");
}
