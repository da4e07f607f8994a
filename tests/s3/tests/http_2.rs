//! HTTP/2 over TLS: for clients that speak nothing else. Those that speak both are given HTTP/1.1, as by S3.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    future::join_all,
    stream::{self, StreamExt},
};
use harness::{Certificate, Client, Prepared, Server, content};
use http::Method;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rusqlite::Connection as Database;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::assert_same;

type Body = BoxBody<Bytes, Infallible>;

fn start() -> (Server, Client, Certificate) {
    let certificate = Certificate::make();
    let server = Server::start_with(1, |config| {
        config.front.tls_cert = Some(certificate.chain());
        config.front.tls_key = Some(certificate.key());
        config.front.domain = vec!["s3.test".to_owned()];
    });
    let client = server.client().with_tls(certificate.trust());
    (server, client, certificate)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
}

/// The protocol that the server chose of these, and the connection.
async fn connect(
    client: &Client,
    certificate: &Certificate,
    offered: &[&[u8]],
) -> (Option<Vec<u8>>, tokio_rustls::client::TlsStream<TcpStream>) {
    let mut config = (*certificate.trust().config()).clone();
    config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(client.host()).await.expect("the server listens");
    let name = "127.0.0.1".try_into().expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS is agreed");
    (stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec), stream)
}

/// A connection that speaks HTTP/2 alone.
async fn handshake(client: &Client, certificate: &Certificate) -> SendRequest<Body> {
    let (chosen, stream) = connect(client, certificate, &[b"h2"]).await;
    assert_eq!(chosen.as_deref(), Some(&b"h2"[..]));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    sender
}

/// What was prepared and signed for HTTP/1.1, with this body.
fn request(prepared: &Prepared, body: Body) -> http::Request<Body> {
    let host = prepared.headers.iter().find(|(name, _)| name == "host").expect("a host");
    let host = std::str::from_utf8(&host.1).expect("a host is text");
    let mut request = http::Request::builder()
        .method(prepared.method.clone())
        .uri(format!("https://{host}{}", prepared.target));
    for (name, value) in &prepared.headers {
        if !matches!(name.as_str(), "host" | "connection") {
            request = request.header(name, value.as_slice());
        }
    }
    request.body(body).expect("a request")
}

/// Status, headers and body of the answer to what was prepared and signed for HTTP/1.1.
async fn send(sender: &SendRequest<Body>, prepared: &Prepared) -> http::Response<Bytes> {
    whole(begin(sender, prepared).await).await
}

/// An answer whose head has come, with all of its body.
async fn whole(answer: http::Response<Incoming>) -> http::Response<Bytes> {
    let (parts, body) = answer.into_parts();
    http::Response::from_parts(parts, body.collect().await.expect("all of it").to_bytes())
}

/// The same as soon as its head has come.
async fn begin(sender: &SendRequest<Body>, prepared: &Prepared) -> http::Response<Incoming> {
    let request = request(prepared, Full::new(Bytes::from(prepared.body.clone())).boxed());
    let mut sender = sender.clone();
    sender.ready().await.expect("the connection is open");
    sender.send_request(request).await.expect("an answer")
}

#[test]
fn a_client_of_http_2_alone_is_served() {
    let (_server, client, certificate) = start();
    let bucket = client.bucket();
    let data = content(3_000_000, 1);
    run(async {
        let sender = handshake(&client, &certificate).await;
        for put in [
            bucket.put("key", &data),
            bucket.put("key", &data).unsigned_payload(),
            bucket.put("key", &data).signed_chunks(65_536),
        ] {
            assert_eq!(send(&sender, &put.prepare()).await.status(), 200);
            let get = send(&sender, &bucket.get("key").prepare()).await;
            assert_eq!(get.status(), 200);
            assert_same(get.body(), &data);
            let delete = send(&sender, &bucket.delete("key").prepare()).await;
            assert_eq!(delete.status(), 204);
        }
        assert_eq!(send(&sender, &bucket.put("key", &data).prepare()).await.status(), 200);
        let range = send(&sender, &bucket.get("key").header("range", "bytes=10-19").prepare()).await;
        assert_eq!(range.status(), 206);
        assert_same(range.body(), &data[10..20]);
        let head = send(&sender, &bucket.head("key").prepare()).await;
        assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
        assert_eq!(head.headers()["content-length"], "3000000");

        let missing = send(&sender, &bucket.get("other").prepare()).await;
        assert_eq!(missing.status(), 404);
        let text = String::from_utf8_lossy(missing.body()).into_owned();
        let id = missing.headers()["x-amz-request-id"].to_str().unwrap();
        assert!(text.contains("<Code>NoSuchKey</Code>") && text.contains(id), "{text}");
        let forged = bucket.get("key").prepare().set_header("x-amz-date", "20000101T000000Z");
        assert_eq!(send(&sender, &forged).await.status(), 403);
    });
    assert_same(&bucket.get("key").ok().body, &data);
}

