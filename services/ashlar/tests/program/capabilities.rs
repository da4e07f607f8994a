//! A cluster of processes without certificates, whose calls are read on the way: what is captured of them is good for these calls, and
//! for no others.

use bytes::Bytes;
use env::Env;
use http::Method;
use service_kit::ClusterSecret;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    process::{SECRET, Service, access, fetch, free_address, program, send, wait_for},
    tap::Tap,
};

/// A call as it went by.
struct Captured {
    path: String,
    token: String,
}

/// Calls whose first line begins so.
fn captured(seen: &[u8], line: &str) -> Vec<Captured> {
    let text = String::from_utf8_lossy(seen);
    let heads = text.split(line).skip(1).filter_map(|rest| rest.split_once("\r\n\r\n"));
    let call = |(head, _): (&str, &str)| {
        let (path, lines) = head.split_once(" HTTP/1.1\r\n")?;
        let token = lines.split("\r\n").find_map(|line| line.strip_prefix("authorization: "))?;
        Some(Captured { path: path.to_owned(), token: token.to_owned() })
    };
    heads.filter_map(call).collect()
}

async fn post(env: &Env, address: &str, path: &str, token: &str, body: &[u8]) -> String {
    let mut connection = env.connect(address).await.expect("the service");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_of_a_call_makes_no_other() {
    let env = Env::real();
    let folder = TempDir::with_prefix("ashlar-capabilities-").expect("a folder for temporary files");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [metadata, chunk, gateway] =
        [free_address(&env).await, free_address(&env).await, free_address(&env).await];
    let health = [free_address(&env).await, free_address(&env).await];
    let tap = Tap::start(&env, &chunk).await;
    let database = format!("sqlite:{}", path("metadata.sqlite"));
    let data = [path("1"), path("2"), path("3")].join(",");
    let meta =
        ["metadata", "--listen", &metadata, "--database-url", &database, "--health-listen", &health[0]];
    let shards = [
        "chunk",
        "--listen",
        &chunk,
        "--advertise",
        &tap.address,
        "--metadata",
        &metadata,
        "--data",
        &data,
        "--health-listen",
        &health[1],
        "--demand-capabilities",
    ];
    let front = ["gateway", "--listen", &gateway, "--metadata", &metadata];
    let spawn = |words: &[&str]| Service::spawn(program(words), folder.path(), words[0]);
    let mut metadata_program = program(&meta);
    metadata_program.args(["--standard-coding", "2+1"]);
    let _services =
        [Service::spawn(metadata_program, folder.path(), "metadata"), spawn(&shards), spawn(&front)];

    let reached = access(&env, &gateway).await;
    // Larger than what is kept in the database, so that shards go to disks.
    let content = Bytes::from(vec![b'x'; 200_000]);
    wait_for(&env, "a cluster that takes objects", async || {
        let put = send(&reached, Method::PUT, "/bucket", Bytes::new()).await.is_ok();
        put && send(&reached, Method::PUT, "/bucket/key", content.clone()).await.is_ok()
    })
    .await;
    let read =
        async || send(&reached, Method::GET, "/bucket/key", Bytes::new()).await.expect("the object").body;
    assert_eq!(read().await, content);

    let secret: ClusterSecret = SECRET.parse().expect("long enough");
    let seen = tap.seen();
    let cluster_token = format!("Bearer {}", secret.token("chunk"));
    assert!(!String::from_utf8_lossy(&seen).contains(&cluster_token), "it is never sent");
    let reads = captured(&seen, "GET ");
    let get = reads.iter().find(|call| call.path.contains("first=")).expect("a read of a shard");
    let puts = captured(&seen, "PUT ");
    assert!(get.token.starts_with("Ashlar-Capability ") && !puts.is_empty());

    // The call itself, again; not without its token, nor with that of before.
    let again = async |token: &str| {
        let line = format!("authorization: {token}\r\n");
        fetch(&env, &chunk, &get.path, &line).await.expect("an answer").0
    };
    assert!(again(&get.token).await.starts_with("HTTP/1.1 200 "));
    for token in ["", &cluster_token] {
        assert!(again(token).await.starts_with("HTTP/1.1 401 "), "{token}");
    }
    // Deletes of what was read and of what was written, and reads by whoever saw it written.
    let (disk, shard) = get.path.split_once("/shards/").expect("of a shard");
    let (shard_chunk, index) = shard.split('?').next().and_then(|name| name.split_once('.')).expect("a name");
    let mut name = hex::decode(shard_chunk).expect("a chunk's id");
    name.push(index.parse().expect("an index"));
    for token in reads.iter().chain(&puts).map(|call| call.token.as_str()) {
        let answer = post(&env, &chunk, &format!("{disk}/delete"), token, &name).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    for put in &puts {
        assert!(again(&put.token).await.starts_with("HTTP/1.1 403 "), "{}", put.path);
    }
    assert_eq!(read().await, content);
    let told = fetch(&env, &health[1], "/metrics", "").await.expect("metrics").1;
    assert!(told.contains("ashlar_chunk_calls_with_cluster_token_total 0"), "{told}");
    assert!(!told.contains("ashlar_chunk_calls_refused_total{reason=\"method\"} 0"), "{told}");
}
