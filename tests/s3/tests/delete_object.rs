//! DeleteObject.

use harness::{Server, md5_hex};
use http::Method;

use crate::support::{assert_absent, assert_content, count, race, tagging_document};

#[test]
fn a_deleted_object_is_gone() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.put("key/below", "other").ok();
    let deleted = bucket.delete("key").send().expect(204);
    assert!(deleted.body.is_empty() && deleted.header("x-amz-delete-marker").is_none());
    assert_absent(&bucket, "key");
    assert_eq!(bucket.keys(), ["key/below"]);
}

#[test]
fn deleting_what_is_not_there_succeeds() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.delete("key").send().expect(204);
    bucket.delete("key").query("versionId", "null").send().expect(204);
    bucket.delete("key").query("versionId", "0000000000000009000000000000000a").send().expect(204);
    assert!(bucket.list_versions().ok().xml().elements("Version").is_empty());
    server.client().existing_bucket("missing").delete("key").refused(404, "NoSuchBucket");
    bucket.delete("key").query("versionId", "nonsense").refused(400, "InvalidArgument");
}

#[test]
fn a_delete_marker_hides_the_object_until_it_is_removed() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let version = bucket.put_version("key", "content");
    let marker = bucket.put_marker("key");
    assert_ne!(marker, version);
    assert!(bucket.keys().is_empty());
    assert_absent(&bucket, "key");

    let removed = bucket.delete("key").query("versionId", &marker).send().expect(204);
    assert_eq!(removed.get("x-amz-delete-marker"), "true");
    assert_eq!(removed.get("x-amz-version-id"), marker);
    assert_content(&bucket, "key", b"content");
    assert_eq!(bucket.get("key").ok().get("x-amz-version-id"), version);
}

/// Deleting a key that never was still makes a marker in a versioned bucket.
#[test]
fn a_missing_key_of_a_versioned_bucket_gets_a_marker() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let markers = [bucket.put_marker("key"), bucket.put_marker("key")];
    let listed = bucket.list_versions().ok().xml();
    assert_eq!(listed.all("DeleteMarker/VersionId"), [markers[1].as_str(), &markers[0]]);
    assert_eq!(listed.all("DeleteMarker/IsLatest"), ["true", "false"]);
}

#[test]
fn a_version_is_deleted_for_good() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let versions: Vec<String> = (0..3).map(|n| bucket.put_version("key", format!("{n}"))).collect();
    let deleted = bucket.delete("key").query("versionId", &versions[2]).send().expect(204);
    assert_eq!(
        (deleted.get("x-amz-version-id"), deleted.header("x-amz-delete-marker")),
        (&*versions[2], None)
    );
    bucket.get("key").query("versionId", &versions[2]).refused(404, "NoSuchVersion");
    assert_content(&bucket, "key", b"1");
    bucket.delete("key").query("versionId", &versions[0]).send().expect(204);
    assert_content(&bucket, "key", b"1");
    bucket.delete("key").query("versionId", &versions[1]).send().expect(204);
    assert_absent(&bucket, "key");
    assert!(bucket.list_versions().ok().xml().elements("Version").is_empty());
}

#[test]
fn the_null_version_has_a_name() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    bucket.delete("key").query("versionId", "null").send().expect(204);
    assert_absent(&bucket, "key");
}

#[test]
fn conditions_guard_a_delete() {
    let server = Server::start();
    let bucket = server.bucket();
    let tag = |content: &str| format!("\"{}\"", md5_hex(content.as_bytes()));
    bucket.delete("key").header("if-match", "*").refused(404, "NoSuchKey");
    bucket.delete("key").header("if-match", tag("content")).refused(404, "NoSuchKey");

    bucket.put("key", "content").ok();
    let modified = bucket.head("key").ok().get("last-modified").to_owned();
    for (name, value) in [
        ("if-match", tag("other").as_str()),
        ("if-match", "nonsense"),
        ("x-amz-if-match-size", "8"),
        ("x-amz-if-match-last-modified-time", "Tue, 01 Jan 2019 00:00:00 GMT"),
    ] {
        bucket.delete("key").header(name, value).refused(412, "PreconditionFailed");
        assert_content(&bucket, "key", b"content");
    }
    bucket.delete("key").header("x-amz-if-match-size", "many").refused(400, "InvalidArgument");
    let undated = bucket.delete("key").header("x-amz-if-match-last-modified-time", "yesterday");
    undated.refused(400, "InvalidArgument");
    bucket.delete("key").header("if-none-match", "*").refused(501, "NotImplemented");
    assert_content(&bucket, "key", b"content");

    let right = bucket.delete("key").header("if-match", tag("content")).header("x-amz-if-match-size", "7");
    right.header("x-amz-if-match-last-modified-time", modified).send().expect(204);
    assert_absent(&bucket, "key");
    bucket.put("key", "content").ok();
    bucket.delete("key").header("if-match", "*").send().expect(204);
    assert_absent(&bucket, "key");
}

