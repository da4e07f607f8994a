//! PutBucketVersioning.

use harness::{Bucket, Request, Server, checksum_of, md5_base64};
use http::Method;
use types::ChecksumAlgorithm;

use crate::support::assert_content;

const ENABLED: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

fn put(bucket: &Bucket, document: &str) -> Request {
    bucket.request(Method::PUT).raw_query("versioning").body(document)
}

fn status(bucket: &Bucket) -> Option<String> {
    bucket.request(Method::GET).raw_query("versioning").ok().xml().find("Status").map(str::to_owned)
}

#[test]
fn what_was_there_before_stays_as_the_null_version() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "before").ok();
    bucket.set_versioning("Enabled");
    assert_eq!(bucket.get("key").ok().get("x-amz-version-id"), "null");
    let version = bucket.put_version("key", "after");
    assert_ne!(version, "null");
    assert_content(&bucket, "key", b"after");
    assert_eq!(bucket.get("key").query("versionId", "null").ok().body, b"before");
}

/// While versioning is suspended writes replace the null version; versions with ids stay.
#[test]
fn a_suspended_bucket_writes_null_versions() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let first = bucket.put_version("key", "first");
    bucket.set_versioning("Suspended");
    // Whatever makes them, the answer has no id, unlike one about what is there.
    let upload = bucket.upload("key");
    let etag = upload.put(1, "part");
    let source = format!("{}/key", bucket.name);
    for answer in [
        bucket.put("key", "null 1").ok(),
        upload.complete(&[(1, &etag)]).ok(),
        bucket.copy(&source, "key").header("x-amz-metadata-directive", "REPLACE").ok(),
        bucket.form().field("key", "key").signed("null").send().expect(204),
        bucket.put("key", "null 2").ok(),
    ] {
        assert_eq!(answer.header("x-amz-version-id"), None);
    }
    assert_eq!(bucket.head("key").ok().get("x-amz-version-id"), "null");
    assert_content(&bucket, "key", b"null 2");
    assert_eq!(bucket.get("key").query("versionId", &first).ok().body, b"first");
    assert_eq!(bucket.list_versions().ok().xml().all("Version/VersionId"), ["null", first.as_str()]);
    assert_eq!(bucket.put_marker("key"), "null");
    let left = bucket.list_versions().ok().xml();
    assert_eq!(left.all("Version/VersionId"), [first.as_str()]);
    assert_eq!(left.all("DeleteMarker/VersionId"), ["null"]);
}

#[test]
fn documents_that_say_nothing_known_change_nothing() {
    let server = Server::start();
    let bucket = server.bucket();
    let wrap = |inner: &str| format!("<VersioningConfiguration>{inner}</VersioningConfiguration>");
    for (document, http, code) in [
        (wrap(""), 400, "IllegalVersioningConfigurationException"),
        (wrap("<Status/>"), 400, "IllegalVersioningConfigurationException"),
        (wrap("<Status>On</Status>"), 400, "MalformedXML"),
        (wrap("<Status>enabled</Status>"), 400, "MalformedXML"),
        (wrap("<Status>Enabled</Status><Status>Suspended</Status>"), 400, "MalformedXML"),
        (wrap("<Status>Enabled</Status><Other/>"), 400, "MalformedXML"),
        (wrap("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), 501, "NotImplemented"),
        ("<Versioning><Status>Enabled</Status></Versioning>".to_owned(), 400, "MalformedXML"),
        (String::new(), 400, "MissingRequestBodyError"),
        (" ".to_owned(), 400, "MalformedXML"),
    ] {
        put(&bucket, &document).refused(http, code);
        assert_eq!(status(&bucket), None, "{document}");
    }
    // An element without a text says nothing.
    for (mfa_delete, state) in
        [("<MfaDelete>Disabled</MfaDelete>", "Enabled"), ("<MfaDelete></MfaDelete>", "Suspended")]
    {
        put(&bucket, &wrap(&format!("{mfa_delete}<Status>{state}</Status>"))).ok();
        assert_eq!(status(&bucket).as_deref(), Some(state));
    }
}

/// Any digest will do, or none; a wrong one never does.
#[test]
fn the_document_is_held_to_its_digest() {
    let server = Server::start();
    for algorithm in ChecksumAlgorithm::ALL {
        let bucket = server.bucket();
        let (header, right) = (algorithm.header_name(), checksum_of(algorithm, ENABLED.as_bytes()));
        let wrong = checksum_of(algorithm, b"something else");
        put(&bucket, ENABLED).header(header, wrong).refused(400, "BadDigest");
        assert_eq!(status(&bucket), None);
        put(&bucket, ENABLED).header(header, right).ok();
        assert_eq!(status(&bucket).as_deref(), Some("Enabled"));
    }
    let bucket = server.bucket();
    put(&bucket, ENABLED).header("content-md5", md5_base64(b"something else")).refused(400, "BadDigest");
    assert_eq!(status(&bucket), None);
    put(&bucket, ENABLED).header("content-md5", md5_base64(ENABLED.as_bytes())).ok();
    let bucket = server.bucket();
    let checksum = checksum_of(ChecksumAlgorithm::Crc32, ENABLED.as_bytes());
    put(&bucket, ENABLED).unsigned_trailer(64, "x-amz-checksum-crc32", &checksum).ok();
    assert_eq!(status(&bucket).as_deref(), Some("Enabled"));
}

#[test]
fn a_missing_bucket_is_refused() {
    let server = Server::start();
    put(&server.client().existing_bucket("missing"), ENABLED).refused(404, "NoSuchBucket");
}
