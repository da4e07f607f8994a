//! What strangers and broken clients may send.

mod capabilities;

use std::sync::Arc;

use env::Env;
use hyper::{server::conn::http1, service::Service};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use types::DiskId;

use super::{Access, ChunkServer};
use crate::{ChunkService, ListShards, conformance::Sample, fake::FakeChunkService};

const DISK: DiskId = DiskId([7; 16]);

/// Sends raw bytes on a connection, half-closes it, and gives back what came.
async fn exchange(env: &Env, server: &ChunkServer, sent: &[u8]) -> String {
    let (client, connection) = tokio::io::duplex(1 << 20);
    let server = server.clone();
    let serving = env.spawn(async move {
        let service = hyper::service::service_fn(move |request| server.call(request));
        let _ =
            http1::Builder::new().half_close(true).serve_connection(TokioIo::new(connection), service).await;
    });
    let (mut from, mut to) = tokio::io::split(client);
    to.write_all(sent).await.unwrap();
    to.shutdown().await.unwrap();
    let mut answer = Vec::new();
    from.read_to_end(&mut answer).await.unwrap();
    serving.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn malformed_calls_are_refused_and_keep_nothing() {
    let env = Env::real();
    let service = Arc::new(FakeChunkService::new([DISK]));
    let server = ChunkServer::new(env.clone(), service.clone(), Access::derived(|_| "token".to_owned()));
    let shard = Sample::single(1, 1, 10).shard();
    let path = format!("/v1/disks/{DISK}/shards/{shard}");
    // Group and epoch may be anything.
    let head = |bytes: [u8; 12]| [bytes, [7; 12]].concat();
    // One data shard, no parity, no owner, ten bytes.
    let good_head = head([1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0]);
    let put = |length: usize, body: &[u8]| {
        let mut sent = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes();
        sent.extend_from_slice(body);
        sent
    };
    let plain = |line: &str| {
        format!("{line} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token\r\n\r\n").into_bytes()
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (put(5, b"short"), "interrupted"),
        (put(23, &good_head[..23]), "interrupted"),
        (put(24, &head([0; 12])), "malformed"),
        (put(24, &head([1, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0])), "malformed"),
        (put(24, &head([4, 2, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), "malformed"),
        (put(24, &good_head), "malformed"),
        (put(38, &good_head), "interrupted"),
        (put(38, &[good_head.clone(), vec![0; 14]].concat()), "shard_corrupt"),
        (put(500, &[good_head.clone(), vec![0; 476]].concat()), "malformed"),
        (plain("GET /v1/disks/77/shards?limit=1"), "malformed"),
        (plain(&format!("GET {path}?first=0&count=1")), "shard_not_found"),
        (plain(&format!("GET {path}?first=-1&count=1")), "malformed"),
        (plain(&format!("GET {path}?first=0&count=99999999999")), "malformed"),
        (plain(&format!("GET {path}")), "malformed"),
        (plain(&format!("GET {path}x?first=0&count=1")), "malformed"),
        (plain("GET /v2/disks"), "malformed"),
        (plain("PATCH /v1/disks"), "malformed"),
        (plain(&format!("GET /v1/disks/{DISK}/shards?limit=1&after=zz")), "malformed"),
    ];
    for (sent, code) in cases {
        let answer = exchange(&env, &server, &sent).await;
        assert!(
            answer.contains(&format!("\"code\":\"{code}\"")),
            "{}: {answer}",
            String::from_utf8_lossy(&sent)
        );
    }
    assert_eq!(service.list_shards(DISK, ListShards::all(None, 1)).await, Ok(Vec::new()));
}
