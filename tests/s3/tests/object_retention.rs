//! GetObjectRetention, PutObjectRetention, and what a retention does to deletes.

use harness::{Bucket, Request, Server, checksum_of, md5_base64, now_seconds};
use http::Method;
use s3_wire::date::xml_date;
use types::{ChecksumAlgorithm, Timestamp};

use crate::object_lock_configuration::locking_bucket;

fn retention(bucket: &Bucket, method: Method, key: &str) -> Request {
    bucket.object(method, key).raw_query("retention")
}

fn document(mode: &str, until: &str) -> String {
    format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>")
}

fn in_days(days: i64) -> String {
    xml_date(Timestamp((now_seconds() + days * 86_400) * 1000)).to_string()
}

/// A version that is retained from its making.
fn put_retained(bucket: &Bucket, key: &str, mode: &str, until: &str) -> String {
    let put = bucket.put(key, "content").header("content-md5", md5_base64(b"content"));
    let put = put.header("x-amz-object-lock-mode", mode).header("x-amz-object-lock-retain-until-date", until);
    put.ok().version_id()
}

#[test]
fn a_retention_is_prolonged_and_shortened_only_by_bypassing_governance() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let version = bucket.put("key", "content").ok().version_id();
    retention(&bucket, Method::GET, "key").refused(404, "NoSuchObjectLockConfiguration");
    let put = |mode: &str, days| retention(&bucket, Method::PUT, "key").body(document(mode, &in_days(days)));
    assert_eq!(put("GOVERNANCE", 2).ok().version_id(), version);
    let found = retention(&bucket, Method::GET, "key").query("versionId", &version).ok().xml();
    assert_eq!(found.get("Mode"), "GOVERNANCE");
    assert_eq!(found.get("RetainUntilDate").get(..16), in_days(2).get(..16));

    // What is shown can be asked for again.
    let shown = document("GOVERNANCE", found.get("RetainUntilDate"));
    retention(&bucket, Method::PUT, "key").body(shown).ok();
    put("GOVERNANCE", 3).ok();
    put("GOVERNANCE", 1).refused(403, "AccessDenied");
    retention(&bucket, Method::PUT, "key").body("<Retention/>").refused(403, "AccessDenied");
    put("COMPLIANCE", 4).refused(403, "AccessDenied");
    put("GOVERNANCE", 1).header("x-amz-bypass-governance-retention", "true").ok();
    let remove = retention(&bucket, Method::PUT, "key").body("<Retention/>");
    remove.header("x-amz-bypass-governance-retention", "true").ok();
    retention(&bucket, Method::GET, "key").refused(404, "NoSuchObjectLockConfiguration");

    put("COMPLIANCE", 2).ok();
    put("COMPLIANCE", 1).header("x-amz-bypass-governance-retention", "true").refused(403, "AccessDenied");
    put("COMPLIANCE", 3).ok();
    assert_eq!(retention(&bucket, Method::GET, "key").ok().xml().get("Mode"), "COMPLIANCE");
}

/// A hold until an event, which is not there, is never taken for granted: whoever asks for one is told so.
#[test]
fn a_hold_until_an_event_is_refused_by_name_and_nothing_is_written() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let version = bucket.put("key", "content").ok().version_id();
    let source = format!("{}/key", bucket.name);
    let hold = "x-amz-object-lock-event-hold";
    let (days, years) = (format!("{hold}-duration-days"), format!("{hold}-duration-years"));
    for (name, value) in [(hold, "ON"), (days.as_str(), "30"), (years.as_str(), "1")] {
        for request in
            [bucket.put("other", "content"), bucket.copy(&source, "other"), bucket.create_upload("other")]
        {
            let error = request.header(name, value).refused(501, "NotImplemented");
            assert_eq!(error.get("Header"), name);
        }
        let form = bucket.form().field("key", "other").field(name, value).signed("content");
        assert_eq!(form.send().expect_error(501, "NotImplemented").get("Header"), name);
    }
    bucket.put("free", "content").header(hold, "OFF").ok();
    for (inner, field) in [
        ("<EventHold>ON</EventHold>", "EventHold"),
        ("<EventHoldDuration><Days>30</Days></EventHoldDuration>", "EventHoldDuration"),
    ] {
        let document =
            document("GOVERNANCE", &in_days(1)).replace("</Retention>", &format!("{inner}</Retention>"));
        let error = retention(&bucket, Method::PUT, "key").body(document).refused(501, "NotImplemented");
        assert_eq!(error.get("Field"), field);
    }
    retention(&bucket, Method::GET, "key")
        .query("versionId", &version)
        .refused(404, "NoSuchObjectLockConfiguration");
    let rule = "<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days><DefaultEventHold><Days>30</Days></DefaultEventHold></DefaultRetention>";
    let configuration = format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>{rule}</Rule></ObjectLockConfiguration>"
    );
    let configure = bucket.request(Method::PUT).raw_query("object-lock").body(configuration);
    assert_eq!(configure.refused(501, "NotImplemented").get("Field"), "DefaultEventHold");
    let found = bucket.request(Method::GET).raw_query("object-lock").ok().xml();
    assert!(found.elements("Rule").is_empty());
    assert_eq!(bucket.keys(), ["free", "key"]);
    assert!(bucket.list_uploads().ok().xml().elements("Upload").is_empty());
}