/// The authority of a request is its host: it is signed, and may name the bucket.
#[test]
fn the_authority_is_the_host() {
    let (_server, client, certificate) = start();
    let bucket = client.bucket();
    bucket.put("key", "content").ok();
    run(async {
        let sender = handshake(&client, &certificate).await;
        let host = format!("{}.s3.test", bucket.name);
        let named = client.request(Method::GET, "/key").host(&host).prepare();
        let answer = send(&sender, &named).await;
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"content"[..]));
        let other = named.set_header("host", "other-bucket.s3.test");
        assert_eq!(send(&sender, &other).await.status(), 403, "it was signed for another host");
    });
}

#[test]
fn a_refused_body_ends_its_request_alone() {
    let (_server, client, certificate) = start();
    let bucket = client.bucket();
    let data = content(8_000_000, 2);
    run(async {
        let sender = handshake(&client, &certificate).await;
        let nowhere = client.request(Method::PUT, "/no-such-bucket-of-anybody/key").body(&data).prepare();
        let good = bucket.put("key", "content").prepare();
        let (refused, stored) = tokio::join!(send(&sender, &nowhere), send(&sender, &good));
        assert_eq!((refused.status().as_u16(), stored.status().as_u16()), (404, 200));
        assert_eq!(send(&sender, &bucket.get("key").prepare()).await.body(), "content");
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_and_keeps_no_other_request_waiting() {
    let (_server, client, certificate) = start();
    let bucket = client.bucket();
    let (slow, other) = (bucket.put("slow", "content").prepare(), bucket.put("other", "content").prepare());
    run(async {
        let sender = handshake(&client, &certificate).await;
        let body =
            StreamBody::new(stream::iter([Ok(Frame::data(Bytes::from("con")))]).chain(stream::pending()));
        let (begun, mut sending) = (Instant::now(), sender.clone());
        let hung = async {
            sending.ready().await.expect("the connection is open");
            whole(sending.send_request(request(&slow, BodyExt::boxed(body))).await.expect("an answer")).await
        };
        let (refused, stored) = tokio::join!(hung, send(&sender, &other));
        let text = String::from_utf8_lossy(refused.body()).into_owned();
        assert!(refused.status() == 400 && text.contains("<Code>RequestTimeout</Code>"), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert_eq!(stored.status(), 200);
        assert_eq!(send(&sender, &bucket.get("other").prepare()).await.body(), "content");
        assert_eq!(send(&sender, &bucket.get("slow").prepare()).await.status(), 404);
    });
}

#[test]
fn many_requests_share_a_connection() {
    let (_server, client, certificate) = start();
    let bucket = client.bucket();
    let data: Vec<Vec<u8>> = (0..200).map(|number| content(30_000, number)).collect();
    run(async {
        let sender = handshake(&client, &certificate).await;
        let puts: Vec<_> =
            (0..200).map(|number| bucket.put(&format!("{number}"), &data[number]).prepare()).collect();
        let stored = join_all(puts.iter().map(|put| send(&sender, put))).await;
        assert!(stored.iter().all(|answer| answer.status() == 200));
        let gets: Vec<_> = (0..200).map(|number| bucket.get(&format!("{number}")).prepare()).collect();
        let read = join_all(gets.iter().map(|get| send(&sender, get))).await;
        for (answer, data) in read.iter().zip(&data) {
            assert_same(answer.body(), data);
        }
    });
}

/// What is answered before it is known what it came to keeps nothing else on its connection waiting, and tells it at the end of its body.
#[test]
fn what_takes_long_is_answered_beside_others() {
    let (server, client, certificate) = start();
    let bucket = client.bucket();
    bucket.put("key", "content").ok();
    let upload = bucket.upload("parts");
    upload.put(1, "part");
    let copy = bucket.copy(&format!("{}/key", bucket.name), "copy").prepare();
    let failing = upload.complete(&[(1, &"0".repeat(32))]).prepare();
    run(async {
        let sender = handshake(&client, &certificate).await;
        // While it is held nothing can be committed.
        let database = Database::open(server.folder().join("0/metadata.db")).expect("the server's database");
        database.execute_batch("BEGIN IMMEDIATE").expect("its lock");
        let impatience = server.be_impatient();
        let (copied, failed) = (begin(&sender, &copy).await, begin(&sender, &failing).await);
        drop(impatience);
        assert_eq!(send(&sender, &bucket.get("key").prepare()).await.body(), "content");
        drop(database);
        for (answer, expected) in [(copied, "<CopyObjectResult"), (failed, "<Code>InvalidPart</Code>")] {
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["content-type"], "application/xml");
            assert!(!answer.headers().contains_key("content-length"), "{:?}", answer.headers());
            let answer = whole(answer).await;
            let text = String::from_utf8_lossy(answer.body());
            let document = text.split_once("?>").expect("a declaration").1;
            assert!(document.trim_start().starts_with('<') && document.contains(expected), "{text}");
        }
    });
    assert_same(&bucket.get("copy").ok().body, b"content");
}

#[test]
fn a_client_that_speaks_both_is_given_version_1() {
    let (_server, client, certificate) = start();
    run(async {
        for offered in [[&b"h2"[..], b"http/1.1"], [b"http/1.1", b"h2"]] {
            let (chosen, _) = connect(&client, &certificate, &offered).await;
            assert_eq!(chosen.as_deref(), Some(&b"http/1.1"[..]));
        }
        let (chosen, _) = connect(&client, &certificate, &[]).await;
        assert_eq!(chosen, None);
    });
}
