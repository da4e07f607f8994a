//! The same over TLS, where current SDKs send other requests: bodies of unsigned chunks.

use std::{
    fs,
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use harness::{Certificate, Client, Logs, Server, checksum_of, content};
use http::Method;
use types::ChecksumAlgorithm::Crc64nvme;

use crate::support::assert_same;

fn start(certificate: &Certificate) -> (Server, Client) {
    let server = Server::start_with(1, |config| {
        config.front.tls_cert = Some(certificate.chain());
        config.front.tls_key = Some(certificate.key());
    });
    let client = server.client().with_tls(certificate.trust());
    (server, client)
}

#[test]
fn objects_come_and_go_over_tls() {
    let certificate = Certificate::make();
    let (_server, client) = start(&certificate);
    let bucket = client.bucket();
    let data = content(3_000_000, 1);
    for put in [
        bucket.put("key", &data),
        bucket.put("key", &data).unsigned_payload(),
        bucket.put("key", &data).signed_chunks(65_536),
        bucket.put("key", &data).unsigned_trailer(
            1 << 20,
            Crc64nvme.header_name(),
            &checksum_of(Crc64nvme, &data),
        ),
        bucket.put("key", &data).presigned(60),
    ] {
        bucket.delete("key").send().expect(204);
        put.ok();
        assert_same(&bucket.get("key").ok().body, &data);
    }
    let wrong = bucket.put("other", &data).unsigned_trailer(65_536, Crc64nvme.header_name(), "AAAAAAAAAAA=");
    wrong.refused(400, "BadDigest");
    assert_eq!(bucket.keys(), ["key"]);
}

#[test]
fn a_location_has_the_scheme_of_its_server() {
    let certificate = Certificate::make();
    let (_server, client) = start(&certificate);
    let bucket = client.bucket();
    let upload = bucket.upload("key");
    let etag = upload.put(1, "content");
    let done = upload.complete(&[(1, &etag)]).ok().xml();
    assert_eq!(done.get("Location"), format!("https://{}/{}/key", client.host(), bucket.name));
}

#[test]
fn a_body_is_asked_for_before_it_is_sent() {
    let certificate = Certificate::make();
    let (_server, client) = start(&certificate);
    let bucket = client.bucket();
    let prepared = bucket.put("key", content(100_000, 1)).unsigned_header("expect", "100-continue").prepare();
    let mut connection = client.connect();
    connection.send(&prepared.head());
    assert_eq!(connection.receive_interim(), 100);
    connection.send(&prepared.body);
    prepared.receive(&mut connection).expect(200);
}

/// Plain HTTP to a port that speaks TLS gets nothing, and does no harm.
#[test]
fn plain_text_is_not_served() {
    let certificate = Certificate::make();
    let (server, client) = start(&certificate);
    let bucket = client.bucket();
    bucket.put("key", "content").ok();
    let mut connection = server.client().connect();
    connection.send(&bucket.get("key").prepare().head());
    connection.finish_sending();
    connection.expect_no_http();
    assert_eq!(client.request(Method::GET, &format!("/{}/key", bucket.name)).ok().body, b"content");
}

/// Writes over the server's certificate and key with others.
fn replace(certificate: &Certificate, other: &Certificate, with_key: bool) {
    fs::copy(other.chain(), certificate.chain()).expect("a certificate can be replaced");
    if with_key {
        fs::copy(other.key(), certificate.key()).expect("a key can be replaced");
    }
}

/// Waits until clients that trust this certificate alone are served.
fn wait_until_shown(server: &Server, certificate: &Certificate) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !server.client().with_tls(certificate.trust()).can_connect() {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A new certificate is used without a restart: by itself within moments, at once when the process is told, and a connection that
/// is open goes on.
#[test]
fn a_new_certificate_takes_no_restart() {
    let logs = Logs::start();
    let (certificate, old) = (Certificate::make(), Certificate::make());
    let trust = certificate.trust();
    let server = Server::start_with(1, |config| {
        config.front.tls_cert = Some(certificate.chain());
        config.front.tls_key = Some(certificate.key());
    });
    let client = server.client().with_tls(trust);
    let bucket = client.bucket();
    bucket.put("key", "content").ok();
    let mut open = client.connect();
    replace(&certificate, &old, true);
    wait_until_shown(&server, &old);
    assert!(!client.can_connect(), "the old certificate is used no more");
    let get = bucket.get("key").prepare();
    open.send(&get.head());
    assert_eq!(get.receive(&mut open).body, b"content");

    // One whose key is another's is left alone, and the log says so.
    let new = Certificate::make();
    replace(&certificate, &new, false);
    hang_up();
    let deadline = Instant::now() + Duration::from_secs(60);
    while logs.take("the new certificate cannot be used and the old one stays in use").is_empty() {
        assert!(Instant::now() < deadline, "the log says nothing of it");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(server.client().with_tls(old.trust()).can_connect());
    replace(&certificate, &new, true);
    hang_up();
    wait_until_shown(&server, &new);
}

/// Sends SIGHUP to this process, which is the server's.
fn hang_up() {
    let sent = Command::new("kill").args(["-HUP", &process::id().to_string()]).status();
    assert!(sent.expect("kill is installed").success());
}

/// Amazon S3 User Guide, "Amazon S3 condition key examples", "Requiring a minimum TLS version".
#[test]
fn policies_can_ask_for_a_version_of_tls() {
    let certificate = Certificate::make();
    let (_server, client) = start(&certificate);
    let bucket = client.bucket();
    bucket.put("key", "content").ok();
    for (condition, is_denied) in [
        (r#"{"NumericLessThan": {"s3:TlsVersion": "1.3"}}"#, false),
        (r#"{"NumericLessThan": {"s3:TlsVersion": "1.4"}}"#, true),
        (r#"{"NumericEquals": {"s3:TlsVersion": ["1.2", "1.3"]}}"#, true),
        (r#"{"Null": {"s3:TlsVersion": "true"}}"#, false),
    ] {
        let statement = format!(
            r#"{{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "BUCKET/*", "Condition": {condition}}}"#
        );
        crate::bucket_policy::set(&bucket, &[&statement]);
        assert_eq!(bucket.get("key").send().status == 403, is_denied, "{condition}");
    }
}
