//! Access logs of a gateway that is a process: one that is killed loses what it has not delivered and nothing else, one that is
//! stopped in order delivers it.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, Method};
use s3_client::{Access, Bucket, Call, Client, Connect, Endpoint, RequestBody};
use tempfile::TempDir;

const ACCESS_KEY: &str = "accesskey";
const SECRET_KEY: &str = "secretkey0123456";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that delivers its records after an hour. It is killed when the test ends.
struct Service(Child);

impl Service {
    async fn start(env: &Env, data: &str, address: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
        command.args(["server", data, "--listen", address, "--access-log-interval", "3600"]).env_clear();
        command.env("ASHLAR_ROOT_USER", ACCESS_KEY).env("ASHLAR_ROOT_PASSWORD", SECRET_KEY);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program starts");
        let front = access(env, address).await;
        wait_for(env, "the server", async || send(&front, Method::GET, "/", "").await.is_some()).await;
        Self(child)
    }

    async fn stop(mut self, env: &Env) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
        wait_for(env, "its end", async || self.0.try_wait().expect("it can be asked").is_some()).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait_for(env: &Env, what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = env.now().after(PATIENCE);
    while !done().await {
        assert!(env.now() < deadline, "{what} does not come");
        env.sleep(Duration::from_millis(50)).await;
    }
}

async fn access(env: &Env, address: &str) -> Access {
    let connect = Connect::new(sigv4::Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: SECRET_KEY.to_owned(),
        session_token: None,
    });
    let endpoint = Endpoint::parse(&format!("http://{address}")).expect("an address makes an endpoint");
    connect.access(env, endpoint).await.expect("plain HTTP needs no certificates")
}

async fn send(access: &Access, method: Method, target: &str, body: &str) -> Option<Bytes> {
    let body = RequestBody::Bytes(Bytes::from(body.to_owned()));
    let call = Call { method, target: target.to_owned(), headers: HeaderMap::new(), body };
    Client::new(access).send(call, None).await.ok().map(|answer| answer.body)
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
    let data = folder.path().join("data").display().to_string();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.expect("loopback has a free port");
    let address = listener.local_address().expect("a listener has an address").to_string();
    drop(listener);

    let killed = Service::start(&env, &data, &address).await;
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

    let stopped = Service::start(&env, &data, &address).await;
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

    let _last = Service::start(&env, &data, &address).await;
    let front = access(&env, &address).await;
    let found = records(&front, &logs).await;
    let count = |part: &str| found.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count(" REST.PUT.OBJECT "), count(" REST.GET.OBJECT killed-")), (0, 10), "{found:#?}");
}
