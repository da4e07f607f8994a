//! What all operations share on the level of HTTP.

use harness::{Server, content};
use http::Method;

use crate::support::{assert_absent, assert_content, assert_same};

/// One connection carries requests of all kinds: no answer leaves anything behind for the next.
#[test]
fn a_connection_can_be_used_again_after_any_answer() {
    let server = Server::start();
    let bucket = server.bucket();
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let mut connection = server.client().connect();
    let large = content(1 << 20, 1);
    for round in 0..2 {
        for (request, status) in [
            (bucket.get("key"), 200),
            (bucket.head("key"), 200),
            (bucket.head("missing"), 404),
            (bucket.get("missing"), 404),
            (bucket.get("key").header("if-none-match", &etag), 304),
            (bucket.get("key").header("range", "bytes=1-2"), 206),
            (bucket.put("key", &large).header("if-none-match", "*"), 412),
            (bucket.put("key", &large).anonymous(), 403),
            (bucket.put("key", &large).sha256_of(b"other"), 400),
            (bucket.request(Method::PUT).raw_query("replication"), 501),
            (bucket.put("other", &large), 200),
            (bucket.delete("other"), 204),
            (bucket.list(), 200),
        ] {
            let prepared = request.keep_alive().prepare();
            let answer = prepared.send_over(&mut connection);
            assert_eq!(
                answer.status, status,
                "round {round}: {} {} {answer:?}",
                prepared.method, prepared.target
            );
        }
    }
    assert_content(&bucket, "key", b"content");
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let server = Server::start();
    let bucket = server.bucket();
    for key in ["a", "b"] {
        bucket.put(key, key).ok();
    }
    let prepared = ["a", "missing", "b"].map(|key| bucket.get(key).keep_alive().prepare());
    let mut connection = server.client().connect();
    connection.send(&prepared.iter().flat_map(|request| request.head()).collect::<Vec<u8>>());
    let answers = prepared.map(|request| request.receive(&mut connection));
    assert_eq!(answers.map(|answer| answer.status), [200, 404, 200]);
}

/// The body is waited for only when the head promises success.
#[test]
fn a_body_is_asked_for_before_it_is_sent() {
    let server = Server::start();
    let bucket = server.bucket();
    let data = content(300_000, 1);
    let upload = bucket.upload("key");
    for (request, status) in [
        (bucket.put("key", &data), 200),
        (bucket.put("key", &data).unsigned_payload(), 200),
        (bucket.put("key", &data).signed_chunks(65_536), 200),
        (upload.part(1, &data), 200),
    ] {
        let prepared = request.unsigned_header("expect", "100-continue").prepare();
        let mut connection = server.client().connect();
        connection.send(&prepared.head());
        assert_eq!(connection.receive_interim(), 100);
        connection.send(&prepared.body);
        prepared.receive(&mut connection).expect(status);
    }
    assert_same(&bucket.get("key").ok().body, &data);
}

#[test]
fn a_body_that_is_not_wanted_is_not_asked_for() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("kept", "kept").ok();
    let data = content(300_000, 1);
    let upload = bucket.upload("key");
    let stranger = bucket.through(&server.client().with_credentials(harness::ACCESS_KEY, "another-secret"));
    for (request, status, code) in [
        (stranger.put("key", &data), 403, "SignatureDoesNotMatch"),
        (bucket.put("key", &data).anonymous(), 403, "AccessDenied"),
        (bucket.put("kept", &data).header("if-none-match", "*"), 412, "PreconditionFailed"),
        (bucket.put("key", &data).header("if-match", "*"), 501, "NotImplemented"),
        (
            bucket.put("key", &data).header("if-match", "\"d41d8cd98f00b204e9800998ecf8427e\""),
            404,
            "NoSuchKey",
        ),
        (bucket.put("key", &data).header("x-amz-acl", "public-read"), 400, "AccessControlListNotSupported"),
        (bucket.put("key", &data).header("x-amz-write-offset-bytes", "0"), 501, "NotImplemented"),
        (bucket.put("key", &data).header("content-md5", "nonsense"), 400, "InvalidDigest"),
        (server.client().existing_bucket("missing").put("key", &data), 404, "NoSuchBucket"),
        (upload.part(10_001, &data), 400, "InvalidArgument"),
        (bucket.put("key", &data).query("uploadId", "0").query("partNumber", 1), 404, "NoSuchUpload"),
    ] {
        let prepared = request.unsigned_header("expect", "100-continue").prepare();
        let mut connection = server.client().connect();
        connection.send(&prepared.head());
        let answer = prepared.receive(&mut connection);
        assert!(answer.interim.is_empty(), "{answer:?}");
        answer.expect_error(status, code);
    }
    assert_absent(&bucket, "key");
    assert_content(&bucket, "kept", b"kept");
}