#[test]
fn a_retained_version_stays_while_its_key_is_deleted() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let compliance = put_retained(&bucket, "compliance", "COMPLIANCE", &in_days(1));
    let governance = put_retained(&bucket, "governance", "GOVERNANCE", &in_days(1));
    for (key, version) in [("compliance", &compliance), ("governance", &governance)] {
        bucket.delete(key).send().expect(204);
        let error = bucket.delete(key).query("versionId", version).refused(403, "AccessDenied");
        assert!(error.get("Message").contains("object lock"), "{error:?}");
        assert_eq!(bucket.get(key).query("versionId", version).ok().body, b"content");
    }
    let document = format!(
        "<Delete><Object><Key>compliance</Key><VersionId>{compliance}</VersionId></Object>\
         <Object><Key>governance</Key><VersionId>{governance}</VersionId></Object></Delete>"
    );
    let answer = bucket.delete_objects(&document).ok().xml();
    assert_eq!(answer.all("Error/Code"), ["AccessDenied", "AccessDenied"]);
    let bypassing =
        bucket.delete_objects(&document).header("x-amz-bypass-governance-retention", "TRUE").ok().xml();
    assert_eq!(bypassing.all("Error/Key"), ["compliance"]);
    assert_eq!(bypassing.all("Deleted/Key"), ["governance"]);
    bucket.get("governance").query("versionId", &governance).refused(404, "NoSuchVersion");
    assert_eq!(bucket.get("compliance").query("versionId", &compliance).ok().body, b"content");
}

#[test]
fn a_retention_ends_at_its_time() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let until = xml_date(Timestamp((now_seconds() + 2) * 1000)).to_string();
    let version = put_retained(&bucket, "key", "COMPLIANCE", &until);
    bucket.delete("key").query("versionId", &version).refused(403, "AccessDenied");
    let deadline = now_seconds() + 30;
    let removed = loop {
        let answer = bucket.delete("key").query("versionId", &version).send();
        if answer.status == 204 || now_seconds() > deadline {
            break answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    removed.expect(204);
}

#[test]
fn what_is_no_retention_changes_nothing() {
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    bucket.put("key", "content").ok();
    for (body, code) in [
        (String::new(), "MalformedXML"),
        (document("GOVERNANCE", "tomorrow"), "MalformedXML"),
        (document("NONE", &in_days(1)), "MalformedXML"),
        ("<Retention><Mode>GOVERNANCE</Mode></Retention>".to_owned(), "MalformedXML"),
        (document("GOVERNANCE", &in_days(-1)), "InvalidArgument"),
    ] {
        let answer = retention(&bucket, Method::PUT, "key").body(&body).send();
        assert_eq!((answer.status, answer.xml().get("Code")), (400, code), "{body}");
    }
    retention(&bucket, Method::GET, "key").refused(404, "NoSuchObjectLockConfiguration");
    retention(&bucket, Method::GET, "missing").refused(404, "NoSuchKey");
    let put = retention(&bucket, Method::PUT, "missing").body(document("GOVERNANCE", &in_days(1)));
    put.refused(404, "NoSuchKey");

    let plain = server.bucket();
    plain.set_versioning("Enabled");
    plain.put("key", "content").ok();
    let message = "Bucket is missing Object Lock Configuration";
    for request in [
        retention(&plain, Method::GET, "key"),
        retention(&plain, Method::PUT, "key").body(document("GOVERNANCE", &in_days(1))),
    ] {
        assert_eq!(request.refused(400, "InvalidRequest").get("Message"), message);
    }
}

#[test]
fn a_write_asks_for_a_retention_in_its_headers() {
    const MODE: &str = "x-amz-object-lock-mode";
    const UNTIL: &str = "x-amz-object-lock-retain-until-date";
    let server = Server::start();
    let bucket = locking_bucket(&server, "locking");
    let tomorrow = in_days(1);
    let locked = |request: Request| request.header(MODE, "GOVERNANCE").header(UNTIL, &tomorrow);
    let upload = bucket.upload_with("multipart", locked(bucket.create_upload("multipart")));
    let etag = upload.put(1, "content");
    upload.complete(&[(1, &etag)]).ok();
    let source = put_retained(&bucket, "source", "COMPLIANCE", &in_days(2));
    bucket.copy(&format!("{}/source?versionId={source}", bucket.name), "plain").ok();
    locked(bucket.copy(&format!("{}/source", bucket.name), "copy")).ok();
    for (key, mode) in [("multipart", Some("GOVERNANCE")), ("copy", Some("GOVERNANCE")), ("plain", None)] {
        let head = bucket.head(key).ok();
        assert_eq!((head.header(MODE), head.header(UNTIL).is_some()), (mode, mode.is_some()), "{key}");
    }

    // What is to stay has to be what was meant: it takes a digest, of any kind.
    let put = || locked(bucket.put("put", "content"));
    let error = put().refused(400, "InvalidRequest");
    assert!(error.get("Message").starts_with("Content-MD5 OR x-amz-checksum- HTTP header"), "{error:?}");
    bucket.get("put").refused(404, "NoSuchKey");
    let crc = checksum_of(ChecksumAlgorithm::Crc32, b"content");
    put().header("content-md5", md5_base64(b"content")).ok();
    put().header("x-amz-checksum-crc32", &crc).ok();
    put().unsigned_trailer(100, "x-amz-checksum-crc32", &crc).ok();
    assert_eq!(bucket.head("put").ok().header(MODE), Some("GOVERNANCE"));

    let plain = server.bucket();
    locked(plain.put("key", "content")).refused(400, "InvalidRequest");
    locked(plain.create_upload("key")).refused(400, "InvalidRequest");
    locked(plain.copy(&format!("{}/source", bucket.name), "key")).refused(400, "InvalidRequest");
    bucket.put("bad", "").header(MODE, "GOVERNANCE").refused(400, "InvalidArgument");
    bucket.put("bad", "").header(UNTIL, &tomorrow).refused(400, "InvalidArgument");
    let past = bucket.put("bad", "").header(MODE, "GOVERNANCE").header(UNTIL, in_days(-1));
    past.refused(400, "InvalidArgument");
    bucket.get("bad").refused(404, "NoSuchKey");
}
