//! The same over TLS, where current SDKs send other requests: bodies of unsigned chunks.

use harness::{Certificate, Client, Server, checksum_of, content};
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