#[test]
fn every_answer_has_an_id_of_its_own() {
    let server = Server::start();
    let bucket = server.bucket();
    let mut ids: Vec<String> =
        (0..20).map(|_| bucket.get("missing").send().get("x-amz-request-id").to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

/// Proxies add headers that are not signed; objects are answered as they are all the same.
#[test]
fn headers_of_proxies_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    let text = "compressible ".repeat(1000);
    bucket.put("key", &text).ok();
    let get = bucket.get("key").unsigned_header("accept-encoding", "gzip, br, identity");
    let get = get.unsigned_header("x-forwarded-for", "10.0.0.1").unsigned_header("via", "1.1 proxy");
    let read = get.unsigned_header("user-agent", "proxy/1").ok();
    assert_eq!((read.header("content-encoding"), read.body.len()), (None, text.len()));
}

#[test]
fn health_is_told_to_anybody() {
    let server = Server::start();
    for path in [
        "/health/live",
        "/health/ready",
        "/minio/health/live",
        "/minio/health/ready",
        "/minio/health/cluster",
        "/minio/health/cluster/read",
    ] {
        for method in [Method::GET, Method::HEAD] {
            let mut connection = server.client().connect();
            let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            connection.send(head.as_bytes());
            let answer = connection.receive(&method);
            assert_eq!(answer.status, 200, "{path} {answer:?}");
            connection.expect_end();
        }
    }
    server.client().request(Method::GET, "/health/other").anonymous().refused(404, "NoSuchBucket");
    server.client().request(Method::PUT, "/health/live").anonymous().refused(404, "NoSuchBucket");
}

/// Heads that are too large, and bytes that are no HTTP, are answered or cut off; the server goes on.
#[test]
fn what_is_not_http_does_no_harm() {
    let server = Server::start();
    let bucket = server.bucket();
    let many = (0..400).fold(String::new(), |head, number| format!("{head}x-{number}: 1\r\n"));
    for bytes in [
        "GARBAGE\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /\u{0} HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
        "PUT /a/b HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(),
        "PUT /a/b HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let mut connection = server.client().connect();
        connection.send(bytes.as_bytes());
        connection.finish_sending();
        if let Some(answer) = connection.receive_if_any(&Method::GET) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    bucket.put("key", "content").ok();
    assert_content(&bucket, "key", b"content");
}

/// As Amazon S3 answers, also where requests went before on the connection.
#[test]
fn a_head_that_is_refused_has_an_error_with_an_id() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let many = (0..400).fold(String::new(), |head, number| format!("{head}x-{number}: 1\r\n"));
    for (head, code) in [
        ("GARBAGE\r\n\r\n".to_owned(), "BadRequest"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "BadRequest"),
        ("PUT /a/b HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(), "BadRequest"),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "RequestHeaderSectionTooLarge"),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(1 << 20)), "RequestHeaderSectionTooLarge"),
    ] {
        for requests_before in [0, 2] {
            let mut connection = server.client().connect();
            for _ in 0..requests_before {
                bucket.get("key").keep_alive().prepare().send_over(&mut connection).expect(200);
            }
            connection.send(head.as_bytes());
            let answer = connection.receive(&Method::GET);
            let id = answer.get("x-amz-request-id").to_owned();
            assert!(!answer.get("x-amz-id-2").is_empty() && !answer.get("date").is_empty(), "{answer:?}");
            assert_eq!(answer.get("connection"), "close");
            let error = answer.expect_error(400, code);
            assert_eq!(error.get("RequestId"), id);
            connection.expect_end();
        }
    }
    let mut connection = server.client().connect();
    connection.send(b"HEAD / HTTP/1.1\r\nno colon\r\n\r\n");
    assert_eq!(connection.receive(&Method::HEAD).status, 400);
    connection.expect_end();
}

/// RFC 9112, section 3.2.
#[test]
fn a_request_must_say_to_whom_it_is_sent() {
    let server = Server::start();
    let bucket = server.bucket();
    let get = bucket.get("key").prepare().without_header("host");
    let error = get.send().expect_error(400, "InvalidRequest");
    assert!(error.get("Message").ends_with("Host"), "{error:?}");
}
