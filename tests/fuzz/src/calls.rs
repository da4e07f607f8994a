//! Calls between services, on their implementations in memory: bytes of a peer that knows the cluster's secret.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use chunk_api::server::{Access, ChunkServer};
use env::Env;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use metadata_api::{Token, fake::Fake};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};
use tower::ServiceExt;
use types::DiskId;

const SECRET: &str = "the-secret-of-the-fuzzed-cluster";

/// The paths of all calls of the metadata service, from its own description.
static METADATA_CALLS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut calls = Vec::new();
    for file in [
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/buckets.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/versions.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/listings.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/uploads.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/leases.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/cluster.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/moves.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/repair.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/jobs.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/garbage.proto"),
        include_str!("../../../libs/metadata-api/proto/ashlar/metadata/v1/identities.proto"),
    ] {
        let mut service = "";
        for line in file.lines() {
            let mut words = line.split([' ', '(', '{']).filter(|word| !word.is_empty());
            match (words.next(), words.next()) {
                (Some("service"), Some(name)) => service = name,
                (Some("rpc"), Some(name)) => calls.push(format!("/ashlar.metadata.v1.{service}/{name}")),
                _ => {}
            }
        }
    }
    calls
});

thread_local! {
    /// A runtime of this thread alone, for all that is played to it.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// The first byte names a call, the rest is its message.
pub(crate) fn metadata(data: &[u8]) {
    let Some((&call, message)) = data.split_first() else { return };
    let path = &METADATA_CALLS[usize::from(call) % METADATA_CALLS.len()];
    let length = u32::try_from(message.len()).expect("a short message");
    let body = [&[0][..], &length.to_be_bytes(), message].concat();
    let call = async {
        let token = Token::new(SECRET).expect("a valid token");
        let service = metadata_api::server::service(Arc::new(Fake::new(Env::real())), &token);
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, format!("Bearer {SECRET}"))
            .body(tonic_body(body))
            .expect("a request");
        let answer = service.oneshot(request).await.expect("the service answers");
        let _ = answer.into_body().collect().await;
    };
    RUNTIME.with(|runtime| runtime.block_on(call));
}

fn tonic_body(bytes: Vec<u8>) -> Full<Bytes> {
    Full::new(Bytes::from(bytes))
}

fn access() -> Access {
    Access::derived(|_| SECRET.to_owned())
}

/// A capability, as its bytes without what proves them, and as its text.
pub(crate) fn capability(data: &[u8]) {
    if let Some(again) = chunk_api::read_capability(data) {
        assert_eq!(again, data, "a capability is written in one way");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = access().opens(text);
    }
}

/// The first line is a call's method and target; headers follow up to an empty line; the rest is its body. Sent as it is, but for
/// the secret and the length.
pub(crate) fn chunk(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let mut lines = head.split(|&byte| byte == b'\n');
    let mut sent = lines.next().unwrap_or_default().to_vec();
    sent.extend_from_slice(b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    sent.extend_from_slice(format!("authorization: Bearer {SECRET}\r\n").as_bytes());
    sent.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    for line in lines {
        sent.extend_from_slice(line);
        sent.extend_from_slice(b"\r\n");
    }
    sent.extend_from_slice(b"\r\n");
    sent.extend_from_slice(body);
    let both = async {
        let disk = DiskId([1; 16]);
        let fake = Arc::new(chunk_api::fake::FakeChunkService::new([disk]));
        let service = ChunkServer::new(Env::real(), fake, access());
        let (client, server) = tokio::io::duplex(256 << 10);
        let serve = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let call = async {
            let _ = to_server.write_all(&sent).await;
            let _ = to_server.shutdown().await;
            let mut answer = Vec::new();
            let _ = from_server.read_to_end(&mut answer).await;
        };
        let _ = tokio::join!(serve, call);
    };
    RUNTIME.with(|runtime| runtime.block_on(both));
}
