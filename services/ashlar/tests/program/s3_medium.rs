//! A cluster whose chunk service keeps shards in a remote bucket, as processes: the remote server is `ashlar server`.

use bytes::Bytes;
use env::Env;
use http::{HeaderMap, HeaderValue, Method};
use s3_client::{Access, Answer, Bucket, Failure};
use tempfile::TempDir;

use crate::process::{
    ACCESS_KEY, SECRET_KEY, Service, access, ends, free_address, program, send_with, wait_for,
};

async fn send(access: &Access, method: Method, target: &str, body: &Bytes) -> Result<Answer, Failure> {
    let mut headers = HeaderMap::new();
    if method == Method::PUT && !body.is_empty() {
        headers.insert("x-amz-storage-class", HeaderValue::from_static("COLD"));
    }
    send_with(access, method, target, body.clone(), headers).await
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
    let metadata = free_address(&env).await;
    let start = |name: &str, words: &[&str], variables: &[(&str, &str)]| {
        let mut command = program(words);
        command.envs(variables.iter().copied());
        Service::spawn(command, home, name)
    };
    let admin = |words: &[&str]| {
        let (code, out, error) = ends(&[words, &["--metadata", &metadata]].concat());
        assert_eq!(code, Some(0), "{words:?}: {error}");
        out
    };

    // The remote server and its bucket.
    let remote_address = free_address(&env).await;
    let _remote = start("remote", &["server", &path("remote"), "--listen", &remote_address], &[]);
    let remote_access = access(&env, &remote_address).await;
    make_bucket(&env, &remote_access, "cold").await;
    let remote = Bucket::new(remote_access, "cold");

    // The cluster: two disks in the bucket, one in a folder.
    let gateway = free_address(&env).await;
    let [chunk, health1, health2, health3] = [
        free_address(&env).await,
        free_address(&env).await,
        free_address(&env).await,
        free_address(&env).await,
    ];
    let database = format!("sqlite:{}", path("metadata.sqlite"));
    let words = ["metadata", "--listen", &metadata, "--health-listen", &health1, "--database-url", &database];
    let hold = [("ASHLAR_GARBAGE_HOLD_SECONDS", "1"), ("ASHLAR_STANDARD_CODING", "1+0")];
    let _metadata = start("metadata", &words, &hold);
    let place = |prefix| format!("s3://cold/{prefix}?endpoint=http://{remote_address}&capacity=1GiB");
    let data = [place("one"), place("two"), path("disk")].join(",");
    let chunk_words =
        ["chunk", "--listen", &chunk, "--health-listen", &health2, "--metadata", &metadata, "--data", &data];
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let chunk_service = start("chunk", &chunk_words, &keys);
    let words = ["gateway", "--listen", &gateway, "--metadata", &metadata];
    let _gateway = start("gateway", &words, &[]);
    let words = ["worker", "--metadata", &metadata, "--health-listen", &health3];
    let _worker = start("worker", &words, &[]);

    let front = access(&env, &gateway).await;
    make_bucket(&env, &front, "objects").await;
    admin(&["class", "define", "COLD", "--coding", "1+1", "--medium", "s3"]);

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
    println!("{}", admin(&["audit"]));

    // The chunk service is started again: what it has is what the bucket lists.
    chunk_service.stop(&env).await;
    let _chunk = start("chunk", &chunk_words, &keys);
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
    admin(&["audit"]);
}
