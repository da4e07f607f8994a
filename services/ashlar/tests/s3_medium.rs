//! A cluster whose chunk service keeps shards in a remote bucket, as processes: the remote server is `ashlar server`.

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Method};
use s3_client::{Access, Answer, Bucket, Call, Client, Connect, Endpoint, Failure, RequestBody};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ACCESS_KEY: &str = "accesskey";
const SECRET_KEY: &str = "secretkey0123456";
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is killed when the test ends.
struct Service(Child);

impl Service {
    fn start(folder: &Path, name: &str, words: &[&str], variables: &[(&str, &str)]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a process writes to the log itself")]
        let log = std::fs::File::options().append(true).create(true).open(folder.join(name));
        let log = log.expect("a log can be written");
        let child = command(words, variables).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Self(child.expect("the program starts"))
    }

    /// Ends it in order.
    async fn stop(mut self, env: &Env) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().is_ok_and(|status| status.success()));
        wait_for(env, "the end of a service", async || self.0.try_wait().expect("it can be asked").is_some())
            .await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(words: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
    command.args(words).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("ASHLAR_CLUSTER_SECRET", SECRET).envs(variables.iter().copied());
    command
}

fn run(words: &[&str]) -> Output {
    let output = command(words, &[]).output().expect("the program starts");
    assert!(output.status.success(), "{words:?}: {output:?}");
    output
}

async fn wait_for(env: &Env, what: &str, mut done: impl AsyncFnMut() -> bool) {
    let deadline = env.now().after(PATIENCE);
    while !done().await {
        assert!(env.now() < deadline, "{what} does not come");
        env.sleep(Duration::from_millis(50)).await;
    }
}

async fn free_address(env: &Env) -> String {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = env.listen(any).await.expect("loopback has a free port");
    listener.local_address().expect("a listener has an address").to_string()
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

async fn send(access: &Access, method: Method, target: &str, body: &Bytes) -> Result<Answer, Failure> {
    let mut headers = HeaderMap::new();
    if method == Method::PUT && !body.is_empty() {
        headers.insert("x-amz-storage-class", HeaderValue::from_static("COLD"));
    }
    let call = Call { method, target: target.to_owned(), headers, body: RequestBody::Bytes(body.clone()) };
    Client::new(access).send(call, None).await
}

async fn make_bucket(env: &Env, access: &Access, name: &str) {
    wait_for(env, "a bucket", async || {
        send(access, Method::PUT, &format!("/{name}"), &Bytes::new()).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_class_on_remote_buckets_keeps_objects_there() {
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-s3-medium-").unwrap();
    let home = folder.path();
    let path = |name: &str| home.join(name).display().to_string();
    let root = [("ASHLAR_ROOT_USER", ACCESS_KEY), ("ASHLAR_ROOT_PASSWORD", SECRET_KEY)];

    // The remote server and its bucket.
    let remote_address = free_address(&env).await;
    let _remote =
        Service::start(home, "remote.log", &["server", &path("remote"), "--listen", &remote_address], &root);
    let remote_access = access(&env, &remote_address).await;
    make_bucket(&env, &remote_access, "cold").await;
    let remote = Bucket::new(remote_access, "cold");

    // The cluster: two disks in the bucket, one in a folder.
    let (metadata, gateway) = (free_address(&env).await, free_address(&env).await);
    let [chunk, health1, health2, health3] = [
        free_address(&env).await,
        free_address(&env).await,
        free_address(&env).await,
        free_address(&env).await,
    ];
    let database = format!("sqlite:{}", path("metadata.sqlite"));
    let words = ["metadata", "--listen", &metadata, "--health-listen", &health1, "--database-url", &database];
    let hold = [("ASHLAR_GARBAGE_HOLD_SECONDS", "1"), ("ASHLAR_STANDARD_CODING", "1+0")];
    let _metadata = Service::start(home, "metadata.log", &words, &hold);
    let place = |prefix| format!("s3://cold/{prefix}?endpoint=http://{remote_address}&capacity=1GiB");
    let data = [place("one"), place("two"), path("disk")].join(",");
    let chunk_words =
        ["chunk", "--listen", &chunk, "--health-listen", &health2, "--metadata", &metadata, "--data", &data];
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let chunk_service = Service::start(home, "chunk.log", &chunk_words, &keys);
    let words = ["gateway", "--listen", &gateway, "--metadata", &metadata];
    let _gateway = Service::start(home, "gateway.log", &words, &root);
    let words = ["worker", "--metadata", &metadata, "--health-listen", &health3];
    let _worker = Service::start(home, "worker.log", &words, &[]);

    let front = access(&env, &gateway).await;
    make_bucket(&env, &front, "objects").await;
    let define = ["admin", "class", "define", "COLD", "--coding", "1+1", "--medium", "s3"];
    run(&[&define[..], &["--metadata", &metadata]].concat());

    // Objects are in the bucket, twice, and can be read.
    let objects = [("small", 20_000), ("large", 5 << 20)];
    let body = |name: &str, length: usize| Bytes::from(name.bytes().cycle().take(length).collect::<Vec<_>>());
    for (name, length) in objects {
        let target = format!("/objects/{name}");
        wait_for(&env, "the class", async || {
            send(&front, Method::PUT, &target, &body(name, length)).await.is_ok()
        })
        .await;
    }
    let shards =
        async |prefix: &str| remote.list(&format!("{prefix}/shards/"), None).await.unwrap().objects.len();
    assert_eq!((shards("one").await, shards("two").await), (2, 2));
    let read = async |name: &str| send(&front, Method::GET, &format!("/objects/{name}"), &Bytes::new()).await;
    for (name, length) in objects {
        assert!(read(name).await.unwrap().body == body(name, length));
    }
    let audit = run(&["admin", "audit", "--metadata", &metadata]);
    println!("{}", String::from_utf8_lossy(&audit.stdout));

    // The chunk service is started again: what it has is what the bucket lists.
    chunk_service.stop(&env).await;
    let _chunk = Service::start(home, "chunk.log", &chunk_words, &keys);
    for (name, length) in objects {
        wait_for(&env, "the object", async || {
            read(name).await.is_ok_and(|answer| answer.body == body(name, length))
        })
        .await;
    }

    // Deleted objects leave the bucket.
    for (name, _) in objects {
        send(&front, Method::DELETE, &format!("/objects/{name}"), &Bytes::new()).await.unwrap();
    }
    wait_for(&env, "the removal", async || shards("one").await + shards("two").await == 0).await;
    run(&["admin", "audit", "--metadata", &metadata]);
}
