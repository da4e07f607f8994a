//! GetObjectLegalHold, PutObjectLegalHold, and what a hold does to deletes.

use harness::{Bucket, Request, Server};
use http::Method;

use crate::object_lock_configuration::locking_bucket;

fn hold(bucket: &Bucket, method: Method, key: &str) -> Request {
    bucket.object(method, key).raw_query("legal-hold")
}

fn document(status: &str) -> String {
    format!("<LegalHold><Status>{status}</Status></LegalHold>")
}

#[test]
fn a_held_version_stays_until_it_is_let_go() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let version = bucket.put("key", "content").ok().version_id();
    hold(&bucket, Method::GET, "key").refused(404, "NoSuchObjectLockConfiguration");
    assert_eq!(bucket.head("key").ok().header("x-amz-object-lock-legal-hold"), None);
    hold(&bucket, Method::PUT, "key").body(document("ON")).ok();
    assert_eq!(hold(&bucket, Method::GET, "key").ok().xml().get("Status"), "ON");
    assert_eq!(bucket.get("key").ok().get("x-amz-object-lock-legal-hold"), "ON");
    let delete = bucket.delete("key").query("versionId", &version);
    delete.header("x-amz-bypass-governance-retention", "true").refused(403, "AccessDenied");

    hold(&bucket, Method::PUT, "key").query("versionId", &version).body(document("OFF")).ok();
    assert_eq!(hold(&bucket, Method::GET, "key").ok().xml().get("Status"), "OFF");
    bucket.delete("key").query("versionId", &version).send().expect(204);
    hold(&bucket, Method::GET, "key").refused(404, "NoSuchKey");
}

#[test]
fn a_write_can_be_held_from_its_making() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let put = bucket.put("key", "content").header("x-amz-object-lock-legal-hold", "ON");
    let version = put.ok().version_id();
    bucket.delete("key").query("versionId", &version).refused(403, "AccessDenied");
    bucket.put("bad", "").header("x-amz-object-lock-legal-hold", "on").refused(400, "InvalidArgument");
    let plain = server.bucket();
    plain.put("key", "").header("x-amz-object-lock-legal-hold", "ON").refused(400, "InvalidRequest");
    plain.get("key").refused(404, "NoSuchKey");
}

#[test]
fn what_is_no_hold_changes_nothing() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("key", "content").ok();
    for (body, code) in [
        (String::new(), "MalformedXML"),
        ("<LegalHold/>".to_owned(), "MalformedXML"),
        (document("MAYBE"), "MalformedXML"),
    ] {
        let answer = hold(&bucket, Method::PUT, "key").body(&body).send();
        assert_eq!((answer.status, answer.xml().get("Code")), (400, code), "{body}");
    }
    hold(&bucket, Method::GET, "key").refused(404, "NoSuchObjectLockConfiguration");
    let plain = server.bucket();
    plain.put("key", "content").ok();
    hold(&plain, Method::GET, "key").refused(400, "InvalidRequest");
    hold(&plain, Method::PUT, "key").body(document("ON")).refused(400, "InvalidRequest");
}
