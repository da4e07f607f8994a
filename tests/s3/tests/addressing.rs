//! Buckets in the path and in the host name. Source: User Guide, "Virtual hosting of general purpose buckets".

use harness::Server;
use http::Method;

use crate::support::{ODD_KEYS, assert_content};

const DOMAIN: &str = "s3.example.test";

fn server() -> Server {
    Server::start_with(1, |config| config.front.domain = vec![DOMAIN.to_owned(), "other.test".to_owned()])
}

#[test]
fn both_styles_reach_the_same_bucket() {
    let server = server();
    let client = server.client();
    for name in ["bucket", "a.dotted-name"] {
        let host = format!("{name}.{DOMAIN}");
        client.request(Method::PUT, "/").host(&host).ok();
        client.request(Method::PUT, "/a/key").host(&host).body("by host").ok();
        let bucket = client.existing_bucket(name);
        assert_content(&bucket, "a/key", b"by host");
        bucket.put("another", "by path").ok();
        for host in
            [format!("{host}:9000"), host.to_uppercase(), format!("{host}."), format!("{name}.other.test")]
        {
            assert_eq!(client.request(Method::GET, "/another").host(&host).ok().body, b"by path", "{host}");
        }
        let listed = client.request(Method::GET, "/").host(&host).query("list-type", 2).ok().xml();
        assert_eq!(listed.all("Contents/Key"), ["a/key", "another"]);
        // The base domain itself is no bucket.
        let path = format!("/{name}/another");
        assert_eq!(client.request(Method::GET, &path).host(DOMAIN).ok().body, b"by path");
    }
    let listed = client.request(Method::GET, "/").host(DOMAIN).ok().xml();
    assert_eq!(listed.name, "ListAllMyBucketsResult");
}

#[test]
fn odd_keys_are_the_same_keys_below_a_host() {
    let server = server();
    let bucket = server.bucket();
    let host = format!("{}.{DOMAIN}", bucket.name);
    for key in ODD_KEYS {
        bucket.put(key, *key).ok();
        let path = format!("/{}", encoded(key));
        assert_eq!(
            server.client().request(Method::GET, &path).host(&host).ok().body,
            key.as_bytes(),
            "{key:?}"
        );
    }
}

/// Every byte but slashes and the plainest letters escaped.
fn encoded(key: &str) -> String {
    key.bytes()
        .map(|byte| {
            if byte == b'/' || byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[test]
fn copies_and_uploads_work_below_a_host() {
    let server = server();
    let bucket = server.bucket();
    let host = format!("{}.{DOMAIN}", bucket.name);
    bucket.put("source", "content").ok();
    let copy = server.client().request(Method::PUT, "/copy").host(&host);
    copy.header("x-amz-copy-source", format!("{}/source", bucket.name)).ok();
    assert_content(&bucket, "copy", b"content");
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    );
    let complete =
        server.client().request(Method::POST, "/key").host(&host).query("uploadId", &upload.id).body(list);
    assert_eq!(complete.ok().xml().get("Location"), format!("http://{host}/key"));
}

#[test]
fn hosts_that_name_no_bucket_are_addressed_by_path() {
    let server = server();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    for host in ["localhost", "example.test", "nots3.example.test", "10.0.0.1:9000", "[::1]:9000"] {
        let path = format!("/{}/key", bucket.name);
        assert_eq!(server.client().request(Method::GET, &path).host(host).ok().body, b"content", "{host}");
    }
    let bad = format!("Bad_Name.{DOMAIN}");
    server.client().request(Method::GET, "/key").host(&bad).refused(400, "InvalidBucketName");
    let missing = format!("missing.{DOMAIN}");
    server.client().request(Method::GET, "/key").host(&missing).refused(404, "NoSuchBucket");
}

/// A target with a host of its own says whom it is for, whatever `Host` says or does not say: what is signed and what is addressed are
/// never two hosts, so that a name in one bucket is never taken for another bucket. RFC 9112, section 3.2.2.
#[test]
fn the_host_of_a_target_is_both_signed_and_addressed() {
    let server = server();
    let client = server.client();
    for name in ["uploads", "payroll"] {
        client.request(Method::PUT, &format!("/{name}")).ok();
    }
    let (uploads, payroll) = (client.existing_bucket("uploads"), client.existing_bucket("payroll"));
    payroll.put("list", "secret").ok();
    let host = format!("uploads.{DOMAIN}");
    let asked = |method: Method| {
        let request = client.request(method.clone(), "/payroll/list").host(&host).presigned(300);
        if method == Method::PUT { request.body("mallory's").prepare() } else { request.prepare() }
    };
    for other in [None, Some(DOMAIN.to_owned()), Some(client.host())] {
        let send = |method: Method| {
            let prepared = asked(method);
            let target = format!("http://{host}{}", prepared.target);
            let prepared = match &other {
                None => prepared.with_target(target).without_header("host"),
                Some(other) => prepared.with_target(target).set_header("host", other),
            };
            prepared.send()
        };
        send(Method::GET).expect_error(404, "NoSuchKey");
        send(Method::PUT).expect(200);
        assert_content(&uploads, "payroll/list", b"mallory's");
        assert_content(&payroll, "list", b"secret");
        uploads.delete("payroll/list").send().expect(204);
    }
    // Two hosts are none.
    let twice = asked(Method::GET);
    let mut connection = client.connect();
    let head = String::from_utf8(twice.head()).expect("text");
    connection.send(head.replace("\r\nhost:", &format!("\r\nhost: {DOMAIN}\r\nhost:")).as_bytes());
    let answer = connection.receive(&Method::GET);
    assert!((400..500).contains(&answer.status), "{answer:?}");
}
