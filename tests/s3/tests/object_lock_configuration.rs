//! GetObjectLockConfiguration, PutObjectLockConfiguration, and what the configuration does to what is written.

use harness::{Bucket, Request, Server, md5_base64};
use http::Method;

fn lock(bucket: &Bucket, method: Method) -> Request {
    bucket.request(method).raw_query("object-lock")
}

fn configuration(rule: &str) -> String {
    format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
    )
}

fn default_retention(inner: &str) -> String {
    configuration(&format!("<Rule><DefaultRetention>{inner}</DefaultRetention></Rule>"))
}

/// A bucket that was made with object lock.
pub(crate) fn locking_bucket(server: &Server, name: &str) -> Bucket {
    let bucket = server.client().existing_bucket(name);
    bucket.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true").ok();
    bucket
}

#[test]
fn a_bucket_made_with_object_lock_has_versioning_for_good() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let found = lock(&bucket, Method::GET).ok().xml();
    assert_eq!(found.get("ObjectLockEnabled"), "Enabled");
    assert!(found.all("Rule/DefaultRetention/Mode").is_empty());
    assert_eq!(bucket.request(Method::GET).raw_query("versioning").ok().xml().get("Status"), "Enabled");
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let suspend = bucket.request(Method::PUT).raw_query("versioning").body(suspended);
    let error = suspend.refused(409, "InvalidBucketState");
    let message =
        "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
    assert_eq!(error.get("Message"), message);
    bucket.set_versioning("Enabled");
    bucket.request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true").ok();
    let plain = server.bucket().request(Method::PUT).header("x-amz-bucket-object-lock-enabled", "true");
    plain.refused(409, "BucketAlreadyOwnedByYou");
    let bad = server.client().existing_bucket("bad-header").request(Method::PUT);
    bad.header("x-amz-bucket-object-lock-enabled", "yes").refused(400, "InvalidArgument");
    server.client().existing_bucket("bad-header").request(Method::HEAD).send().expect(404);
}

#[test]
fn a_versioned_bucket_can_be_given_object_lock() {
    let server = Server::start();
    let bucket = server.bucket();
    lock(&bucket, Method::GET).refused(404, "ObjectLockConfigurationNotFoundError");
    let error = lock(&bucket, Method::PUT).body(configuration("")).refused(409, "InvalidBucketState");
    let message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
    assert_eq!(error.get("Message"), message);
    bucket.set_versioning("Suspended");
    lock(&bucket, Method::PUT).body(configuration("")).refused(409, "InvalidBucketState");
    bucket.set_versioning("Enabled");
    let rule = default_retention("<Mode>GOVERNANCE</Mode><Years>2</Years>");
    lock(&bucket, Method::PUT).body(rule).ok();
    let found = lock(&bucket, Method::GET).ok().xml();
    assert_eq!(found.get("Rule/DefaultRetention/Mode"), "GOVERNANCE");
    assert_eq!(found.get("Rule/DefaultRetention/Years"), "2");
    lock(&bucket, Method::PUT).body(configuration("")).ok();
    assert!(lock(&bucket, Method::GET).ok().xml().all("Rule/DefaultRetention/Mode").is_empty());
}

#[test]
fn what_is_no_configuration_changes_nothing() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let kept = default_retention("<Mode>COMPLIANCE</Mode><Days>3</Days>");
    lock(&bucket, Method::PUT).body(&kept).ok();
    for (body, code) in [
        (String::new(), "MissingRequestBodyError"),
        ("<ObjectLockConfiguration/>".to_owned(), "MalformedXML"),
        (default_retention("<Mode>COMPLIANCE</Mode><Days>0</Days>"), "InvalidArgument"),
        (default_retention("<Mode>COMPLIANCE</Mode><Years>101</Years>"), "InvalidArgument"),
        (default_retention("<Mode>COMPLIANCE</Mode><Days>1</Days><Years>1</Years>"), "MalformedXML"),
        (default_retention("<Mode>FOREVER</Mode><Days>1</Days>"), "MalformedXML"),
    ] {
        let answer = lock(&bucket, Method::PUT).body(&body).send();
        assert_eq!((answer.status, answer.xml().get("Code")), (400, code), "{body}");
    }
    let found = lock(&bucket, Method::GET).ok().xml();
    assert_eq!(found.get("Rule/DefaultRetention/Days"), "3");
    let missing = server.client().existing_bucket("missing");
    lock(&missing, Method::GET).refused(404, "NoSuchBucket");
    lock(&missing, Method::PUT).body(&kept).refused(404, "NoSuchBucket");
    lock(&bucket, Method::GET)
        .header("x-amz-expected-bucket-owner", "111122223333")
        .refused(403, "AccessDenied");
}

/// Restic and others met servers that did not: whoever has an object retained has to say what it is.
#[test]
fn what_is_written_without_a_retention_gets_the_default() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("before", "content").ok();
    lock(&bucket, Method::PUT).body(default_retention("<Mode>GOVERNANCE</Mode><Days>1</Days>")).ok();
    bucket.put("key", "content").refused(400, "InvalidRequest");
    let only_named = bucket.put("key", "content").header("x-amz-sdk-checksum-algorithm", "CRC32");
    only_named.refused(400, "InvalidRequest");
    let version =
        bucket.put("key", "content").header("content-md5", md5_base64(b"content")).ok().version_id();
    bucket.put("trailer", "").unsigned_trailer(1024, "x-amz-checksum-crc32", "AAAAAA==").ok();
    let head = bucket.head("key").ok();
    assert_eq!(head.get("x-amz-object-lock-mode"), "GOVERNANCE");
    assert!(head.get("x-amz-object-lock-retain-until-date").ends_with('Z'));
    assert_eq!(bucket.head("before").ok().header("x-amz-object-lock-mode"), None);

    let upload = bucket.upload("multipart");
    let etag = upload.put(1, "content");
    upload.complete(&[(1, &etag)]).ok();
    bucket.copy(&format!("{}/before", bucket.name), "copy").ok();
    for key in ["multipart", "copy"] {
        assert_eq!(bucket.head(key).ok().get("x-amz-object-lock-mode"), "GOVERNANCE", "{key}");
    }
    bucket.delete("key").query("versionId", &version).refused(403, "AccessDenied");
    let bypass = bucket.delete("key").query("versionId", &version);
    bypass.header("x-amz-bypass-governance-retention", "true").send().expect(204);
}
