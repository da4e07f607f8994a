//! Bytes on the S3 listener that are made to be read differently by a proxy in front, or that are meant for other listeners. What
//! follows them on the connection is never taken for a request of its own.

use harness::{Bucket, Server};
use http::Method;

use crate::support::{assert_absent, assert_content};

/// Sends the bytes, the last of which end in a request that closes the connection or in what does, and gives the statuses of all
/// answers until then.
fn statuses(bucket: &Bucket, bytes: &str) -> Vec<u16> {
    let mut connection = bucket.client().connect();
    connection.send(bytes.as_bytes());
    let mut statuses = Vec::new();
    while let Some(answer) = connection.receive_if_any(&Method::GET) {
        statuses.push(answer.status);
    }
    statuses
}

/// A bucket that anybody may write to, so that nothing but the framing keeps a request out.
fn open_bucket(server: &Server) -> Bucket {
    let bucket = server.bucket();
    let statement = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::BUCKET/*"}"#
        .replace("BUCKET", &bucket.name);
    let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    bucket
}

#[test]
fn what_follows_a_body_of_two_lengths_is_no_request() {
    let server = Server::start();
    let bucket = open_bucket(&server);
    let name = &bucket.name;
    let smuggled = format!(
        "PUT /{name}/smuggled HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"
    );
    // Without any trick, both are carried out.
    let plain = format!("PUT /{name}/first HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    let both = smuggled.replace("smuggled", "plain");
    assert_eq!(statuses(&bucket, &format!("{plain}{both}")), [200, 200]);
    assert_content(&bucket, "plain", b"x");
    let length = 5 + smuggled.len();
    for head in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: 0\r\ncontent-length: {length}\r\n"),
        format!("content-length: 0, {length}\r\n"),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "content-length: +0\r\n".to_owned(),
        "content-length: 0x0\r\n".to_owned(),
    ] {
        let bytes = format!("PUT /{name}/first HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n{smuggled}");
        let answers = statuses(&bucket, &bytes);
        assert!(answers.len() <= 1, "{head:?}: {answers:?}");
        assert_absent(&bucket, "smuggled");
    }
}

/// A read has no body, so whoever says how one is framed means something else, or wants it to be taken for a request.
#[test]
fn a_read_with_a_framed_body_is_refused_and_ends_the_connection() {
    let server = Server::start();
    let bucket = open_bucket(&server);
    let name = &bucket.name;
    let next = format!("PUT /{name}/smuggled HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    let length = 5 + next.len();
    for head in [
        "transfer-encoding: chunked\r\n".to_owned(),
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
    ] {
        let bytes = format!("GET /{name}/key HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n{next}");
        assert_eq!(statuses(&bucket, &bytes), [400], "{head:?}");
        assert_absent(&bucket, "smuggled");
    }
}

#[test]
fn heads_that_proxies_read_differently_are_refused() {
    let server = Server::start();
    let bucket = open_bucket(&server);
    let name = &bucket.name;
    for head in [
        "x-folded: a\r\n content-length: 1\r\n",
        "content-length : 1\r\n",
        " content-length: 1\r\n",
        "content-length: 1\r\nx\0: 1\r\n",
        "content-length: 1\r\nx-cr: a\rb\r\n",
        "content-length: 1\r\n: empty\r\n",
    ] {
        let bytes = format!("PUT /{name}/key HTTP/1.1\r\nhost: a\r\n{head}\r\nx");
        assert_eq!(statuses(&bucket, &bytes), [400], "{head:?}");
        assert_absent(&bucket, "key");
    }
}

/// The contracts between the services are spoken on listeners of their own.
#[test]
fn calls_between_services_are_not_answered_to_clients() {
    let server = Server::start();
    let bucket = server.bucket();
    for (method, path) in [
        ("GET", "/v1/disks"),
        ("GET", "/v1/disks/0/shards"),
        ("POST", "/v1/disks/0/delete"),
        ("POST", "/ashlar.metadata.v1.Buckets/ListBuckets"),
    ] {
        for authorization in ["", "authorization: Bearer token\r\n"] {
            let bytes = format!(
                "{method} {path} HTTP/1.1\r\nhost: a\r\n{authorization}connection: close\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n"
            );
            let answers = statuses(&bucket, &bytes);
            assert!(matches!(answers[..], [400 | 403 | 405]), "{method} {path}: {answers:?}");
        }
    }
    // HTTP/2, which the metadata service speaks, is not spoken without TLS.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
    let mut connection = server.client().connect();
    connection.send(preface.as_bytes());
    connection.finish_sending();
    if let Some(answer) = connection.receive_if_any(&Method::GET) {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}

/// What a proxy, or who pretends to be one, says of the sender opens nothing.
#[test]
fn no_header_says_where_a_request_is_from() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let allow = |address: &str| {
        let statement = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*", "Condition": {"IpAddress": {"aws:SourceIp": "ADDRESS"}}}"#
            .replace("BUCKET", &bucket.name)
            .replace("ADDRESS", address);
        let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
        bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    };
    allow("192.0.2.7/32");
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
        ("x-real-ip", "192.0.2.7"),
        ("x-client-ip", "192.0.2.7"),
        ("x-amz-source-ip", "192.0.2.7"),
        ("aws:sourceip", "192.0.2.7"),
    ] {
        let get = bucket.get("key").anonymous();
        if name.contains(':') {
            get.query(name, value).refused(403, "AccessDenied");
        } else {
            get.unsigned_header(name, value).refused(403, "AccessDenied");
        }
    }
    allow("127.0.0.0/8");
    bucket.get("key").anonymous().unsigned_header("x-forwarded-for", "192.0.2.7").ok();
}

/// A proxy that is trusted says where a request is from, and what it was told itself is believed no further.
#[test]
fn a_trusted_proxy_says_where_a_request_is_from() {
    let server = Server::start_with(1, |config| {
        config.front.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    });
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let statement = r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*", "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.7"}}}"#
        .replace("BUCKET", &bucket.name);
    let policy = format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#);
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    let from = |forwarded: &str| bucket.get("key").anonymous().unsigned_header("x-forwarded-for", forwarded);
    from("192.0.2.7").ok();
    from("198.51.100.1, 192.0.2.7").ok();
    from("192.0.2.7, 127.0.0.9").ok();
    from("192.0.2.7, 198.51.100.1").refused(403, "AccessDenied");
    from("unknown").refused(403, "AccessDenied");
    bucket.get("key").anonymous().refused(403, "AccessDenied");
}

/// What nobody may delete from is not sent: strangers do not fill the memory with documents.
#[test]
fn a_list_of_what_strangers_may_not_delete_is_not_waited_for() {
    let server = Server::start();
    let bucket = server.bucket();
    let policy = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{}/*"}}]}}"#,
        bucket.name
    );
    bucket.request(Method::PUT).raw_query("policy").body(policy).send().expect(204);
    let mut connection = bucket.client().connect();
    let name = &bucket.name;
    connection.send(
        format!("POST /{name}?delete HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 8000000\r\n\r\n")
            .as_bytes(),
    );
    connection.receive(&Method::POST).expect_error(403, "AccessDenied");
}