/// A delete marker is there and is no object, so nothing holds of it; where nothing is at all, there is no key.
#[test]
fn a_condition_fails_where_a_delete_marker_is_current() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.set_versioning("Enabled");
    let etag = bucket.put("key", "content").ok().etag().to_owned();
    let marker = bucket.put_marker("key");
    for condition in ["*", etag.as_str()] {
        bucket.delete("key").header("if-match", condition).refused(412, "PreconditionFailed");
        bucket.delete("missing").header("if-match", condition).refused(404, "NoSuchKey");
    }
    let document =
        |key: &str| format!("<Delete><Object><Key>{key}</Key><ETag>{etag}</ETag></Object></Delete>");
    for (key, code) in [("key", "PreconditionFailed"), ("missing", "NoSuchKey")] {
        let answer = bucket.delete_objects(&document(key)).ok().xml();
        assert_eq!(answer.all("Error/Code"), [code]);
    }
    let versions = bucket.list_versions().ok().xml();
    assert_eq!(versions.all("DeleteMarker/VersionId"), [marker.as_str()]);
    assert_eq!(versions.all("Version/Key"), ["key"]);
}

/// Whoever has lost an upload's id on the way does not mean the object.
#[test]
fn a_part_without_its_upload_is_not_taken_for_the_object() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let error = bucket.delete("key").query("partNumber", 1).refused(400, "InvalidArgument");
    assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("partNumber", "1"));
    assert_content(&bucket, "key", b"content");
}

/// Who deletes the lock that he has seen, deletes it alone.
#[test]
fn one_of_many_racers_deletes_what_all_have_seen() {
    let server = Server::start();
    let bucket = server.bucket();
    for round in 0..5 {
        let etag = bucket.put("key", format!("{round}")).ok().etag().to_owned();
        let delete = bucket.delete("key").header("if-match", etag).prepare();
        let answers = race(8, |_| delete.send());
        assert_eq!((count(&answers, 204), count(&answers, 404)), (1, 7), "{answers:?}");
        assert_absent(&bucket, "key");
    }
}

#[test]
fn another_owner_than_expected_is_refused() {
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let delete = |owner| bucket.delete("key").header("x-amz-expected-bucket-owner", owner);
    delete("111122223333").refused(403, "AccessDenied");
    delete("1").refused(400, "InvalidBucketOwnerAWSAccountID");
    assert_content(&bucket, "key", b"content");
}

/// Whether it says that it would or that it would not.
#[test]
fn a_bypass_is_for_buckets_with_object_lock() {
    const BYPASS: &str = "x-amz-bypass-governance-retention";
    let server = Server::start();
    let bucket = server.bucket();
    bucket.put("key", "content").ok();
    let all = "<Delete><Object><Key>key</Key></Object></Delete>";
    for value in ["true", "false"] {
        for request in [bucket.delete("key"), bucket.request(Method::POST).raw_query("delete").body(all)] {
            let error = request.header(BYPASS, value).refused(400, "InvalidArgument");
            assert_eq!(error.get("ArgumentName"), BYPASS);
            let message = format!("{BYPASS} is only applicable to Object Lock enabled buckets.");
            assert_eq!(error.get("Message"), message);
        }
    }
    assert_content(&bucket, "key", b"content");
}

/// A program that has no id where it means one must not delete what is current.
#[test]
fn an_empty_version_id_is_none_of_a_version() {
    let server = Server::start();
    for versioning in [None, Some("Enabled")] {
        let bucket = server.bucket();
        versioning.into_iter().for_each(|status| bucket.set_versioning(status));
        bucket.put("key", "content").header("x-amz-tagging", "a=b").ok();
        for query in ["versionId=", "versionId"] {
            let error = bucket.delete("key").raw_query(query).refused(400, "InvalidArgument");
            assert_eq!((error.get("ArgumentName"), error.get("ArgumentValue")), ("versionId", ""));
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let tagging = bucket.object(method, "key").raw_query("tagging").raw_query(query);
                tagging.body(tagging_document(&[])).refused(400, "InvalidArgument");
            }
        }
        assert_eq!(bucket.get("key").ok().get("x-amz-tagging-count"), "1");
        assert!(bucket.list_versions().ok().xml().elements("DeleteMarker").is_empty());
    }
}
